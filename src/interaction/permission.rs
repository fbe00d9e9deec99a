//! Asking for leave: the decision of `access`, as the interactions need it.

use super::audit_event;
use super::context::Context;
use super::reserved;
use crate::access::decide::{Action, Decision, decide};
use crate::access::permit::Permit;
use crate::access::scope::{Level, Permission, ResourceScope};
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::search::index::{Index, Key, KeyKind};
use crate::search::predicate::Predicate;
use crate::store::resources::Stored;

/// Why the caller was refused, by the name of the rule: for the trail, not for the caller.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Denial(pub(super) &'static str);

/// Leave to do that with resources of these types; of none: with whatever the caller may touch at all.
pub(super) fn ask(
    ctx: &Context,
    permission: Permission,
    resource_types: &[ResourceType],
) -> Result<Permit, Outcome> {
    ask_within(ctx, permission, resource_types, None)
}

/// The same, where the request stays in one patient's compartment.
pub(super) fn ask_within(
    ctx: &Context,
    permission: Permission,
    resource_types: &[ResourceType],
    patient: Option<&ResourceId>,
) -> Result<Permit, Outcome> {
    let is_write = matches!(permission, Permission::Create | Permission::Update | Permission::Delete);
    if is_write && resource_types.iter().any(|it| it.name() == audit_event::NAME) {
        return Err(Outcome::not_supported("AuditEvents are written by the server alone"));
    }
    let action = Action {
        permission,
        resource_types: resource_types.to_vec(),
        patient: patient.cloned(),
        is_deidentified: ctx.deidentifies && !is_write,
    };
    let facts = ctx.facts.get()?;
    match decide(ctx.definitions(), &ctx.app.fhir_base(), &ctx.principal, &facts, &action) {
        Decision::Permit(permit) if is_write => Ok(reserved::without(ctx, permit, resource_types)),
        Decision::Permit(permit) => Ok(permit),
        Decision::Deny { rule } => Err(denied(rule)),
    }
}

/// The same for whoever operates the server: a system without a user, and without a narrowing.
pub(super) fn ask_operator(
    ctx: &Context,
    permission: Permission,
    resource_types: &[ResourceType],
) -> Result<Permit, Outcome> {
    let permit = ask(ctx, permission, resource_types)?;
    let scopes = ctx.principal.scopes.resources().iter();
    let is_whole = |it: &&ResourceScope| it.level == Level::System && it.query.is_empty();
    let mut whole = scopes.filter(is_whole).filter(|it| it.permissions.allow(permission));
    let covers = |it: &ResourceScope| match resource_types {
        [] => it.resource_type.is_none(),
        types => types.iter().all(|of| it.covers(*of, permission)),
    };
    if ctx.principal.fhir_user.is_none() && whole.any(covers) {
        return Ok(permit);
    }
    Err(denied("this is for whoever operates the server"))
}

/// The answer to somebody who may not do that at all.
pub(super) fn denied(rule: &'static str) -> Outcome {
    Outcome::forbidden("the access token does not permit this").because(Denial(rule))
}

/// Whether new content stays within what the caller may write: nobody can make or move a resource out of
/// their own reach.
pub(super) async fn admit(
    ctx: &Context,
    permit: &Permit,
    resource: &Resource,
    index: &Index,
) -> Result<(), Outcome> {
    if !permit.admits(ctx.verifier(), resource) {
        return Err(denied("the new content is outside what the token covers"));
    }
    let Some(care) = permit.care(resource.resource_type()) else { return Ok(()) };
    // Every patient that it names must be one that the user has to do with.
    let mut patients = index.patients.clone();
    patients.extend(index.keys.iter().filter(|it| it.kind == KeyKind::Reference).filter_map(named_patient));
    patients.sort_unstable();
    patients.dedup();
    let care = relation(care);
    let related = ctx.app.store.patients_satisfying(ctx.tenant(), &patients, &care).await?;
    if related == patients.len() && related > 0 {
        return Ok(());
    }
    Err(denied("the user has nothing to do with the patient"))
}

/// Whether a new resource may have an id of the caller's choosing. Not where the caller sees only some of the type:
/// an id that is taken and hidden, and one that is free, would be told apart. Whoever loads data says the ids.
pub(super) fn may_name(ctx: &Context, permit: &Permit, resource_type: ResourceType) -> Result<(), Outcome> {
    let sees_all = *permit.narrowing().of(resource_type) == Predicate::True;
    match sees_all || ctx.facts.get()?.role.may_choose_ids {
        true => Ok(()),
        false => Err(Outcome::not_found()),
    }
}

/// What is asked of patients, without the way that leads from a resource to its patient.
fn relation(care: &Predicate) -> Predicate {
    match care {
        Predicate::References { inner, .. } => Predicate::clone(inner),
        care => care.clone(),
    }
}

fn named_patient(key: &Key) -> Option<ResourceId> {
    let is_theirs = matches!(&*key.parameter, "patient" | "subject" | "for");
    ResourceId::parse(key.value.strip_prefix("Patient/").filter(|_| is_theirs)?)
}

/// Whether a version lies within what the caller may see, as it was then: the store holds the resource to the
/// narrowing as it stands now, and an older version to its patient alone.
pub(super) fn shows(ctx: &Context, permit: &Permit, version: &Stored) -> bool {
    let is_open = *permit.narrowing().of(version.resource_type) == Predicate::True;
    if is_open || version.is_deleted() {
        return true;
    }
    let resource = Resource::parse(version.text.as_bytes(), &Limits::ACCEPTED);
    resource.is_ok_and(|it| permit.covers(ctx.verifier(), &it))
}
