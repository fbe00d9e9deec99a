//! Writing, and reading back what was written.

use super::{NOW, TENANT, a_type, an_id, deed, event, store, store_on};
use crate::support::database::Database;
use vesta::fhir::id::TenantId;
use vesta::fhir::seal_class::SealClasses;
use vesta::search::predicate::Predicate;
use vesta::store::Store;
use vesta::store::error::StoreError;
use vesta::store::resources::{Deed, DeedKind, Stored};

async fn read(store: &Store, id: &str) -> Option<Stored> {
    store.read(TENANT, a_type("Observation"), &an_id(id), &Predicate::True, SealClasses::ALL).await.unwrap()
}

async fn write(store: &Store, deeds: Vec<Deed>) -> Result<(), StoreError> {
    let events = deeds.iter().map(event).collect();
    store.write(TENANT, deeds, events).await
}

async fn count(database: &Database, table: &str) -> i64 {
    let client = database.superuser().await;
    client.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_lives_dies_and_lives_again() {
    let (database, store) = store().await;
    assert_eq!(read(&store, "one").await, None);
    write(&store, vec![deed(DeedKind::Create, "one", 1, "alice")]).await.unwrap();
    let first = read(&store, "one").await.unwrap();
    assert_eq!((first.version, first.is_deleted(), first.last_updated), (1, false, NOW + 1));
    assert!(first.text.contains(r#""versionId":"1""#));
    write(&store, vec![deed(DeedKind::Update, "one", 2, "alice")]).await.unwrap();
    assert_eq!(read(&store, "one").await.unwrap().version, 2);
    write(&store, vec![deed(DeedKind::Delete, "one", 3, "alice")]).await.unwrap();
    let gone = read(&store, "one").await.unwrap();
    assert!(gone.is_deleted() && gone.text.is_empty() && gone.version == 3);
    write(&store, vec![deed(DeedKind::Update, "one", 4, "alice")]).await.unwrap();
    let again = read(&store, "one").await.unwrap();
    assert_eq!((again.version, again.is_deleted()), (4, false));
    assert_eq!(count(&database, "versions").await, 3);
    assert_eq!(count(&database, "changes").await, 4);
    assert_eq!(count(&database, "audit_events").await, 4);
    assert_eq!(count(&database, "resource.observation_dates").await, 1);
    assert_eq!(count(&database, "resource.observation_numbers").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_one_and_tells_who_is_in_the_way() {
    let (database, store) = store().await;
    let many: Vec<Deed> = (0..50).map(|it| deed(DeedKind::Create, &format!("o-{it}"), 1, "alice")).collect();
    write(&store, many).await.unwrap();
    assert_eq!(count(&database, "resource.observation").await, 50);
    let mixed = |version| {
        vec![
            deed(DeedKind::Update, "o-7", version, "alice"),
            deed(DeedKind::Create, &format!("new-{version}"), 1, "bob"),
            deed(DeedKind::Delete, "o-8", version, "alice"),
        ]
    };
    write(&store, mixed(2)).await.unwrap();
    assert!(read(&store, "o-8").await.unwrap().is_deleted());
    assert_eq!(read(&store, "o-7").await.unwrap().version, 2);
    assert_eq!(read(&store, "new-2").await.unwrap().version, 1);
    let before = count(&database, "audit_events").await;
    // Version 2 is there: nothing of this happens.
    let error = write(&store, mixed(2)).await.unwrap_err();
    assert!(matches!(&error, StoreError::AlreadyExists { id, .. } if id.as_str() == "new-2"), "{error:?}");
    let mut late = mixed(3);
    late[2].expected = Some(1);
    let error = write(&store, late).await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { id, .. } if id.as_str() == "o-8"), "{error:?}");
    assert_eq!(read(&store, "o-7").await.unwrap().version, 2);
    assert_eq!(read(&store, "new-3").await, None);
    assert_eq!(count(&database, "audit_events").await, before);
    assert_eq!(count(&database, "versions").await, 2);
    assert_eq!(count(&database, "resource.observation_dates").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_change_one_version_one_succeeds() {
    let (database, store) = store().await;
    write(&store, vec![deed(DeedKind::Create, "one", 1, "alice")]).await.unwrap();
    let other = store_on(&database);
    let tasks: Vec<_> = (0..20)
        .map(|it| {
            let store = if it % 2 == 0 { store.clone() } else { other.clone() };
            let mut deeds = vec![deed(DeedKind::Update, "one", 2, "alice")];
            if it % 3 == 0 {
                deeds.push(deed(DeedKind::Create, &format!("beside-{it}"), 1, "alice"));
            }
            tokio::spawn(async move { write(&store, deeds).await })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => succeeded += 1,
            Err(error) => assert!(matches!(error, StoreError::Conflict { .. }), "{error:?}"),
        }
    }
    assert_eq!(succeeded, 1);
    assert_eq!(count(&database, "versions").await, 1);
    assert_eq!(count(&database, "audit_events").await, count(&database, "changes").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_taken_once() {
    let (_database, store) = store().await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { write(&store, vec![deed(DeedKind::Create, "mine", 1, "alice")]).await })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => succeeded += 1,
            Err(error) => assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error:?}"),
        }
    }
    assert_eq!(succeeded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_in_opposite_order_do_not_wait_for_each_other() {
    let (_database, store) = store().await;
    let names: Vec<String> = (0..30).map(|it| format!("o-{it}")).collect();
    write(&store, names.iter().map(|id| deed(DeedKind::Create, id, 1, "alice")).collect()).await.unwrap();
    let started = std::time::Instant::now();
    for round in 2..8 {
        let forwards = names.iter().map(|id| deed(DeedKind::Update, id, round, "alice")).collect();
        let backwards = names.iter().rev().map(|id| deed(DeedKind::Update, id, round, "alice")).collect();
        let (one, other) = tokio::join!(write(&store, forwards), write(&store, backwards));
        assert!(one.is_ok() != other.is_ok());
    }
    // PostgreSQL looks for deadlocks after a second.
    assert!(started.elapsed().as_millis() < 1000, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn narrowing_hides_what_is_not_the_patients() {
    let (_database, store) = store().await;
    write(&store, vec![deed(DeedKind::Create, "one", 1, "alice")]).await.unwrap();
    let ask = async |narrowing| {
        let found =
            store.read(TENANT, a_type("Observation"), &an_id("one"), &narrowing, SealClasses::ALL).await;
        found.unwrap().is_some()
    };
    assert!(ask(Predicate::Compartment(an_id("alice"))).await);
    assert!(!ask(Predicate::Compartment(an_id("bob"))).await);
    assert!(!ask(Predicate::False).await);
    let either = [Predicate::Compartment(an_id("bob")), Predicate::Compartment(an_id("alice"))];
    assert!(ask(Predicate::Any(either.to_vec())).await);
    assert!(!ask(Predicate::All(either.to_vec())).await);
    // The patient is told that it is gone, nobody else is.
    write(&store, vec![deed(DeedKind::Delete, "one", 2, "alice")]).await.unwrap();
    assert!(ask(Predicate::Compartment(an_id("alice"))).await);
    assert!(!ask(Predicate::Compartment(an_id("bob"))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_nothing_of_another() {
    let (database, store) = store().await;
    let client = database.superuser().await;
    client.batch_execute("insert into tenants values (2, 'other')").await.unwrap();
    write(&store, vec![deed(DeedKind::Create, "one", 1, "alice")]).await.unwrap();
    let other = TenantId(2);
    let found =
        store.read(other, a_type("Observation"), &an_id("one"), &Predicate::True, SealClasses::ALL).await;
    assert_eq!(found.unwrap(), None);
    // The same id is free there.
    store.write(other, vec![deed(DeedKind::Create, "one", 1, "bob")], vec![]).await.unwrap();
    client.batch_execute("set vesta.tenant = 2; set role vesta_app").await.unwrap();
    for table in
        ["resource.observation", "versions", "changes", "audit_events", "keys", "resource.observation_dates"]
    {
        let sql = format!("select count(*) from {table} where tenant = 1");
        let rows: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(rows, 0, "{table}");
    }
    let error = client
        .batch_execute("insert into changes (at, rid, tenant, version, type, deed) values (1, 1, 1, 1, 1, 1)")
        .await
        .unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    client.batch_execute("reset role; reset vesta.tenant; set role vesta_app").await.unwrap();
    assert!(client.query("select * from changes", &[]).await.is_err());
}
