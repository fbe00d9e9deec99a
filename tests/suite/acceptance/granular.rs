//! A granular scope, on every way that leads to a resource.

use crate::smart::FormBody as _;
use crate::support::server::{TestServer, send};
use serde_json::{Value, json};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

fn observation(id: &str, category: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "category": [{ "coding": [{ "system": CATEGORY, "code": category }] }],
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
        "subject": { "reference": "Patient/p" }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granular_scope_narrows_every_way_to_a_resource() {
    let server = TestServer::start_with_tls().await;
    let system = server.system();
    system.put("Patient/p", &json!({ "resourceType": "Patient", "id": "p" })).await.assert_status(201);
    for (id, category) in [("lab", "laboratory"), ("vital", "vital-signs")] {
        let path = format!("Observation/{id}");
        system.put(&path, &observation(id, category)).await.assert_status(201);
    }
    let report = json!({
        "resourceType": "DiagnosticReport", "id": "r", "status": "final",
        "code": { "text": "both" }, "subject": { "reference": "Patient/p" },
        "result": [{ "reference": "Observation/lab" }, { "reference": "Observation/vital" }]
    });
    system.put("DiagnosticReport/r", &report).await.assert_status(201);
    let scope = format!(
        "patient/Patient.rs patient/DiagnosticReport.rs patient/Observation.rs?category={CATEGORY}|laboratory"
    );
    let app = server.bearer(server.token(&scope, Some("p")));
    let whole = server.bearer(server.token("patient/*.rs", Some("p")));

    for path in ["Observation/lab", "Observation/lab/_history", "Observation/lab/_history/1"] {
        app.get(path).await.assert_status(200);
    }
    for path in ["Observation/vital", "Observation/vital/_history", "Observation/vital/_history/1"] {
        app.get(path).await.assert_status(404);
        whole.get(path).await.assert_status(200);
    }
    for path in [
        "Observation?patient=p",
        "Observation?code=8867-4",
        "Patient/p/Observation",
        "Observation/_history",
        "_history",
        "DiagnosticReport?_id=r&_include=DiagnosticReport:result",
        "Patient?_id=p&_revinclude=Observation:patient",
        "Patient/p/$everything",
        "Observation/$lastn?patient=p",
    ] {
        let seen = |text: &str, id: &str| {
            text.contains(&format!("\"id\":\"{id}\"")) || text.contains(&format!("\"id\": \"{id}\""))
        };
        let text = app.get(path).await.assert_status(200).text();
        assert!(!seen(&text, "vital"), "{path}: {text}");
        // The latest of a code is one alone: the other one, for those who see both.
        if !path.contains("$lastn") {
            assert!(seen(&text, "lab"), "{path}: {text}");
            assert!(seen(&whole.get(path).await.assert_status(200).text(), "vital"), "{path}");
        }
    }
    let form = app.request("POST", "Observation/_search").form(&[("patient", "p")]);
    let text = send(form).await.assert_status(200).text();
    assert!(text.contains("Observation/lab") && !text.contains("Observation/vital"));
    let count = app.get("Observation?patient=p&_summary=count").await.assert_status(200).json();
    assert_eq!(count["total"], 1);
    // A type that no scope names is refused, whole.
    app.get("Condition").await.assert_status(403);
    app.get("Condition/x").await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_origin_may_read_what_is_for_apps() {
    let server = TestServer::start_with_tls().await;
    let preflight = |path: &str, method: &str| {
        let request = server.stranger().request("OPTIONS", path).header("origin", "https://app.example");
        let request = request.header("access-control-request-method", method.to_owned());
        send(request.header("access-control-request-headers", "authorization, content-type"))
    };
    for (path, method) in [
        ("/auth/token", "POST"),
        ("/auth/revoke", "POST"),
        ("/auth/introspect", "POST"),
        ("/auth/userinfo", "GET"),
        ("/.well-known/jwks.json", "GET"),
        ("/.well-known/openid-configuration", "GET"),
        ("/fhir/.well-known/smart-configuration", "GET"),
        ("metadata", "GET"),
        ("Patient", "GET"),
        ("Patient/1", "PUT"),
        ("Patient/_search", "POST"),
    ] {
        let answer = preflight(path, method).await.assert_status(204);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert!(answer.header("access-control-allow-methods").contains(method), "{path}");
        let headers = answer.header("access-control-allow-headers").to_ascii_lowercase();
        assert!(headers.contains("authorization") && headers.contains("content-type"), "{path}: {headers}");
    }
    for path in ["/.well-known/jwks.json", "/fhir/.well-known/smart-configuration", "metadata", "Patient/1"] {
        let request = server.stranger().request("GET", path).header("origin", "https://app.example");
        assert_eq!(send(request).await.header("access-control-allow-origin"), "*", "{path}");
    }
    // Never with a cookie: where users sign in, a page of another origin sees a stranger's page.
    let request = server.stranger().request("GET", "/auth/manage").header("origin", "https://app.example");
    assert_eq!(send(request).await.header("access-control-allow-credentials"), "");
}
