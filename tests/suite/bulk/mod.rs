//! Bulk data over HTTP, as its clients see it.

mod deidentify;
mod export;
mod import;
mod population;
mod resume;
mod snapshot;

use crate::support::server::{Answer, Caller, TestServer, send};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A system that may read everything, by the name of its client.
pub fn reader(server: &TestServer, client: &str, scope: &str) -> Caller {
    let mut claims = server.claims(scope);
    claims["sub"] = client.into();
    claims["client_id"] = client.into();
    server.bearer(server.sign(&claims))
}

pub async fn kick_off(caller: &Caller, path: &str) -> Answer {
    let request = caller.request("GET", path).header("prefer", "respond-async");
    send(request.header("accept", "application/fhir+json")).await
}

pub async fn kick_off_by_post(caller: &Caller, path: &str, parameters: &Value) -> Answer {
    let body = json!({ "resourceType": "Parameters", "parameter": parameters });
    let request = caller.request("POST", path).header("prefer", "respond-async");
    send(request.header("content-type", "application/fhir+json").body(body.to_string())).await
}

/// The path of a URL of this server, for a caller.
pub fn path_of(url: &str) -> String {
    let path = url.splitn(4, '/').nth(3).expect("an absolute URL");
    format!("/{path}")
}

/// Waits for an export, as its client does.
pub async fn manifest(caller: &Caller, kicked_off: Answer) -> Value {
    let kicked_off = kicked_off.assert_status(202);
    let status = path_of(kicked_off.header("content-location"));
    for _ in 0..1500 {
        let answer = caller.get(&status).await;
        if answer.status == 200 {
            assert_eq!(answer.header("content-type"), "application/json");
            return answer.json();
        }
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert!(answer.header("x-progress").contains('%') && answer.header("retry-after") == "1");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the export takes too long");
}

/// Every line of the files in a list of the manifest, by `Type/id`; each once.
pub async fn lines(caller: &Caller, manifest: &Value, list: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for file in manifest[list].as_array().unwrap() {
        let answer = caller.get(&path_of(file["url"].as_str().unwrap())).await.assert_status(200);
        assert_eq!(answer.header("content-type"), "application/fhir+ndjson");
        let text = answer.text();
        let mut count = 0;
        for line in text.lines() {
            let resource: Value = serde_json::from_str(line).unwrap();
            let key = match list {
                "deleted" => resource["entry"][0]["request"]["url"].as_str().unwrap().to_owned(),
                "error" => line.to_owned(),
                _ => {
                    assert_eq!(resource["resourceType"], file["type"]);
                    format!("{}/{}", file["type"].as_str().unwrap(), resource["id"].as_str().unwrap())
                }
            };
            assert!(found.insert(key.clone(), resource).is_none(), "{key} comes twice");
            count += 1;
        }
        assert_eq!(file["count"], count);
    }
    found
}

/// The whole of an export.
pub async fn exported(caller: &Caller, path: &str) -> BTreeMap<String, Value> {
    let manifest = manifest(caller, kick_off(caller, path).await).await;
    lines(caller, &manifest, "output").await
}

pub fn names(lines: &BTreeMap<String, Value>) -> Vec<&str> {
    lines.keys().map(String::as_str).collect()
}

/// Two patients with a record each, and what belongs to both or to nobody.
pub async fn people(server: &TestServer) {
    let system = server.system();
    let about = |patient: &str| json!({ "reference": format!("Patient/{patient}") });
    for patient in ["ann", "bob", "cyd"] {
        let resource = json!({ "resourceType": "Patient", "id": patient, "name": [{ "family": patient }] });
        system.put(&format!("Patient/{patient}"), &resource).await.assert_status(201);
        let resource = json!({
            "resourceType": "Observation", "id": format!("obs-{patient}"), "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "8302-2" }] }, "subject": about(patient)
        });
        system.put(&format!("Observation/obs-{patient}"), &resource).await.assert_status(201);
    }
    let other = json!({
        "resourceType": "Observation", "id": "weight", "status": "preliminary", "subject": about("ann"),
        "code": { "coding": [{ "system": "http://loinc.org", "code": "29463-7" }] }
    });
    system.put("Observation/weight", &other).await.assert_status(201);
    let both = json!({
        "resourceType": "Appointment", "id": "both", "status": "proposed",
        "participant": [
            { "actor": about("ann"), "status": "accepted" }, { "actor": about("bob"), "status": "accepted" }
        ]
    });
    system.put("Appointment/both", &both).await.assert_status(201);
    let device = json!({ "resourceType": "Device", "id": "pacemaker", "patient": about("bob") });
    system.put("Device/pacemaker", &device).await.assert_status(201);
    let organization = json!({ "resourceType": "Organization", "id": "house", "name": "House" });
    system.put("Organization/house", &organization).await.assert_status(201);
    let basic =
        json!({ "resourceType": "Binary", "id": "bytes", "contentType": "text/plain", "data": "YQ==" });
    system.put("Binary/bytes", &basic).await.assert_status(201);
    let inner = json!({
        "resourceType": "Group", "id": "inner", "type": "person", "actual": true,
        "member": [{ "entity": about("bob") }]
    });
    system.put("Group/inner", &inner).await.assert_status(201);
    let outer = json!({
        "resourceType": "Group", "id": "outer", "type": "person", "actual": true,
        "member": [
            { "entity": about("ann") }, { "entity": { "reference": "Group/inner" } },
            { "entity": about("cyd"), "inactive": true }
        ]
    });
    system.put("Group/outer", &outer).await.assert_status(201);
}
