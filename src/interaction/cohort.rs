//! Cohorts: the patients whom queries describe, at one time.
//!
//! <https://hl7.org/fhir/uv/bulkdata/StructureDefinition-bulk-cohort-group.html>
//!
//! A Group says in extensions `member-filter` who belongs to it, as searches: of Patients, or of what is in their
//! records. Of several, all must hold. Who is found is what the caller may find.

use super::context::Context;
use super::export::read::condition;
use super::record::Trail;
use super::{permission, redact};
use crate::access::scope::Permission;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::{Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::search::query::Query;
use crate::store::search::range::{Population, Span};
use std::collections::BTreeSet;

/// The extension that says who belongs to a group.
const MEMBER_FILTER: &str = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/member-filter";
/// A group has as many members.
const MOST_MEMBERS: usize = 1_000_000;

/// The queries that say who belongs to a group.
///
/// # Errors
/// One is in another language than FHIR's.
pub(super) fn filters(group: &Resource) -> Result<Vec<String>, Outcome> {
    let extensions = group.root().get("modifierExtension").into_iter().flat_map(Node::items);
    let mut filters = Vec::new();
    for extension in extensions.filter(|it| it.string("url").as_deref() == Some(MEMBER_FILTER)) {
        let expression = extension.get("valueExpression");
        let is_query =
            expression.is_some_and(|it| it.string("language").as_deref() == Some("application/x-fhir-query"));
        match expression.and_then(|it| it.string("expression")).filter(|_| is_query) {
            Some(query) => filters.push(query.into_owned()),
            None => {
                let outcome =
                    Outcome::not_supported("a member-filter is written in application/x-fhir-query");
                return Err(outcome.at("Group.modifierExtension"));
            }
        }
    }
    Ok(filters)
}

/// The patients of whom all of these hold, as it was at that time.
///
/// # Errors
/// A query is not understood; the caller may not ask it; there are too many.
pub(super) async fn patients(
    ctx: &Context,
    filters: &[String],
    at: i64,
    trail: &mut Trail,
) -> Result<BTreeSet<ResourceId>, Outcome> {
    let mut cohort: Option<BTreeSet<ResourceId>> = None;
    for filter in filters {
        let found = matching(ctx, filter, at, trail).await?;
        cohort = Some(match cohort {
            None => found,
            Some(before) => before.intersection(&found).cloned().collect(),
        });
    }
    Ok(cohort.unwrap_or_default())
}

async fn matching(
    ctx: &Context,
    filter: &str,
    at: i64,
    trail: &mut Trail,
) -> Result<BTreeSet<ResourceId>, Outcome> {
    let bad = |reason: &str| Outcome::value(reason).at("Group.modifierExtension");
    let (name, query) = filter.split_once('?').unwrap_or((filter, ""));
    let of = ResourceType::parse(name).ok_or_else(|| bad("a member-filter is Type?query"))?;
    let permit = permission::ask(ctx, Permission::Search, &[of])?;
    let predicate = condition(ctx, of, query, true)?;
    let query = redact::asked(ctx, &permit, &Query::new(vec![of], predicate, 1))?;
    let population = Population::Patients;
    let (mut found, mut after) = (BTreeSet::new(), Some(0));
    while let Some(from) = after {
        let span = Span { after: from, rows: 20_000, ..Span::of(of, at, &population) };
        let page = ctx.app.store.span(ctx.tenant(), &query, ctx.verifier(), &span).await?;
        for stored in page.resources {
            trail.add(ctx, &stored);
            if of.name() == "Patient" {
                found.insert(stored.id);
                continue;
            }
            let resource = Resource::parse(stored.text, &Limits::ACCEPTED)?;
            found.extend(ctx.verifier().patients(&resource));
        }
        if found.len() > MOST_MEMBERS {
            return Err(Outcome::too_costly("the cohort is too large for a group"));
        }
        after = page.next;
    }
    Ok(found)
}
