//! An app that is opened from an EHR: it gets what the user has open, and only that user may go on.

use super::{Browser, FormBody, SECRET, claims, exchange, start, text};
use crate::support::server::{Answer, TestServer, send};

const SCOPE: &str = "launch openid fhirUser patient/*.rs";

async fn launch_as(server: &TestServer, client: &str, form: &[(&str, &str)]) -> Answer {
    let request = server.stranger().request("POST", "/auth/launch");
    send(request.basic_auth(client, Some(SECRET)).form(form)).await
}

async fn launch(server: &TestServer) -> String {
    let form =
        [("client", "app"), ("user", "ada"), ("patient", "sam"), ("encounter", "e1"), ("intent", "order")];
    let answer = launch_as(server, "ehr", &form).await.assert_status(200).json();
    let name = text(&answer, "launch");
    let url = text(&answer, "launch_url");
    assert!(url.starts_with("http://localhost:8000/launch.html?iss=http"), "{url}");
    assert!(url.ends_with(&format!("launch={name}")));
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_opens_with_the_patient_of_the_ehr() {
    let server = start().await;
    let name = launch(&server).await;
    let mut browser = Browser::open(&server, &[("launch", &name), ("scope", SCOPE)]).await;
    browser.sign_in("ada").await;
    browser.shows("Let Growth Chart in?").shows("sam Example");
    browser.allow().await;
    let tokens = exchange(&server, &browser.code()).await.assert_status(200).json();
    assert_eq!((tokens["patient"].as_str(), tokens["encounter"].as_str()), (Some("sam"), Some("e1")));
    assert_eq!(tokens["intent"], "order");
    assert!(tokens.get("refresh_token").is_none());
    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/sam").await.assert_status(200);
    app.get("Patient/pat").await.assert_status(404);
    let user = text(&claims(&text(&tokens, "id_token")), "fhirUser");
    assert!(user.ends_with("/fhir/Practitioner/ada"));
    // A launch is good once.
    let again = Browser::open(&server, &[("launch", &name), ("scope", SCOPE)]).await;
    assert_eq!(again.sent()["error"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_goes_on_with_a_launch() {
    let server = start().await;
    let name = launch(&server).await;
    let mut browser = Browser::open(&server, &[("launch", &name), ("scope", SCOPE)]).await;
    browser.submit(&[("username", "pat"), ("password", super::PASSWORD)]).await;
    browser.shows("the app was opened by another user").shows("name=\"password\"");
    let name = launch(&server).await;
    let other = Browser::open(&server, &[("launch", &name), ("scope", SCOPE), ("client_id", "web")]).await;
    assert_eq!(other.sent()["error"], "invalid_request");
    let name = launch(&server).await;
    server.clock.step(601_000_000);
    let late = Browser::open(&server, &[("launch", &name), ("scope", SCOPE)]).await;
    assert_eq!(late.sent()["error"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_ehr_begins_launches() {
    let server = start().await;
    let form = [("client", "app"), ("user", "ada"), ("patient", "sam")];
    assert_eq!(
        launch_as(&server, "web", &form).await.assert_status(400).json()["error"],
        "unauthorized_client"
    );
    let public = [("client", "app"), ("user", "ada"), ("client_id", "app")];
    let request = server.stranger().request("POST", "/auth/launch").form(&public);
    assert_eq!(send(request).await.assert_status(400).json()["error"], "unauthorized_client");
    let request = server.stranger().request("POST", "/auth/launch").form(&form);
    send(request).await.assert_status(401);
    for (name, value) in [("client", "nobody"), ("user", "nobody"), ("patient", "a b"), ("fhirContext", "{}")]
    {
        let mut form = form.to_vec();
        form.retain(|(it, _)| *it != name);
        form.push((name, value));
        let answer = launch_as(&server, "ehr", &form).await.assert_status(400).json();
        assert_eq!(answer["error"], "invalid_request", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn further_context_comes_along() {
    let server = start().await;
    let context = r#"[{"reference":"ImagingStudy/9"}]"#;
    let form = [
        ("client", "app"),
        ("user", "ada"),
        ("patient", "sam"),
        ("fhirContext", context),
        ("need_patient_banner", "false"),
    ];
    let name = text(&launch_as(&server, "ehr", &form).await.assert_status(200).json(), "launch");
    let mut browser = Browser::open(&server, &[("launch", &name), ("scope", SCOPE)]).await;
    browser.sign_in("ada").await;
    browser.allow().await;
    let tokens = exchange(&server, &browser.code()).await.assert_status(200).json();
    assert_eq!(tokens["fhirContext"][0]["reference"], "ImagingStudy/9");
    assert_eq!(tokens["need_patient_banner"], false);
}
