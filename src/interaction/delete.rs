//! Delete: the end of a resource; its versions stay.
//!
//! <https://hl7.org/fhir/R4/http.html#delete>
//!
//! Idempotent: what is not there, or not there for the caller, is as deleted as it can be. A conditional
//! delete ends every match, as many as [`MOST`] at once; more refuse it whole.

use super::conditional;
use super::context::Context;
use super::permission;
use super::prepare;
use super::record::{self, Done, Trail};
use super::request::{Instance, Parameters, Target};
use super::response::{About, Response, Status};
use super::update::{Precondition, before_next_attempt};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::store::audit_log::AuditRow;
use crate::store::resources::{Current, Deed, Stored};

/// The most resources that one conditional delete ends.
const MOST: u32 = 100;

pub(super) async fn run(ctx: &Context, target: Target, if_match: Option<String>) -> Result<Done, Outcome> {
    let permit = permission::ask(ctx, Permission::Delete, &[target.resource_type()])?;
    match target {
        Target::Instance(of) => one(ctx, &permit, &of, if_match).await,
        Target::Criteria { resource_type, parameters } => {
            if if_match.is_some() {
                return Err(Outcome::not_supported("If-Match with a conditional delete"));
            }
            all(ctx, &permit, resource_type, &parameters).await
        }
    }
}

async fn one(
    ctx: &Context,
    permit: &Permit,
    of: &Instance,
    if_match: Option<String>,
) -> Result<Done, Outcome> {
    let precondition = Precondition { if_match, if_none_match_any: false };
    for attempt in 1.. {
        let narrowing = permit.narrowing().of(of.resource_type);
        let store = &ctx.app.store;
        let stored = store.read(ctx.tenant(), of.resource_type, &of.id, narrowing, permit.classes()).await?;
        let standing = stored.as_ref().filter(|it| !it.is_deleted());
        let current = standing.map(current_of);
        precondition.check(current.as_ref())?;
        let Some(standing) = standing else {
            return Ok(Done { response: gone(None), trail: Some(Trail::under(permit)) });
        };
        let (deed, row) = deletion(ctx, permit, standing, ctx.deed_time());
        let about = about(&deed);
        match store.write(ctx.tenant(), vec![deed], vec![row]).await {
            Ok(()) => return Ok(Done::recorded(gone(Some(about)))),
            Err(error) => before_next_attempt(error, precondition.if_match.is_some(), attempt).await?,
        }
    }
    Err(Outcome::conflict("others keep changing the resource, try again"))
}

async fn all(
    ctx: &Context,
    permit: &Permit,
    resource_type: ResourceType,
    criteria: &Parameters,
) -> Result<Done, Outcome> {
    // What is found to be deleted must be both findable and deletable.
    let search = permission::ask(ctx, Permission::Search, &[resource_type])?;
    let deletable = permit.narrowing().of(resource_type).clone();
    let query = conditional::query(ctx, resource_type, criteria)?.within(deletable).at_most(MOST + 1);
    let mut unit = ctx.app.store.begin(ctx.tenant(), &[query.lock()]).await?;
    let found = conditional::find(ctx, &mut unit, &search, &query).await?;
    if found.len() > usize::try_from(MOST).unwrap_or(usize::MAX) {
        return Err(Outcome::precondition_failed(format!(
            "the criteria match more than {MOST} resources, which is more than one request may delete"
        )));
    }
    if found.is_empty() {
        unit.roll_back().await?;
        return Ok(Done { response: gone(None), trail: Some(Trail::under(permit)) });
    }
    let now = ctx.deed_time();
    let (deeds, rows) = found.iter().map(|it| deletion(ctx, permit, it, now)).unzip();
    unit.write(deeds, rows).await?;
    unit.commit().await?;
    Ok(Done::recorded(gone(None)))
}

/// The deed that ends it, and its row in the trail.
pub(super) fn deletion(ctx: &Context, permit: &Permit, standing: &Stored, now: i64) -> (Deed, AuditRow) {
    let at = now.max(standing.last_updated + 1);
    let deed = prepare::deletion(standing.resource_type, &standing.id, standing.version, at);
    let mut row = record::row(ctx, Kind::Delete, permit);
    let mut trail = Trail::default();
    trail.add(ctx, standing);
    row.patients = trail.patients;
    row.subjects = trail.subjects;
    row.entities = vec![record::entity(deed.resource_type, &deed.id, Some(deed.version))];
    (deed, row)
}

/// What stands, as a precondition looks at it.
pub(super) fn current_of(stored: &Stored) -> Current {
    Current { version: stored.version, last_updated: stored.last_updated, is_deleted: stored.is_deleted() }
}

fn about(deed: &Deed) -> About {
    About {
        resource_type: deed.resource_type,
        id: deed.id.clone(),
        version: deed.version,
        last_updated: deed.last_updated,
    }
}

fn gone(about: Option<About>) -> Response {
    Response { status: Status::NoContent, body: None, about, issues: Vec::new() }
}
