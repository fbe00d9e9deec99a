//! Patch: a new version made from the current one.
//!
//! <https://hl7.org/fhir/R4/http.html#patch>

use super::conditional::{self, Found};
use super::context::Context;
use super::create::New;
use super::record::Done;
use super::request::{Instance, Parameters, Patch, Target};
use super::response::{Response, Status};
use super::update::{Precondition, before_next_attempt, next, updated};
use super::{permission, prepare, redact};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::id::ResourceType;
use crate::fhir::json::Limits;
use crate::fhir::json_patch;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhirpath::patch as fhirpath_patch;
use crate::search::predicate::Predicate;
use crate::store::resources::{Current, Stored};

pub(super) async fn run(
    ctx: &Context,
    target: Target,
    patch: &Patch,
    if_match: Option<String>,
) -> Result<Done, Outcome> {
    let permit = permission::ask(ctx, Permission::Update, &[target.resource_type()])?;
    let precondition = Precondition { if_match, if_none_match_any: false };
    let of = match target {
        Target::Instance(of) => of,
        Target::Criteria { resource_type, parameters } => single_out(ctx, resource_type, &parameters).await?,
    };
    for attempt in 1.. {
        let stored = standing(ctx, &permit, &of).await?;
        let current =
            Current { version: stored.version, last_updated: stored.last_updated, is_deleted: false };
        precondition.check(Some(&current))?;
        let patched = apply(ctx, &stored, patch)?;
        let issues = prepare::validated(ctx, &patched).await?;
        let version = next(&of, Some(&current), ctx.deed_time());
        let new = New::version(ctx, &permit, &patched, &version, Kind::Patch).await?;
        match ctx.app.store.write(ctx.tenant(), vec![new.deed], vec![new.row]).await {
            Ok(()) => {
                let answer = updated(Some(&current), new.about, new.stamped, issues);
                return Ok(Done::recorded(Response { status: Status::Ok, ..answer }));
            }
            Err(error) => before_next_attempt(error, precondition.if_match.is_some(), attempt).await?,
        }
    }
    Err(Outcome::conflict("others keep changing the resource, try again"))
}

/// The resource as it stands and may be touched.
async fn standing(ctx: &Context, permit: &Permit, of: &Instance) -> Result<Stored, Outcome> {
    let narrowing = narrowing(ctx, permit, of.resource_type)?;
    let store = &ctx.app.store;
    let stored = store.read(ctx.tenant(), of.resource_type, &of.id, &narrowing, permit.classes()).await?;
    match stored {
        None => Err(Outcome::not_found()),
        Some(stored) if stored.is_deleted() => Err(Outcome::deleted()),
        Some(stored) => redact::shown(ctx, permit, stored),
    }
}

/// What may be patched: what may be both changed and read, since a patch tells what was there.
pub(super) fn narrowing(
    ctx: &Context,
    permit: &Permit,
    resource_type: ResourceType,
) -> Result<Predicate, Outcome> {
    let read = permission::ask(ctx, Permission::Read, &[resource_type])?;
    let readable = read.narrowing().of(resource_type).clone();
    Ok(permit.narrowing().of(resource_type).clone().and(readable))
}

/// The patched resource: still the same one.
pub(super) fn apply(ctx: &Context, stored: &Stored, patch: &Patch) -> Result<Resource, Outcome> {
    if stored.is_partial {
        // What one may not see one may not write back over.
        return Err(permission::denied("a part of the resource may not be seen"));
    }
    let resource = Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED)?;
    let text = match patch {
        Patch::Json(patch) => json_patch::apply(resource.json(), patch)?,
        Patch::FhirPath(patch) => fhirpath_patch::apply(&ctx.definitions().types, &resource, patch)?,
    };
    let patched =
        Resource::parse(text, &Limits { size_bytes: ctx.app.config.limits.body_bytes, ..Limits::ACCEPTED })?;
    if patched.resource_type() != stored.resource_type || patched.id() != Some(&stored.id) {
        return Err(Outcome::business_rule("a patch must not change the type or the id"));
    }
    Ok(patched)
}

async fn single_out(
    ctx: &Context,
    resource_type: ResourceType,
    criteria: &Parameters,
) -> Result<Instance, Outcome> {
    let search = permission::ask(ctx, Permission::Search, &[resource_type])?;
    let query = conditional::query(ctx, resource_type, criteria)?;
    let mut unit = ctx.app.store.begin(ctx.tenant(), &[query.lock()]).await?;
    let found = conditional::find_one(ctx, &mut unit, &search, &query).await?;
    unit.roll_back().await?;
    match found {
        Found::One(existing) => Ok(Instance { resource_type, id: existing.id }),
        Found::None => Err(Outcome::not_found()),
    }
}
