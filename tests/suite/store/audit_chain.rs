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
    assert_eq!(store.unchained_audit(TENANT).await.unwrap(), 0);
    let head = store.audit_head(TENANT).await.unwrap();
    assert_eq!(head.count, 200);
    let mut place = 1;
    let mut last = Hash::default();
    loop {
        let link = store.chained_events(TENANT, place).await.unwrap();
        if link.is_empty() {
            break;
        }
        for event in &link {
            last = hash(&last, event.canonical.as_ref().unwrap());
            assert_eq!(last, event.hash);
        }
        place += i64::try_from(link.len()).unwrap();
    }
    assert_eq!((place, last), (201, head.hash));
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
    assert_eq!(store.chain_audit(TENANT, 100, hash).await.unwrap(), 1);
    assert_eq!(store.unchained_audit(TENANT).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_shows() {
    let (database, store) = store().await;
    let row = event(&deed(DeedKind::Create, "one", 1, "alice"));
    store.append_audit(TENANT, vec![row.clone(), row.clone(), row]).await.unwrap();
    assert_eq!(store.chain_audit(TENANT, 100, hash).await.unwrap(), 3);
    let before = store.chained_events(TENANT, 1).await.unwrap();
    // Only a superuser can, and only by taking the triggers away first.
    let client = database.superuser().await;
    let change = format!(
        "set session_replication_role = replica; update audit_events set outcome = 8 where id = {}; \
         delete from audit_events where id = {}",
        before[1].id, before[2].id
    );
    client.batch_execute(&change).await.unwrap();
    let after = store.chained_events(TENANT, 1).await.unwrap();
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
