//! The trail: durable before the answer, many in one commit, found again.

use super::{NOW, TENANT, an_id, deed, event, store};
use vesta::store::audit_events::AuditFilter;
use vesta::store::resources::DeedKind;

#[tokio::test(flavor = "multi_thread")]
async fn events_are_written_together_and_read_back() {
    let (database, store) = store().await;
    let tasks: Vec<_> = (0..200_i64)
        .map(|it| {
            let store = store.clone();
            let mut row = event(&deed(DeedKind::Create, "one", 1, "alice"));
            row.recorded = NOW + it;
            row.detail = (it % 2 == 0).then(|| format!("name=secret-{it}"));
            row.patients = (0..it % 3).map(|patient| an_id(&format!("patient-{patient}"))).collect();
            tokio::spawn(async move { store.append_audit(TENANT, vec![row]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let ask = async |filter| store.audit_events(TENANT, &filter).await.unwrap();
    let all = ask(AuditFilter { count: 1000, ..AuditFilter::default() }).await;
    assert_eq!(all.len(), 200);
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));
    let found =
        ask(AuditFilter { from: Some(NOW + 42), to: Some(NOW + 42), count: 5, ..AuditFilter::default() })
            .await;
    assert_eq!(found[0].row.detail.as_deref(), Some("name=secret-42"));
    assert_eq!(found[0].row.entities[0].id, an_id("one"));
    let of =
        |patient: &str| AuditFilter { patient: Some(an_id(patient)), count: 1000, ..AuditFilter::default() };
    assert_eq!(ask(of("patient-0")).await.len(), 133);
    assert_eq!(ask(of("patient-1")).await.len(), 66);
    assert_eq!(ask(of("nobody")).await.len(), 0);
    let page = ask(AuditFilter { count: 150, ..AuditFilter::default() }).await;
    let rest = AuditFilter { before: page.last().map(|it| it.id), count: 150, ..AuditFilter::default() };
    assert_eq!(ask(rest).await.len(), 50);
    // No detail lies in the clear, and there were fewer commits than events.
    let client = database.superuser().await;
    let secrets =
        client.query_one("select count(*) from audit_events where detail::text like '%736563726574%'", &[]);
    assert_eq!(secrets.await.unwrap().get::<_, i64>(0), 0);
    let commits = client.query_one("select count(distinct xmin::text) from audit_events", &[]).await.unwrap();
    assert!(commits.get::<_, i64>(0) < 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_trail_there_is_no_answer() {
    let (database, store) = store().await;
    let row = event(&deed(DeedKind::Create, "one", 1, "alice"));
    store.append_audit(TENANT, vec![row.clone()]).await.unwrap();
    let client = database.superuser().await;
    client.batch_execute("revoke insert on audit_events from vesta_app").await.unwrap();
    assert!(store.append_audit(TENANT, vec![row.clone()]).await.is_err());
    let write = store.write(TENANT, vec![deed(DeedKind::Create, "one", 1, "alice")], vec![row.clone()]).await;
    assert!(write.is_err());
    let left = client.query_one("select count(*) from changes", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
    client.batch_execute("grant insert on audit_events to vesta_app").await.unwrap();
    store.append_audit(TENANT, vec![row]).await.unwrap();
}
