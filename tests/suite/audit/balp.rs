//! What is rendered keeps R4 and the profile that it claims, held against IHE's own definitions.

use crate::support::data;
use serde_json::{Value, json};
use std::fs;
use vesta::audit::balp::render;
use vesta::audit::event::{self, Kind};
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::{Options, validate};
use vesta::fhir::id::{ResourceId, ResourceType};
use vesta::fhir::json::Limits;
use vesta::fhir::resource::Resource;
use vesta::store::audit_events::AuditEvent;
use vesta::store::audit_log::Entity;

const BASE: &str = "https://vesta.example/fhir";

fn event(kind: Kind) -> AuditEvent {
    let mut row = event::row_of(
        "Practitioner/nurse",
        kind,
        event::Result::Success,
        "scope user/*.rs",
        1_795_426_800_123_456,
    );
    row.client = Some("app".into());
    row.network = Some("10.0.0.1".into());
    row.purpose = Some("TREAT".into());
    row.request = Some(uuid::Uuid::from_u128(7));
    row.detail = (kind == Kind::Search).then(|| "Observation?patient=alice".into());
    row.entities = vec![Entity {
        resource_type: ResourceType::parse("Observation").unwrap(),
        id: ResourceId::parse("o").unwrap(),
        version: Some(3),
    }];
    AuditEvent { id: 912_644_143_842_553_856, row }
}

fn rendered(event: &AuditEvent, patients: &[&str]) -> Value {
    let patients: Vec<_> = patients.iter().map(|it| ResourceId::parse(it).unwrap()).collect();
    serde_json::from_str(&render(BASE, event, &patients)).unwrap()
}

fn claimed(resource: &Value) -> Option<&str> {
    resource["meta"]["profile"][0].as_str()?.rsplit('.').next()
}

#[test]
fn every_kind_is_a_legal_auditevent() {
    let definitions = Definitions::embedded().unwrap();
    for kind in Kind::ALL {
        for patients in [&[][..], &["alice"], &["alice", "bob"]] {
            let text = rendered(&event(kind), patients).to_string();
            let resource = Resource::parse(text.clone(), &Limits::default()).unwrap();
            let issues = validate(&definitions, &resource, &Options::default());
            assert!(issues.is_empty(), "{kind:?} {issues:?}\n{text}");
        }
    }
}

#[test]
fn profiles_are_claimed_where_they_are_kept() {
    let profiles = [
        (Kind::Read, "Read"),
        (Kind::Vread, "Read"),
        (Kind::Search, "Query"),
        (Kind::Create, "Create"),
        (Kind::Update, "Update"),
        (Kind::Patch, "Update"),
        (Kind::Delete, "Delete"),
    ];
    for (kind, profile) in profiles {
        let with_patient = rendered(&event(kind), &["alice"]);
        assert_eq!(claimed(&with_patient), Some(format!("Patient{profile}").as_str()));
        check(&with_patient, &format!("Patient{profile}"));
        check(&with_patient, profile);
        let several = rendered(&event(kind), &["alice", "bob"]);
        assert_eq!(claimed(&several), Some(profile));
        check(&several, profile);
        let mut system = event(kind);
        system.row.agent = "app".into();
        check(&rendered(&system, &[]), profile);

        let mut failed = event(kind);
        failed.row.outcome = 4;
        assert_eq!(claimed(&rendered(&failed, &["alice"])), None);
        let mut local = event(kind);
        local.row.network = None;
        assert_eq!(claimed(&rendered(&local, &["alice"])), None);
    }
    assert_eq!(claimed(&rendered(&event(Kind::Login), &[])), None);
}

#[test]
fn the_check_can_fail() {
    let mut local = event(Kind::Read);
    local.row.network = None;
    let complaint = complaint(&rendered(&local, &["alice"]), "Read").unwrap();
    assert!(complaint.starts_with("agent:client.network"), "{complaint}");
}

#[test]
fn a_change_names_the_version_before() {
    let object = |kind| {
        let entities = rendered(&event(kind), &["alice"])["entity"].clone();
        entities.as_array().unwrap().iter().find(|it| it["role"]["code"] == "4").unwrap().clone()
    };
    for kind in [Kind::Update, Kind::Patch, Kind::Delete] {
        let object = object(kind);
        assert_eq!(object["what"]["reference"], json!("Observation/o/_history/3"));
        assert_eq!(object["detail"], json!([{"type": "before", "valueString": "Observation/o/_history/2"}]));
    }
    for kind in [Kind::Read, Kind::Create] {
        assert_eq!(object(kind)["detail"], Value::Null, "{kind:?}");
    }
}

