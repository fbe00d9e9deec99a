//! Dynamic registration, for those who have leave.

use super::{Browser, operator, start, text};
use crate::support::server::{Answer, TestServer, send};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vesta::smart::register;

async fn post(server: &TestServer, leave: Option<&str>, body: &Value) -> Answer {
    let request = server.stranger().request("POST", "/auth/register").json(body);
    send(match leave {
        Some(leave) => request.bearer_auth(leave),
        None => request,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_registers_once_with_leave() {
    let server = start().await;
    let body =
        json!({ "client_name": "New", "redirect_uris": [super::REDIRECT], "scope": "openid patient/*.rs" });
    post(&server, None, &body).await.assert_status(401);
    post(&server, Some("made-up"), &body).await.assert_status(401);
    let leave = register::give_leave(&operator(&server), 600).await.unwrap();
    let leave = leave.expose_secret();
    let bad = json!({ "redirect_uris": ["http://evil.example/"] });
    let refused = post(&server, Some(leave), &bad).await.assert_status(400).json();
    assert_eq!(refused["error"], "invalid_redirect_uri");
    let client = post(&server, Some(leave), &body).await.assert_status(201).json();
    assert!(client["client_secret"].is_string());
    assert_eq!(client["client_name"], "New");
    post(&server, Some(leave), &body).await.assert_status(401);
    let id = text(&client, "client_id");
    let browser = Browser::open(&server, &[("client_id", &id)]).await;
    browser.shows("New");
    let late = register::give_leave(&operator(&server), 600).await.unwrap();
    server.clock.step(601_000_000);
    post(&server, Some(late.expose_secret()), &body).await.assert_status(401);
}
