//! A stored event as an AuditEvent after IHE's Basic Audit Log Patterns.
//!
//! <https://profiles.ihe.net/ITI/BALP/>
//!
//! A profile is claimed where the event has what the profile asks for: it succeeded, came over a network, and
//! has just one resource (or query) and one patient. Other events are AuditEvents without a profile: BALP has
//! none for what failed, for histories, bundles and operations, or for what a server does by itself.

use crate::audit::event::Kind;
use crate::fhir::date_time::instant;
use crate::fhir::id::ResourceId;
use crate::fhir::reference::Reference;
use crate::store::audit_events::AuditEvent;
use crate::store::audit_log::{AuditRow, Entity};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

const PROFILES: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const AUDIT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
/// Codes of our own, for what has none elsewhere.
const OWN: &str = "https://vesta.example/fhir/CodeSystem/audit-event";

/// The type and subtype of a kind: system and code each.
type Codes = ((&'static str, &'static str), (&'static str, &'static str));

/// The event as a resource. `base` is the FHIR base of this server; `patients` are those that the event is about, as
/// far as they are known by their ids.
#[must_use]
pub fn render(base: &str, event: &AuditEvent, patients: &[ResourceId]) -> String {
    let AuditRow { kind, action, outcome, recorded, purpose, rule, .. } = &event.row;
    let kind = Kind::from_code(*kind);
    let mut resource = Map::new();
    let mut put = |name: &str, value: Value| resource.insert(name.to_owned(), value);
    put("resourceType", json!("AuditEvent"));
    put("id", json!(event.id.to_string()));
    let mut meta = json!({ "versionId": "1", "lastUpdated": instant(*recorded) });
    if let Some(profile) = kind.and_then(|kind| profile(kind, &event.row, patients))
        && let Some(meta) = meta.as_object_mut()
    {
        meta.insert("profile".to_owned(), json!([format!("{PROFILES}{profile}")]));
    }
    put("meta", meta);
    let (of_type, of_subtype) = kind.map_or(((AUDIT_TYPE, "rest"), (OWN, "unknown")), codes);
    put("type", coding(of_type));
    put("subtype", json!([coding(of_subtype)]));
    put("action", json!(action.to_string()));
    put("recorded", json!(instant(*recorded)));
    put("outcome", json!(outcome.to_string()));
    if let Some(rule) = rule {
        put("outcomeDesc", json!(rule));
    }
    if let Some(purpose) = purpose {
        put("purposeOfEvent", json!([purpose_of_use(purpose)]));
    }
    put("agent", Value::Array(agents(base, kind, &event.row)));
    put(
        "source",
        json!({
            "site": base,
            "observer": { "display": "Vesta" },
            "type": [coding(("http://terminology.hl7.org/CodeSystem/security-source-type", "4"))],
        }),
    );
    let entities = entities(kind, &event.row, patients);
    if !entities.is_empty() {
        put("entity", Value::Array(entities));
    }
    Value::Object(resource).to_string()
}

/// The kinds whose type or subtype is that code.
#[must_use]
pub fn kinds_with(code: &str, system: Option<&str>, is_subtype: bool) -> Vec<Kind> {
    let has = |kind: &Kind| {
        let (of_type, of_subtype) = codes(*kind);
        let (its_system, its_code) = if is_subtype { of_subtype } else { of_type };
        (code.is_empty() || its_code == code) && system.is_none_or(|it| it == its_system)
    };
    Kind::ALL.into_iter().filter(has).collect()
}

