//! The trail: chained, signed, checked; and every way to change it unseen, tried.

mod archive;
mod balp;
mod chain;
mod find;
mod forward;
mod report;
mod tampering;

use crate::support::database::Database;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use vesta::audit::chain::{Round, Sealer};
use vesta::audit::live;
use vesta::audit::verify::Report;
use vesta::clock::Clock;
use vesta::crypto::key_ring::{KeyRing, RootKeys};
use vesta::crypto::sign::{CheckpointKey, CheckpointPublicKey};
use vesta::fhir::id::{ResourceId, ResourceType, TenantId};
use vesta::store::Store;
use vesta::store::audit_chain::Checkpoint;
use vesta::store::audit_log::{AuditRow, Entity};

const TENANT: TenantId = TenantId(1);
/// 2026-11-23.
const NOW: i64 = 1_795_426_800_000_000;
const MINUTE: i64 = 60 * 1_000_000;

/// A trail on a database of its own, whose clock stands.
struct Trail {
    database: Database,
    store: Store,
    clock: Clock,
    key: CheckpointKey,
    sealer: Sealer,
}

impl Trail {
    async fn new() -> Trail {
        let database = Database::migrated().await;
        let clock = Clock::stepped(Timestamp::from_microsecond(NOW).unwrap());
        let ring = KeyRing::new(RootKeys::parse(&database.root_key).unwrap(), 10, Duration::from_secs(600));
        let store = Store::new(database.settings.clone(), Arc::new(ring), clock.clone());
        let sealer = Sealer::new(store.clone(), TENANT);
        Trail { database, store, clock, key: CheckpointKey::random(), sealer }
    }

    /// Records so many events now.
    async fn record(&self, count: usize) {
        let row = |number: usize| AuditRow {
            recorded: self.clock.now_microseconds(),
            kind: 1,
            action: 'R',
            outcome: 0,
            agent: format!("Practitioner/{}", number % 7),
            client: Some("app".into()),
            purpose: number.is_multiple_of(2).then(|| "TREAT".into()),
            rule: Some("scope user/*.rs".into()),
            request: Some(uuid::Uuid::from_u128(number as u128)),
            network: Some("127.0.0.1".into()),
            patients: vec![ResourceId::parse("alice").unwrap()],
            subjects: vec![],
            entities: vec![Entity {
                resource_type: ResourceType::parse("Patient").unwrap(),
                id: ResourceId::parse("alice").unwrap(),
                version: Some(1),
            }],
            detail: number.is_multiple_of(3).then(|| format!("name=secret{number}")),
        };
        self.store.append_audit(TENANT, (0..count).map(row).collect()).await.unwrap();
    }

    /// One round of the sealer, now.
    async fn seal(&mut self) -> Round {
        self.sealer.round(&self.key, self.clock.now_microseconds()).await.unwrap()
    }

    async fn verify(&self, witnesses: Vec<Checkpoint>) -> Report {
        let now = self.clock.now_microseconds();
        live::verify(&self.store, TENANT, &self.keys(), witnesses, now).await.unwrap()
    }

    fn keys(&self) -> Vec<CheckpointPublicKey> {
        vec![self.key.public().clone()]
    }
}
