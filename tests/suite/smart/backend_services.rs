//! Backend services: a system that signs.

use super::{operator, start, token_request};
use crate::support::server::TestServer;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vesta::crypto::jws::TokenKey;
use vesta::smart::accounts;
use vesta::smart::client::{AuthMethod, Registration};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn backend(server: &TestServer) -> TokenKey {
    let key = TokenKey::from_pem(&TokenKey::new_p384_pem().unwrap()).unwrap();
    let registration = Registration {
        token_endpoint_auth_method: AuthMethod::PrivateKeyJwt,
        grant_types: vec!["client_credentials".into()],
        scope: Some("system/*.rs".into()),
        jwks: Some(serde_json::from_str(&key.key_set().to_json()).unwrap()),
        ..Registration::default()
    };
    accounts::put_client(&operator(server), "backend", (&registration, None)).await.unwrap();
    key
}

fn assertion(server: &TestServer) -> Value {
    let now = server.clock.now().as_second();
    json!({
        "iss": "backend", "sub": "backend", "aud": format!("{}/auth/token", server.url()),
        "exp": now + 240, "jti": server.app.new_id().to_string()
    })
}

fn sign(key: &TokenKey, claims: &Value) -> String {
    key.sign("JWT", claims).unwrap().expose_secret().to_owned()
}

fn form<'a>(assertion: &'a str, scope: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("grant_type", "client_credentials"),
        ("scope", scope),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_reads_with_its_own_signature() {
    let server = start().await;
    let key = backend(&server).await;
    let signed = sign(&key, &assertion(&server));
    let tokens = token_request(&server, &form(&signed, "system/*.rs")).await.assert_status(200).json();
    assert_eq!(tokens["expires_in"], 300);
    assert_eq!(tokens["scope"], "system/*.rs");
    assert!(tokens.get("refresh_token").is_none());
    let system = server.bearer(tokens["access_token"].as_str().unwrap().to_owned());
    system.get("Patient/pat").await.assert_status(200);
    let patient = json!({ "resourceType": "Patient" });
    assert_eq!(system.post("Patient", &patient).await.status, 403);
    // An assertion is good once.
    let again = token_request(&server, &form(&signed, "system/*.rs")).await.assert_status(401).json();
    assert_eq!(again["error"], "invalid_client");
    server.clock.step(310_000_000);
    system.get("Patient/pat").await.assert_status(401);
}

