//! The queue: claimed once, taken over when its worker dies, given up when it kills its workers.

use crate::store::{TENANT, store};
use crate::support::server::TestServer;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use vesta::app::App;
use vesta::jobs::{self, Work, Working};
use vesta::store::Store;
use vesta::store::jobs::{JobFailure, JobState, Lease, NewJob};

const LONG: Duration = Duration::from_secs(60);
/// So short that it is over before anybody can look.
const OVER: Duration = Duration::from_micros(1);

async fn ask(store: &Store, kind: &str, lock: Option<&str>) -> Option<Uuid> {
    let job = NewJob { kind, lock, parameters: b"{\"a\":1}", due: 0 };
    store.enqueue(TENANT, job).await.unwrap()
}

async fn claim(store: &Store, length: Duration) -> Option<Lease> {
    store.claim(TENANT, &["a kind"], length).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_claimed_once_and_done_once() {
    let (_database, store) = store().await;
    let id = ask(&store, "a kind", Some("one")).await.unwrap();
    assert_eq!(ask(&store, "a kind", Some("one")).await, None, "the lock is held");
    assert!(ask(&store, "another kind", Some("one")).await.is_some());
    let lease = claim(&store, LONG).await.unwrap();
    assert_eq!((lease.job.id, lease.job.parameters.as_slice()), (id, b"{\"a\":1}".as_slice()));
    assert!(claim(&store, LONG).await.is_none(), "somebody works on it");
    lease.report(b"half").await.unwrap();
    assert_eq!(store.job(TENANT, id).await.unwrap().unwrap().progress, b"half");
    lease.finish(b"whole").await.unwrap();
    let job = store.job(TENANT, id).await.unwrap().unwrap();
    assert_eq!((job.state, job.progress.as_slice()), (JobState::Done, b"whole".as_slice()));
    assert!(ask(&store, "a kind", Some("one")).await.is_some(), "the lock is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lease_can_neither_report_nor_finish() {
    let (_database, store) = store().await;
    ask(&store, "a kind", None).await.unwrap();
    let dead = claim(&store, OVER).await.unwrap();
    dead.report(b"some").await.unwrap();
    let heir = claim(&store, LONG).await.expect("the lease is over");
    assert_eq!(heir.job.progress, b"some", "the heir goes on from the last report");
    for told in [dead.report(b"x").await, dead.renew().await, dead.finish(b"x").await, dead.fail("x").await] {
        assert!(matches!(told, Err(JobFailure::Lost)));
    }
    assert!(store.cancel_job(TENANT, heir.job.id).await.unwrap());
    assert!(matches!(heir.renew().await, Err(JobFailure::Lost)));
    assert!(!store.cancel_job(TENANT, heir.job.id).await.unwrap(), "it is over already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_given_up() {
    let (_database, store) = store().await;
    let id = ask(&store, "a kind", None).await.unwrap();
    for _ in 0..6 {
        assert!(claim(&store, OVER).await.is_some());
    }
    assert!(claim(&store, OVER).await.is_none());
    let job = store.job(TENANT, id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(job.problem.is_some());
}

fn say_done(_: Arc<App>, lease: Lease) -> Working {
    Box::pin(async move {
        lease.report(b"on the way").await?;
        Ok(b"there".to_vec())
    })
}

fn never(_: Arc<App>, _: Lease) -> Working {
    Box::pin(async { Err(JobFailure::Never("the group is gone".into())) })
}

fn wait_for_ever(_: Arc<App>, _: Lease) -> Working {
    Box::pin(std::future::pending())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_run_each_kind_and_stop_when_it_is_called_off() {
    const KINDS: &[(&str, Work)] =
        &[("says done", say_done), ("never goes", never), ("waits for ever", wait_for_ever)];
    let server = TestServer::start().await;
    let store = &server.app.store;
    let once = async |length| jobs::once(&server.app, TENANT, KINDS, length).await.unwrap();

    let done = ask(store, "says done", None).await.unwrap();
    assert!(once(LONG).await);
    assert_eq!(store.job(TENANT, done).await.unwrap().unwrap().progress, b"there");

    let failed = ask(store, "never goes", None).await.unwrap();
    assert!(once(LONG).await);
    let failed = store.job(TENANT, failed).await.unwrap().unwrap();
    assert_eq!((failed.state, failed.problem.as_deref()), (JobState::Failed, Some("the group is gone")));

    let waiting = ask(store, "waits for ever", None).await.unwrap();
    let cancelling = async {
        loop {
            let job = store.job(TENANT, waiting).await.unwrap().unwrap();
            if job.state == JobState::Running {
                break store.cancel_job(TENANT, waiting).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let (ran, cancelled) = tokio::join!(once(Duration::from_millis(300)), cancelling);
    assert!(ran && cancelled);
    assert!(!once(LONG).await, "nothing is left to do");
}
