//! Create, read, update, patch, delete: one resource.

use super::patient;
use crate::support::server::{TestServer, fhir, send};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_lives() {
    let server = TestServer::start().await;
    let system = server.system();
    let created = system.post("Patient", &patient("Adler")).await.assert_status(201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert!(created.header("location").ends_with(&format!("/fhir/Patient/{id}/_history/1")));
    assert_eq!(created.header("etag"), "W/\"1\"");
    let read = system.get(&format!("Patient/{id}")).await.assert_status(200);
    assert_eq!(read.json()["name"][0]["family"], "Adler");
    assert_eq!(read.json()["meta"]["versionId"], "1");

    let mut changed = read.json();
    changed["name"][0]["family"] = json!("Berger");
    let updated = system.put(&format!("Patient/{id}"), &changed).await.assert_status(200);
    assert_eq!(updated.header("etag"), "W/\"2\"");
    let old = system.get(&format!("Patient/{id}/_history/1")).await.assert_status(200);
    assert_eq!(old.json()["name"][0]["family"], "Adler");

    let patch = json!([{"op": "replace", "path": "/name/0/family", "value": "Cramer"}]);
    system.patch(&format!("Patient/{id}"), &patch).await.assert_status(200);
    let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.name[0].family"},
        {"name": "value", "valueString": "Decker"},
    ]}]});
    let patched = send(fhir(system.request("PATCH", &format!("Patient/{id}")), &patch)).await;
    assert_eq!(patched.assert_status(200).json()["name"][0]["family"], "Decker");

    system.delete(&format!("Patient/{id}")).await.assert_status(204);
    assert_eq!(system.get(&format!("Patient/{id}")).await.assert_status(410).issue(), "deleted");
    assert_eq!(system.get(&format!("Patient/{id}/_history/5")).await.assert_status(410).issue(), "deleted");
    system.delete(&format!("Patient/{id}")).await.assert_status(204);
    system.delete("Patient/never-was").await.assert_status(204);
    // It can live again, and its versions go on.
    let again = system.put(&format!("Patient/{id}"), &changed).await.assert_status(201);
    assert_eq!(again.header("etag"), "W/\"6\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_back_as_they_were() {
    let server = TestServer::start().await;
    let system = server.system();
    let text = concat!(
        r#"{ "resourceType" : "Observation", "id":"exact", "status":"final","code":{"text":"p\u00e4r \/ x"},"#,
        r#" "valueQuantity":{"value":1.00},"component":[{"code":{"text":"c"},"valueQuantity":{"value":0.123456789012345678901234567890}}]}"#
    );
    let request = system.request("PUT", "Observation/exact").header("content-type", "application/fhir+json");
    send(request.body(text)).await.assert_status(201);
    let read = system.get("Observation/exact").await.assert_status(200).text();
    for part in [
        r#""value":1.00"#,
        "0.123456789012345678901234567890",
        r#""p\u00e4r \/ x""#,
        r#"{ "resourceType" : "Observation""#,
    ] {
        assert!(read.contains(part), "{part} in {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_choose_the_id() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    system.put("Patient/mine", &it).await.assert_status(400);
    it["id"] = json!("other");
    system.put("Patient/mine", &it).await.assert_status(400);
    it["id"] = json!("mine");
    system.put("Patient/mine", &it).await.assert_status(201);
    system.put("Patient/mine", &it).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_overwrites_what_they_have_not_seen() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    it["id"] = json!("a");
    system.put("Patient/a", &it).await.assert_status(201);
    let put = |tag: &'static str| fhir(system.request("PUT", "Patient/a"), &it).header("if-match", tag);
    send(put("W/\"1\"")).await.assert_status(200);
    assert_eq!(send(put("W/\"1\"")).await.status, 412);
    let delete = |tag: &'static str| system.request("DELETE", "Patient/a").header("if-match", tag);
    assert_eq!(send(delete("W/\"1\"")).await.status, 412);
    send(delete("W/\"2\"")).await.assert_status(204);
    // Without a precondition the last one wins, however many there are.
    let it = json!({"resourceType": "Patient", "id": "b"});
    let writers = (0..20).map(|_| system.put("Patient/b", &it));
    let written = futures_util::future::join_all(writers).await;
    assert!(written.iter().all(|it| matches!(it.status, 200 | 201)), "{written:?}");
    assert_eq!(system.get("Patient/b").await.json()["meta"]["versionId"], "20");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_its_path() {
    let server = TestServer::start().await;
    let system = server.system();
    let wrong = json!({"resourceType": "Patient", "birthDate": "yesterday", "name": [{"familie": "x"}]});
    let answer = system.post("Patient", &wrong).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
    let issues = answer.json()["issue"].as_array().unwrap().clone();
    let paths: Vec<&str> = issues.iter().filter_map(|it| it["expression"][0].as_str()).collect();
    assert!(paths.contains(&"Patient.birthDate") && paths.contains(&"Patient.name[0].familie"), "{paths:?}");
    assert!(!answer.text().contains("yesterday"));
    assert_eq!(system.post("Observation", &patient("x")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_tagged_as_one() {
    let server = TestServer::start().await;
    let system = server.system();
    let id = system.post("Patient", &patient("Adler")).await.json()["id"].as_str().unwrap().to_owned();
    let part = system.get(&format!("Patient/{id}?_elements=gender")).await.assert_status(200).json();
    assert_eq!((&part["gender"], part.get("name")), (&json!("female"), None));
    assert_eq!(part["meta"]["tag"][0]["code"], "SUBSETTED");
    let summary = system.get(&format!("Patient/{id}?_summary=true")).await.assert_status(200).json();
    assert_eq!(summary["meta"]["tag"][0]["code"], "SUBSETTED");
}
