//! The authorization server over HTTP: forms in; JSON, pages and redirections out.
//!
//! Thin: what is asked and answered is in [`crate::smart`]. Browser endpoints know their browser by a cookie
//! that no script can read and that only this host gets; the others have no cookie and may be called by pages
//! of any origin.

use super::edge::Call;
use super::extract::{caller, query};
use super::pages;
use super::respond::outcome::Refusal;
use super::respond::plain;
use crate::interaction::turned_away::Reason;
use crate::smart::client::Credentials;
use crate::smart::error::OAuthError;
use crate::smart::page::{Body, Cookie, Page, Reply};
use crate::smart::request::{Form, Request};
use crate::smart::{
    authorize, client, discovery, factors, federation, flow, introspect, launch, logout, manage, register,
    revoke, token, user_info,
};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HeaderName, HeaderValue, LOCATION, PRAGMA,
    RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use tracing::{Instrument as _, Span};

/// The largest form that is looked at.
const LARGEST_FORM: usize = 64 * 1024;

type Answer = Result<HttpResponse, Refusal>;

/// `GET /fhir/.well-known/smart-configuration`
pub(super) async fn smart_configuration(call: Call) -> Answer {
    Ok(public_json(&discovery::smart_configuration(&call.app)))
}

/// `GET /.well-known/openid-configuration`
pub(super) async fn openid_configuration(call: Call) -> Answer {
    Ok(public_json(&discovery::openid_configuration(&call.app)))
}

/// `GET /.well-known/jwks.json`
pub(super) async fn key_set(call: Call) -> Answer {
    let request = request(&call);
    match on_runtime(&call, async move { discovery::key_set(&request).await }).await {
        Ok(keys) => Ok(public(plain::json(StatusCode::OK, keys))),
        Err(error) => Ok(json_error(&call, &error)),
    }
}

/// `GET /auth/brands`
pub(super) async fn brands(call: Call) -> Answer {
    let brands = discovery::brands(&call.app).to_string();
    Ok(public(plain::text(StatusCode::OK, "application/fhir+json", brands)))
}

/// `GET /assets/smart-style.json`
pub(super) async fn style(_call: Call) -> Answer {
    Ok(public_json(&discovery::style()))
}

/// `GET /assets/style.css`
pub(super) async fn style_sheet(_call: Call) -> Answer {
    Ok(public(plain::text(StatusCode::OK, "text/css; charset=utf-8", pages::STYLE.to_owned())))
}

/// `GET /assets/passkey.js`
pub(super) async fn passkey_script(_call: Call) -> Answer {
    Ok(public(plain::text(StatusCode::OK, "text/javascript; charset=utf-8", pages::SCRIPT.to_owned())))
}

/// `GET /auth/authorize`
pub(super) async fn authorize(call: Call) -> Answer {
    let form = query_form(&call);
    browse(call, form, |request, form, _| async move { authorize::authorize(&request, &form).await }).await
}

/// `POST /auth/authorize`
pub(super) async fn authorize_by_post(mut call: Call) -> Answer {
    let form = body_form(&mut call).await;
    browse(call, form, |request, form, _| async move { authorize::authorize(&request, &form).await }).await
}

/// `GET /auth/flow`
pub(super) async fn flow(call: Call) -> Answer {
    let form = query_form(&call);
    browse(
        call,
        form,
        |request, form, cookie| async move { flow::show(&request, &form, cookie.as_deref()).await },
    )
    .await
}

/// `POST /auth/flow`
pub(super) async fn flow_by_post(mut call: Call) -> Answer {
    let form = body_form(&mut call).await;
    browse(call, form, |request, form, cookie| async move {
        flow::go_on(&request, &form, cookie.as_deref()).await
    })
    .await
}

/// `GET /auth/manage`
pub(super) async fn manage(call: Call) -> Answer {
    browse(call, Ok(Form::default()), |request, _, cookie| async move {
        manage::show(&request, cookie.as_deref()).await
    })
    .await
}

/// `POST /auth/manage`
pub(super) async fn manage_by_post(mut call: Call) -> Answer {
    let form = body_form(&mut call).await;
    browse(call, form, |request, form, cookie| async move {
        manage::change(&request, &form, cookie.as_deref()).await
    })
    .await
}

/// `GET /auth/federate`
pub(super) async fn federate(call: Call) -> Answer {
    let form = query_form(&call);
    browse(call, form, |request, form, cookie| async move {
        federation::begin(&request, &form, cookie.as_deref()).await
    })
    .await
}

