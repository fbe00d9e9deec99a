//! Every endpoint refuses a stranger, and every bad token is refused with the same words.

use crate::support::server::{TestServer, fhir, send};
use serde_json::json;
use vesta::http::routes::{ENDPOINTS, Guard};

/// A path that fits a template.
fn example(template: &str) -> String {
    let path = template.replace("{type}", "Patient").replace("{id}", "1").replace("{version}", "1");
    path.replace("{operation}", "validate").replace("{member}", "Observation").replace("{job}", "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_with_a_guard_refuses_a_stranger() {
    let server = TestServer::start_with_tls().await;
    let stranger = server.stranger();
    let mut guarded = 0;
    for endpoint in ENDPOINTS.iter().filter(|it| it.guard == Guard::Bearer) {
        guarded += 1;
        for method in [endpoint.method, "HEAD"] {
            if method == "HEAD" && endpoint.method != "GET" {
                continue;
            }
            let request = stranger.request(method, &example(endpoint.path));
            let answer = send(fhir(request, &json!({ "resourceType": "Patient" }))).await;
            let place = format!("{method} {}", endpoint.path);
            assert_eq!(answer.status, 401, "{place}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"fhir\"", "{place}");
            if method != "HEAD" {
                assert_eq!(answer.issue(), "login", "{place}");
            }
        }
    }
    assert!(guarded > 20, "the table was not read");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_needs_no_token() {
    let server = TestServer::start_with_tls().await;
    for path in ["/health/live", "/health/ready", "/metrics"] {
        server.stranger().get(path).await.assert_status(200);
    }
    assert_ne!(server.stranger().get("metadata").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_told_nothing() {
    let server = TestServer::start_at_with_tls("2026-11-24T12:00:00Z", |_| {}).await;
    let good = server.token("user/*.rs", None);
    assert_ne!(server.bearer(good.clone()).get("Patient/1").await.status, 401);

    let changed = |name: &str, value: serde_json::Value| {
        let mut claims = server.claims("user/*.rs");
        claims[name] = value;
        server.sign(&claims)
    };
    let now = server.clock.now().as_second();
    let mut unsigned = good.split('.').collect::<Vec<_>>();
    unsigned[2] = "";
    let other = TestServer::start_at_with_tls("2026-11-24T12:00:00Z", |_| {}).await;
    let mut of_another_key = server.claims("user/*.rs");
    of_another_key["jti"] = "x".into();
    let tokens = [
        ("nothing", String::new()),
        ("no token", "abc".to_owned()),
        ("no signature", unsigned.join(".")),
        ("another key", other.sign(&of_another_key)),
        ("expired", changed("exp", (now - 10).into())),
        ("not yet", changed("nbf", (now + 100).into())),
        ("too long", changed("exp", (now + 3600).into())),
        ("another issuer", changed("iss", "https://elsewhere".into())),
        ("another audience", changed("aud", "https://elsewhere/fhir".into())),
        ("a bad patient", changed("patient", "a b".into())),
        ("no subject", changed("sub", json!(null))),
    ];
    let mut words = Vec::new();
    for (case, token) in tokens {
        let answer = server.bearer(token).get("Patient/1").await;
        assert_eq!(answer.status, 401, "{case}");
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{case}");
        words.push(answer.body);
    }
    words.dedup();
    assert_eq!(words.len(), 1);
    let basic = server.stranger().request("GET", "Patient/1").basic_auth("a", Some("b"));
    assert_eq!(send(basic).await.status, 401);
    let in_the_url = server.stranger().get(&format!("Patient/1?access_token={good}")).await;
    assert_eq!(in_the_url.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_token_ends_in_time() {
    let server = TestServer::start_at_with_tls("2026-11-24T12:00:00Z", |_| {}).await;
    let user = server.user("user/*.rs");
    assert_ne!(user.get("Patient/1").await.status, 401);
    server.clock.step(890_000_000);
    assert_ne!(user.get("Patient/1").await.status, 401);
    server.clock.step(20_000_000);
    assert_eq!(user.get("Patient/1").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_need_their_token_where_there_is_one() {
    let token = "a-token-for-metrics";
    let server = TestServer::start_with_tls_and(|config| {
        config.listener.metrics_token = Some(token.to_owned().into());
    })
    .await;
    assert_eq!(server.stranger().get("/metrics").await.status, 401);
    assert_eq!(server.user("user/*.rs").get("/metrics").await.status, 401);
    server.bearer(token.to_owned()).get("/metrics").await.assert_status(200);
}
