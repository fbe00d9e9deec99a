//! Taking access back, and asking whether it is still there.

use super::{Browser, FormBody, SECRET, operator, patient_tokens, refresh, start, text};
use crate::support::server::{Answer, TestServer, send};
use serde_json::json;
use vesta::smart::revoke;
use vesta::store::signing_keys::SigningAlgorithm;

const SCOPE: &str = "openid fhirUser launch/patient offline_access patient/*.rs";

async fn introspect(server: &TestServer, token: &str) -> Answer {
    let request = server.stranger().request("POST", "/auth/introspect");
    send(request.basic_auth("web", Some(SECRET)).form(&[("token", token)])).await
}

async fn give_back(server: &TestServer, token: &str, client: &str) -> Answer {
    let form = [("token", token), ("client_id", client)];
    send(server.stranger().request("POST", "/auth/revoke").form(&form)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_gives_back_is_dead() {
    for which in ["access_token", "refresh_token"] {
        let server = start().await;
        let tokens = patient_tokens(&server, SCOPE).await;
        let app = server.bearer(text(&tokens, "access_token"));
        app.get("Patient/pat").await.assert_status(200);
        give_back(&server, &text(&tokens, which), "app").await.assert_status(200);
        app.get("Patient/pat").await.assert_status(401);
        refresh(&server, &text(&tokens, "refresh_token"), &[]).await.assert_status(400);
        let gone = introspect(&server, &text(&tokens, "access_token")).await.assert_status(200);
        assert_eq!(gone.text(), r#"{"active":false}"#);
        // Again, or nonsense: RFC 7009 has nothing to say against it.
        give_back(&server, &text(&tokens, which), "app").await.assert_status(200);
        give_back(&server, "nonsense", "app").await.assert_status(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clients_token_is_left_alone() {
    let server = start().await;
    let tokens = patient_tokens(&server, SCOPE).await;
    let form = [("token", text(&tokens, "access_token"))];
    let request = server.stranger().request("POST", "/auth/revoke").basic_auth("web", Some(SECRET));
    send(request.form(&form)).await.assert_status(200);
    server.bearer(text(&tokens, "access_token")).get("Patient/pat").await.assert_status(200);
    give_back(&server, &text(&tokens, "access_token"), "nobody").await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_tells_those_who_may_ask() {
    let server = start().await;
    let tokens = patient_tokens(&server, SCOPE).await;
    let access = text(&tokens, "access_token");
    let answer = introspect(&server, &access).await.assert_status(200).json();
    assert_eq!(answer["active"], true);
    assert_eq!(answer["client_id"], "app");
    assert_eq!(answer["patient"], "pat");
    assert_eq!(answer["scope"], SCOPE);
    assert_eq!(answer["iss"], server.url());
    assert_eq!(answer["fhirUser"], format!("{}/fhir/Patient/pat", server.url()));
    assert!(answer["exp"].is_i64() && answer["sub"].is_string());
    let refresh = introspect(&server, &text(&tokens, "refresh_token")).await.json();
    assert_eq!(refresh["active"], true);
    for bad in ["nonsense", "a.b.c", ""] {
        let answer = introspect(&server, bad).await;
        if !bad.is_empty() {
            assert_eq!(answer.assert_status(200).text(), r#"{"active":false}"#);
        }
    }
    let post = || server.stranger().request("POST", "/auth/introspect");
    send(post().form(&[("token", &access)])).await.assert_status(401);
    send(post().form(&[("token", access.as_str()), ("client_id", "app")])).await.assert_status(401);
    send(post().basic_auth("web", Some("wrong")).form(&[("token", &access)])).await.assert_status(401);
    let by_bearer = send(post().bearer_auth(&access).form(&[("token", &access)])).await.assert_status(200);
    assert_eq!(by_bearer.json()["active"], true);
    let userinfo = server.bearer(access).get("/auth/userinfo").await.assert_status(200).json();
    assert_eq!(userinfo["sub"], answer["sub"]);
    assert_eq!(userinfo["fhirUser"], answer["fhirUser"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_or_client_who_is_disabled_is_out_at_the_next_request() {
    for which in ["user", "client"] {
        let server = start().await;
        let tokens = patient_tokens(&server, SCOPE).await;
        let app = server.bearer(text(&tokens, "access_token"));
        app.get("Patient/pat").await.assert_status(200);
        let request = operator(&server);
        if which == "user" {
            let account = server.app.store.account_named(request.tenant, "pat").await.unwrap().unwrap();
            revoke::disable_user(&request, account.id).await.unwrap();
        } else {
            revoke::disable_client(&request, "app").await.unwrap();
        }
        app.get("Patient/pat").await.assert_status(401);
        let refused = refresh(&server, &text(&tokens, "refresh_token"), &[]).await;
        assert!(refused.status == 400 || refused.status == 401);
        let browser = Browser::open(&server, &[]).await;
        if which == "client" {
            assert_eq!(browser.page.status, 400);
        } else {
            let mut browser = browser;
            browser.submit(&[("username", "pat"), ("password", super::PASSWORD)]).await;
            browser.shows("the user name or the password is wrong");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_takes_an_app_out() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[("scope", SCOPE)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    let tokens = super::exchange(&server, &browser.code()).await.assert_status(200).json();
    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    browser.get("/auth/manage").await;
    browser.shows("Growth Chart");
    let html = browser.page.text();
    let grant = html.split("name=\"grant\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    browser.post("/auth/manage", &[("grant", &grant)]).await;
    assert_eq!(browser.page.status, 400, "without the token of the form");
    browser.get("/auth/manage").await;
    let csrf = browser.field("csrf");
    browser.post("/auth/manage", &[("grant", &grant), ("csrf", &csrf)]).await;
    browser.shows("You have let no app in");
    app.get("Patient/pat").await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_access_key_is_no_id_token_and_the_other_way_round() {
    let server = start().await;
    let tokens = patient_tokens(&server, SCOPE).await;
    server.bearer(text(&tokens, "id_token")).get("Patient/pat").await.assert_status(401);
    server.bearer(text(&tokens, "refresh_token")).get("Patient/pat").await.assert_status(401);
    let keys = server.app.store.signing_keys(vesta::fhir::id::TenantId(1)).await.unwrap();
    let mut claims = server.claims("system/*.cruds");
    claims["aud"] = json!("app");
    let forged = keys.active(SigningAlgorithm::Rs256).unwrap().sign("JWT", &claims).unwrap();
    let forged = secrecy::ExposeSecret::expose_secret(&forged).to_owned();
    server.bearer(forged).get("Patient/pat").await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_logs_its_user_out() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[("scope", SCOPE)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    let tokens = super::exchange(&server, &browser.code()).await.assert_status(200).json();
    let hint = text(&tokens, "id_token");
    let onward = "http://localhost:8000/bye";
    browser
        .get(&format!("/auth/logout?id_token_hint={hint}&post_logout_redirect_uri=https://evil.example/"))
        .await;
    assert_eq!(browser.page.status, 400);
    browser
        .get(&format!("/auth/logout?id_token_hint={hint}&post_logout_redirect_uri={onward}&state=s"))
        .await;
    assert_eq!(browser.page.header("location"), format!("{onward}?state=s"));
    browser.get("/auth/manage").await;
    browser.shows("name=\"password\"");
    // What was granted for the time when the user is away goes on.
    refresh(&server, &text(&tokens, "refresh_token"), &[]).await.assert_status(200);
}
