//! Bodies: what is taken, in which encodings, up to which size; what may be answered.

use crate::support::server::{TestServer, fhir, send};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_media_types_are_refused() {
    let server = TestServer::start().await;
    let system = server.system();
    let post = |media_type: &str| {
        system
            .request("POST", "Patient")
            .header("content-type", media_type)
            .body("{\"resourceType\":\"Patient\"}")
    };
    for media_type in
        ["text/plain", "application/fhir+json; charset=latin1", "application/fhir+json; fhirVersion=5.0"]
    {
        let answer = send(post(media_type)).await.assert_status(415);
        assert_eq!(answer.issue(), "not-supported", "{media_type}");
    }
    let answer = send(post("application/fhir+json").header("accept", "text/html")).await.assert_status(406);
    assert_eq!(answer.issue(), "not-supported");
    let answer = system.get("Patient/1?_format=ttl").await;
    assert_eq!(answer.status, 406);
    let patch = fhir(system.request("PATCH", "Patient/1"), &json!({ "resourceType": "Patient" }));
    assert_eq!(send(patch).await.status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_must_fit_its_address() {
    let server = TestServer::start().await;
    let system = server.system();
    let answer = system.post("Observation", &json!({ "resourceType": "Patient" })).await.assert_status(400);
    assert_eq!(answer.issue(), "invalid");
    for id in [json!("2"), json!(null)] {
        let mut patient = json!({ "resourceType": "Patient", "id": id });
        patient.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let answer = system.put("Patient/1", &patient).await.assert_status(400);
        assert_eq!(answer.json()["issue"][0]["expression"][0], "Patient.id");
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let request = fhir(system.request(method, "Patient"), &json!({ "resourceType": "Patient" }));
        assert_eq!(send(request).await.assert_status(400).issue(), "required", "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_are_not_understood_refuse_the_request() {
    let server = TestServer::start().await;
    let system = server.system();
    let patient = json!({ "resourceType": "Patient", "id": "1" });
    for (name, value) in [("if-match", "3"), ("if-match", "W/\"1\", W/\"2\""), ("if-none-match", "W/\"1\"")] {
        let request = fhir(system.request("PUT", "Patient/1"), &patient).header(name, value);
        assert_eq!(send(request).await.assert_status(400).issue(), "value", "{name}: {value}");
    }
    for value in ["", "?", "identifier=%zz"] {
        let request = fhir(system.request("POST", "Patient"), &patient).header("if-none-exist", value);
        assert_eq!(send(request).await.assert_status(400).issue(), "value", "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_one_limit_before_and_after_decompression() {
    let server = TestServer::start_with(|config| config.limits.body_bytes = 100_000).await;
    let system = server.system();
    let post = |body: Vec<u8>| {
        system.request("POST", "Patient").header("content-type", "application/fhir+json").body(body)
    };
    let large = format!("{{\"resourceType\":\"Patient\"{}}}", " ".repeat(200_000)).into_bytes();
    assert_eq!(send(post(large.clone())).await.assert_status(413).issue(), "too-long");
    let bomb = post(gzip(&large)).header("content-encoding", "gzip");
    assert_eq!(send(bomb).await.assert_status(413).issue(), "too-long");
    let broken = post(b"no gzip".to_vec()).header("content-encoding", "gzip");
    assert_eq!(send(broken).await.assert_status(400).issue(), "structure");
    let unknown = post(b"{}".to_vec()).header("content-encoding", "br");
    assert_eq!(send(unknown).await.status, 415);
    let wrong = gzip(b"{\"resourceType\":\"Observation\"}");
    let answer = send(post(wrong).header("content-encoding", "gzip")).await.assert_status(400);
    assert_eq!(answer.json()["issue"][0]["expression"][0], "resourceType", "it was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_and_searches_are_read_before_anything_is_done() {
    let server = TestServer::start().await;
    let system = server.system();
    assert_ne!(system.patch("Patient/1", &json!([])).await.status, 415);
    let answer = system.get("Patient?name=%zz").await.assert_status(400);
    assert_eq!(answer.issue(), "value");
    let form =
        system.request("POST", "Patient/_search").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(form.body("name=%ff")).await.assert_status(400).issue(), "value");
    let json = fhir(system.request("POST", "Patient/_search"), &json!({}));
    assert_eq!(send(json).await.status, 415);
}
