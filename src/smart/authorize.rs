//! The authorization endpoint: is this request one that a user should be bothered with?
//!
//! <https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1>, <https://www.rfc-editor.org/rfc/rfc9700>,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code>
//!
//! In this order: client and redirect URI first, for what is wrong with them is shown and never sent
//! anywhere; then everything else, which the client is told by redirection, with `state` and `iss`. What is
//! in order becomes a flow.

use crate::audit::event::Kind;
use crate::smart::client::{self, Client};
use crate::smart::error::OAuthError;
use crate::smart::flow::{self, Flow};
use crate::smart::page::{Page, Reply};
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::smart::{granting, launch};

/// Answers an authorization request, from a link or a form.
///
/// # Errors
/// The database fails.
pub async fn authorize(request: &Request, form: &Form) -> Result<Reply, OAuthError> {
    let (client, redirect_uri) = match addressee(request, form).await {
        Ok(found) => found,
        Err(error) => return shown(request, error).await,
    };
    match check(request, form, &client, &redirect_uri).await {
        Ok(flow) => {
            let name = flow::begin(request, &flow).await?;
            Ok(Reply::redirect(flow::address(request, &name)))
        }
        Err(error) => {
            let who = Who { client: &client.id, ..Who::default() };
            let error = record::refused(request, who, (Kind::Consent, "bad request"), error).await;
            let state = form.one("state").ok().flatten();
            Ok(Reply::redirect(refusal_url(request, &redirect_uri, state, &error)))
        }
    }
}

/// The client, and the registered address that its answer goes to.
async fn addressee(request: &Request, form: &Form) -> Result<(Client, String), OAuthError> {
    let id = form.required("client_id")?;
    let Some(client) = client::find(request, id).await? else {
        return Err(OAuthError::new("invalid_client", "there is no app of this client_id here"));
    };
    // RFC 9700 2.1: compared as they stand, and always stated.
    let uri = form.required("redirect_uri")?;
    if !client.registration.redirect_uris.iter().any(|it| it == uri) {
        return Err(OAuthError::invalid_request("the app did not register this redirect_uri"));
    }
    Ok((client, uri.to_owned()))
}

async fn check(
    request: &Request,
    form: &Form,
    client: &Client,
    redirect_uri: &str,
) -> Result<Flow, OAuthError> {
    match form.one("response_type")? {
        Some("code") => {}
        Some(_) => return Err(OAuthError::new("unsupported_response_type", "response_type must be code")),
        None => return Err(OAuthError::invalid_request("response_type is missing")),
    }
    if form.one("response_mode")?.is_some_and(|mode| mode != "query") {
        return Err(OAuthError::invalid_request("response_mode must be query"));
    }
    if form.one("request")?.is_some() {
        return Err(OAuthError::new("request_not_supported", "request objects are not supported"));
    }
    if form.one("request_uri")?.is_some() {
        return Err(OAuthError::new("request_uri_not_supported", "request objects are not supported"));
    }
    if !client.registration.allows_grant("authorization_code") {
        return Err(OAuthError::new("unauthorized_client", "the client may not ask for codes"));
    }
    // A stolen token is worth nothing where its audience was made up.
    if form.required("aud")?.trim_end_matches('/') != request.app.fhir_base() {
        return Err(OAuthError::invalid_request("aud must be the FHIR base of this server"));
    }
    if form.one("code_challenge_method")? != Some("S256") {
        return Err(OAuthError::invalid_request("PKCE is required: code_challenge_method must be S256"));
    }
    let challenge = form.required("code_challenge")?;
    let is_hash = challenge.len() == 43
        && challenge.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_');
    if !is_hash {
        return Err(OAuthError::invalid_request("code_challenge must be a SHA-256 in base64url"));
    }
    for (name, longest) in [("state", 4096), ("nonce", 1024), ("scope", 8192)] {
        if form.one(name)?.is_some_and(|it| it.len() > longest) {
            return Err(OAuthError::invalid_request(format!("{name} is too long")));
        }
    }
    let scopes = granting::permitted(form.required("scope")?, client.registration.scope.as_deref(), false);
    if scopes.is_empty() {
        return Err(OAuthError::invalid_scope("none of these scopes may be had by this client"));
    }
    let max_age = match form.one("max_age")? {
        None => None,
        Some(text) => {
            let seconds = text.parse::<u32>();
            Some(i64::from(seconds.map_err(|_| OAuthError::invalid_request("max_age must be seconds"))?))
        }
    };
    let prompt = form.one("prompt")?.unwrap_or_default();
    let prompts = |word: &str| prompt.split(' ').any(|it| it == word);
    if prompts("none") && prompt != "none" {
        return Err(OAuthError::invalid_request("prompt none stands alone"));
    }
    let is_launch = scopes.iter().any(|it| it == "launch");
    let launch = match form.one("launch")? {
        Some(name) => {
            let launch = launch::resolve(request, name, &client.id).await?;
            Some(launch.ok_or_else(|| OAuthError::invalid_request("this launch is unknown, used or over"))?)
        }
        None if is_launch => return Err(OAuthError::invalid_request("the scope launch needs a launch")),
        None => None,
    };
    Ok(Flow {
        client: Some(client.id.clone()),
        redirect_uri: redirect_uri.to_owned(),
        state: form.one("state")?.map(str::to_owned),
        nonce: form.one("nonce")?.map(str::to_owned),
        challenge: challenge.to_owned(),
        scopes,
        launch,
        signed_in_after: match (prompts("login"), max_age) {
            (true, _) => request.now,
            (false, Some(seconds)) => request.later(-seconds),
            (false, None) => 0,
        },
        must_ask: prompts("consent"),
        is_silent: prompts("none"),
        ..Flow::default()
    })
}

/// Where the client is told that it failed: RFC 6749 4.1.2.1, RFC 9207.
#[must_use]
pub(super) fn refusal_url(
    request: &Request,
    redirect_uri: &str,
    state: Option<&str>,
    error: &OAuthError,
) -> String {
    let parameters = [("error", error.code), ("error_description", &error.description)];
    answer_url(request, redirect_uri, state, &parameters)
}

/// The redirect URI with an answer, the `state`, and who answers.
#[must_use]
pub(super) fn answer_url(
    request: &Request,
    redirect_uri: &str,
    state: Option<&str>,
    parameters: &[(&str, &str)],
) -> String {
    // A registered address parses: it was checked when it was registered.
    let Ok(mut url) = url::Url::parse(redirect_uri) else { return redirect_uri.to_owned() };
    url.query_pairs_mut().extend_pairs(parameters);
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    url.query_pairs_mut().append_pair("iss", &request.app.config.token_issuer());
    url.to_string()
}

async fn shown(request: &Request, error: OAuthError) -> Result<Reply, OAuthError> {
    if error.cause().is_some() {
        return Err(error);
    }
    let rule = (Kind::Consent, "unknown client or redirect URI");
    let error = record::refused(request, Who::default(), rule, error).await;
    Ok(Reply::page(Page::Error { code: error.code, text: error.description, retry_after_seconds: None }))
}
