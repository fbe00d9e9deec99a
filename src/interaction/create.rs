//! Create: a new resource under an id of our choosing.
//!
//! <https://hl7.org/fhir/R4/http.html#create>, `#ccreate`
//!
//! Ignores any id in the body. The plain one is one statement; the conditional one looks and writes under a
//! lock on its criteria, so that fifty identical requests make one resource.

use super::conditional::{self, Found};
use super::context::Context;
use super::prepare::{self, Version};
use super::record::{self, Done, Trail};
use super::request::Parameters;
use super::response::{About, Response, Status};
use super::{permission, read, redact};
use crate::access::permit::Permit;
use crate::access::role;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::crypto::random;
use crate::fhir::id::ResourceId;
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::resource::Resource;
use crate::store::audit_log::AuditRow;
use crate::store::resources::{Deed, DeedKind};

pub(super) async fn run(
    ctx: &Context,
    resource: Resource,
    if_none_exist: Option<Parameters>,
) -> Result<Done, Outcome> {
    let permit = permission::ask(ctx, Permission::Create, &[resource.resource_type()])?;
    let Some(criteria) = if_none_exist else {
        let issues = prepare::validated(ctx, &resource).await?;
        let id = ResourceId::from(random::id(ctx.deed_time()));
        let new = New::prepare(ctx, &permit, &resource, &id, Kind::Create).await?;
        ctx.app.store.write(ctx.tenant(), vec![new.deed], vec![new.row]).await?;
        return Ok(Done::recorded(created(new.about, new.stamped, issues)));
    };
    let search = permission::ask(ctx, Permission::Search, &[resource.resource_type()])?;
    let issues = prepare::validated(ctx, &resource).await?;
    let query = conditional::query(ctx, resource.resource_type(), &criteria)?;
    let mut unit = ctx.app.store.begin(ctx.tenant(), &[query.lock()]).await?;
    match conditional::find_one(ctx, &mut unit, &search, &query).await? {
        Found::One(existing) => {
            unit.roll_back().await?;
            let mut trail = Trail::under(&search);
            trail.add(ctx, &existing);
            let about = Some(read::about(&existing));
            let response = Response { status: Status::Ok, body: Some(existing.text), about, issues };
            Ok(Done { response, trail: Some(trail) })
        }
        Found::None => {
            let id = ResourceId::from(random::id(ctx.deed_time()));
            let new = New::prepare(ctx, &permit, &resource, &id, Kind::Create).await?;
            unit.write(vec![new.deed], vec![new.row]).await?;
            unit.commit().await?;
            Ok(Done::recorded(created(new.about, new.stamped, issues)))
        }
    }
}

/// A first version, ready to be stored.
pub(super) struct New {
    pub(super) deed: Deed,
    pub(super) row: AuditRow,
    pub(super) about: About,
    pub(super) stamped: String,
}

impl New {
    /// Stamps, admits and indexes the first version of a resource.
    pub(super) async fn prepare(
        ctx: &Context,
        permit: &Permit,
        resource: &Resource,
        id: &ResourceId,
        kind: Kind,
    ) -> Result<New, Outcome> {
        let deed_kind = if kind == Kind::Create { DeedKind::Create } else { DeedKind::Update };
        let version = Version { kind: deed_kind, id, expected: None, at: ctx.deed_time() };
        New::version(ctx, permit, resource, &version, kind).await
    }

    /// The same for any version.
    pub(super) async fn version(
        ctx: &Context,
        permit: &Permit,
        resource: &Resource,
        version: &Version<'_>,
        kind: Kind,
    ) -> Result<New, Outcome> {
        if version.expected.is_some() {
            redact::whole(permit, resource)?;
        }
        let (deed, stamped) = prepare::deed(ctx, resource, version)?;
        let kind = if role::is_policy(&stamped) { Kind::PolicyChanged } else { kind };
        permission::admit(ctx, permit, &stamped, &deed.index).await?;
        let mut row = record::row(ctx, kind, permit);
        row.patients = deed.index.patients.clone();
        row.entities = vec![record::entity(deed.resource_type, &deed.id, Some(deed.version))];
        let about = About {
            resource_type: deed.resource_type,
            id: deed.id.clone(),
            version: deed.version,
            last_updated: deed.last_updated,
        };
        Ok(New { deed, row, about, stamped: stamped.into_json().into_text() })
    }
}

/// The answer to a request that made a resource.
pub(super) fn created(about: About, body: String, issues: Vec<Issue>) -> Response {
    Response { status: Status::Created, body: Some(body), about: Some(about), issues }
}
