//! What the authorization server tells, claim by claim, and exports that are asked for by POST.

use crate::bulk::{kick_off_by_post, lines, manifest, names, reader};
use crate::smart;
use crate::support::server::{TestServer, send};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_says_what_it_must() {
    let server = smart::start().await;
    let tokens = smart::patient_tokens(&server, "openid fhirUser launch/patient patient/*.rs").await;
    let token = smart::text(&tokens, "id_token");
    let head = header(&token);
    assert_eq!(head["alg"], "RS256");
    let keys = server.stranger().get("/.well-known/jwks.json").await.assert_status(200).json();
    let key = keys["keys"].as_array().unwrap().iter().find(|it| it["kid"] == head["kid"]).unwrap();
    assert_eq!(key["kty"], "RSA");
    let claims = smart::claims(&token);
    assert_eq!(claims["iss"], server.url());
    assert_eq!(claims["aud"], "app");
    let sub = claims["sub"].as_str().unwrap();
    assert!(!sub.is_empty() && sub.len() < 256);
    assert!(claims["exp"].as_i64().unwrap() > claims["iat"].as_i64().unwrap());
    assert_eq!(claims["fhirUser"], format!("{}/fhir/Patient/pat", server.url()));
    assert!(claims.get("nonce").is_none(), "nobody asked for one");
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_tells_the_context_of_a_launch() {
    let server = smart::start().await;
    let encounter = json!({
        "resourceType": "Encounter", "id": "e1", "status": "in-progress", "subject": { "reference": "Patient/sam" },
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" }
    });
    server.system().put("Encounter/e1", &encounter).await.assert_status(201);
    let ask = server.stranger().request("POST", "/auth/launch").basic_auth("ehr", Some(smart::SECRET));
    let form = [("client", "app"), ("user", "ada"), ("patient", "sam"), ("encounter", "e1")];
    let launch = send(smart::FormBody::form(ask, &form)).await.assert_status(200).json();
    let name = smart::text(&launch, "launch");
    let changes = [("launch", name.as_str()), ("scope", "launch openid fhirUser patient/*.rs")];
    let mut browser = smart::Browser::open(&server, &changes).await;
    browser.sign_in("ada").await;
    browser.allow().await;
    let tokens = smart::exchange(&server, &browser.code()).await.assert_status(200).json();
    let ask = server.stranger().request("POST", "/auth/introspect").basic_auth("web", Some(smart::SECRET));
    let token = smart::text(&tokens, "access_token");
    let told = send(smart::FormBody::form(ask, &[("token", token.as_str())])).await.assert_status(200).json();
    assert_eq!(told["active"], true);
    assert_eq!((&told["patient"], &told["encounter"]), (&json!("sam"), &json!("e1")));
    assert_eq!(told["fhirUser"], format!("{}/fhir/Practitioner/ada", server.url()));
    assert_eq!(told["client_id"], "app");
    assert_eq!(told["scope"], "launch openid fhirUser patient/*.rs");
    for name in ["exp", "iss", "sub"] {
        assert!(!told[name].is_null(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_asked_for_by_post() {
    let server = TestServer::start_with_tls().await;
    let system = server.system();
    for id in ["ann", "bob"] {
        system
            .put(&format!("Patient/{id}"), &json!({ "resourceType": "Patient", "id": id }))
            .await
            .assert_status(201);
    }
    let reader = reader(&server, "analyst", "system/*.rs");
    let parameters = json!([
        { "name": "patient", "valueReference": { "reference": "Patient/ann" } },
        { "name": "_type", "valueString": "Patient" }
    ]);
    let kicked_off = kick_off_by_post(&reader, "Patient/$export", &parameters).await;
    let manifest = manifest(&reader, kicked_off).await;
    assert_eq!(names(&lines(&reader, &manifest, "output").await), ["Patient/ann"]);
    for field in ["transactionTime", "request", "requiresAccessToken", "output", "deleted", "error"] {
        assert!(!manifest[field].is_null(), "{field}");
    }
}
