//! `$accounting-of-disclosures`: to whom a patient's data went that must be accounted for, for six years.
//!
//! 45 CFR 164.528. Disclosures are classified when they occur (`interaction/record.rs`); this tells them. A patient asks
//! about themself, and those who see to privacy about anybody.

use super::inputs;
use crate::access::reach::{UserKind, kind_of_user};
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::date_time::{DateTime, instant};
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::permission;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::store::audit_events::{AuditEvent, AuditFilter};
use serde_json::{Value, json};

/// Six years, in microseconds: days that leap are counted in.
const SIX_YEARS: i64 = 2_192 * 86_400_000_000;
/// As many disclosures are told at most: more are asked for by narrower dates.
const MOST: u32 = 10_000;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let of = operation.resource_type.zip(operation.id.as_ref());
    let (resource_type, patient) = of.ok_or_else(|| Outcome::not_supported("this is asked on a patient"))?;
    let permit = permission::ask(ctx, Permission::Read, &[resource_type])?;
    let is_own = kind_of_user(&ctx.principal, &ctx.app.fhir_base()) == UserKind::Patient;
    if !is_own && !ctx.facts.get()?.role.may_explain {
        return Err(permission::denied("the role may not ask for anybody's accounting of disclosures"));
    }
    let store = &ctx.app.store;
    let narrowing = permit.narrowing().of(resource_type);
    let stored = store.read(ctx.tenant(), resource_type, patient, narrowing, permit.classes()).await?;
    let stored = stored.ok_or_else(Outcome::not_found)?;
    let now = ctx.app.clock.now_microseconds();
    let (mut from, mut to) = (now.saturating_sub(SIX_YEARS), now);
    for (name, value) in inputs(operation) {
        let date = || {
            let date = DateTime::parse_search(&value);
            date.map(|it| it.interval()).ok_or_else(|| Outcome::value("not a date").at(name.as_str()))
        };
        match name.as_str() {
            "start" => from = from.max(date()?.low),
            "end" => to = to.min(date()?.high),
            _ => return Err(Outcome::not_supported("there is no such parameter").at(name.as_str())),
        }
    }
    let filter = AuditFilter {
        patient: Some(patient.clone()),
        kinds: vec![Kind::Disclosure.code()],
        from: Some(from),
        to: Some(to),
        count: MOST + 1,
        ..AuditFilter::default()
    };
    let events = store.audit_events(ctx.tenant(), &filter).await?;
    if events.len() > usize::try_from(MOST).unwrap_or(usize::MAX) {
        return Err(Outcome::too_costly("there are more than 10000 disclosures, ask for a shorter time"));
    }
    let mut trail = Trail::under(&permit);
    trail.add(ctx, &stored);
    let mut parameters = vec![
        json!({ "name": "patient", "valueReference": { "reference": format!("Patient/{patient}") } }),
        json!({ "name": "period", "valuePeriod": { "start": instant(from), "end": instant(to) } }),
    ];
    parameters.extend(events.iter().rev().map(told));
    let answer = json!({ "resourceType": "Parameters", "parameter": parameters });
    Ok(Done { response: Response::ok(answer.to_string()), trail: Some(trail) })
}

/// 164.528(b)(2): when, to whom, what, and why.
fn told(event: &AuditEvent) -> Value {
    let row = &event.row;
    let mut part = vec![
        json!({ "name": "date", "valueInstant": instant(row.recorded) }),
        json!({ "name": "recipient", "valueString": row.agent }),
        json!({ "name": "event", "valueReference": { "reference": format!("AuditEvent/{}", event.id) } }),
    ];
    if let Some(client) = &row.client {
        part.push(json!({ "name": "client", "valueString": client }));
    }
    if let Some(purpose) = &row.purpose {
        let system = crate::access::purpose::SYSTEM;
        part.push(json!({ "name": "purpose", "valueCoding": { "system": system, "code": purpose } }));
    }
    for entity in &row.entities {
        let reference = match entity.version {
            Some(version) => format!("{}/{}/_history/{version}", entity.resource_type, entity.id),
            None => format!("{}/{}", entity.resource_type, entity.id),
        };
        part.push(json!({ "name": "what", "valueReference": { "reference": reference } }));
    }
    json!({ "name": "disclosure", "part": part })
}
