//! `$break-glass`: emergency access to one patient, for an hour at most, and accounted for.
//!
//! 45 CFR 164.312(a)(2)(ii). It asks for a fresh second factor and a reason in words; it lifts the relation of care and
//! security labels, and Consents that forbid nobody by name: never the tenant's wall, a scope, or a patient's word
//! about this very person. The review is written before the access is opened, so there is none without it: a Task
//! that those who see to privacy close, and whoever opened the glass cannot.

use crate::access::decide::{Action, Decision, decide};
use crate::access::permit::Permit;
use crate::access::purpose::BREAK_GLASS;
use crate::access::role::REVIEW;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::crypto::random;
use crate::fhir::date_time::instant;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::{Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::create::New;
use crate::interaction::record::{self, Done};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::{permission, prepare};
use crate::store::policy_news::EmergencyAccess;
use serde_json::json;

/// How fresh the second factor must be, in seconds.
const FRESH_SECONDS: i64 = 300;
/// The shortest reason: a word is none.
const SHORTEST_REASON: usize = 10;
/// The longest.
const LONGEST_REASON: usize = 2000;
/// The longest access, in minutes.
const LONGEST_MINUTES: i64 = 60;

/// What is asked for.
struct Asked {
    reason: String,
    minutes: i64,
}

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let of = operation.resource_type.zip(operation.id.as_ref());
    let (resource_type, patient) = of.ok_or_else(|| Outcome::not_supported("this is asked on a patient"))?;
    let permit = permission::ask(ctx, Permission::Read, &[resource_type])?;
    let Some(user) = ctx.principal.fhir_user.clone() else {
        return Err(permission::denied("emergency access is for persons"));
    };
    if !ctx.facts.get()?.role.purposes.contains(&BREAK_GLASS) {
        return Err(permission::denied("the role has no emergency access"));
    }
    let body = operation.body.as_ref();
    if body.is_some_and(|it| flag(it, "close")) {
        return close(ctx, &permit, resource_type, patient).await;
    }
    let now = ctx.app.clock.now_microseconds();
    let strong = ctx.principal.strong_since.filter(|it| now / 1_000_000 - it <= FRESH_SECONDS);
    if strong.is_none() {
        return Err(permission::denied("emergency access asks for a fresh second factor"));
    }
    let asked = read(body)?;
    if !is_there(ctx, resource_type, patient).await? {
        return Err(Outcome::not_found());
    }
    let access = EmergencyAccess {
        id: random::id(now),
        subject: ctx.principal.subject.clone(),
        patient: patient.clone(),
        opened: now,
        ends: now + asked.minutes * 60_000_000,
    };
    let task = review(ctx, &access, &user, &asked.reason).await?;
    let store = &ctx.app.store;
    store.open_emergency_access(ctx.tenant(), &access, &asked.reason).await?;
    // Somebody must act: at once, not when the review is due.
    tracing::error!(request.id = %ctx.request_id, task.id = %task, "emergency access was opened, review it now");
    let answer = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "ends", "valueInstant": instant(access.ends) },
        { "name": "review", "valueReference": { "reference": format!("Task/{task}") } },
    ] });
    Ok(Done::recorded(Response::ok(answer.to_string())))
}

/// The patient is one whom the user may see in an emergency.
async fn is_there(ctx: &Context, resource_type: ResourceType, patient: &ResourceId) -> Result<bool, Outcome> {
    let facts = ctx.app.facts_in_emergency(&ctx.principal, patient).await?;
    let action = Action::on(Permission::Read, [resource_type]);
    let base = ctx.app.fhir_base();
    let Decision::Permit(permit) = decide(ctx.definitions(), &base, &ctx.principal, &facts, &action) else {
        return Ok(false);
    };
    let narrowing = permit.narrowing().of(resource_type);
    let store = &ctx.app.store;
    let stored = store.read(ctx.tenant(), resource_type, patient, narrowing, permit.classes()).await?;
    Ok(stored.is_some_and(|it| !it.is_deleted()))
}