#[test]
fn the_query_is_kept_as_it_was_asked() {
    let resource = rendered(&event(Kind::Search), &["alice"]);
    assert_eq!(resource["entity"][0]["query"], json!("T2JzZXJ2YXRpb24/cGF0aWVudD1hbGljZQ=="));
    assert_eq!(resource["entity"][1]["what"]["reference"], json!("Observation/o/_history/3"));
    assert_eq!(resource["entity"][2]["what"]["reference"], json!("Patient/alice"));
    assert_eq!(resource["recorded"], json!("2026-11-23T09:40:00.123456Z"));
}

fn check(resource: &Value, profile: &str) {
    assert_eq!(complaint(resource, profile), None, "{profile} {resource}");
}

/// Holds a resource against one StructureDefinition: patterns, cardinalities, and slices by their type. The first
/// thing that is wrong.
fn complaint(resource: &Value, profile: &str) -> Option<String> {
    let file =
        data::folder("igs").join(format!("ig/balp-1.1.4/StructureDefinition-IHE.BasicAudit.{profile}.json"));
    let definition: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let elements = definition["differential"]["element"].as_array().unwrap();
    for element in elements {
        let id = element["id"].as_str().unwrap();
        let Some(path) = id.strip_prefix("AuditEvent.") else { continue };
        let steps: Vec<&str> = path.split('.').collect();
        let mut places = vec![resource];
        for (depth, step) in steps.iter().enumerate() {
            let is_last = depth + 1 == steps.len();
            let (name, slice) =
                step.split_once(':').map_or((*step, None), |(name, slice)| (name, Some(slice)));
            let mut next = Vec::new();
            for place in &places {
                let found: Vec<&Value> = items(&place[name])
                    .into_iter()
                    .filter(|it| in_slice(elements, name, slice, it))
                    .collect();
                if is_last {
                    let count = u64::try_from(found.len()).unwrap();
                    let max = element["max"].as_str().and_then(|it| it.parse().ok()).unwrap_or(u64::MAX);
                    if count < element["min"].as_u64().unwrap_or(0) || count > max {
                        return Some(format!("{path}: {count} of them"));
                    }
                    for (key, pattern) in element.as_object().unwrap() {
                        if key.starts_with("pattern") && !found.iter().all(|it| holds(it, pattern)) {
                            return Some(format!("{path}: not {pattern}"));
                        }
                    }
                }
                next.extend(found);
            }
            places = next;
        }
    }
    None
}

/// Slices of agents and entities are told apart by the pattern of their type.
fn in_slice(elements: &[Value], name: &str, slice: Option<&str>, value: &Value) -> bool {
    let Some(slice) = slice else { return true };
    let of_type = elements.iter().find(|it| it["id"] == format!("AuditEvent.{name}:{slice}.type").as_str());
    let Some(of_type) = of_type else {
        // The one slice of subtypes is bound to interactions; the user of a write to participations.
        let code = if name == "subtype" { &value["system"] } else { &value["type"]["coding"][0]["system"] };
        let system = code.as_str().unwrap_or_default();
        return system.ends_with("restful-interaction") || system.ends_with("v3-ParticipationType");
    };
    let pattern = of_type.as_object().unwrap().iter().find(|(key, _)| key.starts_with("pattern"));
    match pattern {
        Some((_, pattern)) => holds(&value["type"], pattern),
        None => value["type"]["coding"][0]["system"]
            .as_str()
            .unwrap_or_default()
            .ends_with("v3-ParticipationType"),
    }
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => vec![],
        Value::Array(items) => items.iter().collect(),
        value => vec![value],
    }
}

/// Whether a value has all that the pattern has.
fn holds(value: &Value, pattern: &Value) -> bool {
    match pattern {
        Value::Object(members) => members.iter().all(|(name, pattern)| holds(&value[name], pattern)),
        Value::Array(parts) => parts.iter().all(|part| items(value).iter().any(|it| holds(it, part))),
        pattern => value == pattern,
    }
}