fn codes(kind: Kind) -> Codes {
    let rest = |subtype| ((AUDIT_TYPE, "rest"), (INTERACTION, subtype));
    match kind {
        Kind::Read => rest("read"),
        Kind::Vread => rest("vread"),
        Kind::History => rest("history"),
        Kind::Search => rest("search"),
        Kind::Create => rest("create"),
        Kind::Update => rest("update"),
        Kind::Patch => rest("patch"),
        Kind::Delete => rest("delete"),
        Kind::Bundle => rest("batch"),
        Kind::Operation => rest("operation"),
        Kind::Unauthenticated => ((DCM, "110113"), (OWN, "unauthenticated")),
        Kind::Login => ((DCM, "110114"), (DCM, "110122")),
        Kind::SecondFactor => ((DCM, "110114"), (OWN, "second-factor")),
        Kind::Logout => ((DCM, "110114"), (DCM, "110123")),
        Kind::Consent => ((DCM, "110113"), (OWN, "grant")),
        Kind::TokenIssued => ((DCM, "110114"), (OWN, "token-issued")),
        Kind::TokenRevoked => ((DCM, "110114"), (OWN, "token-revoked")),
        Kind::ConsentDecision => ((DCM, "110113"), (OWN, "consent-decision")),
        Kind::ExportRequested => ((DCM, "110106"), (OWN, "export-requested")),
        Kind::ExportFetched => ((DCM, "110106"), (OWN, "export-fetched")),
        Kind::ExportDeleted => ((DCM, "110106"), (OWN, "export-deleted")),
        Kind::Import => ((DCM, "110107"), (OWN, "import")),
        Kind::Disclosure => ((DCM, "110106"), (LIFECYCLE, "disclose")),
        Kind::ClientChanged => ((DCM, "110113"), (DCM, "110129")),
        Kind::UserChanged => ((DCM, "110113"), (DCM, "110137")),
        Kind::RoleChanged => ((DCM, "110113"), (DCM, "110136")),
        Kind::KeyChanged => ((DCM, "110113"), (OWN, "key-changed")),
        Kind::ConfigurationChanged => ((DCM, "110113"), (DCM, "110131")),
        Kind::PolicyChanged => ((DCM, "110113"), (DCM, "110135")),
        Kind::RateLimited => ((DCM, "110113"), (OWN, "rate-limited")),
        Kind::MalformedToken => ((DCM, "110113"), (OWN, "malformed-token")),
        Kind::Replay => ((DCM, "110113"), (OWN, "replay")),
        Kind::TamperFound => ((DCM, "110113"), (OWN, "tamper-found")),
        Kind::BreakGlass => ((DCM, "110113"), (DCM, "110127")),
        Kind::Started => ((DCM, "110100"), (DCM, "110120")),
        Kind::Stopped => ((DCM, "110100"), (DCM, "110121")),
        Kind::Backup => ((DCM, "110100"), (OWN, "backup")),
        Kind::Restore => ((DCM, "110100"), (OWN, "restore")),
        Kind::TrailRead => ((DCM, "110101"), (OWN, "trail-read")),
        Kind::Introspection => ((DCM, "110113"), (OWN, "introspection")),
        Kind::Launch => ((DCM, "110114"), (OWN, "launch")),
    }
}

/// The last part of the profile that the event keeps.
fn profile(kind: Kind, row: &AuditRow, patients: &[ResourceId]) -> Option<String> {
    let name = match kind {
        Kind::Read | Kind::Vread => "Read",
        Kind::Search => "Query",
        Kind::Create => "Create",
        Kind::Update | Kind::Patch => "Update",
        Kind::Delete => "Delete",
        _ => return None,
    };
    let has_object = if kind == Kind::Search { row.detail.is_some() } else { row.entities.len() == 1 };
    let is_whole = row.outcome == 0 && row.network.is_some() && has_object;
    let prefix = if patients.len() == 1 { "Patient" } else { "" };
    is_whole.then(|| format!("{prefix}{name}"))
}