/// `GET /auth/federation`
pub(super) async fn federation(call: Call) -> Answer {
    let form = query_form(&call);
    browse(call, form, |request, form, cookie| async move {
        federation::finish(&request, &form, cookie.as_deref()).await
    })
    .await
}

/// `GET /auth/factors`
pub(super) async fn factors(call: Call) -> Answer {
    browse(call, Ok(Form::default()), |request, _, cookie| async move {
        factors::show(&request, cookie.as_deref()).await
    })
    .await
}

/// `POST /auth/factors`
pub(super) async fn factors_by_post(mut call: Call) -> Answer {
    let form = body_form(&mut call).await;
    browse(call, form, |request, form, cookie| async move {
        factors::change(&request, &form, cookie.as_deref()).await
    })
    .await
}

/// `GET /auth/logout`
pub(super) async fn logout(call: Call) -> Answer {
    let form = query_form(&call);
    browse(call, form, |request, form, cookie| async move {
        logout::log_out(&request, &form, cookie.as_deref()).await
    })
    .await
}

/// `POST /auth/logout`
pub(super) async fn logout_by_post(mut call: Call) -> Answer {
    let form = body_form(&mut call).await;
    browse(call, form, |request, form, cookie| async move {
        logout::log_out(&request, &form, cookie.as_deref()).await
    })
    .await
}

/// `POST /auth/token`
pub(super) async fn token(call: Call) -> Answer {
    back_channel(call, |request, asker, form| async move {
        token::token(&request, &asker.credentials, &form).await
    })
    .await
}

/// `POST /auth/introspect`
pub(super) async fn introspect(call: Call) -> Answer {
    back_channel(call, |request, asker, form| async move {
        introspect::introspect(&request, (&asker.credentials, asker.bearer.as_deref()), &form).await
    })
    .await
}

/// `POST /auth/revoke`
pub(super) async fn revoke(call: Call) -> Answer {
    back_channel(call, |request, asker, form| async move {
        revoke::revoke_token(&request, &asker.credentials, &form).await.map(|()| Value::Null)
    })
    .await
}

/// `POST /auth/launch`
pub(super) async fn launch(call: Call) -> Answer {
    back_channel(call, |request, asker, form| async move {
        let ehr = client::authenticate(&request, &asker.credentials, &form).await?;
        launch::begin_for(&request, &ehr, &form).await
    })
    .await
}

/// `POST /auth/register`
pub(super) async fn register(mut call: Call) -> Answer {
    let body = call.body().await?;
    let (request, leave) = (request(&call), asker(&call).bearer);
    let result =
        on_runtime(&call, async move { register::register(&request, leave.as_deref(), &body).await }).await;
    match result {
        Ok(answer) => Ok(plain::json(StatusCode::CREATED, answer.to_string())),
        Err(error) => Ok(turned_away(&call, &error).await),
    }
}

/// `GET /auth/userinfo`, `POST /auth/userinfo`
pub(super) async fn user_info(call: Call) -> Answer {
    let (request, presented) = (request(&call), caller::presented(&call).ok().flatten());
    let result = on_runtime(&call, async move { user_info::user_info(&request, presented.as_ref()).await });
    match result.await {
        Ok(answer) => Ok(plain::json(StatusCode::OK, answer.to_string())),
        Err(error) => Ok(turned_away(&call, &error).await),
    }
}

/// An error, with its row in the trail where a token was no good.
async fn turned_away(call: &Call, error: &OAuthError) -> HttpResponse {
    if error.code == "invalid_token" {
        let has_token = call.request.headers().contains_key(AUTHORIZATION);
        call.record_refusal(if has_token { Reason::BadToken } else { Reason::NoToken }).await;
    }
    json_error(call, error)
}

/// Who asks on the back channel, nothing of it checked.
struct Asker {
    credentials: Credentials,
    bearer: Option<String>,
}

