//! The chain covers every event once, and shows what was changed.

use super::{NOW, TENANT, deed, event, store, store_at, store_on};
use jiff::Timestamp;
use vesta::clock::Clock;
use vesta::store::audit_chain::{Checkpoint, Hash, Head};
use vesta::store::resources::DeedKind;

/// Good enough for a test: the real one is SHA-256.
fn hash(before: &Hash, canonical: &[u8]) -> Hash {
    let mut hash = *before;
    for (place, byte) in canonical.iter().enumerate() {
        let at = place % 32;
        hash[at] = hash[at].wrapping_mul(31).wrapping_add(*byte).wrapping_add(hash[(at + 7) % 32]);
    }
    hash
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_chained_once() {
    let (database, store) = store().await;
    let other = store_on(&database);
    let row = event(&deed(DeedKind::Create, "one", 1, "alice"));
    let mut chained = 0;
    for round in 0..10 {
        let rows = (0..20)
            .map(|it| vesta::store::audit_log::AuditRow { recorded: NOW + round * 100 + it, ..row.clone() });
        store.append_audit(TENANT, rows.collect()).await.unwrap();
        let (one, two) =
            tokio::join!(store.chain_audit(TENANT, 15, hash), other.chain_audit(TENANT, 15, hash));
        chained += one.unwrap() + two.unwrap();
    }
    loop {
        let more = store.chain_audit(TENANT, 100, hash).await.unwrap();
        chained += more;
        if more == 0 {
            break;
        }
    }
    assert_eq!(chained, 200);
    assert_eq!(store.oldest_unchained(TENANT).await.unwrap(), None);
    let head = store.audit_head(TENANT).await.unwrap();
    assert_eq!(head.count, 200);
    let (mut place, mut after) = (0, 0);
    let mut last = Hash::default();
    loop {
        let links = store.chain_links(TENANT, after).await.unwrap();
        let Some(end) = links.last() else { break };
        after = end.first;
        for link in links {
            assert_eq!(link.first, place + 1);
            for event in &link.events {
                last = hash(&last, event.canonical.as_ref().unwrap());
                assert_eq!(last, event.hash);
                place += 1;
                assert_eq!(store.chain_hash(TENANT, place).await.unwrap(), Some(last));
            }
        }
    }
    assert_eq!((place, last), (200, head.hash));
    assert_eq!(store.chain_hash(TENANT, 201).await.unwrap(), None);
    assert_eq!(store.audit_ids(TENANT, 0, i64::MAX, 1000).await.unwrap().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_chained_again_after_a_quiet_night() {
    let (database, _) = store().await;
    let clock = Clock::stepped(Timestamp::from_microsecond(NOW).unwrap());
    let store = store_at(&database, clock.clone());
    let row = event(&deed(DeedKind::Create, "one", 1, "alice"));
    store.append_audit(TENANT, vec![row.clone(), row.clone()]).await.unwrap();
    assert_eq!(store.chain_audit(TENANT, 1, hash).await.unwrap(), 1);
    clock.step(12 * 3600 * 1_000_000);
    assert_eq!(store.chain_audit(TENANT, 100, hash).await.unwrap(), 1);
    clock.step(12 * 3600 * 1_000_000);
    assert_eq!(store.chain_audit(TENANT, 100, hash).await.unwrap(), 0);
    store.append_audit(TENANT, vec![row]).await.unwrap();
    assert_eq!(store.oldest_unchained(TENANT).await.unwrap(), Some(NOW));
    assert_eq!(store.chain_audit(TENANT, 100, hash).await.unwrap(), 1);
    assert_eq!(store.oldest_unchained(TENANT).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_shows() {
    let (database, store) = store().await;
    let row = event(&deed(DeedKind::Create, "one", 1, "alice"));
    store.append_audit(TENANT, vec![row.clone(), row.clone(), row]).await.unwrap();
    assert_eq!(store.chain_audit(TENANT, 100, hash).await.unwrap(), 3);
    let before = store.chain_links(TENANT, 0).await.unwrap().remove(0).events;
    // Only a superuser can, and only by taking the triggers away first.
    let client = database.superuser().await;
    let change = format!(
        "set session_replication_role = replica; update audit_events set outcome = 8 where id = {}; \
         delete from audit_events where id = {}",
        before[1].id, before[2].id
    );
    client.batch_execute(&change).await.unwrap();
    let after = store.chain_links(TENANT, 0).await.unwrap().remove(0).events;
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1].canonical, before[1].canonical);
    assert_eq!(after[2].canonical, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_kept() {
    let (_database, store) = store().await;
    assert_eq!(store.audit_head(TENANT).await.unwrap(), Head::default());
    let checkpoint = |count| Checkpoint {
        head: Head { count, hash: [7; 32] },
        signed: NOW,
        key_id: "k".into(),
        signature: vec![1, 2, 3],
    };
    for count in [5, 9, 5] {
        store.append_checkpoint(TENANT, &checkpoint(count)).await.unwrap();
    }
    assert_eq!(store.checkpoints(TENANT).await.unwrap(), [checkpoint(5), checkpoint(9)]);
}
