//! The authorization server, over TLS: flows as users and apps walk them, and every wrong turn.

mod administration;
mod authorize;
mod backend_services;
mod discovery;
mod dpop;
mod ehr_launch;
mod register;
mod revocation;
mod seed;
mod sign_in;
mod standalone_launch;
mod token;

use crate::support::server::{Answer, TestServer, send};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use vesta::config::Config;
use vesta::crypto::token_hash::pkce_challenge;
use vesta::crypto::totp::TotpSecret;
use vesta::fhir::id::TenantId;
use vesta::smart::accounts::{self, User};
use vesta::smart::client::{AuthMethod, Registration};
use vesta::smart::request::Request;

pub const PASSWORD: &str = "seven quiet otters paddle";
pub const TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
pub const REDIRECT: &str = "http://localhost:8000/";
pub const SECRET: &str = "a-secret-that-nobody-guesses";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A form as the body of a request.
pub trait FormBody {
    fn form<N: AsRef<str>, V: AsRef<str>>(self, fields: &[(N, V)]) -> Self;
}

impl FormBody for RequestBuilder {
    fn form<N: AsRef<str>, V: AsRef<str>>(self, fields: &[(N, V)]) -> RequestBuilder {
        self.header("content-type", "application/x-www-form-urlencoded").body(encoded(fields))
    }
}

fn encoded<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A request of an operator.
pub fn operator(server: &TestServer) -> Request {
    Request {
        app: Arc::clone(&server.app),
        tenant: TenantId(1),
        id: server.app.new_id(),
        network: None,
        now: server.clock.now_microseconds(),
        actor: None,
    }
}

/// A server with a clinician `ada`, a patient `pat` who is Patient/pat, and the apps `app` (public), `web`
/// (with a secret) and `ehr`.
pub async fn start() -> TestServer {
    start_with(|_| {}).await
}

/// The same, with other settings.
pub async fn start_with(change: impl FnOnce(&mut Config)) -> TestServer {
    let server = TestServer::start_at_with_tls("2026-11-24T12:00:00Z", change).await;
    user(&server, "ada", "Practitioner/ada").await;
    user(&server, "pat", "Patient/pat").await;
    let app = |method| Registration {
        client_name: Some("Growth Chart".into()),
        redirect_uris: vec![REDIRECT.into()],
        post_logout_redirect_uris: vec!["http://localhost:8000/bye".into()],
        launch_uri: Some("http://localhost:8000/launch.html".into()),
        token_endpoint_auth_method: method,
        ..Registration::default()
    };
    let request = operator(&server);
    let secret = SECRET.to_owned().into();
    accounts::put_client(&request, "app", (&app(AuthMethod::None), None)).await.unwrap();
    let web = app(AuthMethod::ClientSecretBasic);
    accounts::put_client(&request, "web", (&web, Some(&secret))).await.unwrap();
    let ehr = Registration { may_launch: true, redirect_uris: vec![], ..web };
    accounts::put_client(&request, "ehr", (&ehr, Some(&secret))).await.unwrap();
    let system = server.system();
    for id in ["pat", "sam"] {
        let patient = json!({
            "resourceType": "Patient", "id": id, "birthDate": "1980-02-03",
            "name": [{ "family": "Example", "given": [id] }]
        });
        system.put(&format!("Patient/{id}"), &patient).await.assert_status(201);
    }
    server
}

pub async fn user(server: &TestServer, username: &str, fhir_user: &str) {
    let user = User {
        username: username.into(),
        password: Some(PASSWORD.to_owned().into()),
        totp_secret: Some(TOTP.into()),
        fhir_user: Some(fhir_user.into()),
        ..User::default()
    };
    accounts::put_user(&operator(server), &user).await.unwrap();
}

/// The code that an authenticator app shows now.
pub fn otp(server: &TestServer) -> String {
    TotpSecret::parse(TOTP).unwrap().code_at(server.clock.now().as_second()).unwrap()
}

