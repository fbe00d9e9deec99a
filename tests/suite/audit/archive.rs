//! A month goes into a file that proves itself, and only then, and only after six years, out of the database.

use super::{MINUTE, NOW, TENANT, Trail};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use vesta::audit::archive::{Archiving, Refusal};
use vesta::audit::export;
use vesta::audit::verify::{Fault, Report};
use vesta::crypto::sign::CheckpointPublicKey;
use vesta::store::audit_archive::{Archive, drop_month};
use vesta::store::audit_events::AuditFilter;

const DAY: i64 = 24 * 60 * MINUTE;
/// 2020-01-20.
const THEN: i64 = 1_579_478_400_000_000;

/// Fifty days from 2020-01-20 on, an event each day and some more, and then what happens today.
async fn old_trail() -> (Trail, PathBuf) {
    let mut trail = Trail::new().await;
    let client = trail.database.superuser().await;
    client.batch_execute(&format!("select create_audit_partitions({THEN}, 3)")).await.unwrap();
    trail.clock.step(THEN - NOW);
    for day in 0..50 {
        trail.record(1 + day % 3).await;
        trail.seal().await;
        trail.clock.step(DAY);
    }
    trail.clock.step(NOW - trail.clock.now_microseconds());
    trail.record(3).await;
    trail.seal().await;
    trail.clock.step(MINUTE + 1);
    trail.seal().await;
    let folder = std::env::temp_dir().join(format!("vesta-archive-{}-{:p}", std::process::id(), &trail));
    fs::create_dir_all(&folder).unwrap();
    (trail, folder)
}

async fn archive(trail: &Trail, folder: &Path, month: &str) -> Result<Vec<(PathBuf, Archive)>, Refusal> {
    let keys = trail.keys();
    let now = trail.clock.now_microseconds();
    let archiving = Archiving {
        store: &trail.store,
        owner: &trail.database.settings,
        key: &trail.key,
        keys: &keys,
        folder,
        now,
    };
    archiving.run(month).await
}

fn verify(file: &Path, keys: &[CheckpointPublicKey]) -> Report {
    export::verify(|| Ok(BufReader::new(File::open(file).unwrap())), keys, vec![]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_month_is_written_proved_and_dropped() {
    let (trail, folder) = old_trail().await;
    let before = trail.verify(vec![]).await;
    assert!(before.is_sound(), "{:?}", before.faults);
    assert!(
        matches!(archive(&trail, &folder, "2020-02").await, Err(Refusal::NotTheOldest(it)) if it == "2020-01")
    );
    let (file, january) = archive(&trail, &folder, "2020-01").await.unwrap().remove(0);
    let (second, february) = archive(&trail, &folder, "2020-02").await.unwrap().remove(0);
    assert!(january.first == 1 && february.first <= january.last + 1 && february.last > january.last);
    for (file, archive) in [(&file, &january), (&second, &february)] {
        let report = verify(file, &trail.keys());
        assert!(report.is_sound(), "{:?}", report.faults);
        assert_eq!(report.head.count, archive.last);
    }
    // The rest is whole without it, and an export of the rest too.
    let after = trail.verify(vec![]).await;
    assert!(after.is_sound(), "{:?}", after.faults);
    assert!(after.archived > 30 && after.head.count == before.head.count && after.waiting == 2, "{after:?}");
    let mut out = Vec::new();
    export::export(&trail.store, TENANT, trail.clock.now_microseconds(), &mut out).await.unwrap();
    let rest = export::verify(|| Ok(BufReader::new(&out[..])), &trail.keys(), vec![]).unwrap();
    assert!(rest.is_sound() && rest.archived == after.archived, "{rest:?}");
    let filter = AuditFilter { count: 1000, ..AuditFilter::default() };
    let left = trail.store.audit_events(TENANT, &filter).await.unwrap();
    assert!(left.iter().all(|it| it.row.recorded >= february_end()));
    assert!(left.iter().any(|it| it.row.rule.as_deref() == Some("archived and dropped 2020-01")));

    // A file that is changed, cut off or signed by somebody else does not prove itself.
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let changed = folder.join("changed");
    let check = |lines: &[&str]| {
        fs::write(&changed, lines.join("\n") + "\n").unwrap();
        verify(&changed, &trail.keys())
    };
    assert!(check(&lines).is_sound());
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        assert!(!check(&without).is_sound(), "without line {at}");
    }
    let opening = lines[0].replace("\"first\":1,", "\"first\":2,");
    assert!(!check(&[&[opening.as_str()][..], &lines[2..]].concat()).is_sound());
    let stranger = vesta::crypto::sign::CheckpointKey::random().public().clone();
    assert!(matches!(
        verify(&file, &[stranger]).faults.first(),
        Some(Fault::Forged { .. } | Fault::ForgedArchive { .. })
    ));
    fs::remove_dir_all(folder).unwrap();
}

fn february_end() -> i64 {
    THEN + 41 * DAY
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dropped_before_its_time_or_unproved() {
    let (trail, folder) = old_trail().await;
    let client = trail.database.superuser().await;
    // Too young, by our count and by the database's.
    let young = Trail::new().await;
    let refused = archive(&young, &folder, "2026-11").await;
    assert!(matches!(refused, Err(Refusal::TooYoung(from)) if from == "2032-12-01"));
    assert!(drop_month(&young.database.settings, "2026_11", NOW).await.is_err());
    for nonsense in ["2019-12", "2020-13", "2020", "x_y", "2031-01"] {
        assert!(archive(&trail, &folder, nonsense).await.is_err(), "{nonsense}");
    }
    // Old enough, but not archived.
    assert!(drop_month(&trail.database.settings, "2020_01", NOW).await.is_err());
    // Not whole: an event was changed. Said to be archived, but by nobody who could.
    client
        .batch_execute(
            "set session_replication_role = replica; create table kept as table audit_events; \
             update audit_events set agent = 'x' where id = (select min(id) from audit_events)",
        )
        .await
        .unwrap();
    let refused = archive(&trail, &folder, "2020-01").await;
    assert!(matches!(refused, Err(Refusal::NotWhole(_))));
    client
        .batch_execute("delete from audit_events; insert into audit_events select * from kept; \
             insert into audit_archives (first, last, low, high, archived, tenant, month, before, head, key_id, signature) \
             values (1, 5, 0, 9223372036854775807, 0, 1, '2020_01', '', '', 'k', 's'); \
             delete from audit_events where id = (select min(id) from audit_events)")
        .await
        .unwrap();
    let report = trail.verify(vec![]).await;
    assert!(
        matches!(report.faults[0], Fault::ForgedArchive { .. })
            && matches!(report.faults[1], Fault::Missing { .. })
    );
    // The application itself may not drop, and a file is never written over.
    let app = client
        .batch_execute("set role vesta_app; select drop_audit_month('2020_01', 9000000000000000)")
        .await;
    assert!(app.is_err());
    fs::remove_dir_all(folder).unwrap();
}
