//! Operations.

use super::{heart_rate, ids, patient};
use crate::support::server::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_patient_and_nothing_else() {
    let server = TestServer::start().await;
    let system = server.system();
    for id in ["a", "b"] {
        let mut it = patient("Adler");
        it["id"] = json!(id);
        it["generalPractitioner"] = json!([{"reference": "Practitioner/p"}]);
        system.put(&format!("Patient/{id}"), &it).await.assert_status(201);
        system.post("Observation", &heart_rate(id, "60", "2024-01-01")).await.assert_status(201);
        system.post("Observation", &heart_rate(id, "61", "2025-01-01")).await.assert_status(201);
    }
    system
        .put("Practitioner/p", &json!({"resourceType": "Practitioner", "id": "p"}))
        .await
        .assert_status(201);
    let record = system.get("Patient/a/$everything").await.assert_status(200).json();
    assert_eq!(ids(&record).len(), 3);
    assert!(
        record["entry"].as_array().unwrap().iter().any(|it| it["resource"]["resourceType"] == "Practitioner")
    );
    assert!(!record.to_string().contains("Patient/b"));
    let later = system
        .get("Patient/a/$everything?start=2024-06-01&_type=Observation")
        .await
        .assert_status(200)
        .json();
    assert_eq!(ids(&later).len(), 1);
    assert_eq!(system.get("Patient/nobody/$everything").await.status, 404);
    let bob = server.patient("b");
    assert_eq!(bob.get("Patient/a/$everything").await.status, 404);
    assert_eq!(ids(&bob.get("Patient/b/$everything").await.assert_status(200).json()).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_tags_change_with_a_version() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    it["id"] = json!("a");
    system.put("Patient/a", &it).await.assert_status(201);
    let meta = json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {
        "tag": [{"system": "urn:t", "code": "x"}], "profile": ["http://example.org/p"]
    }}]});
    system.post("Patient/a/$meta-add", &meta).await.assert_status(200);
    let read = system.get("Patient/a").await.json();
    assert_eq!((&read["meta"]["tag"][0]["code"], &read["meta"]["versionId"]), (&json!("x"), &json!("2")));
    assert_eq!(
        system.get("Patient/a/$meta").await.json()["parameter"][0]["valueMeta"]["tag"][0]["code"],
        "x"
    );
    assert_eq!(ids(&system.get("Patient?_tag=urn:t|x").await.json()), ["a"]);
    system.post("Patient/a/$meta-delete", &meta).await.assert_status(200);
    assert_eq!(system.get("Patient/a").await.json()["meta"].get("tag"), None);
    let diff = system.get("Patient/a/$diff?from=1&to=2").await.assert_status(200).text();
    assert!(diff.contains("Patient.meta.tag"), "{diff}");
    assert_eq!(server.user("user/*.rs").post("Patient/a/$meta-add", &meta).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn validates_without_storing() {
    let server = TestServer::start().await;
    let system = server.system();
    let bad = json!({"resourceType": "Patient", "gender": 3});
    let answer = system.post("Patient/$validate", &bad).await.assert_status(200).json();
    assert_eq!(answer["issue"][0]["severity"], "error");
    let wrapped =
        json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient("x")}]});
    let answer = system.post("Patient/$validate", &wrapped).await.assert_status(200).json();
    assert!(answer["issue"].as_array().unwrap().iter().all(|it| it["severity"] != "error"), "{answer}");
    assert!(ids(&system.get("Patient").await.json()).is_empty());
    assert_eq!(system.post("Patient/$nonsense", &bad).await.issue(), "not-supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_of_each_code() {
    let server = TestServer::start().await;
    let system = server.system();
    for (value, at) in [("60", "2024-01-01"), ("61", "2024-01-03"), ("62", "2024-01-02")] {
        system.post("Observation", &heart_rate("a", value, at)).await.assert_status(201);
    }
    let mut other = heart_rate("a", "5", "2020-01-01");
    other["code"] = json!({"coding": [{"system": "http://loinc.org", "code": "9279-1"}]});
    system.post("Observation", &other).await.assert_status(201);
    let latest = system.get("Observation/$lastn?patient=a").await.assert_status(200).json();
    let dates: Vec<_> = latest["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["resource"]["effectiveDateTime"].clone())
        .collect();
    assert_eq!(dates, ["2024-01-03", "2020-01-01"]);
    assert_eq!(ids(&system.get("Observation/$lastn?patient=a&max=2").await.json()).len(), 3);
    assert_eq!(system.get("Observation/$lastn").await.status, 400);
}