/// The client, this server and the user, in the roles that BALP gives them.
fn agents(base: &str, kind: Option<Kind>, row: &AuditRow) -> Vec<Value> {
    let source = (DCM, "110153");
    let destination = (DCM, "110152");
    let (client_role, server_role) = match kind {
        Some(Kind::Read | Kind::Vread | Kind::History) => (destination, source),
        Some(Kind::Delete) => (
            (DCM, "110150"),
            ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian"),
        ),
        _ => (source, destination),
    };
    let user_role = match kind {
        Some(Kind::Create | Kind::Update | Kind::Patch) => (PARTICIPATION, "AUT"),
        Some(Kind::Delete) => (PARTICIPATION, "CST"),
        _ => (PARTICIPATION, "IRCP"),
    };
    let client = row.client.as_deref().unwrap_or(&row.agent);
    let is_user = client != row.agent;
    let mut agents = vec![
        agent(
            client_role,
            json!({ "identifier": { "value": client } }),
            !is_user,
            row.network.as_deref().map(|it| (it, "2")),
        ),
        agent(server_role, json!({ "display": "Vesta" }), false, Some((base, "5"))),
    ];
    if is_user {
        let who = match Reference::parse(&row.agent) {
            Some(Reference::Resource { .. }) => json!({ "reference": row.agent }),
            _ => json!({ "identifier": { "value": row.agent } }),
        };
        let mut user = agent(user_role, who, true, None);
        if let (Some(purpose), Some(user)) = (&row.purpose, user.as_object_mut()) {
            user.insert("purposeOfUse".to_owned(), json!([purpose_of_use(purpose)]));
        }
        agents.push(user);
    }
    agents
}

fn agent(role: (&str, &str), who: Value, is_requestor: bool, network: Option<(&str, &str)>) -> Value {
    let mut agent = json!({ "type": { "coding": [coding(role)] }, "who": who, "requestor": is_requestor });
    if let (Some((address, kind)), Some(agent)) = (network, agent.as_object_mut()) {
        agent.insert("network".to_owned(), json!({ "address": address, "type": kind }));
    }
    agent
}

/// What was touched or asked, the patients, and the request. What a search returned is typed by its resource
/// type, since BALP keeps the type "system object" for the query.
fn entities(kind: Option<Kind>, row: &AuditRow, patients: &[ResourceId]) -> Vec<Value> {
    let mut entities = Vec::new();
    let has_one_object = matches!(
        kind,
        Some(Kind::Read | Kind::Vread | Kind::Create | Kind::Update | Kind::Patch | Kind::Delete)
    );
    if let Some(detail) = &row.detail {
        let query = STANDARD.encode(detail);
        let mut asked = json!({ "role": coding((OBJECT_ROLE, "24")), "query": query });
        // Beside one object, which has that type alone, the query has none.
        if let Some(asked) = asked.as_object_mut().filter(|_| !has_one_object) {
            asked.insert("type".to_owned(), coding((ENTITY_TYPE, "2")));
        }
        entities.push(asked);
    }
    for entity in &row.entities {
        let mut reference = format!("{}/{}", entity.resource_type, entity.id);
        if let Some(version) = entity.version {
            reference.push_str(&format!("/_history/{version}"));
        }
        let name = entity.resource_type.name();
        let of_type = if has_one_object { (ENTITY_TYPE, "2") } else { (RESOURCE_TYPES, name) };
        let mut touched = json!({
            "what": { "reference": reference }, "type": coding(of_type), "role": coding((OBJECT_ROLE, "4")),
        });
        if let Some(before) = before(kind, entity)
            && let Some(touched) = touched.as_object_mut()
        {
            touched.insert("detail".to_owned(), json!([{ "type": "before", "valueString": before }]));
        }
        entities.push(touched);
    }
    for patient in patients {
        entities.push(json!({
            "what": { "reference": format!("Patient/{patient}") },
            "type": coding((ENTITY_TYPE, "1")),
            "role": coding((OBJECT_ROLE, "1")),
        }));
    }
    if let Some(request) = row.request {
        let system = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
        entities.push(json!({
            "what": { "identifier": { "value": request.hyphenated().to_string() } },
            "type": coding((system, "XrequestId")),
        }));
    }
    entities
}

/// The version that a change took the place of: versions are counted without a gap.
fn before(kind: Option<Kind>, entity: &Entity) -> Option<String> {
    let is_change = matches!(kind, Some(Kind::Update | Kind::Patch | Kind::Delete));
    let before = entity.version.filter(|it| is_change && *it > 1)? - 1;
    Some(format!("{}/{}/_history/{before}", entity.resource_type, entity.id))
}

fn purpose_of_use(code: &str) -> Value {
    json!({ "coding": [coding(("http://terminology.hl7.org/CodeSystem/v3-ActReason", code))] })
}

fn coding((system, code): (&str, &str)) -> Value {
    json!({ "system": system, "code": code })
}
