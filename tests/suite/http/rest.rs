//! Answers of the RESTful API: status, validators, preferences, formats, compression.

use crate::support::server::{Answer, TestServer, fhir, send};
use serde_json::json;
use std::io::Read;

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_goes_in_and_comes_out() {
    let server = TestServer::start().await;
    let system = server.system();
    let made = system.post("Patient", &json!({ "resourceType": "Patient", "active": true })).await;
    let made = made.assert_status(201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("{}/fhir/Patient/{id}/_history/1", server.url()));
    assert_eq!(made.header("etag"), "W/\"1\"");
    assert_eq!(made.header("content-type"), "application/fhir+json; charset=utf-8");
    let path = format!("Patient/{id}");
    let read = system.get(&path).await.assert_status(200);
    assert_eq!(read.json()["active"], true);
    assert!(read.header("last-modified").ends_with(" GMT"), "{}", read.header("last-modified"));

    let changed = json!({ "resourceType": "Patient", "id": id, "active": false });
    let stale = fhir(system.request("PUT", &path), &changed).header("if-match", "W/\"9\"");
    send(stale).await.assert_status(412);
    let current = fhir(system.request("PUT", &path), &changed).header("if-match", "W/\"1\"");
    let updated = send(current).await.assert_status(200);
    assert_eq!((updated.header("etag"), updated.header("location")), ("W/\"2\"", ""));
    let patch = json!([{ "op": "replace", "path": "/active", "value": true }]);
    assert_eq!(system.patch(&path, &patch).await.assert_status(200).json()["active"], true);
    let first = system.get(&format!("{path}/_history/1")).await.assert_status(200);
    assert_eq!(first.json()["meta"]["versionId"], "1");
    for history in [format!("{path}/_history"), "Patient/_history".to_owned(), "_history".to_owned()] {
        assert_eq!(system.get(&history).await.assert_status(200).json()["type"], "history", "{history}");
    }
    system.delete(&path).await.assert_status(204);
    assert_eq!(system.get(&path).await.assert_status(410).issue(), "deleted");
    assert_eq!(system.get("Patient/nobody").await.assert_status(404).issue(), "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_version_gets_304() {
    let server = TestServer::start().await;
    let system = server.system();
    system.put("Patient/a", &json!({ "resourceType": "Patient", "id": "a" })).await.assert_status(201);
    let date = system.get("Patient/a").await.header("last-modified").to_owned();
    for (name, value, status) in [
        ("if-none-match", "W/\"1\"", 304),
        ("if-none-match", "W/\"2\"", 200),
        ("if-modified-since", date.as_str(), 304),
        ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT", 200),
        ("if-modified-since", "yesterday", 200),
    ] {
        let answer = send(system.request("GET", "Patient/a").header(name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert_eq!(answer.body.is_empty(), status == 304, "{name}: {value}");
        assert_eq!(answer.header("etag"), "W/\"1\"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_says_what_a_write_answers() {
    let server = TestServer::start().await;
    let system = server.system();
    let patient = json!({ "resourceType": "Patient" });
    let post =
        |prefer: &str| send(fhir(system.request("POST", "Patient"), &patient).header("prefer", prefer));
    let minimal = post("return=minimal").await.assert_status(201);
    assert!(minimal.body.is_empty() && minimal.header("location").contains("/fhir/Patient/"));
    let outcome = post("return=OperationOutcome").await.assert_status(201);
    assert_eq!(outcome.json()["issue"][0]["severity"], "information");
    assert_eq!(post("return=representation").await.assert_status(201).json()["resourceType"], "Patient");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_written_as_asked() {
    let server = TestServer::start().await;
    let stranger = server.stranger();
    let statement = stranger.get("metadata").await.assert_status(200);
    assert_eq!(statement.json()["fhirVersion"], "4.0.1");
    let plain = send(stranger.request("GET", "metadata").header("accept", "application/json")).await;
    assert_eq!(plain.header("content-type"), "application/json; charset=utf-8");
    let pretty = stranger.get("metadata?_pretty=true&_format=json").await.assert_status(200);
    assert!(pretty.text().starts_with("{\n  \"resourceType\""));
    assert_eq!(pretty.json(), statement.json());
    for encoding in ["gzip", "zstd"] {
        let request = stranger.request("GET", "metadata").header("accept-encoding", encoding);
        let answer = send(request).await.assert_status(200);
        assert_eq!(answer.header("content-encoding"), encoding);
        assert!(answer.body.len() * 4 < statement.body.len());
        let mut whole = Vec::new();
        match encoding {
            "gzip" => flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut whole).unwrap(),
            _ => zstd::stream::read::Decoder::new(&answer.body[..]).unwrap().read_to_end(&mut whole).unwrap(),
        };
        assert_eq!(whole, statement.body);
    }
    let small = stranger.request("GET", "/health/live").header("accept-encoding", "gzip");
    assert_eq!(send(small).await.header("content-encoding"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_by_post_and_compartments_find_the_same() {
    let server = TestServer::start().await;
    let system = server.system();
    system.put("Patient/a", &json!({ "resourceType": "Patient", "id": "a" })).await.assert_status(201);
    let form = |path: &str, body: &'static str| {
        let request =
            system.request("POST", path).header("content-type", "application/x-www-form-urlencoded");
        send(request.body(body))
    };
    // Whatever a search answers, it answers however it is asked.
    let found = |answer: &Answer| (answer.status, answer.json()["entry"][0]["resource"]["id"].clone());
    let expected = found(&system.get("Patient?_id=a").await);
    assert_ne!(expected.0, 404);
    for (path, body) in
        [("Patient/_search", "_id=a"), ("Patient/_search?_id=a", ""), ("_search", "_type=Patient&_id=a")]
    {
        assert_eq!(found(&form(path, body).await), expected, "{path}");
    }
    for path in ["Patient/a/Observation", "Patient/a/*"] {
        assert_eq!(system.get(path).await.status, expected.0, "{path}");
    }
    assert_eq!(form("Patient/a/Observation/_search", "status=final").await.status, expected.0);
    assert_eq!(system.get("Organization/a/Observation").await.assert_status(404).issue(), "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_is_raw_or_a_resource() {
    let server = TestServer::start().await;
    let system = server.system();
    let content = b"%PDF-1.7 \x00\xff not text".to_vec();
    let request = system.request("PUT", "Binary/scan").header("content-type", "application/pdf");
    let request = request.header("x-security-context", "Patient/a").body(content.clone());
    send(request).await.assert_status(201);
    let raw = system.get("Binary/scan").await.assert_status(200);
    assert_eq!((raw.header("content-type"), &raw.body), ("application/pdf", &content));
    assert_eq!((raw.header("etag"), raw.header("x-security-context")), ("W/\"1\"", "Patient/a"));
    assert!(raw.header("content-security-policy").contains("sandbox"));
    let asked = system.request("GET", "Binary/scan").header("accept", "application/fhir+json");
    let resource = send(asked).await.assert_status(200).json();
    assert_eq!(resource["contentType"], "application/pdf");
    assert_eq!(resource["securityContext"]["reference"], "Patient/a");
    let other = system.request("GET", "Binary/scan").header("accept", "image/png");
    assert_eq!(send(other).await.status, 406);
    let json = json!({ "resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "aGk=" });
    system.put("Binary/b", &json).await.assert_status(201);
    assert_eq!(system.get("Binary/b").await.assert_status(200).text(), "hi");
    let made = system.request("POST", "Binary").header("content-type", "text/csv").body("a,b");
    assert!(send(made).await.assert_status(201).header("location").contains("/fhir/Binary/"));
}