/// Serves a key set, and after the first answer another one.
async fn key_sets(first: String, then: String) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut keys = first;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
            let _ = stream.write_all(format!("{head} {}\r\n\r\n{keys}", keys.len()).as_bytes()).await;
            keys.clone_from(&then);
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_kept_at_an_address_of_the_client() {
    let server = start().await;
    let key = TokenKey::from_pem(&TokenKey::new_rsa_pem().unwrap()).unwrap();
    let url = key_sets(key.key_set().to_json(), "{}".into()).await;
    let registration = Registration {
        token_endpoint_auth_method: AuthMethod::PrivateKeyJwt,
        grant_types: vec!["client_credentials".into()],
        jwks_uri: Some(url),
        ..Registration::default()
    };
    accounts::put_client(&operator(&server), "backend", (&registration, None)).await.unwrap();
    for _ in 0..2 {
        let signed = sign(&key, &assertion(&server));
        let tokens = token_request(&server, &form(&signed, "system/*.rs")).await.assert_status(200).json();
        assert_eq!(tokens["scope"], "system/*.rs");
    }
    let other = TokenKey::from_pem(&TokenKey::new_rsa_pem().unwrap()).unwrap();
    let forged = sign(&other, &assertion(&server));
    token_request(&server, &form(&forged, "system/*.rs")).await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_users_may_sign_too() {
    let server = start().await;
    let key = TokenKey::from_pem(&TokenKey::new_p384_pem().unwrap()).unwrap();
    let registration = Registration {
        redirect_uris: vec![super::REDIRECT.into()],
        token_endpoint_auth_method: AuthMethod::PrivateKeyJwt,
        jwks: Some(serde_json::from_str(&key.key_set().to_json()).unwrap()),
        id_token_signed_response_alg: Some("ES384".into()),
        ..Registration::default()
    };
    accounts::put_client(&operator(&server), "backend", (&registration, None)).await.unwrap();
    let scope = "openid fhirUser launch/patient offline_access patient/*.rs";
    let mut browser = super::Browser::open(&server, &[("client_id", "backend"), ("scope", scope)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    let code = browser.code();
    let with_code = super::for_code(&code, &[("client_id", "backend")]);
    token_request(&server, &with_code).await.assert_status(401);
    let signed = sign(&key, &assertion(&server));
    let mut form = with_code.to_vec();
    form.extend_from_slice(&[("client_assertion_type", TYPE), ("client_assertion", &signed)]);
    let tokens = token_request(&server, &form).await.assert_status(200).json();
    let header = tokens["id_token"].as_str().unwrap().split('.').next().unwrap();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).unwrap();
    assert!(String::from_utf8(header).unwrap().contains("ES384"));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "backend")];
    token_request(&server, &form).await.assert_status(401);
    // A system's grant is not for an app with users.
    let signed = sign(&key, &assertion(&server));
    let refused = token_request(&server, &self::form(&signed, "system/*.rs")).await.assert_status(400).json();
    assert_eq!(refused["error"], "unauthorized_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_that_is_not_in_order_is_refused() {
    let server = start().await;
    let key = backend(&server).await;
    let other = TokenKey::from_pem(&TokenKey::new_p384_pem().unwrap()).unwrap();
    let now = server.clock.now().as_second();
    for (name, value) in [
        ("iss", json!("somebody")),
        ("sub", json!("app")),
        ("sub", json!("nobody")),
        ("aud", json!("https://elsewhere.example/token")),
        ("aud", json!(null)),
        ("exp", json!(now - 60)),
        ("exp", json!(now + 3600)),
        ("exp", json!(null)),
        ("jti", json!(null)),
        ("jti", json!("")),
        ("nbf", json!(now + 120)),
    ] {
        let mut claims = assertion(&server);
        claims[name] = value.clone();
        let signed = sign(&key, &claims);
        let answer = token_request(&server, &form(&signed, "system/*.rs")).await.assert_status(401).json();
        assert_eq!(answer["error"], "invalid_client", "{name} {value}");
    }
    let forged = sign(&other, &assertion(&server));
    token_request(&server, &form(&forged, "system/*.rs")).await.assert_status(401);
    token_request(&server, &form("not-a-token", "system/*.rs")).await.assert_status(401);
    // The signature, cut off.
    let signed = sign(&key, &assertion(&server));
    let cut = signed.rsplit_once('.').unwrap().0;
    token_request(&server, &form(&format!("{cut}."), "system/*.rs")).await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_must_be_in_order_too() {
    let server = start().await;
    let key = backend(&server).await;
    let changed = async |name: &str, value: &str| {
        let signed = sign(&key, &assertion(&server));
        let mut form = form(&signed, "system/*.rs");
        form.retain(|(it, _)| *it != name);
        let name: &'static str = name.to_owned().leak();
        if !value.is_empty() {
            form.push((name, value));
        }
        let answer = token_request(&server, &form).await;
        (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    for (name, value, status, error) in [
        ("grant_type", "not_a_grant_type", 400, "unsupported_grant_type"),
        ("grant_type", "authorization_code", 400, "unauthorized_client"),
        ("client_assertion_type", "not_an_assertion_type", 400, "invalid_request"),
        ("client_assertion_type", "", 400, "invalid_request"),
        ("scope", "", 400, "invalid_request"),
        ("scope", "patient/*.rs", 400, "invalid_scope"),
        ("scope", "system/*.cruds", 400, "invalid_scope"),
        ("client_assertion", "", 401, "invalid_client"),
        ("client_id", "app", 401, "invalid_client"),
    ] {
        assert_eq!(changed(name, value).await, (status, error.to_owned()), "{name} {value}");
    }
}
