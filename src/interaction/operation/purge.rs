//! `$purge`, also called `$expunge`: destroys a patient, or everything, for good. `$legal-hold` and
//! `$lift-legal-hold`: forbid it, and allow it again.
//!
//! Two officers have to ask for the same, each with a token of their own, the second before the first one's
//! request expires. Then the patient's key is destroyed, and every version of what is theirs alone is removed: a
//! read is like that of what never was. The trail keeps its rows, and a Provenance says who did it, sealed
//! under a key that is not the patient's. Resources that belong to several patients stay.
//!
//! On the system it is the whole tenant: every key, and every row but those of the trail.
//!
//! # Decision 2026-11-24
//! An officer is whoever may delete everything of everybody. The agreement is the second call itself, not a Task to
//! be completed: there is then nothing that could be changed between what was agreed to and what is done.

use crate::access::permit::Permit;
use crate::access::scope::{Level, Permission};
use crate::audit::event::Kind;
use crate::crypto::random;
use crate::fhir::date_time::instant;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::{self, Issue, Outcome};
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::prepare::{self, Version};
use crate::interaction::record::{self, Done};
use crate::interaction::request::Operation;
use crate::interaction::response::{Response, Status};
use crate::interaction::{audit_event, permission};
use crate::search::predicate::Predicate;
use crate::store::audit_log::AuditRow;
use crate::store::jobs::NewJob;
use crate::store::resources::{Deed, DeedKind};
use crate::store::shredding::{STRAGGLERS, ShredRequest, Shredded, Victim};
use serde_json::json;

/// How long a request stands.
const STANDS_SECONDS: i64 = 7 * 24 * 3600;
/// When what was on its way is looked for.
const STRAGGLERS_SECONDS: i64 = 60;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let permit = officer(ctx)?;
    let reason = reason(operation)?;
    let victim = victim(operation);
    let store = &ctx.app.store;
    if let Victim::Patient(id) = victim
        && store
            .current(ctx.tenant(), &[(patient(operation)?, id.clone())])
            .await?
            .first()
            .is_none_or(|it| it.is_none())
    {
        return Err(Outcome::not_found());
    }
    if store.is_held(ctx.tenant(), victim).await? {
        return Err(held());
    }
    let me = who(ctx);
    match store.open_shred_request(ctx.tenant(), victim).await? {
        Some(request) if request.requested_by != me => {
            agree(ctx, operation, (&permit, reason), &request).await
        }
        Some(request) => Ok(Done::recorded(waiting(&request.expires))),
        None => {
            let expires = ctx.deed_time().saturating_add(STANDS_SECONDS * 1_000_000);
            let row = row(ctx, operation, (&permit, "shred-requested"), Some(reason));
            store.request_shredding(ctx.tenant(), victim, (&me, expires), row).await?;
            Ok(Done::recorded(waiting(&expires)))
        }
    }
}

async fn agree(
    ctx: &Context,
    operation: &Operation,
    (permit, reason): (&Permit, String),
    request: &ShredRequest,
) -> Result<Done, Outcome> {
    let (store, tenant, victim, me) = (&ctx.app.store, ctx.tenant(), victim(operation), who(ctx));
    let is_patient = matches!(victim, Victim::Patient(_));
    let left = match victim {
        Victim::Patient(id) => vec![provenance(ctx, id, [&request.requested_by, &me])?],
        Victim::Tenant => Vec::new(),
    };
    // The key that would seal the reason does not outlive its tenant.
    let reason = is_patient.then_some(reason);
    let rows = vec![row(ctx, operation, (permit, "shred-agreed"), reason)];
    let at = ctx.deed_time();
    match store.shred(tenant, victim, (request.id, &me), (left, rows)).await? {
        Shredded::Held => Err(held()),
        Shredded::NotOpen => Err(Outcome::conflict("the request was taken up or has expired meanwhile")),
        Shredded::Done(removed) => {
            if is_patient {
                let subject = store.subject_of(tenant, victim).await?;
                let parameters = json!({"subject": subject, "at": at}).to_string();
                let due = at.saturating_add(STRAGGLERS_SECONDS * 1_000_000);
                let job = NewJob { kind: STRAGGLERS, lock: None, parameters: parameters.as_bytes(), due };
                store.enqueue(tenant, job).await?;
            }
            let said =
                format!("the keys are destroyed and {removed} resources are gone with all their versions");
            Ok(Done::recorded(Response::ok(outcome::to_json(&[Issue::information(said)]))))
        }
    }
}

pub(super) async fn hold(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let permit = officer(ctx)?;
    let reason = reason(operation)?;
    let row = row(ctx, operation, (&permit, "legal-hold-placed"), None);
    let placed = ctx.app.store.place_hold(ctx.tenant(), victim(operation), (&who(ctx), &reason), row).await?;
    let said = if placed { "a legal hold stands" } else { "a legal hold stood already" };
    Ok(Done::recorded(Response::ok(outcome::to_json(&[Issue::information(said)]))))
}

