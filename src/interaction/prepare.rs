//! From a resource that a client sent to a deed that the store can do: validated, stamped, indexed, marked.

use super::beside;
use super::codes;
use super::context::Context;
use crate::access::labels::Labels;
use crate::access::reach;
use crate::access::role::Role;
use crate::conformance::sealing;
use crate::conformance::validate::Options;
use crate::conformance::validate::beside::Beside;
use crate::fhir::date_time::instant;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::{Issue, Outcome, Severity};
use crate::fhir::resource::Resource;
use crate::search::index::Index;
use crate::search::{custom, extract};
use crate::store::resources::{Deed, DeedKind};

/// What a new version is.
pub(super) struct Version<'a> {
    /// What is done.
    pub(super) kind: DeedKind,
    /// The id of the resource.
    pub(super) id: &'a ResourceId,
    /// The version that must still be the current one.
    pub(super) expected: Option<i32>,
    /// When: `meta.lastUpdated` in microseconds since 1970.
    pub(super) at: i64,
}

impl Version<'_> {
    /// The number of the new version.
    pub(super) fn number(&self) -> i32 {
        self.expected.map_or(1, |it| it.saturating_add(1))
    }
}

/// Everything that is wrong with a resource refuses it; what is only worth a warning comes back.
pub(super) async fn validated(ctx: &Context, resource: &Resource) -> Result<Vec<Issue>, Outcome> {
    let beside = beside::for_write(ctx, [resource]).await?;
    validated_beside(ctx, resource, &beside).await
}

/// The same, where what it is compared with was found before: a transaction must not wait for it.
pub(super) async fn validated_beside(
    ctx: &Context,
    resource: &Resource,
    beside: &Beside,
) -> Result<Vec<Issue>, Outcome> {
    let options = Options { beside: Some(beside), ..Options::default() };
    let mut issues = codes::validate(ctx, resource, &options).await?;
    if resource.resource_type().name() == "SearchParameter" {
        issues.extend(custom::check(ctx.definitions(), resource.root()));
    }
    Role::of_policy(resource)?;
    if issues.iter().any(|issue| issue.severity >= Severity::Error) {
        return Err(Outcome::from_issues(issues).unwrap_or_else(|| Outcome::invalid("not valid")));
    }
    Ok(issues)
}

/// The deed that stores a resource, and the resource as it will be read back.
pub(super) fn deed(
    ctx: &Context,
    resource: &Resource,
    version: &Version<'_>,
) -> Result<(Deed, Resource), Outcome> {
    let number = version.number();
    let text = stamped(ctx, resource, version)?;
    let stamped = Resource::parse(text, &Limits::ACCEPTED)?;
    let deed = Deed {
        kind: version.kind,
        resource_type: stamped.resource_type(),
        id: version.id.clone(),
        version: number,
        expected: version.expected,
        last_updated: version.at,
        sealed: sealing::sealed_spans(ctx.definitions(), &ctx.app.sealing, &stamped),
        index: extract::index(ctx.definitions(), &ctx.app.fhir_base(), &stamped),
        text: stamped.text().to_owned(),
    };
    Ok((deed, stamped))
}

/// The resource with its id, version and time, and with the labels that its codes ask for.
fn stamped(ctx: &Context, resource: &Resource, version: &Version<'_>) -> Result<String, Outcome> {
    let labels = ctx.definitions().derived(|_| Labels::embedded());
    let at = instant(version.at);
    let is_personal = reach::is_personal(ctx.definitions(), resource.resource_type());
    match is_personal.then(|| labels.applied(resource)).flatten() {
        None => Ok(resource.stamped(version.id, version.number(), &at)),
        Some(labelled) => {
            let labelled = Resource::parse(labelled, &Limits::ACCEPTED)?;
            Ok(labelled.stamped(version.id, version.number(), &at))
        }
    }
}

/// The deed that ends a resource.
pub(super) fn deletion(resource_type: ResourceType, id: &ResourceId, expected: i32, at: i64) -> Deed {
    Deed {
        kind: DeedKind::Delete,
        resource_type,
        id: id.clone(),
        version: expected.saturating_add(1),
        expected: Some(expected),
        last_updated: at,
        text: String::new(),
        sealed: Vec::new(),
        index: Index::default(),
    }
}