async fn back_channel<F, Fut>(mut call: Call, answer: F) -> Answer
where
    F: FnOnce(Request, Asker, Form) -> Fut,
    Fut: Future<Output = Result<Value, OAuthError>> + Send + 'static,
{
    let result = match body_form(&mut call).await {
        Ok(form) => {
            let asker = asker(&call);
            let who = claimed(&call, &asker, &form);
            if let Some(wait) = call.edge.rate_limits.wait_after_failures(&who) {
                return Ok(too_often(&call, wait).await);
            }
            let result = on_runtime(&call, answer(request(&call), asker, form)).await;
            if result.as_ref().is_err_and(|error| error.code == "invalid_client") {
                call.edge.rate_limits.count_failure(who);
            }
            result
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(Value::Null) => Ok(HttpResponse::new(StatusCode::OK)),
        Ok(value) => Ok(plain::json(StatusCode::OK, value.to_string())),
        Err(error) => Ok(turned_away(&call, &error).await),
    }
}

/// Who a client says it is, and where: as whom it is counted when it fails to prove that.
fn claimed(call: &Call, asker: &Asker, form: &Form) -> String {
    let basic = asker.credentials.basic.as_ref().map(|(name, _)| name.as_str());
    let client = basic.or_else(|| form.one("client_id").ok().flatten()).unwrap_or_default();
    let client: String = client.chars().take(100).collect();
    format!("{}/{}/{client}", call.app.tenant.0, call.network.as_deref().unwrap_or_default())
}

/// The answer to who asks, or fails, too often; it is in the trail.
pub(super) async fn too_often(call: &Call, wait_seconds: u64) -> HttpResponse {
    call.record_refusal(Reason::TooOftenFrom).await;
    let mut response = json_error(call, &OAuthError::new("slow_down", "too often: wait as Retry-After says"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_seconds));
    response
}

async fn browse<F, Fut>(call: Call, form: Result<Form, OAuthError>, answer: F) -> Answer
where
    F: FnOnce(Request, Form, Option<String>) -> Fut,
    Fut: Future<Output = Result<Reply, OAuthError>> + Send + 'static,
{
    let result = match form {
        Ok(form) => on_runtime(&call, answer(request(&call), form, cookie(&call))).await,
        Err(error) => Err(error),
    };
    Ok(match result {
        Ok(reply) => shown(&call, reply),
        Err(error) => {
            log(&call, &error);
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let (text, retry_after_seconds) = (error.description, error.retry_after_seconds);
            page(&call, status, &Page::Error { code: error.code, text, retry_after_seconds })
        }
    })
}

pub(super) fn request(call: &Call) -> Request {
    Request {
        app: Arc::clone(&call.app),
        tenant: call.app.tenant,
        id: call.id,
        network: call.network.clone(),
        now: call.now,
        actor: None,
    }
}

/// Goes on to its end also when the client goes away: what was done is recorded.
pub(super) async fn on_runtime<T: Send + 'static>(
    call: &Call,
    work: impl Future<Output = Result<T, OAuthError>> + Send + 'static,
) -> Result<T, OAuthError> {
    let work = work.instrument(Span::current());
    call.edge.runtime.spawn(work).await.unwrap_or_else(|error| Err(OAuthError::server_error(error)))
}

fn query_form(call: &Call) -> Result<Form, OAuthError> {
    decode(call.request.query_string())
}

async fn body_form(call: &mut Call) -> Result<Form, OAuthError> {
    if call.content_type() != "application/x-www-form-urlencoded" {
        return Err(OAuthError::invalid_request("the body must be application/x-www-form-urlencoded"));
    }
    let unread = |_| OAuthError::invalid_request("the body cannot be read");
    let body = call.body().await.map_err(|_| OAuthError::invalid_request("the body cannot be read"))?;
    if body.len() > LARGEST_FORM {
        return Err(OAuthError::invalid_request("the form is too large"));
    }
    decode(&String::from_utf8(body).map_err(unread)?)
}

fn decode(text: &str) -> Result<Form, OAuthError> {
    match query::decode(text) {
        Ok(fields) => Ok(Form(fields)),
        Err(_) => Err(OAuthError::invalid_request("a parameter does not decode")),
    }
}

fn asker(call: &Call) -> Asker {
    let header = call.header("authorization").ok().flatten().unwrap_or_default();
    let basic = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    // Two proofs, or one that is no text, are as bad as one that is wrong: never as good as none.
    let proof = call.header("dpop").unwrap_or(Some("")).map(str::to_owned);
    let basic = basic.and_then(|(_, text)| basic_credentials(text.trim()));
    Asker { credentials: Credentials { basic, proof }, bearer: caller::bearer(header).map(str::to_owned) }
}

/// RFC 6749 2.3.1: name and secret are each encoded as in a form, then joined as RFC 7617 says.
fn basic_credentials(text: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    // Many clients leave the encoding out: what does not decode stands for itself.
    let decoded = |text: &str| match query::decode(&format!("x={text}")) {
        Ok(fields) => fields.into_iter().next().map(|(_, value)| value),
        Err(_) => Some(text.to_owned()),
    };
    Some((decoded(name)?, decoded(secret)?))
}