pub(super) async fn lift(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let permit = officer(ctx)?;
    let reason = reason(operation)?;
    let row = row(ctx, operation, (&permit, "legal-hold-lifted"), Some(reason));
    match ctx.app.store.lift_hold(ctx.tenant(), victim(operation), &who(ctx), row).await? {
        true => {
            Ok(Done::recorded(Response::ok(outcome::to_json(&[Issue::information("no legal hold stands")]))))
        }
        false => Err(Outcome::not_found()),
    }
}

/// Leave to destroy: only for a user who sees to privacy, sees whatever any patient has, and whose token lets its
/// client delete it. The role alone deletes nothing by itself: that takes the second officer.
fn officer(ctx: &Context) -> Result<Permit, Outcome> {
    let is_personal = |it: &ResourceType| {
        it.name() != audit_event::NAME && !ctx.definitions().patient_compartment(*it).is_empty()
    };
    let types: Vec<ResourceType> = ResourceType::all().filter(is_personal).collect();
    let permit = permission::ask(ctx, Permission::Read, &types)?;
    let sees_all = types.iter().all(|it| *permit.narrowing().of(*it) == Predicate::True);
    let scopes = ctx.principal.scopes.resources();
    let whole = || scopes.iter().filter(|it| it.level == Level::User && it.query.is_empty());
    let may_delete = types.iter().all(|it| whole().any(|scope| scope.covers(*it, Permission::Delete)));
    if !ctx.facts.get()?.role.may_explain || !sees_all || !may_delete {
        return Err(permission::denied("not-an-officer"));
    }
    Ok(permit)
}

fn who(ctx: &Context) -> String {
    ctx.principal.fhir_user.clone().unwrap_or_else(|| ctx.principal.subject.clone())
}

/// Why. It stands in a body, so that nobody destroys anything by following a link.
fn reason(operation: &Operation) -> Result<String, Outcome> {
    let body = operation.body.as_ref();
    let parameters = body.and_then(|it| it.root().get("parameter")).into_iter().flat_map(|it| it.items());
    let mut reasons = parameters.filter(|it| it.string("name").as_deref() == Some("reason"));
    let reason = reasons.next().and_then(|it| it.string("valueString"));
    let reason = reason.filter(|it| !it.trim().is_empty()).map(|it| it.into_owned());
    reason.ok_or_else(|| {
        Outcome::required("a Parameters resource with a reason is required").at("Parameters.parameter")
    })
}

fn victim(operation: &Operation) -> Victim<'_> {
    operation.id.as_ref().map_or(Victim::Tenant, Victim::Patient)
}

fn patient(operation: &Operation) -> Result<ResourceType, Outcome> {
    operation.resource_type.ok_or_else(|| Outcome::not_supported("this is asked on a patient"))
}

fn held() -> Outcome {
    Outcome::business_rule("a legal hold stands: nothing may be destroyed until it is lifted")
}

fn waiting(expires: &i64) -> Response {
    let said = format!("another officer has to ask for the same until {}", instant(*expires));
    let body = outcome::to_json(&[Issue::information(said)]);
    Response { status: Status::Accepted, body: Some(body), about: None, issues: Vec::new() }
}

fn row(
    ctx: &Context,
    operation: &Operation,
    (permit, what): (&Permit, &str),
    reason: Option<String>,
) -> AuditRow {
    let mut row = record::row(ctx, Kind::KeyChanged, permit);
    row.rule = Some(what.to_owned());
    if let (Some(resource_type), Some(id)) = (operation.resource_type, &operation.id) {
        row.patients.push(id.clone());
        row.entities.push(record::entity(resource_type, id, None));
    }
    row.detail = reason;
    row
}

/// What says that it was done, once there is nothing else.
fn provenance(ctx: &Context, patient: &ResourceId, officers: [&str; 2]) -> Result<Deed, Outcome> {
    let agent = |name: &str| match name.split_once('/') {
        Some(_) => json!({"who": {"reference": name}}),
        None => json!({"who": {"display": name}}),
    };
    let at = ctx.deed_time();
    let text = json!({
        "resourceType": "Provenance",
        "target": [{"reference": format!("Patient/{patient}")}],
        "recorded": instant(at),
        "activity": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "code": "destroy",
            "display": "Destroy/Delete Record Lifecycle Event",
        }]},
        "agent": officers.map(agent),
    });
    let resource = Resource::parse(text.to_string(), &Limits::ACCEPTED)?;
    let id = ResourceId::from(random::id(at));
    let version = Version { kind: DeedKind::Create, id: &id, expected: None, at };
    let (mut deed, _) = prepare::deed(ctx, &resource, &version)?;
    // Else it would be sealed under a new key of the patient.
    deed.index.patients.clear();
    Ok(deed)
}
