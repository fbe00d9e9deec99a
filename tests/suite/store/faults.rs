//! What goes wrong: connections that end, requests that are dropped, a database that is away.

use super::{TENANT, a_type, an_id, deed, event, store};
use std::time::Duration;
use vesta::fhir::seal_class::SealClasses;
use vesta::search::predicate::Predicate;
use vesta::store::Store;
use vesta::store::error::StoreError;
use vesta::store::resources::DeedKind;

async fn is_there(store: &Store, id: &str) -> Result<bool, StoreError> {
    let id = an_id(id);
    let found = store.read(TENANT, a_type("Observation"), &id, &Predicate::True, SealClasses::ALL).await?;
    Ok(found.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_do_not_notice_that_connections_ended() {
    let (database, store) = store().await;
    let deed = deed(DeedKind::Create, "one", 1, "alice");
    let event = event(&deed);
    store.write(TENANT, vec![deed], vec![event.clone()]).await.unwrap();
    let client = database.superuser().await;
    for _ in 0..5 {
        client
            .batch_execute(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .await
            .unwrap();
        assert!(is_there(&store, "one").await.unwrap());
        store.append_audit(TENANT, vec![event.clone()]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_nobody_waits_for_is_whole_or_not_at_all() {
    let (database, store) = store().await;
    store.write(TENANT, vec![deed(DeedKind::Create, "first", 1, "alice")], vec![]).await.unwrap();
    for round in 0..40_u64 {
        let deeds: Vec<_> =
            (0..5).map(|it| deed(DeedKind::Create, &format!("r{round}-{it}"), 1, "alice")).collect();
        let event = event(&deeds[0]);
        let write = store.write(TENANT, deeds, vec![event]);
        let _ = tokio::time::timeout(Duration::from_micros(round * 150), write).await;
        // Whoever comes next finds the pool in order.
        assert!(is_there(&store, "first").await.unwrap());
    }
    tokio::time::timeout(Duration::from_secs(20), async {
        let client = database.superuser().await;
        let open = "select count(*) from pg_stat_activity where datname = current_database() \
                    and state like '%transaction%'";
        while client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::task::yield_now().await;
        }
        let counts = client
            .query_one(
                "select (select count(*) from resource.observation where id_text <> 'first'), \
                 (select count(*) from audit_events), (select count(*) from changes)",
                &[],
            )
            .await
            .unwrap();
        let (resources, events, changes): (i64, i64, i64) = (counts.get(0), counts.get(1), counts.get(2));
        assert_eq!((resources, changes), (events * 5, events * 5 + 1));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_unavailable_and_comes_back() {
    let (database, store) = store().await;
    store.write(TENANT, vec![deed(DeedKind::Create, "one", 1, "alice")], vec![]).await.unwrap();
    let (client, name) = database.superuser_elsewhere().await;
    client.batch_execute(&format!("alter database {name} allow_connections false")).await.unwrap();
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    client.query(terminate, &[&name]).await.unwrap();
    let error = is_there(&store, "one").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let event = event(&deed(DeedKind::Create, "one", 1, "alice"));
    assert!(store.append_audit(TENANT, vec![event.clone()]).await.is_err());
    client.batch_execute(&format!("alter database {name} allow_connections true")).await.unwrap();
    assert!(is_there(&store, "one").await.unwrap());
    store.append_audit(TENANT, vec![event]).await.unwrap();
}
