//! Batches: every entry on its own.

use super::patient;
use crate::support::server::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_leaves_the_others_alone() {
    let server = TestServer::start().await;
    let system = server.system();
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"resource": patient("Adler"), "request": {"method": "POST", "url": "Patient"}},
        {"resource": {"resourceType": "Patient", "gender": 3}, "request": {"method": "POST", "url": "Patient"}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
        {"request": {"method": "GET", "url": "metadata"}},
        {"request": {"method": "BREW", "url": "Patient"}},
        {"resource": {"resourceType": "Patient"}},
    ]});
    let answer = system.post("", &batch).await.assert_status(200).json();
    assert_eq!(answer["type"], "batch-response");
    let entries = answer["entry"].as_array().unwrap();
    let status = |at: usize| entries[at]["response"]["status"].as_str().unwrap()[..3].to_owned();
    assert_eq!([status(0), status(2), status(3), status(4), status(5)], ["201", "404", "200", "400", "400"]);
    assert!(matches!(status(1).as_str(), "400" | "422"));
    assert_eq!(entries[2]["response"]["outcome"]["resourceType"], "OperationOutcome");
    assert_eq!(entries[3]["resource"]["resourceType"], "CapabilityStatement");
}
