//! What clients read before they ask, and that it is true.

use super::start;
use crate::support::server::TestServer;
use vesta::http::routes::ENDPOINTS;

#[tokio::test(flavor = "multi_thread")]
async fn the_smart_configuration_names_endpoints_that_are_there() {
    let server = start().await;
    let answer = server.stranger().get("/fhir/.well-known/smart-configuration").await.assert_status(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json();
    for field in [
        "authorization_endpoint",
        "token_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "registration_endpoint",
        "management_endpoint",
        "jwks_uri",
        "user_access_brand_bundle",
        "userinfo_endpoint",
        "end_session_endpoint",
    ] {
        let url = document[field].as_str().unwrap_or_else(|| panic!("{field}"));
        let path = url.strip_prefix(&server.url()).unwrap();
        assert!(ENDPOINTS.iter().any(|it| it.path == path), "{field} {path}");
    }
    assert_eq!(document["issuer"], server.url());
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    let has = |field: &str, value: &str| {
        assert!(document[field].as_array().unwrap().iter().any(|it| it == value), "{field} {value}");
    };
    for capability in [
        "launch-ehr",
        "launch-standalone",
        "authorize-post",
        "client-public",
        "client-confidential-symmetric",
        "client-confidential-asymmetric",
        "sso-openid-connect",
        "context-banner",
        "context-style",
        "context-ehr-patient",
        "context-ehr-encounter",
        "context-standalone-patient",
        "permission-offline",
        "permission-online",
        "permission-patient",
        "permission-user",
        "permission-v1",
        "permission-v2",
        "smart-app-state",
    ] {
        has("capabilities", capability);
    }
    has("scopes_supported", "offline_access");
    has("response_types_supported", "code");
    for grant in ["authorization_code", "refresh_token", "client_credentials"] {
        has("grant_types_supported", grant);
    }
    for method in ["none", "client_secret_basic", "client_secret_post"] {
        has("token_endpoint_auth_methods_supported", method);
    }
    has("token_endpoint_auth_methods_supported", "private_key_jwt");
    has("token_endpoint_auth_signing_alg_values_supported", "RS384");
    has("token_endpoint_auth_signing_alg_values_supported", "ES384");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_documents_are_there_for_everybody() {
    let server = start().await;
    let openid = server.stranger().get("/.well-known/openid-configuration").await.assert_status(200).json();
    assert_eq!(openid["issuer"], server.url());
    let keys = server.stranger().get("/.well-known/jwks.json").await.assert_status(200).json();
    let kinds: Vec<&str> =
        keys["keys"].as_array().unwrap().iter().map(|it| it["kty"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"RSA") && kinds.contains(&"EC"), "{kinds:?}");
    assert!(!keys.to_string().contains("\"d\""), "a private key is shown");
    let brands = server.stranger().get("/auth/brands").await.assert_status(200);
    assert_eq!(brands.header("content-type"), "application/fhir+json");
    assert_eq!(brands.json()["resourceType"], "Bundle");
    let style = server.stranger().get("/assets/style.css").await.assert_status(200);
    assert!(style.header("content-type").starts_with("text/css"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_the_one_before_still_checks() {
    let server = start().await;
    let tokens = super::patient_tokens(&server, "openid launch/patient patient/*.rs").await;
    let until = server.clock.now_microseconds() + 3_600_000_000;
    server.app.store.rotate_signing_keys(vesta::fhir::id::TenantId(1), until).await.unwrap();
    let app = server.bearer(super::text(&tokens, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    let again = super::patient_tokens(&server, "openid launch/patient patient/*.rs").await;
    let kid = |token: &serde_json::Value| {
        let token = token["id_token"].as_str().unwrap().to_owned();
        token.split('.').next().unwrap().to_owned()
    };
    assert_ne!(kid(&tokens), kid(&again));
    let keys = server.stranger().get("/.well-known/jwks.json").await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_capability_statement_names_the_same_endpoints() {
    let server = TestServer::start_with_tls().await;
    let stranger = server.stranger();
    let smart = stranger.get(".well-known/smart-configuration").await.assert_status(200).json();
    let statement = stranger.get("metadata").await.assert_status(200).json();
    let uris = &statement["rest"][0]["security"]["extension"][0]["extension"];
    for (name, field) in [
        ("authorize", "authorization_endpoint"),
        ("token", "token_endpoint"),
        ("register", "registration_endpoint"),
        ("introspect", "introspection_endpoint"),
        ("revoke", "revocation_endpoint"),
        ("manage", "management_endpoint"),
    ] {
        let named = uris.as_array().unwrap().iter().find(|it| it["url"] == name).unwrap();
        assert_eq!(named["valueUri"], smart[field], "{name}");
    }
}
