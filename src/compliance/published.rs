//! The map over FHIR: a CodeSystem of the controls, a PlanDefinition for each family, and the sealing rules.
//!
//! They are stored like any other resource when a server starts, as far as they changed, and written by nobody else
//! ([`crate::interaction::reserved`]).

use crate::app::App;
use crate::compliance::controls::{self, Control, Family};
use crate::compliance::facts;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::perform;
use crate::interaction::request::{Instance, Interaction, Target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;

const SEALING: &str = include_str!("../../fhir-profiles/vesta/sealing.tsv");
/// The day of the map.
const DATE: &str = "2026-11-24";

/// Every resource that is published by the server at that base.
///
/// # Errors
/// The map cannot be read: a mistake of ours.
pub fn resources(base: &str) -> Result<Vec<Value>, Outcome> {
    let controls = controls::all().map_err(Outcome::exception)?;
    let mut all = vec![code_system(base, &controls)];
    all.extend(Family::ALL.into_iter().map(|family| plan(base, family, &controls)));
    all.push(sealing_rules(base));
    Ok(all)
}

/// Publishes what is not there yet, or was another before.
///
/// # Errors
/// The database fails.
pub async fn publish(app: &Arc<App>, tenant: TenantId) -> Result<(), Outcome> {
    let scope = "system/CodeSystem.cruds system/PlanDefinition.cruds system/Library.cruds";
    let ctx = facts::context(app, tenant, scope, app.clock.now_microseconds());
    for value in resources(&app.fhir_base())? {
        let resource = Resource::parse(value.to_string(), &Limits::ACCEPTED)?;
        let Some(id) = resource.id().cloned() else { continue };
        let of = Instance { resource_type: resource.resource_type(), id };
        if stands(&ctx, &of, &value).await {
            continue;
        }
        let target = Target::Instance(of);
        let update = Interaction::Update { target, resource, if_match: None, if_none_match_any: false };
        perform(&ctx, update).await?;
    }
    Ok(())
}

/// Whether just that is stored, but for what the server itself adds.
async fn stands(ctx: &crate::interaction::context::Context, of: &Instance, value: &Value) -> bool {
    // A search, since a read of what is not there yet would look like a failure in the trail.
    let search = Interaction::Search {
        resource_type: Some(of.resource_type),
        compartment: None,
        parameters: vec![("_id".to_owned(), of.id.to_string())],
    };
    let Ok(response) = perform(ctx, search).await else { return false };
    let bundle: Value = serde_json::from_str(&response.body.unwrap_or_default()).unwrap_or_default();
    let Some(mut stored) = bundle.pointer("/entry/0/resource").cloned() else { return false };
    if let Some(members) = stored.as_object_mut() {
        members.remove("meta");
    }
    stored == *value
}

fn code_system(base: &str, controls: &[Control]) -> Value {
    let property =
        |code: &str, kind: &str, what: &str| json!({ "code": code, "description": what, "type": kind });
    let concept = |it: &Control| {
        let mut properties = vec![
            json!({ "code": "citation", "valueString": it.citation }),
            json!({ "code": "family", "valueCode": it.family.name() }),
            json!({ "code": "duty", "valueCode": it.duty }),
        ];
        properties
            .extend(it.checks.iter().map(|check| json!({ "code": "check", "valueCode": check.name() })));
        properties.extend(it.proofs.iter().map(|proof| json!({ "code": "proof", "valueString": proof })));
        json!({ "code": it.id, "display": it.title, "definition": it.what, "property": properties })
    };
    json!({
        "resourceType": "CodeSystem", "id": "hipaa-controls", "url": format!("{base}/CodeSystem/hipaa-controls"),
        "version": env!("CARGO_PKG_VERSION"), "name": "HipaaControls", "title": "HIPAA controls of Vesta",
        "status": "active", "experimental": false, "date": DATE, "publisher": "Vesta",
        "description": "What 45 CFR part 164 asks, what this server does about it, what shows it, and which tests prove it.",
        "caseSensitive": true, "content": "complete", "count": controls.len(),
        "property": [
            property("citation", "string", "Where it is asked for"),
            property("family", "code", "Which safeguards it belongs to"),
            property("duty", "code", "Required or addressable"),
            property("check", "code", "What the compliance report looks at in the running system"),
            property("proof", "string", "A test that proves it"),
        ],
        "concept": controls.iter().map(concept).collect::<Vec<_>>(),
    })
}

fn plan(base: &str, family: Family, controls: &[Control]) -> Value {
    let id = format!("hipaa-{}", family.name());
    let system = format!("{base}/CodeSystem/hipaa-controls");
    let action = |it: &Control| {
        json!({
            "prefix": it.citation, "title": it.title, "description": it.what,
            "code": [{ "coding": [{ "system": system, "code": it.id, "display": it.title }] }],
            "documentation": [{ "type": "citation", "citation": it.citation }],
        })
    };
    let actions: Vec<Value> = controls.iter().filter(|it| it.family == family).map(action).collect();
    json!({
        "resourceType": "PlanDefinition", "id": id, "url": format!("{base}/PlanDefinition/{id}"),
        "version": env!("CARGO_PKG_VERSION"), "name": format!("Hipaa{}", capital(family.name())),
        "title": family.title(), "status": "active", "experimental": false, "date": DATE, "publisher": "Vesta",
        "description": "The controls of this family, one action each.", "action": actions,
    })
}

fn sealing_rules(base: &str) -> Value {
    json!({
        "resourceType": "Library", "id": "sealing-rules", "url": format!("{base}/Library/sealing-rules"),
        "version": env!("CARGO_PKG_VERSION"), "name": "SealingRules", "title": "Which elements are sealed",
        "status": "active", "experimental": false, "date": DATE, "publisher": "Vesta",
        "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "asset-collection" }] },
        "description": "By datatype and by path: what is stored as ciphertext only, and under which class.",
        "content": [{ "contentType": "text/tab-separated-values", "data": STANDARD.encode(SEALING) }],
    })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The ids of what is published, for whoever checks that the list is whole.
#[must_use]
pub fn published() -> Vec<(ResourceType, ResourceId)> {
    let known = crate::interaction::reserved::PUBLISHED.iter();
    known.filter_map(|(name, id)| Some((ResourceType::parse(name)?, ResourceId::parse(id)?))).collect()
}