/// A good authorization request, with some parameters changed or, where empty, left out.
pub fn request_of(server: &TestServer, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let base = server.app.fhir_base();
    let challenge = pkce_challenge(VERIFIER);
    let good = [
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid fhirUser launch/patient offline_access patient/*.rs"),
        ("state", "a state & more"),
        ("aud", &base),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let mut all: Vec<(String, String)> =
        good.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, value) in changes {
        all.retain(|(it, _)| it != name);
        if !value.is_empty() {
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    all
}

/// Somebody at a browser.
pub struct Browser<'s> {
    server: &'s TestServer,
    cookie: Option<String>,
    /// The page that is shown.
    page: Answer,
}

impl<'s> Browser<'s> {
    /// Opens an authorization request.
    pub async fn open(server: &'s TestServer, changes: &[(&str, &str)]) -> Browser<'s> {
        let mut browser = Browser::new(server);
        browser.ask(changes).await;
        browser
    }

    fn new(server: &'s TestServer) -> Browser<'s> {
        let page = Answer { status: 0, headers: reqwest::header::HeaderMap::new(), body: vec![] };
        Browser { server, cookie: None, page }
    }

    async fn ask(&mut self, changes: &[(&str, &str)]) {
        let query = encoded(&request_of(self.server, changes));
        self.get(&format!("/auth/authorize?{query}")).await;
    }

    pub async fn get(&mut self, path: &str) {
        self.follow(self.server.stranger().request("GET", path)).await;
    }

    /// Sends a form.
    async fn post(&mut self, path: &str, form: &[(&str, &str)]) {
        self.follow(self.server.stranger().request("POST", path).form(form)).await;
    }

    /// Fills the shown form of a flow in, and sends it.
    pub async fn submit(&mut self, fields: &[(&str, &str)]) {
        let (csrf, flow, step) = (self.field("csrf"), self.field("flow"), self.field("step"));
        let mut form = vec![("csrf", csrf.as_str()), ("flow", &flow), ("step", &step)];
        form.extend_from_slice(fields);
        self.post("/auth/flow", &form).await;
    }

    /// Follows redirections as long as they stay here.
    async fn follow(&mut self, request: reqwest::RequestBuilder) {
        let mut request = request;
        loop {
            if let Some(cookie) = &self.cookie {
                request = request.header("cookie", cookie);
            }
            let answer = send(request).await;
            if let Some(cookie) = answer.headers.get("set-cookie") {
                let cookie = cookie.to_str().unwrap();
                assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
                self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
            }
            let onward = answer.header("location").strip_prefix(&self.server.url()).map(str::to_owned);
            self.page = answer;
            match onward {
                Some(path) => request = self.server.stranger().request("GET", &path),
                None => return,
            }
        }
    }

    /// The value of a hidden field of the page.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let text = self.page.text();
        let start =
            text.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name} in {text}"));
        let rest = &text[start + name.len() + 15..];
        rest[..rest.find('"').unwrap()].to_owned()
    }

    /// The values of all checkboxes that are ticked.
    fn ticked(&self) -> Vec<String> {
        let text = self.page.text();
        let boxes = text.split("name=\"scope\"").skip(1).filter_map(|it| {
            let tag = &it[..it.find('>')?];
            let value = tag.split("value=\"").nth(1)?.split('"').next()?;
            tag.contains("checked").then(|| value.replace("&#38;", "&"))
        });
        boxes.collect()
    }

    #[track_caller]
    pub fn shows(&self, words: &str) -> &Self {
        assert!(self.page.text().contains(words), "{words} in {} {}", self.page.status, self.page.text());
        self
    }

    pub async fn sign_in(&mut self, username: &str) {
        self.submit(&[("username", username), ("password", PASSWORD)]).await;
        self.shows("name=\"otp\"");
        let code = otp(self.server);
        self.submit(&[("otp", &code)]).await;
        self.server.clock.step(30_000_000);
    }

    /// Allows all that is ticked.
    pub async fn allow(&mut self) {
        let scopes = self.ticked();
        self.allow_only(&scopes.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    pub async fn allow_only(&mut self, scopes: &[&str]) {
        let mut fields = vec![("decision", "allow")];
        fields.extend(scopes.iter().map(|it| ("scope", *it)));
        self.submit(&fields).await;
    }

    /// What stands in the address that the browser was sent to.
    #[track_caller]
    pub fn sent(&self) -> HashMap<String, String> {
        assert_eq!(self.page.status, 303, "{}", self.page.text());
        let url = self.page.header("location");
        assert!(url.starts_with(REDIRECT), "{url}");
        url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
    }

    /// The code that the client was sent.
    #[track_caller]
    pub fn code(&self) -> String {
        let sent = self.sent();
        assert_eq!(sent.get("iss"), Some(&self.server.url()));
        sent.get("code").unwrap_or_else(|| panic!("{sent:?}")).clone()
    }
}

/// Asks the token endpoint.
pub async fn token_request(server: &TestServer, form: &[(&str, &str)]) -> Answer {
    send(server.stranger().request("POST", "/auth/token").form(form)).await
}

/// What is sent for a code, and more.
pub fn for_code<'a>(code: &'a str, more: &[(&'static str, &'a str)]) -> Vec<(&'static str, &'a str)> {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    form.extend_from_slice(more);
    form
}

/// A code for tokens, as the public app.
pub async fn exchange(server: &TestServer, code: &str) -> Answer {
    let form = for_code(code, &[("client_id", "app")]);
    token_request(server, &form).await
}

async fn refresh(server: &TestServer, token: &str, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "app")];
    form.extend_from_slice(more);
    token_request(server, &form).await
}

/// The tokens of the patient, for the public app and this scope.
pub async fn patient_tokens(server: &TestServer, scope: &str) -> Value {
    let mut browser = Browser::open(server, &[("scope", scope)]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    exchange(server, &browser.code()).await.assert_status(200).json()
}

/// The text of a field.
#[track_caller]
pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// The claims of a token, unchecked.
pub fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap());
    serde_json::from_slice(&payload.unwrap()).unwrap()
}
