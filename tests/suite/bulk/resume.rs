//! An export that was interrupted goes on, and is complete without anything twice.

use super::*;
use vesta::bulk::export;
use vesta::fhir::id::TenantId;
use vesta::interaction::export::progress::KIND;
use vesta::jobs;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_is_followed_by_another() {
    let server = TestServer::start_without_workers().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let kicked_off = kick_off(&system, "$export").await.assert_status(202);
    let id = kicked_off.header("content-location").rsplit('/').next().unwrap().parse().unwrap();
    let store = &server.app.store;
    let mut deaths = 0;
    // Each worker dies some time after its first report.
    loop {
        let over = Duration::from_micros(1);
        let lease = store.claim(TenantId::FIRST, &[KIND], over).await.unwrap().expect("somebody must go on");
        let before = lease.job.progress.clone();
        let has_reported = async {
            while store.job(TenantId::FIRST, id).await.unwrap().unwrap().progress == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(deaths % 3 * 4)).await;
        };
        let work = export::run(server.app.clone(), lease.clone());
        tokio::select! {
            biased;
            done = work => {
                lease.finish(&done.unwrap()).await.unwrap();
                break;
            }
            () = has_reported => deaths += 1,
        }
        assert!(deaths < 100, "nobody gets on");
    }
    assert!(deaths > 3, "only {deaths} died");
    let manifest = manifest(&system, kicked_off).await;
    assert_eq!(lines(&system, &manifest, "output").await.len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_revoked_gets_no_more() {
    use vesta::store::revocations::RevocationKind;
    let server = TestServer::start_without_workers().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let kicked_off = kick_off(&system, "$export").await.assert_status(202);
    let store = &server.app.store;
    let until = server.app.clock.now_microseconds() + 900_000_000;
    store.revoke(TenantId::FIRST, (RevocationKind::Client, "analyst"), until).await.unwrap();
    jobs::once(&server.app, TenantId::FIRST, jobs::KINDS, Duration::from_secs(30)).await.unwrap();
    let id = kicked_off.header("content-location").rsplit('/').next().unwrap().parse().unwrap();
    let job = store.job(TenantId::FIRST, id).await.unwrap().unwrap();
    assert_eq!(job.problem.as_deref(), Some("the client may not read this any more"));
}
