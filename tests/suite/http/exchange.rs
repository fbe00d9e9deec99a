//! What holds for every request: paths, methods, ids, headers, origins.

use crate::support::server::{TestServer, send};

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_outcomes() {
    let server = TestServer::start().await;
    let user = server.user("user/*.rs");
    for path in ["/", "/nothing", "/fhir/a/b/c/d/e", "/health"] {
        assert_eq!(user.get(path).await.assert_status(404).issue(), "not-found", "{path}");
    }
    for path in ["Nothing", "Nothing/1", "patient", "Nothing/_history", "Patient/1/Nothing"] {
        assert_eq!(user.get(path).await.assert_status(404).issue(), "not-found", "{path}");
    }
    let answer = user.delete("metadata").await.assert_status(405);
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    assert_eq!(answer.issue(), "not-supported");
    let answer = send(user.request("BREW", "Patient/1")).await.assert_status(405);
    assert_eq!(answer.header("allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body_and_options_tells_methods() {
    let server = TestServer::start().await;
    let stranger = server.stranger();
    let get = stranger.get("/health/live").await.assert_status(200);
    let head = send(stranger.request("HEAD", "/health/live")).await.assert_status(200);
    assert!(head.body.is_empty() && !get.body.is_empty());
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    let options = send(stranger.request("OPTIONS", "Patient")).await.assert_status(204);
    assert_eq!(options.header("allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_makes_no_difference() {
    let server = TestServer::start().await;
    for path in ["/fhir/", "Patient/", "Patient/1/"] {
        assert_eq!(server.stranger().get(path).await.status, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_protective_headers() {
    let server = TestServer::start().await;
    let stranger = server.stranger();
    for path in ["/health/live", "Patient/1", "/nothing"] {
        let answer = stranger.get(path).await;
        assert!(uuid::Uuid::parse_str(answer.header("x-request-id")).is_ok(), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert_eq!(answer.header("strict-transport-security"), "", "not over plain HTTP");
    }
    let id = "0190a0b0-1111-7222-8333-444455556666";
    let request = stranger.request("GET", "/health/live").header("x-request-id", id);
    let answer = send(request.header("x-correlation-id", "my call")).await;
    assert_eq!((answer.header("x-request-id"), answer.header("x-correlation-id")), (id, "my call"));
    let request = stranger.request("GET", "/health/live").header("x-request-id", "no uuid");
    assert_ne!(send(request).await.header("x-request-id"), "no uuid");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_allowed_origins_may_call() {
    let server = TestServer::start_with(|config| {
        config.listener.cors_origins = vec!["https://app.example.org".to_owned()];
    })
    .await;
    let preflight = |origin: &'static str| {
        let request = server.stranger().request("OPTIONS", "Patient/1").header("origin", origin);
        request
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "authorization,if-match")
    };
    let answer = send(preflight("https://app.example.org")).await.assert_status(204);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.org");
    assert!(answer.header("access-control-allow-headers").contains("Authorization"));
    assert!(answer.header("access-control-allow-methods").contains("PUT"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let answer = send(preflight("https://elsewhere.example.org")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    // A refusal must be readable, too, else the page cannot tell that its token ended.
    let request = server.stranger().request("GET", "Patient/1").header("origin", "https://app.example.org");
    let answer = send(request).await.assert_status(401);
    assert!(answer.header("access-control-expose-headers").contains("Location"));
}
