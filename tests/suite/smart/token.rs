//! The token endpoint: codes and refresh tokens, each good once, and what happens when they are not.

use super::{
    Browser, FormBody, SECRET, VERIFIER, exchange, patient_tokens, refresh, start, text, token_request,
};
use crate::support::server::{TestServer, send};
use vesta::crypto::token_hash::pkce_challenge;

const SCOPE: &str = "openid launch/patient offline_access patient/*.rs";

async fn code(server: &TestServer) -> String {
    let mut browser = Browser::open(server, &[("scope", SCOPE)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    browser.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_comes_twice_ends_everything_that_came_of_it() {
    let server = start().await;
    let code = code(&server).await;
    let tokens = exchange(&server, &code).await.assert_status(200).json();
    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    let again = exchange(&server, &code).await.assert_status(400).json();
    assert_eq!(again["error"], "invalid_grant");
    app.get("Patient/pat").await.assert_status(401);
    let refused = refresh(&server, &text(&tokens, "refresh_token"), &[]).await.assert_status(400).json();
    assert_eq!(refused["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_for_its_client_address_and_verifier_within_a_minute() {
    let server = start().await;
    let challenge = pkce_challenge(VERIFIER);
    for (name, value, error) in [
        ("code_verifier", "", "invalid_request"),
        ("code_verifier", "x".repeat(43).as_str(), "invalid_grant"),
        ("code_verifier", &challenge, "invalid_grant"),
        ("redirect_uri", "http://localhost:8000/other", "invalid_grant"),
        ("redirect_uri", "", "invalid_request"),
        ("code", "made-up", "invalid_grant"),
        ("code", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
        ("grant_type", "client_credentials", "unauthorized_client"),
    ] {
        let code = code(&server).await;
        let mut form = super::for_code(&code, &[("client_id", "app")]);
        form.retain(|(it, _)| *it != name);
        if !value.is_empty() {
            form.push((name, value));
        }
        let answer = token_request(&server, &form).await.assert_status(400).json();
        assert_eq!(answer["error"], error, "{name} {value}");
    }
    let late = code(&server).await;
    server.clock.step(61_000_000);
    assert_eq!(exchange(&server, &late).await.assert_status(400).json()["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clients_code_is_not_good() {
    let server = start().await;
    let code = code(&server).await;
    let form = super::for_code(&code, &[]);
    let request =
        server.stranger().request("POST", "/auth/token").basic_auth("web", Some(SECRET)).form(&form);
    assert_eq!(send(request).await.assert_status(400).json()["error"], "invalid_grant");
    // Nor is it used up by that.
    exchange(&server, &code).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_secret_proves_it_every_time() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[("client_id", "web"), ("scope", SCOPE)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    let code = browser.code();
    let form = super::for_code(&code, &[]);
    let post = || server.stranger().request("POST", "/auth/token");
    let with = |more: &[(&'static str, &'static str)]| {
        let mut form = form.to_vec();
        form.extend_from_slice(more);
        post().form(&form)
    };
    for (case, request) in [
        ("no client", with(&[])),
        ("no secret", with(&[("client_id", "web")])),
        ("wrong secret", with(&[("client_id", "web"), ("client_secret", "wrong")])),
        ("wrong basic", post().basic_auth("web", Some("wrong")).form(&form)),
        ("another client", with(&[("client_id", "app")]).basic_auth("web", Some(SECRET))),
        ("unknown client", post().basic_auth("nobody", Some(SECRET)).form(&form)),
    ] {
        let answer = send(request).await.assert_status(401);
        assert!(answer.header("www-authenticate").starts_with("Basic"), "{case}");
        assert_eq!(answer.json()["error"], "invalid_client", "{case}");
    }
    let both = with(&[("client_secret", SECRET)]).basic_auth("web", Some(SECRET));
    assert_eq!(send(both).await.assert_status(400).json()["error"], "invalid_request");
    let tokens = send(post().basic_auth("web", Some(SECRET)).form(&form)).await.assert_status(200).json();
    let token = text(&tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", "web")];
    assert_eq!(send(post().form(&form)).await.assert_status(401).json()["error"], "invalid_client");
    let mut with_secret = form.to_vec();
    with_secret.push(("client_secret", SECRET));
    send(post().form(&with_secret)).await.assert_status(200);
    let json = post().basic_auth("web", Some(SECRET)).json(&serde_json::json!({}));
    assert_eq!(send(json).await.assert_status(400).json()["error"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_rotate_and_scopes_only_shrink() {
    let server = start().await;
    let first = patient_tokens(&server, SCOPE).await;
    let one = text(&first, "refresh_token");
    let wider = refresh(&server, &one, &[("scope", "patient/*.cruds")]).await.assert_status(400).json();
    assert_eq!(wider["error"], "invalid_scope");
    let narrow = refresh(&server, &one, &[("scope", "patient/Patient.rs")]).await.assert_status(200).json();
    assert_eq!(narrow["scope"], "patient/Patient.rs");
    assert_eq!(narrow["patient"], "pat");
    assert_eq!(server.bearer(text(&narrow, "access_token")).get("Observation").await.status, 403);
    let two = text(&narrow, "refresh_token");
    assert_ne!(one, two);
    let whole = refresh(&server, &two, &[]).await.assert_status(200).json();
    assert_eq!(whole["scope"], SCOPE);
    assert!(whole["id_token"].is_string());

    // The first one again: a thief, or the robbed. All of it ends.
    let app = server.bearer(text(&whole, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    let replayed = refresh(&server, &one, &[]).await.assert_status(400).json();
    assert_eq!(replayed["error"], "invalid_grant");
    app.get("Patient/pat").await.assert_status(401);
    refresh(&server, &text(&whole, "refresh_token"), &[]).await.assert_status(400);
    assert_eq!(refresh(&server, "made-up", &[]).await.assert_status(400).json()["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_client_need_not_name_itself_to_refresh() {
    let server = start().await;
    let ask = |token: String| {
        let server = &server;
        async move {
            token_request(server, &[("grant_type", "refresh_token"), ("refresh_token", token.as_str())]).await
        }
    };
    let tokens = patient_tokens(&server, SCOPE).await;
    ask(text(&tokens, "refresh_token")).await.assert_status(200);
    assert_eq!(ask("made-up".into()).await.assert_status(401).json()["error"], "invalid_client");
    let nameless = token_request(&server, &[("grant_type", "authorization_code"), ("code", "x")]).await;
    assert_eq!(nameless.assert_status(401).json()["error"], "invalid_client");

    let mut browser = Browser::open(&server, &[("client_id", "web"), ("scope", SCOPE)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    let code = browser.code();
    let form = super::for_code(&code, &[("client_id", "web"), ("client_secret", SECRET)]);
    let tokens = token_request(&server, &form).await.assert_status(200).json();
    let answer = ask(text(&tokens, "refresh_token")).await.assert_status(401).json();
    assert_eq!(answer["error"], "invalid_client", "one with a secret must prove it");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_use_a_refresh_token_at_once_one_succeeds() {
    let server = start().await;
    let token = text(&patient_tokens(&server, SCOPE).await, "refresh_token");
    let all = futures_util::future::join_all((0..8).map(|_| refresh(&server, &token, &[]))).await;
    assert!(all.iter().filter(|it| it.status == 200).count() <= 1);
    for answer in all.iter().filter(|it| it.status == 200) {
        let app = server.bearer(text(&answer.json(), "access_token"));
        app.get("Patient/pat").await.assert_status(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn online_access_ends_with_the_session() {
    let server = start().await;
    let mut browser =
        Browser::open(&server, &[("scope", "openid launch/patient online_access patient/*.rs")]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    let tokens = exchange(&server, &browser.code()).await.assert_status(200).json();
    let tokens = refresh(&server, &text(&tokens, "refresh_token"), &[]).await.assert_status(200).json();
    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    browser.get("/auth/logout").await;
    browser.shows("Log out?");
    let csrf = browser.field("csrf");
    browser.post("/auth/logout", &[("csrf", &csrf)]).await;
    browser.shows("You are logged out");
    app.get("Patient/pat").await.assert_status(401);
    refresh(&server, &text(&tokens, "refresh_token"), &[]).await.assert_status(400);
}
