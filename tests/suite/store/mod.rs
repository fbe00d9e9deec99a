//! The store, on a real PostgreSQL.

mod audit_chain;
mod audit_log;
mod faults;
mod migrations;
mod revocations;
mod sealing;
mod search;
mod unit;
mod versions;
mod write;

use crate::support::database::Database;
use std::sync::Arc;
use std::time::Duration;
use vesta::clock::Clock;
use vesta::crypto::key_ring::{KeyRing, RootKeys};
use vesta::fhir::id::{ResourceId, ResourceType, TenantId};
use vesta::search::index::{Index, Key, KeyKind, RangeEntry};
use vesta::store::Store;
use vesta::store::audit_log::{AuditRow, Entity};
use vesta::store::resources::{Deed, DeedKind};

pub(crate) const TENANT: TenantId = TenantId(1);
/// 2026-11-23.
const NOW: i64 = 1_795_426_800_000_000;

/// A store on a database of its own.
pub(crate) async fn store() -> (Database, Store) {
    let database = Database::migrated().await;
    let store = store_on(&database);
    (database, store)
}

/// Another server on the same database, with its keys.
fn store_on(database: &Database) -> Store {
    store_at(database, Clock::system())
}

/// The same, with a clock of its own.
fn store_at(database: &Database, clock: Clock) -> Store {
    let roots = RootKeys::parse(&database.root_key).unwrap();
    let ring = KeyRing::new(roots, 1000, Duration::from_secs(600));
    Store::new(database.settings.clone(), Arc::new(ring), clock)
}

fn a_type(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

fn an_id(id: &str) -> ResourceId {
    ResourceId::parse(id).unwrap()
}

/// A deed on an Observation of that patient, with an index as a real one has.
fn deed(kind: DeedKind, id: &str, version: i32, patient: &str) -> Deed {
    let text = format!(r#"{{"resourceType":"Observation","id":"{id}","meta":{{"versionId":"{version}"}}}}"#);
    let key = |parameter: &str, kind, value: &str| Key::new(&parameter.into(), kind, value);
    let range = |parameter: &str, unit: Option<&str>, low, high| RangeEntry {
        parameter: parameter.into(),
        unit: unit.map(Into::into),
        low,
        high,
    };
    let index = Index {
        keys: vec![
            key("code", KeyKind::Token, "http://loinc.org|8867-4"),
            key("code", KeyKind::Code, "8867-4"),
            key("subject", KeyKind::Reference, &format!("Patient/{patient}")),
            key("status", KeyKind::Code, if version == 1 { "preliminary" } else { "final" }),
        ],
        dates: vec![
            RangeEntry { parameter: "date".into(), unit: None, low: NOW, high: NOW + 999_999 },
            RangeEntry { parameter: "value-date".into(), unit: None, low: i64::from(version), high: 9 },
        ],
        numbers: vec![
            range("value-quantity", None, 71.5, 72.5),
            range("value-quantity", Some("http://unitsofmeasure.org|s-1"), 1.19, 1.21),
            range("component-value-quantity", None, 1.0, 2.0),
        ],
        patients: vec![an_id(patient)],
        ..Index::default()
    };
    let is_deletion = kind == DeedKind::Delete;
    Deed {
        kind,
        resource_type: a_type("Observation"),
        id: an_id(id),
        version,
        expected: (version > 1).then_some(version - 1),
        last_updated: NOW + i64::from(version),
        text: if is_deletion { String::new() } else { text },
        sealed: vec![],
        index: if is_deletion { Index::default() } else { index },
    }
}

/// What the trail says about that deed.
fn event(deed: &Deed) -> AuditRow {
    AuditRow {
        recorded: NOW,
        kind: 1,
        action: 'C',
        outcome: 0,
        agent: "Practitioner/nurse".into(),
        client: Some("demo-app".into()),
        purpose: Some("TREAT".into()),
        rule: Some("role:nurse".into()),
        request: Some(uuid::Uuid::nil()),
        network: Some("127.0.0.1".into()),
        patients: vec![an_id("alice")],
        subjects: vec![],
        entities: vec![Entity {
            resource_type: deed.resource_type,
            id: deed.id.clone(),
            version: Some(deed.version),
        }],
        detail: Some("code=8867-4".into()),
    }
}
