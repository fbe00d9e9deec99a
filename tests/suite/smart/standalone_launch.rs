//! An app that is opened by itself: sign in, choose the patient, allow, and use it.

use super::{Browser, claims, exchange, patient_tokens, start, text};
use vesta::crypto::jwks::KeySet;
use vesta::crypto::jws::{self, Expected};

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_lets_an_app_read_their_record() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[("nonce", "n-1")]).await;
    browser.shows("Growth Chart").sign_in_is_shown();
    browser.sign_in("pat").await;
    browser.shows("Let Growth Chart in?").shows("pat Example");
    browser.allow().await;
    assert_eq!(browser.sent()["state"], "a state & more");

    let answer = exchange(&server, &browser.code()).await.assert_status(200);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 900);
    assert_eq!(tokens["patient"], "pat");
    assert_eq!(tokens["need_patient_banner"], true);
    assert_eq!(tokens["scope"], "openid fhirUser launch/patient offline_access patient/*.rs");
    assert!(tokens["refresh_token"].is_string());
    let style = text(&tokens, "smart_style_url");
    let style = server.stranger().get(style.strip_prefix(&server.url()).unwrap()).await.assert_status(200);
    assert!(style.json()["color_text"].is_string());

    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    app.get("Patient/sam").await.assert_status(404);
    let id = text(&tokens, "id_token");
    let user = text(&claims(&id), "fhirUser");
    assert_eq!(user, format!("{}/Patient/pat", server.app.fhir_base()));
    app.get(user.strip_prefix(&server.url()).unwrap()).await.assert_status(200);
    check_id_token(&server, &id).await;
}

async fn check_id_token(server: &crate::support::server::TestServer, token: &str) {
    let keys = server.stranger().get("/.well-known/jwks.json").await.assert_status(200).text();
    let issuer = server.url();
    let expected = Expected {
        token_type: "JWT",
        issuer: &issuer,
        audience: "app",
        now_seconds: server.clock.now().as_second(),
        leeway_seconds: 0,
        max_lifetime_seconds: 3600,
    };
    let claims = jws::verify(&KeySet::parse(&keys).unwrap(), token, &expected).unwrap();
    assert_eq!(claims["nonce"], "n-1");
    assert!(claims["sub"].as_str().unwrap().len() < 256);
    let userinfo = server.stranger();
    assert_eq!(userinfo.get("/auth/userinfo").await.status, 401);
}

