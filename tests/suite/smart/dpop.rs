//! Tokens that are bound to a key: worthless without it, and each proof is good once.

use super::{Browser, FormBody as _, SECRET, claims, start, text};
use crate::support::server::{Answer, TestServer, send};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vesta::crypto::jws::TokenKey;
use vesta::crypto::token_hash::pkce_challenge;

const SCOPE: &str = "openid launch/patient offline_access patient/*.rs";

fn key() -> TokenKey {
    TokenKey::from_pem(&TokenKey::new_pem().unwrap()).unwrap()
}

/// A good proof, to be changed.
fn proof_of(server: &TestServer, method: &str, path: &str, token: Option<&str>) -> Value {
    let mut claims = json!({
        "jti": server.app.new_id().to_string(), "htm": method, "htu": format!("{}{path}", server.url()),
        "iat": server.clock.now().as_second()
    });
    if let Some(token) = token {
        claims["ath"] = pkce_challenge(token).into();
    }
    claims
}

fn sign(key: &TokenKey, claims: &Value) -> String {
    key.prove(claims).unwrap().expose_secret().to_owned()
}

/// Reads a patient with a token of the type DPoP.
async fn read(server: &TestServer, token: &str, proof: Option<&str>) -> Answer {
    let request =
        server.stranger().request("GET", "Patient/pat").header("authorization", format!("DPoP {token}"));
    send(match proof {
        Some(proof) => request.header("dpop", proof),
        None => request,
    })
    .await
}

async fn ask(server: &TestServer, form: &[(&str, &str)], proof: Option<&str>) -> Answer {
    let request = server.stranger().request("POST", "/auth/token").form(form);
    send(match proof {
        Some(proof) => request.header("dpop", proof),
        None => request,
    })
    .await
}

