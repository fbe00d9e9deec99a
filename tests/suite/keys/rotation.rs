//! Every level of keys is changed while clients read and write: no request fails, and nothing is lost.

use super::{TENANT, checked, observation, patient, rotate};
use crate::support::server::TestServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vesta::crypto::key_ring::{KeyRing, RootKeyProvider};
use vesta::crypto::root_key::RootKey;
use vesta::fhir::id::{ResourceId, ResourceType};
use vesta::fhir::seal_class::SealClasses;
use vesta::jobs::rotation::Rotation;
use vesta::search::predicate::Predicate;
use vesta::store::Store;

const START: &str = "2026-11-24T10:00:00Z";

async fn fill(server: &TestServer, patients: u32) {
    let caller = server.system();
    for at in 0..patients {
        let id = format!("p{at}");
        caller.put(&format!("Patient/{id}"), &patient(&id, &format!("Family{at}"))).await.assert_status(201);
        for version in 0..3 {
            let observation = observation(&format!("o{at}"), &id, 60 + version);
            let answer = caller.put(&format!("Observation/o{at}"), &observation).await;
            assert!(answer.status < 300, "{}", answer.text());
        }
    }
}

/// Reads, searches and writes until it is over; the first answer that is not a success is a failure.
async fn load(server: &TestServer, patients: u32, is_over: &AtomicBool) -> u32 {
    let mut at = 0;
    while !is_over.load(Ordering::Relaxed) {
        at += 1;
        let one = at % patients;
        // The clock is stepped, so a token is soon too old.
        let caller = server.system();
        caller.get(&format!("Patient/p{one}")).await.assert_status(200);
        let found = caller.get(&format!("Patient?family=Family{one}")).await.assert_status(200).json();
        assert_eq!(found["entry"][0]["resource"]["id"], format!("p{one}"), "{found}");
        let observation = observation(&format!("o{one}"), &format!("p{one}"), 100 + at);
        let written = caller.put(&format!("Observation/o{one}"), &observation).await;
        assert_eq!(written.status, 200, "{}", written.text());
        let history = caller.get(&format!("Observation/o{one}/_history?_count=100")).await.assert_status(200);
        assert!(history.json()["entry"].as_array().unwrap().len() > 3);
    }
    at
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_changes_under_load() {
    let server = TestServer::start_at(START).await;
    fill(&server, 12).await;
    let is_over = AtomicBool::new(false);
    let changing = async {
        for rotation in [Rotation::Patients, Rotation::Tenant, Rotation::Index, Rotation::Patients] {
            let progress = rotate(&server, rotation).await;
            assert!(progress.destroyed > 0 && progress.broken == 0, "{rotation:?}: {progress:?}");
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (answered, ()) = tokio::join!(load(&server, 12, &is_over), changing);
    assert!(answered > 0);

    let checked = checked(&server).await;
    assert!(checked.seen > 48);
    assert_eq!((checked.broken, checked.shredded), (0, 0), "{checked:?}");
    let client = server.database.superuser().await;
    let count = async |condition: &str| -> i64 {
        let sql = format!("select count(*) from keys where {condition}");
        client.query_one(&sql, &[]).await.unwrap().get(0)
    };
    // Patients' first and second keys are gone, and so is what wrapped and what indexed before.
    assert_eq!(count("purpose = 4 and subject <> 0 and wrapped is not null").await, 12);
    assert_eq!(count("purpose = 4 and subject <> 0 and destroyed is not null").await, 24);
    assert_eq!(count("purpose in (1, 2) and wrapped is not null").await, 2);
    assert_eq!(count("purpose in (1, 2) and destroyed is not null").await, 2);
    // A server that starts now finds everything.
    let other = Store::new(server.database.settings.clone(), ring(&server), server.clock.clone());
    let read = other.read(TENANT, a_type("Patient"), &an_id("p3"), &Predicate::True, SealClasses::ALL).await;
    assert!(read.unwrap().unwrap().text.contains("Family3"));
    for (query, expected) in [
        ("Patient?family=Family7", 1),
        ("Observation?subject=Patient/p7", 1),
        ("Observation?code=8867-4", 12),
    ] {
        let found = server.system().get(&format!("{query}&_summary=count")).await.assert_status(200).json();
        assert_eq!(found["total"], expected, "{query}");
    }
}

fn ring(server: &TestServer) -> Arc<KeyRing> {
    let file = server.app.config.keys.root_key_file.clone().unwrap();
    let root = RootKey::open(RootKeyProvider::File(file)).unwrap();
    Arc::new(KeyRing::with_root(root, 100, std::time::Duration::from_secs(600)))
}

fn a_type(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

fn an_id(id: &str) -> ResourceId {
    ResourceId::parse(id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_holds_older_keys_reads_what_newer_ones_sealed() {
    let server = TestServer::start_at(START).await;
    fill(&server, 3).await;
    let other = Store::new(server.database.settings.clone(), ring(&server), server.clock.clone());
    let read = async || {
        let read =
            other.read(TENANT, a_type("Patient"), &an_id("p1"), &Predicate::True, SealClasses::ALL).await;
        assert!(read.unwrap().unwrap().text.contains("Family1"));
    };
    read().await;
    let store = &server.app.store;
    let before = server.clock.now_microseconds() + 1;
    server.clock.step(10);
    assert_eq!(store.renew_subject_keys(TENANT, before, None, 100).await.unwrap().1, 3);
    let start = vesta::store::walk::Cursor::START;
    let shelf = vesta::store::walk::Shelf::Current(a_type("Patient"));
    assert_eq!(store.reseal_page(TENANT, shelf, start, 100).await.unwrap().changed, 3);
    assert_eq!(
        store.reseal_page(TENANT, shelf, start, 100).await.unwrap().changed,
        0,
        "all have the newest key"
    );
    read().await;
    // And where what wraps the keys is another, too: first below, then above.
    store.add_tenant_key(TENANT, vesta::crypto::key_ring::Purpose::Wrapping).await.unwrap();
    store.activate_newest(TENANT, vesta::crypto::key_ring::Purpose::Wrapping).await.unwrap();
    assert_eq!(store.rewrap_subject_keys(TENANT, None, 100).await.unwrap().1, 6);
    let third = Store::new(server.database.settings.clone(), ring(&server), server.clock.clone());
    assert!(store.rotate_root_key().await.unwrap());
    assert_eq!(store.rewrap_tenant_keys(TENANT).await.unwrap(), 4);
    let read = third.read(TENANT, a_type("Patient"), &an_id("p2"), &Predicate::True, SealClasses::ALL).await;
    assert!(read.unwrap().unwrap().text.contains("Family2"), "it read the root key file again");
    assert_eq!(store.drop_older_root_keys().await.unwrap(), Some(1));
    assert_eq!(checked(&server).await.broken, 0);
}
