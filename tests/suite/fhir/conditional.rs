//! Conditional interactions.

use super::{ids, patient};
use crate::support::server::{Caller, TestServer, fhir, send};
use serde_json::{Value, json};

fn with_identifier(value: &str) -> Value {
    let mut it = patient("Adler");
    it["identifier"] = json!([{"system": "urn:mrn", "value": value}]);
    it
}

async fn create(caller: &Caller, value: &str) -> crate::support::server::Answer {
    let request = fhir(caller.request("POST", "Patient"), &with_identifier(value));
    send(request.header("if-none-exist", format!("identifier=urn:mrn|{value}"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_create_one() {
    let server = TestServer::start().await;
    let system = server.system();
    let answers = futures_util::future::join_all((0..50).map(|_| create(&system, "one"))).await;
    let created = answers.iter().filter(|it| it.status == 201).count();
    assert_eq!((created, answers.iter().filter(|it| it.status == 200).count()), (1, 49));
    let found = system.get("Patient?identifier=urn:mrn|one").await.assert_status(200).json();
    assert_eq!(ids(&found).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn criteria_single_out() {
    let server = TestServer::start().await;
    let system = server.system();
    let url = "Patient?identifier=urn:mrn|two";
    system.put(url, &with_identifier("two")).await.assert_status(201);
    system.put(url, &with_identifier("two")).await.assert_status(200);
    let patch = json!([{"op": "add", "path": "/active", "value": true}]);
    let patched = system.patch(url, &patch).await.assert_status(200).json();
    assert_eq!((&patched["active"], &patched["meta"]["versionId"]), (&json!(true), &json!("3")));
    system.post("Patient", &with_identifier("two")).await.assert_status(201);
    assert_eq!(system.put(url, &with_identifier("two")).await.status, 412);
    assert_eq!(system.patch(url, &patch).await.status, 412);
    assert_eq!(create(&system, "two").await.status, 412);
    system.delete(url).await.assert_status(204);
    assert_eq!(ids(&system.get(url).await.json()).len(), 0);
    assert_eq!(system.patch(url, &patch).await.status, 404);
    // What is not understood must not widen the match.
    let answer = system.delete("Patient?identifer=urn:mrn|two").await;
    assert!(matches!(answer.status, 400 | 501), "{}", answer.text());
    assert_eq!(system.delete("Patient").await.status, 400);
}
