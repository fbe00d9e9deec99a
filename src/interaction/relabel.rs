//! Labels what was stored before one of its codes was known to be sensitive.
//!
//! It is an update by the server itself, through the door: a new version, which stands in the trail.

use super::context::Context;
use super::perform;
use super::request::{Instance, Interaction, Target};
use super::reserved::SERVER;
use crate::access::labels::Labels;
use crate::access::principal::Principal;
use crate::access::reach;
use crate::access::role;
use crate::access::scope::Scopes;
use crate::app::App;
use crate::fhir::id::TenantId;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use std::sync::Arc;

/// Labels a resource, if it lacks a label: whether it did. Where somebody else changes it meanwhile, their write has
/// labelled it.
///
/// # Errors
/// The database fails, or what is stored is no longer legal.
pub async fn relabel(
    app: &Arc<App>,
    tenant: TenantId,
    resource: Resource,
    version: i32,
) -> Result<bool, Outcome> {
    let rules = app.rules(tenant).await?;
    let labels = rules.definitions.derived(|_| Labels::embedded());
    let resource_type = resource.resource_type();
    let lacks = reach::is_personal(&rules.definitions, resource_type) && labels.applied(&resource).is_some();
    let Some(id) = resource.id().filter(|_| lacks).cloned() else { return Ok(false) };
    let principal = Principal {
        tenant,
        subject: SERVER.to_owned(),
        client_id: SERVER.to_owned(),
        fhir_user: None,
        patient: None,
        scopes: Scopes::parse("system/*.cruds"),
        role: Some(role::SERVER.to_owned()),
        strong_since: None,
        purpose: None,
        token_id: String::new(),
    };
    let ctx = Context::new(app, rules, principal, app.clock.now_microseconds());
    let update = Interaction::Update {
        target: Target::Instance(Instance { resource_type, id }),
        resource,
        if_match: Some(version.to_string()),
        if_none_match_any: false,
    };
    perform(&ctx, update).await?;
    Ok(true)
}
