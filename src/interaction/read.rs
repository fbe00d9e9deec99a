//! Read and vread: a resource as it stands, or as it was.
//!
//! <https://hl7.org/fhir/R4/http.html#read>, `#vread`

use super::context::Context;
use super::record::{Done, Trail};
use super::request::{Instance, Parameters};
use super::response::{About, Response, Status};
use super::subset::Subset;
use super::{permission, redact};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::fhir::outcome::Outcome;
use crate::store::resources::Stored;

/// The current version.
pub(super) async fn read(ctx: &Context, of: &Instance, parameters: &Parameters) -> Result<Done, Outcome> {
    let subset = Subset::of(parameters)?;
    let permit = permission::ask(ctx, Permission::Read, &[of.resource_type])?;
    let narrowing = permit.narrowing().of(of.resource_type);
    let store = &ctx.app.store;
    let stored = store.read(ctx.tenant(), of.resource_type, &of.id, narrowing, permit.classes()).await?;
    answer(ctx, &permit, stored, &subset)
}

/// One version, though a newer one may stand.
pub(super) async fn vread(
    ctx: &Context,
    of: &Instance,
    version: &str,
    parameters: &Parameters,
) -> Result<Done, Outcome> {
    let subset = Subset::of(parameters)?;
    let permit = permission::ask(ctx, Permission::Read, &[of.resource_type])?;
    // A version id that we never give is one that is not there.
    let Some(version) = version.parse().ok().filter(|it: &i32| *it > 0) else {
        return Err(Outcome::not_found());
    };
    let narrowing = permit.narrowing().of(of.resource_type);
    let resource = (of.resource_type, &of.id);
    let stored = ctx.app.store.version(ctx.tenant(), resource, version, narrowing, permit.classes()).await?;
    let stored = stored.filter(|it| permission::shows(ctx, &permit, it));
    answer(ctx, &permit, stored, &subset)
}

fn answer(ctx: &Context, permit: &Permit, stored: Option<Stored>, subset: &Subset) -> Result<Done, Outcome> {
    let Some(stored) = stored else { return Err(Outcome::not_found()) };
    if stored.is_deleted() {
        return Err(Outcome::deleted());
    }
    let mut trail = Trail::under(permit);
    trail.add(ctx, &stored);
    let about = about(&stored);
    let stored = redact::shown(ctx, permit, stored)?;
    let body = subset.apply(&ctx.definitions().types, stored.text)?;
    let response = Response { status: Status::Ok, body: Some(body), about: Some(about), issues: Vec::new() };
    Ok(Done { response, trail: Some(trail) })
}

/// The version that a stored resource is.
pub(super) fn about(stored: &Stored) -> About {
    About {
        resource_type: stored.resource_type,
        id: stored.id.clone(),
        version: stored.version,
        last_updated: stored.last_updated,
    }
}