fn json_error(call: &Call, error: &OAuthError) -> HttpResponse {
    log(call, error);
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = plain::json(status, error.to_json());
    let challenge = match error.code {
        "invalid_client" => Some("Basic realm=\"vesta\""),
        "invalid_token" => Some("Bearer realm=\"vesta\", error=\"invalid_token\""),
        "insufficient_scope" => Some("Bearer realm=\"vesta\", error=\"insufficient_scope\""),
        _ => None,
    };
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

pub(super) fn log(call: &Call, error: &OAuthError) {
    if let Some(cause) = error.cause() {
        tracing::error!(request.id = %call.id, "the authorization server failed: {cause:?}");
    }
}

fn shown(call: &Call, reply: Reply) -> HttpResponse {
    let mut response = match &reply.body {
        Body::Page(shown) => page(call, status_of(shown), shown),
        Body::Redirect(url) => {
            // 303: whatever the method was, the next one is GET (RFC 9700 4.12).
            let mut response = HttpResponse::new(StatusCode::SEE_OTHER);
            if let Ok(url) = HeaderValue::from_str(url) {
                response.headers_mut().insert(LOCATION, url);
            }
            response
        }
    };
    let wait = match &reply.body {
        Body::Page(page) => match page.as_ref() {
            Page::SignIn(form) | Page::SecondFactor(form) => form.retry_after_seconds,
            _ => None,
        },
        Body::Redirect(_) => None,
    };
    if let Some(seconds) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let (name, is_secure) = cookie_name(call);
    let attributes = if is_secure {
        "; Path=/; HttpOnly; SameSite=Lax; Secure"
    } else {
        "; Path=/; HttpOnly; SameSite=Lax"
    };
    let cookie = match &reply.cookie {
        Cookie::Keep => None,
        Cookie::Set(secret) => Some(format!("{name}={}{attributes}", secret.expose_secret())),
        Cookie::Clear => Some(format!("{name}={attributes}; Max-Age=0")),
    };
    if let Some(cookie) = cookie.and_then(|it| HeaderValue::from_str(&it).ok()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn status_of(page: &Page) -> StatusCode {
    match page {
        Page::SignIn(form) | Page::SecondFactor(form) if form.retry_after_seconds.is_some() => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Page::SignIn(form) | Page::SecondFactor(form) if form.complaint.is_some() => StatusCode::UNAUTHORIZED,
        Page::Error { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

fn page(call: &Call, status: StatusCode, page: &Page) -> HttpResponse {
    let mut html = pages::html(page);
    if !call.path("tenant").is_empty() {
        // Values are escaped, so this can only be where a form or a link of ours goes.
        let there = format!("=\"/t/{}/auth/", call.path("tenant"));
        html = html.replace("=\"/auth/", &there);
    }
    let mut response = plain::text(status, "text/html; charset=utf-8", html);
    let onward = page.form().map(|form| form.onward.as_str()).unwrap_or_default();
    // Browsers hold a form's redirections to `form-action`, too: the app's address must stand there.
    let script = if pages::has_script(page) { "script-src 'self'; " } else { "" };
    let policy = format!(
        "default-src 'none'; style-src 'self'; {script}form-action 'self' {onward}; frame-ancestors 'none'; base-uri 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The name of the cookie, and whether it is for TLS alone: plain HTTP is for loopback, and a browser would
/// keep no `__Host-` cookie from there. Tenants of one host have cookies of their own.
fn cookie_name(call: &Call) -> (String, bool) {
    let is_secure = call.config().public_url().starts_with("https://");
    let prefix = if is_secure { "__Host-" } else { "" };
    match call.path("tenant") {
        "" => (format!("{prefix}vesta-session"), is_secure),
        tenant => (format!("{prefix}vesta-session-{tenant}"), is_secure),
    }
}

fn cookie(call: &Call) -> Option<String> {
    let (name, _) = cookie_name(call);
    let headers = call.request.headers().get_all(COOKIE).filter_map(|it| it.to_str().ok());
    let mut pairs = headers.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    pairs.find(|(it, _)| **it == *name).map(|(_, value)| value.to_owned()).filter(|it| !it.is_empty())
}

fn public_json(value: &Value) -> HttpResponse {
    public(plain::json(StatusCode::OK, value.to_string()))
}

/// What is the same for everybody may be kept for a while.
fn public(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    headers.insert(PRAGMA, HeaderValue::from_static("cache"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    response
}
