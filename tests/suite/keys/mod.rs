//! The keys: changed while everybody goes on, and destroyed.

mod providers;
mod rotation;
mod shredding;

use crate::support::server::TestServer;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;
use vesta::fhir::id::TenantId;
use vesta::jobs;
use vesta::jobs::rotation::{Progress, Rotation, ask};
use vesta::store::jobs::{Job, JobState};
use vesta::store::walk::{Cursor, Shelf, Walked};

const TENANT: TenantId = TenantId(1);
/// Longer than any server holds a key.
const LEASE: i64 = 11 * 60 * 1_000_000;

fn patient(id: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "birthDate": "1970-01-01", "name": [{"family": family}]})
}

fn observation(id: &str, patient: &str, value: u32) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": "2026-01-01",
        "valueQuantity": {"value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        "note": [{"text": format!("Secretnote {patient}")}],
    })
}

/// Runs a change of keys to its end, and steps over the time for which servers hold older keys.
async fn rotate(server: &TestServer, rotation: Rotation) -> Progress {
    let id = ask(&server.app, TENANT, rotation).await.unwrap().expect("nothing else is under way");
    rotated(server, id).await
}

async fn rotated(server: &TestServer, id: Uuid) -> Progress {
    for _ in 0..600 {
        let job: Job = server.app.store.job(TENANT, id).await.unwrap().unwrap();
        match job.state {
            JobState::Done => return Progress::parse(&job.progress).unwrap(),
            JobState::Failed | JobState::Cancelled => panic!("{:?}", job.problem),
            JobState::Waiting => {
                if job.due > server.clock.now_microseconds() {
                    server.clock.step(LEASE);
                }
                jobs::once(&server.app, TENANT, jobs::KINDS, Duration::from_secs(30)).await.unwrap();
            }
            JobState::Running => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("the change does not come to its end");
}

/// Every body that is stored, opened.
async fn checked(server: &TestServer) -> Walked {
    let mut all = Walked::default();
    let store = &server.app.store;
    for resource_type in store.stored_types(TENANT).await.unwrap() {
        for shelf in [Shelf::Current(resource_type), Shelf::Superseded(resource_type)] {
            let mut after = Some(Cursor::START);
            while let Some(from) = after {
                let page = store.check_page(TENANT, shelf, from, 7).await.unwrap();
                all.seen += page.seen;
                all.shredded += page.shredded;
                all.broken += page.broken;
                after = page.next;
            }
        }
    }
    all
}
