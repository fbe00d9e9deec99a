//! What one server revokes, another knows with its next request; and who cannot ask, does not answer.

use super::{NOW, TENANT, store, store_on};
use std::time::Duration;
use vesta::store::grants::{GrantRow, Grants};
use vesta::store::revocations::RevocationKind;

#[tokio::test(flavor = "multi_thread")]
async fn another_server_knows_what_was_revoked() {
    let (database, one) = store().await;
    let other = store_on(&database);
    assert!(!other.revocations(TENANT).await.unwrap().cover(RevocationKind::User, "ada", NOW));
    let later = i64::MAX;
    one.revoke(TENANT, (RevocationKind::User, "ada"), later).await.unwrap();
    assert!(one.revocations(TENANT).await.unwrap().cover(RevocationKind::User, "ada", 0));
    tokio::time::sleep(Duration::from_millis(210)).await;
    let known = other.revocations(TENANT).await.unwrap();
    assert!(known.cover(RevocationKind::User, "ada", 0));
    assert!(!known.cover(RevocationKind::User, "ada", i64::MAX), "what is issued later is alive");
    assert!(!known.cover(RevocationKind::Client, "ada", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_committed_when_somebody_looked_is_seen_later() {
    let (database, store) = store().await;
    let slow = database.superuser().await;
    let news = "insert into revocations (tenant, kind, subject, at, expires) values \
                (1, 1, 'slow', 9000000000000000, 9000000000000000)";
    slow.batch_execute(&format!("set vesta.tenant = 1; begin; {news}")).await.unwrap();
    store.revoke(TENANT, (RevocationKind::User, "quick"), i64::MAX).await.unwrap();
    let known = store.revocations(TENANT).await.unwrap();
    assert!(known.cover(RevocationKind::User, "quick", 0));
    assert!(!known.cover(RevocationKind::User, "slow", 0));
    slow.batch_execute("commit").await.unwrap();
    tokio::time::sleep(Duration::from_millis(210)).await;
    assert!(store.revocations(TENANT).await.unwrap().cover(RevocationKind::User, "slow", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_ends_once_and_no_other_with_it() {
    let (_database, store) = store().await;
    let grant = |number: u128| GrantRow {
        id: uuid::Uuid::from_u128(number),
        created: NOW,
        expires: i64::MAX,
        revoked: None,
        account: None,
        client: "app".into(),
        session: None,
        encounter: None,
        document: "{}".into(),
    };
    store.keep_grant(TENANT, &grant(1)).await.unwrap();
    store.keep_grant(TENANT, &grant(2)).await.unwrap();
    let one = grant(1).id;
    assert_eq!(store.revoke_grants(TENANT, &Grants::Family(one), i64::MAX).await.unwrap(), 1);
    assert_eq!(store.revoke_grants(TENANT, &Grants::Family(one), i64::MAX).await.unwrap(), 0);
    let known = store.revocations(TENANT).await.unwrap();
    assert!(known.cover(RevocationKind::Family, &one.to_string(), 0));
    assert!(!known.cover(RevocationKind::Family, &grant(2).id.to_string(), 0));
    assert_eq!(store.revoke_grants(TENANT, &Grants::Client("app"), i64::MAX).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_ask_does_not_answer() {
    let (database, store) = store().await;
    store.revocations(TENANT).await.unwrap();
    let client = database.superuser().await;
    client.batch_execute("alter table revocations rename to gone").await.unwrap();
    tokio::time::sleep(Duration::from_millis(210)).await;
    assert!(store.revocations(TENANT).await.is_err());
}
