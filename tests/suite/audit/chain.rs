//! The sealer chains, signs, and is not fooled; an export says the same as the database.

use super::{MINUTE, TENANT, Trail};
use std::io::{BufReader, Cursor};
use vesta::audit::chain::{Round, Sealer};
use vesta::audit::export;
use vesta::audit::verify::{Fault, Report};
use vesta::crypto::sign::CheckpointKey;

#[tokio::test(flavor = "multi_thread")]
async fn events_are_chained_at_once_and_signed_each_minute() {
    let mut trail = Trail::new().await;
    assert_eq!(trail.seal().await, Round::Chained(0));
    assert_eq!(trail.store.checkpoints(TENANT).await.unwrap(), []);
    for minute in 1..=3 {
        for _ in 0..3 {
            trail.record(5).await;
            assert_eq!(trail.seal().await, Round::Chained(5));
            trail.clock.step(MINUTE / 3);
        }
        let signed = trail.store.checkpoints(TENANT).await.unwrap();
        assert_eq!(signed.len(), minute - 1, "one a minute");
    }
    trail.record(1).await;
    let report = trail.verify(vec![]).await;
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!((report.head.count, report.waiting, report.checkpoints, report.signed), (45, 1, 2, 35));
    // Another server goes on where this one was.
    let mut other = Sealer::new(trail.store.clone(), TENANT);
    trail.clock.step(MINUTE);
    let round = other.round(&trail.key, trail.clock.now_microseconds()).await.unwrap();
    assert_eq!(round, Round::Chained(1));
    let report = trail.verify(vec![]).await;
    assert_eq!((report.head.count, report.waiting, report.signed), (46, 0, 46));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_chain_is_not_signed() {
    let mut trail = Trail::new().await;
    trail.record(10).await;
    trail.seal().await;
    let client = trail.database.superuser().await;
    let rewrite = "set session_replication_role = replica; delete from audit_checkpoints; \
                   update audit_chain set hashes = overlay(hashes placing '\\x00' from 300)";
    client.batch_execute(rewrite).await.unwrap();
    trail.clock.step(2 * MINUTE);
    trail.record(1).await;
    assert_eq!(trail.seal().await, Round::Tampered);
    assert_eq!(trail.store.checkpoints(TENANT).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_checked_without_the_database() {
    let mut trail = Trail::new().await;
    for _ in 0..20 {
        trail.record(30).await;
        trail.seal().await;
        trail.clock.step(MINUTE);
    }
    let mut file = Vec::new();
    let now = trail.clock.now_microseconds();
    assert_eq!(export::export(&trail.store, TENANT, now, &mut file).await.unwrap(), 600);
    let verify = |file: &[u8]| -> Report {
        let open = || Ok(BufReader::new(Cursor::new(file.to_vec())));
        export::verify(open, &trail.keys(), vec![]).unwrap()
    };
    let report = verify(&file);
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!((report.head.count, report.checkpoints), (600, 20));
    assert_eq!(report.head, trail.store.audit_head(TENANT).await.unwrap());

    let text = String::from_utf8(file.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: &[&str]| (lines.join("\n") + "\n").into_bytes();
    // Without a line, wherever it stood; with two exchanged; cut off anywhere.
    for at in [0, 1, 5, 300, 600, 601, 610, lines.len() - 1] {
        let mut without = lines.clone();
        without.remove(at);
        assert!(!verify(&joined(&without)).is_sound(), "without line {at}");
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        let is_harmless = at == lines.len() - 1;
        assert!(is_harmless || !verify(&joined(&twice)).is_sound(), "line {at} twice");
    }
    let mut exchanged = lines.clone();
    exchanged.swap(100, 101);
    assert!(!verify(&joined(&exchanged)).is_sound());
    for length in [0, 10, 5_000, file.len() / 2, file.len() - 2] {
        assert!(!verify(&file[..length]).is_sound(), "cut at {length}");
    }
    // Cut off at its end together with the checkpoints, it agrees with itself, but not with an older copy.
    let mut cut: Vec<&str> = lines[..=300].to_vec();
    cut.extend(&lines[601..611]);
    cut.push("{\"events\":300,\"checkpoints\":10}");
    let cut = joined(&cut);
    let witnesses = export::checkpoints(&file[..]).unwrap();
    assert_eq!(witnesses.len(), 20);
    let open = || Ok(BufReader::new(Cursor::new(cut.clone())));
    let report = export::verify(open, &trail.keys(), witnesses).unwrap();
    assert_eq!(report.faults.first(), Some(&Fault::Truncated { count: 330, found: 300 }));
    // Somebody else's key proves nothing.
    let open = || Ok(BufReader::new(Cursor::new(file.clone())));
    let report = export::verify(open, &[CheckpointKey::random().public().clone()], vec![]).unwrap();
    assert_eq!(report.faults.first(), Some(&Fault::Forged { count: 30 }));
}
