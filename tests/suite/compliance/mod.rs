//! The control map: its proofs exist, it is served, and whoever switches a control off sees its row turn red.

mod map;
mod red;
mod review;

use crate::support::server::TestServer;
use vesta::audit::chain::Sealer;
use vesta::compliance::facts;
use vesta::compliance::report::{Report, Row, Status, report};
use vesta::fhir::id::TenantId;

/// The report of a server, after its sealer had a turn.
async fn told(server: &TestServer, planted: &[&str]) -> Report {
    seal(server).await;
    told_unsealed(server, planted).await
}

async fn seal(server: &TestServer) {
    let mut sealer = Sealer::new(server.app.store.clone(), TenantId::FIRST);
    sealer.round(&server.app.checkpoint_key, server.app.clock.now_microseconds()).await.unwrap();
}

async fn told_unsealed(server: &TestServer, planted: &[&str]) -> Report {
    let keys = [server.app.checkpoint_key.public().clone()];
    let planted: Vec<String> = planted.iter().map(|it| (*it).to_owned()).collect();
    report(&facts::gather(&server.app, TenantId::FIRST, &keys, &planted).await).unwrap()
}

fn row<'r>(report: &'r Report, id: &str) -> &'r Row {
    report.rows.iter().find(|it| it.control.id == id).unwrap()
}

/// The row is red, for that reason; and no other but those named is.
#[track_caller]
fn assert_red(report: &Report, ids: &[&str], reason: &str) {
    let red: Vec<&str> =
        report.rows.iter().filter(|it| it.status == Status::Failing).map(|it| it.control.id).collect();
    let unexpected: Vec<&&str> = red.iter().filter(|it| !ids.contains(it) && !ALWAYS.contains(it)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}\n{}", report.text());
    for id in ids {
        assert!(red.contains(id), "{id} is not red\n{}", report.text());
    }
    let text = report.text();
    assert!(text.contains(reason), "{reason}\n{text}");
}

/// What no fresh system can show: a restored backup.
const ALWAYS: [&str; 2] = ["contingency", "activity-review"];
