//! Authorization requests that are not in order: shown where the address cannot be trusted, else sent back.

use super::{Browser, FormBody, REDIRECT, VERIFIER, request_of, start};
use crate::support::server::send;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_about_the_client_is_shown_and_never_redirected() {
    let server = start().await;
    for changes in [
        &[("client_id", "nobody")][..],
        &[("client_id", "")],
        &[("redirect_uri", "http://localhost:8000/other")],
        &[("redirect_uri", "http://localhost:8000")],
        &[("redirect_uri", "https://evil.example/")],
        &[("redirect_uri", "")],
    ] {
        let browser = Browser::open(&server, changes).await;
        assert_eq!(browser.page.status, 400, "{changes:?}");
        assert_eq!(browser.page.header("location"), "", "{changes:?}");
        browser.shows("This cannot go on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_is_told_to_the_app() {
    let server = start().await;
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("aud", "https://elsewhere.example/fhir")], "invalid_request"),
        (&[("aud", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", VERIFIER), ("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("scope", "")], "invalid_request"),
        (&[("scope", "nonsense system/*.rs")], "invalid_scope"),
        (&[("scope", "launch patient/*.rs")], "invalid_request"),
        (&[("launch", "made-up")], "invalid_request"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("request", "x")], "request_not_supported"),
        (&[("max_age", "soon")], "invalid_request"),
    ] {
        let browser = Browser::open(&server, changes).await;
        let sent = browser.sent();
        assert_eq!(sent["error"], error, "{changes:?}");
        assert_eq!(sent["state"], "a state & more", "{changes:?}");
        assert_eq!(sent["iss"], server.url(), "{changes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_be_posted_but_says_each_thing_once() {
    let server = start().await;
    let mut browser = Browser::new(&server);
    let form = request_of(&server, &[]);
    let post = |form: &[(String, String)]| server.stranger().request("POST", "/auth/authorize").form(form);
    browser.follow(post(&form)).await;
    browser.shows("name=\"username\"");
    let mut twice = form.clone();
    twice.push(("scope".into(), "openid".into()));
    browser.follow(post(&twice)).await;
    assert_eq!(browser.sent()["error"], "invalid_request");
    let mut twice = form;
    twice.push(("redirect_uri".into(), REDIRECT.into()));
    browser.follow(post(&twice)).await;
    assert_eq!(browser.page.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_belongs_to_its_browser_and_to_our_own_forms() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    let flow = browser.field("flow");
    let mut stranger = Browser::new(&server);
    stranger.get(&format!("/auth/flow?flow={flow}")).await;
    assert_eq!(stranger.page.status, 400);
    let (csrf, step) = (browser.field("csrf"), browser.field("step"));
    for form in [
        vec![("flow", flow.as_str()), ("step", &step), ("username", "pat")],
        vec![("flow", &flow), ("csrf", "made-up"), ("step", &step)],
        vec![("flow", "made-up"), ("csrf", &csrf), ("step", &step)],
    ] {
        browser.post("/auth/flow", &form).await;
        assert_eq!(browser.page.status, 400, "{form:?}");
    }
    // A step that is not the step now skips nothing.
    let form = [
        ("flow", flow.as_str()),
        ("csrf", &csrf),
        ("step", "consent"),
        ("decision", "allow"),
        ("scope", "patient/*.rs"),
    ];
    browser.post("/auth/flow", &form).await;
    browser.shows("name=\"username\"");
    server.clock.step(601_000_000);
    browser.get(&format!("/auth/flow?flow={flow}")).await;
    assert_eq!(browser.page.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_ends_with_one_code() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    browser.sign_in("pat").await;
    let (csrf, flow) = (browser.field("csrf"), browser.field("flow"));
    browser.allow().await;
    browser.code();
    let form = [
        ("csrf", csrf.as_str()),
        ("flow", &flow),
        ("step", "consent"),
        ("decision", "allow"),
        ("scope", "patient/*.rs"),
    ];
    browser.post("/auth/flow", &form).await;
    assert_eq!(browser.page.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_ask_for_tokens_but_not_for_pages() {
    let server = start().await;
    let request = server.stranger().request("OPTIONS", "/auth/token");
    let answer = send(
        request
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization"),
    )
    .await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-allow-headers").contains("Authorization"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}