async fn tokens(server: &TestServer, key: &TokenKey) -> Value {
    let mut browser = Browser::open(server, &[("scope", SCOPE)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    let code = browser.code();
    let form = super::for_code(&code, &[("client_id", "app")]);
    let proof = sign(key, &proof_of(server, "POST", "/auth/token", None));
    ask(server, &form, Some(&proof)).await.assert_status(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_good_with_its_key_and_worthless_without() {
    let server = start().await;
    let key = key();
    let tokens = tokens(&server, &key).await;
    assert_eq!(tokens["token_type"], "DPoP");
    let token = text(&tokens, "access_token");
    assert_eq!(claims(&token)["cnf"]["jkt"], key.kid());
    let good = || proof_of(&server, "GET", "/fhir/Patient/pat", Some(&token));
    let proof = sign(&key, &good());
    read(&server, &token, Some(&proof)).await.assert_status(200);
    // The same proof again, on this server or another one.
    let again = read(&server, &token, Some(&proof)).await.assert_status(401);
    assert!(again.header("www-authenticate").starts_with("DPoP "), "{}", again.header("www-authenticate"));
    // A query is no part of the address.
    let request =
        server.stranger().request("GET", "Patient?_id=pat").header("authorization", format!("DPoP {token}"));
    let proof = sign(&key, &proof_of(&server, "GET", "/fhir/Patient", Some(&token)));
    send(request.header("dpop", proof)).await.assert_status(200);

    // Whoever stole the token has nothing.
    server.bearer(token.clone()).get("Patient/pat").await.assert_status(401);
    read(&server, &token, None).await.assert_status(401);
    let thief = self::key();
    read(&server, &token, Some(&sign(&thief, &good()))).await.assert_status(401);
    let now = server.clock.now().as_second();
    for (name, value) in [
        ("htm", json!("POST")),
        ("htm", json!(null)),
        ("htu", json!(format!("{}/fhir/Patient/sam", server.url()))),
        ("htu", json!("https://elsewhere.example/fhir/Patient/pat")),
        ("ath", json!(pkce_challenge("another"))),
        ("ath", json!(null)),
        ("iat", json!(now - 61)),
        ("iat", json!(now + 60)),
        ("iat", json!(null)),
        ("jti", json!("")),
        ("jti", json!(null)),
        ("jti", json!("x".repeat(300))),
    ] {
        let mut claims = good();
        claims[name] = value.clone();
        let answer = read(&server, &token, Some(&sign(&key, &claims))).await;
        assert_eq!(answer.status, 401, "{name} {value}");
    }
    for nonsense in ["", "a.b.c", &token] {
        read(&server, &token, Some(nonsense)).await.assert_status(401);
    }
    let twice =
        server.stranger().request("GET", "Patient/pat").header("authorization", format!("DPoP {token}"));
    let twice = twice.header("dpop", sign(&key, &good())).header("dpop", sign(&key, &good()));
    send(twice).await.assert_status(401);
    // It is not taken for one that is bound where it is not.
    let plain = super::patient_tokens(&server, SCOPE).await;
    let plain = text(&plain, "access_token");
    let proof = sign(&key, &proof_of(&server, "GET", "/fhir/Patient/pat", Some(&plain)));
    read(&server, &plain, Some(&proof)).await.assert_status(401);
    server.bearer(plain).get("Patient/pat").await.assert_status(200);
    // After all that, it is still good for its holder.
    read(&server, &token, Some(&sign(&key, &good()))).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_of_a_public_client_are_bound_too() {
    let server = start().await;
    let key = key();
    let tokens = tokens(&server, &key).await;
    let refresh = text(&tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("client_id", "app")];
    let proof = |key: &TokenKey| sign(key, &proof_of(&server, "POST", "/auth/token", None));
    // Neither attempt uses it up, or ends its family: the thief has nothing to end it with.
    assert_eq!(ask(&server, &form, None).await.assert_status(400).json()["error"], "invalid_grant");
    let thief = ask(&server, &form, Some(&proof(&self::key()))).await.assert_status(400).json();
    assert_eq!(thief["error"], "invalid_grant");
    let proven = proof(&key);
    let again = ask(&server, &form, Some(&proven)).await.assert_status(200).json();
    assert_eq!(again["token_type"], "DPoP");
    let refresh = text(&again, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("client_id", "app")];
    let replayed = ask(&server, &form, Some(&proven)).await.assert_status(400).json();
    assert_eq!(replayed["error"], "invalid_dpop_proof");
    let mut elsewhere = proof_of(&server, "POST", "/auth/token", None);
    elsewhere["htu"] = format!("{}/auth/introspect", server.url()).into();
    let refused = ask(&server, &form, Some(&sign(&key, &elsewhere))).await.assert_status(400).json();
    assert_eq!(refused["error"], "invalid_dpop_proof");
    ask(&server, &form, Some(&proof(&key))).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_introspection_and_userinfo_know_of_it() {
    let server = start().await;
    let document = server.stranger().get("/fhir/.well-known/smart-configuration").await.json();
    assert!(document["dpop_signing_alg_values_supported"].as_array().unwrap().contains(&json!("ES256")));
    let key = key();
    let token = text(&tokens(&server, &key).await, "access_token");
    let ask = || server.stranger().request("POST", "/auth/introspect");
    let told = send(ask().basic_auth("web", Some(SECRET)).form(&[("token", &token)]))
        .await
        .assert_status(200)
        .json();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(told["cnf"]["jkt"], key.kid());
    send(ask().bearer_auth(&token).form(&[("token", &token)])).await.assert_status(401);
    server.bearer(token.clone()).get("/auth/userinfo").await.assert_status(401);
    let proof = sign(&key, &proof_of(&server, "GET", "/auth/userinfo", Some(&token)));
    let request =
        server.stranger().request("GET", "/auth/userinfo").header("authorization", format!("DPoP {token}"));
    send(request.header("dpop", proof)).await.assert_status(200);
}
