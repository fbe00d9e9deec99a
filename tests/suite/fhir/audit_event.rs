//! The trail as AuditEvents.

use super::{ids, link, patient};
use crate::support::server::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn events_are_counted_cut_down_and_never_older() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    it["id"] = json!("a");
    system.put("Patient/a", &it).await.assert_status(201);
    for _ in 0..3 {
        system.get("Patient/a").await.assert_status(200);
    }
    let events = "AuditEvent?patient=Patient/a";
    for asked in ["_count=0", "_summary=count"] {
        let found = system.get(&format!("{events}&{asked}")).await.assert_status(200).json();
        assert_eq!((&found["total"], &found["entry"]), (&json!(4), &json!(null)), "{asked}");
    }
    // By a test that the database cannot make, too; and only what a patient may know of.
    let found = system.get("AuditEvent?entity=Patient/a&_count=0").await.assert_status(200).json();
    assert_eq!(found["total"], 4);
    let own = server.patient("b").get("AuditEvent?_summary=count").await.assert_status(200).json();
    assert_eq!(own["total"], 0);
    let found = system.get(&format!("{events}&_total=accurate&_count=1")).await.assert_status(200).json();
    assert_eq!((&found["total"], ids(&found).len()), (&json!(4), 1));
    assert!(system.get(&format!("{events}&_count=1")).await.json()["total"].is_null());
    assert_eq!(system.get("AuditEvent?_total=all").await.assert_status(400).issue(), "value");
    let found = system.get(&format!("{events}&_elements=action&_count=1")).await.assert_status(200).json();
    let event = &found["entry"][0]["resource"];
    assert!(event["action"].is_string() && event["entity"].is_null(), "{event}");
    assert_eq!(event["meta"]["tag"][0]["code"], "SUBSETTED");
    let id = ids(&found)[0].clone();
    let short = system.get(&format!("AuditEvent/{id}?_summary=true")).await.assert_status(200).json();
    assert!(short["type"].is_object() && short["meta"]["tag"][0]["code"] == "SUBSETTED", "{short}");

    let whole = system.get(&format!("AuditEvent/{id}")).await.assert_status(200).json();
    let version = system.get(&format!("AuditEvent/{id}/_history/1")).await.assert_status(200).json();
    assert_eq!(version, whole);
    system.get(&format!("AuditEvent/{id}/_history/2")).await.assert_status(404);
    let history = system.get(&format!("AuditEvent/{id}/_history")).await.assert_status(200).json();
    assert_eq!((&history["type"], &history["entry"][0]["resource"]), (&json!("history"), &whole));
    assert_eq!(system.get("AuditEvent/_history").await.assert_status(400).issue(), "not-supported");
    // Whom the event is not about, may not know of it in any way.
    let other = server.patient("b");
    for path in [format!("AuditEvent/{id}/_history/1"), format!("AuditEvent/{id}/_history")] {
        assert_eq!(other.get(&path).await.status, 404, "{path}");
    }
    let denied = server.user("user/Patient.rs");
    for path in [format!("AuditEvent/{id}/_history/1"), format!("AuditEvent/{id}/_history/2")] {
        assert_eq!(denied.get(&path).await.status, 403, "{path}");
    }
}

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