/// Writes the Task that must be closed, with the event of the access in one deed.
async fn review(
    ctx: &Context,
    access: &EmergencyAccess,
    user: &str,
    reason: &str,
) -> Result<ResourceId, Outcome> {
    let text = json!({
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "stat",
        "code": { "coding": [{ "system": REVIEW.0, "code": REVIEW.1 }], "text": "Review of emergency access" },
        "for": { "reference": format!("Patient/{}", access.patient) },
        "authoredOn": instant(access.opened),
        "requester": { "reference": user },
        "executionPeriod": { "start": instant(access.opened), "end": instant(access.ends) },
        "performerType": [{ "text": "privacy-officer" }],
        "input": [{ "type": { "text": "reason" }, "valueString": reason }],
    });
    let task = Resource::parse(text.to_string(), &Limits::default())?;
    prepare::validated(ctx, &task).await?;
    let permit = Permit::everything("emergency access");
    let id = ResourceId::from(random::id(ctx.deed_time()));
    let new = New::prepare(ctx, &permit, &task, &id, Kind::Create).await?;
    let mut event = event(ctx, &permit, &access.patient);
    event.entities.push(record::entity(new.deed.resource_type, &id, Some(1)));
    event.detail = Some(format!("{reason} (until {})", instant(access.ends)));
    ctx.app.store.write(ctx.tenant(), vec![new.deed], vec![new.row, event]).await?;
    Ok(id)
}

fn event(ctx: &Context, permit: &Permit, patient: &ResourceId) -> crate::store::audit_log::AuditRow {
    let mut row = record::row(ctx, Kind::BreakGlass, permit);
    row.purpose = Some(BREAK_GLASS.to_owned());
    row.patients = vec![patient.clone()];
    row
}

async fn close(
    ctx: &Context,
    permit: &Permit,
    resource_type: ResourceType,
    patient: &ResourceId,
) -> Result<Done, Outcome> {
    let store = &ctx.app.store;
    if !store.close_emergency_access(ctx.tenant(), &ctx.principal.subject, patient).await? {
        return Err(Outcome::not_found());
    }
    let mut event = event(ctx, permit, patient);
    event.rule = Some("emergency access was closed by its user".to_owned());
    event.entities = vec![record::entity(resource_type, patient, None)];
    store.append_audit(ctx.tenant(), vec![event]).await?;
    let answer = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "ends", "valueInstant": instant(ctx.app.clock.now_microseconds()) }
    ] });
    Ok(Done::recorded(Response::ok(answer.to_string())))
}

fn parameter<'a>(body: &'a Resource, name: &str) -> Option<Node<'a>> {
    let all = body.root().get("parameter").into_iter().flat_map(Node::items);
    all.into_iter().find(|it| it.string("name").is_some_and(|it| it == name))
}

fn flag(body: &Resource, name: &str) -> bool {
    parameter(body, name).and_then(|it| it.get("valueBoolean")).and_then(Node::as_bool) == Some(true)
}

fn read(body: Option<&Resource>) -> Result<Asked, Outcome> {
    let missing = || Outcome::required("a reason is required, in words").at("reason");
    let body = body.ok_or_else(missing)?;
    let reason = parameter(body, "reason").and_then(|it| it.string("valueString")).ok_or_else(missing)?;
    let reason = reason.trim().to_owned();
    if !(SHORTEST_REASON..=LONGEST_REASON).contains(&reason.chars().count()) {
        return Err(Outcome::value("a reason has from 10 to 2000 characters").at("reason"));
    }
    let minutes = match parameter(body, "minutes") {
        None => LONGEST_MINUTES,
        Some(it) => {
            let minutes =
                ["valueInteger", "valuePositiveInt"].iter().find_map(|name| it.get(name)?.as_number());
            let minutes = minutes.and_then(|it| it.parse().ok());
            minutes
                .filter(|it| (1..=LONGEST_MINUTES).contains(it))
                .ok_or_else(|| Outcome::value("emergency access lasts from 1 to 60 minutes").at("minutes"))?
        }
    };
    Ok(Asked { reason, minutes })
}
