//! Whether it was a Consent that hid what somebody asked for: for the trail. The caller is told nothing.
//!
//! The same questions are asked for what is hidden and for what is not there, so that both take as long.

use super::context::Context;
use crate::access::decide::{Action, Decision, decide};
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::id::ResourceType;
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::search::extract;
use crate::store::audit_log::{AuditRow, Entity};
use crate::store::resources::Stored;

/// The rule that the trail names.
const RULE: &str = "a Consent forbids it";

/// Makes the row one of a Consent's decision, with the Consents as entities, if that is what it is.
pub(super) async fn note(ctx: &Context, asked: &Entity, row: &mut AuditRow) {
    let Ok(Some(stored)) = without_consents(ctx, asked).await else { return };
    let Ok(resource) = Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED) else { return };
    let Ok(policy) = ctx.app.policy(ctx.tenant()).await else { return };
    row.kind = Kind::ConsentDecision.code();
    row.action = Kind::ConsentDecision.action();
    row.rule = Some(RULE.to_owned());
    row.patients = extract::index(ctx.definitions(), &ctx.app.fhir_base(), &resource).patients;
    for patient in &row.patients {
        let consents = policy.consents_of(patient).into_iter();
        let named = consents.filter_map(|id| {
            let resource_type = ResourceType::parse("Consent")?;
            Some(Entity { resource_type, id, version: None })
        });
        row.entities.extend(named);
    }
}

/// What there would be, had nobody given a Consent.
async fn without_consents(ctx: &Context, asked: &Entity) -> Result<Option<Stored>, Outcome> {
    let facts = ctx.facts.get()?;
    if !facts.is_bound_by_consents() {
        return Ok(None);
    }
    let facts = facts.without_consents();
    let action = Action::on(Permission::Read, [asked.resource_type]);
    let base = ctx.app.fhir_base();
    let Decision::Permit(permit) = decide(ctx.definitions(), &base, &ctx.principal, &facts, &action) else {
        return Ok(None);
    };
    let narrowing = permit.narrowing().of(asked.resource_type);
    let store = &ctx.app.store;
    let stored =
        store.read(ctx.tenant(), asked.resource_type, &asked.id, narrowing, SealClasses::ALL).await?;
    Ok(stored.filter(|it| !it.is_deleted()))
}
