//! Operations.

use super::{heart_rate, ids, patient};
use crate::support::server::TestServer;
use serde_json::{Value, json};

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
async fn validates_for_what_the_caller_means_to_do() {
    let server = TestServer::start().await;
    let system = server.system();
    system.put("Patient/a", &json!({"resourceType": "Patient", "id": "a"})).await.assert_status(201);
    let mut own = patient("x");
    own["id"] = json!("a");
    let worst = |answer: &Value| answer["issue"][0]["severity"].as_str().unwrap_or_default().to_owned();
    let ask = async |path: &str, body: &Value| system.post(path, body).await.assert_status(200).json();
    assert_eq!(worst(&ask("Patient/$validate?mode=create", &patient("x")).await), "information");
    assert_eq!(worst(&ask("Patient/a/$validate?mode=update", &own).await), "information");
    let missing = ask("Patient/a/$validate?mode=update", &patient("x")).await;
    assert_eq!(missing["issue"][0]["expression"][0], "Patient.id");
    own["id"] = json!("b");
    assert_eq!(worst(&ask("Patient/a/$validate?mode=update", &own).await), "error");
    let mode = json!({"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "delete"}]});
    assert_eq!(worst(&ask("Patient/a/$validate", &mode).await), "information");
    assert_eq!(system.post("Patient/b/$validate", &mode).await.status, 404);
    assert_eq!(system.post("Patient/$validate", &mode).await.status, 400);
    assert_eq!(system.post("Patient/$validate?mode=eat", &patient("x")).await.status, 400);
    // Who may read and no more may know whether a resource is valid, not whether it may be deleted.
    let reader = server.user("user/*.rs");
    reader.post("Patient/$validate", &patient("x")).await.assert_status(200);
    assert_eq!(reader.post("Patient/a/$validate", &mode).await.status, 403);
    assert_eq!(reader.post("Patient/$validate?mode=create", &patient("x")).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_names_the_rule_the_kind_and_the_place() {
    let server = TestServer::start().await;
    let system = server.system();
    let bad = json!({"resourceType": "Observation", "status": "banana", "code": {"text": "x"},
        "valueString": "a", "dataAbsentReason": {"text": "b"}, "extension": [{"url": "http://unknown.org/x",
        "valueString": "a"}], "category": [{"coding": [{"system": "http://c", "code": "d"}]}]});
    let path = "Observation/$validate?profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab";
    let answer = system.post(path, &bad).await.assert_status(200).json();
    let issues = answer["issue"].as_array().unwrap();
    let find = |code: &str| {
        issues.iter().find(|it| it["code"] == code).unwrap_or_else(|| panic!("{code}: {answer}"))
    };
    for issue in issues {
        assert!(
            issue["severity"].is_string() && issue["code"].is_string() && issue["diagnostics"].is_string()
        );
        assert!(issue["expression"][0].as_str().unwrap().starts_with("Observation"), "{issue}");
    }
    assert_eq!(find("invariant")["details"]["text"], "obs-6");
    let of_code = find("code-invalid");
    assert_eq!(of_code["details"]["text"], "http://hl7.org/fhir/ValueSet/observation-status");
    assert_eq!(of_code["expression"][0], "Observation.status");
    assert_eq!(find("extension")["severity"], "information");
    let profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab";
    assert!(
        issues.iter().any(|it| it["details"]["text"] == profile && it["severity"] == "error"),
        "{answer}"
    );
    let strict = system.post("Observation/$validate?refuse=unknown-extensions", &bad).await.json();
    let refused = strict["issue"].as_array().unwrap().iter().find(|it| it["code"] == "extension").unwrap();
    assert_eq!(refused["severity"], "error");
    assert_eq!(system.post("Observation/$validate?refuse=everything", &bad).await.status, 400);
    let advised = system.post("Observation/$validate?best-practice=true", &bad).await.text();
    assert!(advised.contains("dom-6") && !answer.to_string().contains("dom-6"), "{advised}");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_compared_with_the_code_system_that_is_at_hand() {
    let server = TestServer::start().await;
    let system = server.system();
    let url = "http://example.org/animals";
    let animals = json!({"resourceType": "CodeSystem", "id": "animals", "url": url, "status": "active",
        "content": "complete", "concept": [{"code": "cat", "display": "Cat",
        "designation": [{"language": "de", "value": "Katze"}]}]});
    system.put("CodeSystem/animals", &animals).await.assert_status(201);
    let seen = |code: &str, display: &str| {
        json!({"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": url, "code": code, "display": display}]}})
    };
    for (code, display, place) in [
        ("cat", "Cat", None),
        ("cat", "katze", None),
        ("cat", "Dog", Some("Observation.code.coding[0].display")),
        ("dog", "Dog", Some("Observation.code.coding[0]")),
    ] {
        let told = system.post("Observation/$validate", &seen(code, display)).await.assert_status(200).json();
        let issues = told["issue"].as_array().unwrap();
        let error = issues.iter().find(|it| it["severity"] == "error");
        assert_eq!(error.and_then(|it| it["expression"][0].as_str()), place, "{told}");
    }
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