impl Browser<'_> {
    fn sign_in_is_shown(&self) {
        self.shows("name=\"username\"").shows("name=\"password\"");
        let policy = self.page.header("content-security-policy");
        assert!(
            policy.starts_with(
                "default-src 'none'; style-src 'self'; form-action 'self' http://localhost:8000"
            )
        );
        assert!(!self.page.text().contains("<script"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clinician_chooses_the_patient_and_the_visit() {
    let server = start().await;
    let encounter = serde_json::json!({
        "resourceType": "Encounter", "id": "visit", "status": "in-progress", "subject": { "reference": "Patient/sam" },
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" }
    });
    server.system().put("Encounter/visit", &encounter).await.assert_status(201);
    let scope = "launch/patient launch/encounter patient/Patient.rs patient/Encounter.rs";
    let mut browser = Browser::open(&server, &[("scope", scope)]).await;
    browser.sign_in("ada").await;
    browser.shows("Choose a patient");
    browser.submit(&[("name", "exa"), ("birthdate", "1980-02-03")]).await;
    browser.shows("value=\"sam\"").shows("value=\"pat\"");
    browser.submit(&[("name", "nobody")]).await;
    browser.shows("Nobody was found");
    browser.submit(&[("birthdate", "yesterday")]).await;
    browser.shows("a birth date is written");
    browser.submit(&[("patient", "none-such")]).await;
    browser.shows("there is no such patient");
    browser.submit(&[("patient", "sam")]).await;
    browser.shows("Choose a visit").shows("value=\"visit\"");
    browser.submit(&[("encounter", "none-such")]).await;
    browser.shows("there is no such visit");
    browser.submit(&[("encounter", "visit")]).await;
    browser.shows("sam Example");
    browser.allow().await;
    let tokens = exchange(&server, &browser.code()).await.assert_status(200).json();
    assert_eq!((tokens["patient"].as_str(), tokens["encounter"].as_str()), (Some("sam"), Some("visit")));
    assert!(tokens.get("refresh_token").is_none(), "no refresh token without a scope for it");

    // The token is bound to the visit, and dies with it.
    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/sam").await.assert_status(200);
    let mut over = encounter;
    over["status"] = "finished".into();
    server.system().put("Encounter/visit", &over).await.assert_status(200);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    app.get("Patient/sam").await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_ticked_is_granted_and_finer_where_that_is_ticked() {
    let server = start().await;
    let scope = "openid launch/patient patient/Condition.rs patient/Patient.rs patient/Observation.rs";
    let mut browser = Browser::open(&server, &[("scope", scope)]).await;
    browser.sign_in("pat").await;
    assert_eq!(browser.ticked().join(" "), scope);
    let finer = "patient/Condition.rs?category=http://terminology.hl7.org/CodeSystem/condition-category|problem-list-item";
    browser.shows(finer);
    browser
        .allow_only(&["launch/patient", finer, "patient/Patient.rs", "patient/*.cruds", "user/*.rs"])
        .await;
    let tokens = exchange(&server, &browser.code()).await.assert_status(200).json();
    assert_eq!(tokens["scope"], format!("launch/patient {finer} patient/Patient.rs"));
    assert!(tokens.get("id_token").is_none());
    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    assert_eq!(app.get("Observation").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn saying_no_is_told_to_the_app() {
    let server = start().await;
    for (decision, scopes) in [("deny", true), ("cancel", true), ("allow", false)] {
        let mut browser = Browser::open(&server, &[]).await;
        browser.sign_in("pat").await;
        let mut fields = vec![("decision", decision)];
        if scopes {
            fields.push(("scope", "patient/*.rs"));
        }
        browser.submit(&fields).await;
        let sent = browser.sent();
        assert_eq!(sent["error"], "access_denied");
        assert_eq!(sent["state"], "a state & more");
        assert!(!sent.contains_key("code"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_of_version_1_stay_as_they_were_asked_for() {
    let server = start().await;
    let tokens =
        patient_tokens(&server, "launch/patient patient/*.read patient/Observation.rs online_access").await;
    assert_eq!(tokens["scope"], "launch/patient patient/*.read patient/Observation.rs online_access");
    assert!(tokens["refresh_token"].is_string());
    server.bearer(text(&tokens, "access_token")).get("Patient/pat").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_app_asks_without_a_second_sign_in() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    browser.code();
    browser.ask(&[("client_id", "web")]).await;
    browser.shows("Let Growth Chart in?");
    browser.ask(&[("prompt", "login")]).await;
    browser.shows("name=\"password\"");
    browser.ask(&[("max_age", "10")]).await;
    browser.shows("name=\"password\"");
    browser.ask(&[("prompt", "none")]).await;
    assert_eq!(browser.sent()["error"], "consent_required");
    browser.ask(&[("prompt", "none login")]).await;
    assert_eq!(browser.sent()["error"], "invalid_request");
    let mut stranger = Browser::open(&server, &[("prompt", "none")]).await;
    assert_eq!(stranger.sent()["error"], "login_required");
    stranger.ask(&[]).await;
    stranger.sign_in("ada").await;
    stranger.ask(&[("prompt", "none")]).await;
    assert_eq!(stranger.sent()["error"], "interaction_required", "a patient must be chosen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_answer_is_given_again_to_the_same_question_alone() {
    let server = start().await;
    let web = ("client_id", "web");
    let scope = "openid launch/patient patient/Patient.rs patient/Observation.rs";
    let mut browser = Browser::open(&server, &[web, ("scope", scope)]).await;
    browser.sign_in("pat").await;
    browser.shows("name=\"remember\"");
    browser
        .submit(&[
            ("decision", "allow"),
            ("remember", "yes"),
            ("scope", "launch/patient"),
            ("scope", "patient/Patient.rs"),
        ])
        .await;
    browser.code();
    // The same, in another order: no page, and what was not granted then is not granted now.
    let same = "patient/Observation.rs openid patient/Patient.rs launch/patient";
    for more in [("prompt", ""), ("prompt", "none")] {
        browser.ask(&[web, ("scope", same), more]).await;
        let code = browser.code();
        let form = super::for_code(&code, &[("client_id", "web"), ("client_secret", super::SECRET)]);
        let tokens = super::token_request(&server, &form).await.assert_status(200).json();
        assert_eq!(tokens["scope"], "launch/patient patient/Patient.rs");
    }
    // Anything else is asked: more, less, by wish, and for an app that cannot prove who it is.
    for changes in [
        vec![web, ("scope", "openid launch/patient patient/*.rs")],
        vec![web, ("scope", "launch/patient patient/Patient.rs")],
        vec![web, ("scope", scope), ("prompt", "consent")],
        vec![("client_id", "app"), ("scope", scope)],
    ] {
        browser.ask(&changes).await;
        browser.shows("Let Growth Chart in?");
    }
    assert!(!browser.page.text().contains("name=\"remember\""), "a public app is never remembered here");
    // Another user of the same browser is asked, and the first one may take it back.
    let mut other = Browser::open(&server, &[web, ("scope", scope)]).await;
    other.sign_in("ada").await;
    other.shows("Choose a patient");
    browser.get("/auth/manage").await;
    browser.shows("Answered without asking");
    let csrf = browser.field("csrf");
    browser.post("/auth/manage", &[("csrf", &csrf), ("forget", "web")]).await;
    assert!(!browser.page.text().contains("Answered without asking"));
    browser.ask(&[web, ("scope", scope)]).await;
    browser.shows("Let Growth Chart in?");
}
