//! The trail as AuditEvents.

use super::{ids, link, patient};
use crate::support::server::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn who_looked_is_found_and_nobody_writes_it() {
    let server = TestServer::start().await;
    let system = server.system();
    for id in ["a", "b"] {
        let mut it = patient("Adler");
        it["id"] = json!(id);
        system.put(&format!("Patient/{id}"), &it).await.assert_status(201);
        system.get(&format!("Patient/{id}")).await.assert_status(200);
    }
    let found = system.get("AuditEvent?patient=Patient/a&_count=1").await.assert_status(200).json();
    assert_eq!(found["entry"][0]["resource"]["resourceType"], "AuditEvent");
    system.get(&link(&found, "next").unwrap()).await.assert_status(200);
    let id = ids(&found)[0].clone();
    system.get(&format!("AuditEvent/{id}")).await.assert_status(200);
    // A patient reads the events about themself, and no others.
    let alice = server.patient("a");
    let own = alice.get("AuditEvent").await.assert_status(200).json();
    assert!(!ids(&own).is_empty() && !own.to_string().contains("Patient/b"), "{own}");
    alice.get(&format!("AuditEvent/{id}")).await.assert_status(200);
    assert_eq!(server.patient("b").get(&format!("AuditEvent/{id}")).await.status, 404);
    assert_eq!(server.user("user/Patient.rs").get("AuditEvent").await.status, 403);
    let event = json!({"resourceType": "AuditEvent", "id": id});
    assert_eq!(
        system.put(&format!("AuditEvent/{id}"), &event).await.assert_status(400).issue(),
        "not-supported"
    );
    assert_eq!(system.delete(&format!("AuditEvent/{id}")).await.status, 400);
}
