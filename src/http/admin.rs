//! Administration over HTTP: thin. Who may, and what is done, is in [`crate::smart::administration`].
//!
//! Bodies are JSON, and so are answers; refusals are OperationOutcomes, as everywhere behind a token.

use super::edge::Call;
use super::respond::outcome::Refusal;
use super::respond::plain;
use super::smart::{log, on_runtime, request};
use crate::access::administration::Matter;
use crate::access::principal::Principal;
use crate::access::scope::Permission;
use crate::fhir::outcome::Outcome;
use crate::smart::administration::{clients, permitted, users};
use crate::smart::error::OAuthError;
use crate::smart::request::Request;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION};
use serde_json::Value;
use std::future::Future;

type Answer = Result<HttpResponse, Refusal>;

/// The largest body that is looked at.
const LARGEST: usize = 64 * 1024;

/// `GET /admin/users`
pub(super) async fn users(call: Call, who: Principal) -> Answer {
    let (username, after) = (parameter(&call, "username")?, parameter(&call, "after")?);
    let asked = (Matter::Users, Permission::Search);
    let found = within(&call, who, asked, |request| async move {
        users::list(&request, (username.as_deref(), after.as_deref())).await
    });
    Ok(fhir(StatusCode::OK, &found.await?))
}

/// `POST /admin/users`
pub(super) async fn create_user(mut call: Call, who: Principal) -> Answer {
    let body = body(&mut call).await?;
    let asked = (Matter::Users, Permission::Create);
    let made = within(&call, who, asked, |request| async move { users::create(&request, &body).await });
    let (id, answer) = made.await?;
    Ok(at(&call, &format!("users/{id}"), fhir(StatusCode::CREATED, &answer)))
}

/// `GET /admin/users/{id}`
pub(super) async fn user(call: Call, who: Principal) -> Answer {
    let id = call.path("id").to_owned();
    let asked = (Matter::Users, Permission::Read);
    let found = within(&call, who, asked, |request| async move { users::read(&request, &id).await });
    Ok(fhir(StatusCode::OK, &found.await?))
}

/// `PUT /admin/users/{id}`
pub(super) async fn update_user(mut call: Call, who: Principal) -> Answer {
    let (id, body) = (call.path("id").to_owned(), body(&mut call).await?);
    let asked = (Matter::Users, Permission::Update);
    let done = within(&call, who, asked, |request| async move { users::update(&request, &id, &body).await });
    Ok(fhir(StatusCode::OK, &done.await?))
}

/// `DELETE /admin/users/{id}`
pub(super) async fn disable_user(call: Call, who: Principal) -> Answer {
    let id = call.path("id").to_owned();
    let asked = (Matter::Users, Permission::Delete);
    within(&call, who, asked, |request| async move { users::disable(&request, &id).await }).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// `POST /admin/users/{id}/$…`
pub(super) async fn user_operation(call: Call, who: Principal) -> Answer {
    let (id, operation) = (call.path("id").to_owned(), call.path("operation").to_owned());
    let asked = (Matter::Users, Permission::Update);
    let done = within(&call, who, asked, |request| async move {
        match operation.as_str() {
            "reset-second-factor" => users::reset_second_factor(&request, &id).await,
            "reset-password" => users::reset_password(&request, &id).await,
            "sign-out" => users::sign_out(&request, &id).await,
            _ => Err(OAuthError::new("not_found", "there is no such operation")),
        }
    });
    Ok(fhir(StatusCode::OK, &done.await?))
}

/// `GET /admin/clients`
pub(super) async fn clients(call: Call, who: Principal) -> Answer {
    let after = parameter(&call, "after")?;
    let asked = (Matter::Clients, Permission::Search);
    let found =
        within(&call, who, asked, |request| async move { clients::list(&request, after.as_deref()).await });
    Ok(json(StatusCode::OK, &found.await?))
}

/// `POST /admin/clients`
pub(super) async fn create_client(mut call: Call, who: Principal) -> Answer {
    let body = body(&mut call).await?;
    let asked = (Matter::Clients, Permission::Create);
    let made = within(&call, who, asked, |request| async move { clients::create(&request, &body).await });
    let (id, answer) = made.await?;
    Ok(at(&call, &format!("clients/{id}"), json(StatusCode::CREATED, &answer)))
}

/// `GET /admin/clients/{id}`
pub(super) async fn client(call: Call, who: Principal) -> Answer {
    let id = call.path("id").to_owned();
    let asked = (Matter::Clients, Permission::Read);
    let found = within(&call, who, asked, |request| async move { clients::read(&request, &id).await });
    Ok(json(StatusCode::OK, &found.await?))
}

/// `PUT /admin/clients/{id}`
pub(super) async fn update_client(mut call: Call, who: Principal) -> Answer {
    let (id, body) = (call.path("id").to_owned(), body(&mut call).await?);
    let asked = (Matter::Clients, Permission::Update);
    let done =
        within(&call, who, asked, |request| async move { clients::update(&request, &id, &body).await });
    Ok(json(StatusCode::OK, &done.await?))
}

/// `DELETE /admin/clients/{id}`
pub(super) async fn disable_client(call: Call, who: Principal) -> Answer {
    let id = call.path("id").to_owned();
    let asked = (Matter::Clients, Permission::Delete);
    within(&call, who, asked, |request| async move { clients::disable(&request, &id).await }).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// `POST /admin/clients/{id}/$…`
pub(super) async fn client_operation(call: Call, who: Principal) -> Answer {
    let (id, operation) = (call.path("id").to_owned(), call.path("operation").to_owned());
    let matter = if operation == "approve" { Matter::Approval } else { Matter::Clients };
    let done = within(&call, who, (matter, Permission::Update), |request| async move {
        match operation.as_str() {
            "approve" => clients::approve(&request, &id).await,
            "rotate-secret" => clients::rotate_secret(&request, &id).await,
            "revoke" => clients::revoke_all(&request, &id).await,
            _ => Err(OAuthError::new("not_found", "there is no such operation")),
        }
    });
    Ok(json(StatusCode::OK, &done.await?))
}

/// `POST /admin/registrations`
pub(super) async fn give_leave(mut call: Call, who: Principal) -> Answer {
    let body = body(&mut call).await?;
    let asked = (Matter::Clients, Permission::Create);
    let made = within(&call, who, asked, |request| async move { clients::give_leave(&request, &body).await });
    Ok(json(StatusCode::CREATED, &made.await?))
}

/// `POST /admin/launches`
pub(super) async fn begin_launch(mut call: Call, who: Principal) -> Answer {
    let body = body(&mut call).await?;
    let asked = (Matter::Clients, Permission::Create);
    let made =
        within(&call, who, asked, |request| async move { clients::begin_launch(&request, &body).await });
    Ok(json(StatusCode::CREATED, &made.await?))
}

/// Does it, if whoever bears the token may. It goes on to its end also when the client goes away.
async fn within<T, Fut>(
    call: &Call,
    who: Principal,
    asked: (Matter, Permission),
    deed: impl FnOnce(Request) -> Fut + Send + 'static,
) -> Result<T, Refusal>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T, OAuthError>> + Send + 'static,
{
    let request = request(call);
    let done = on_runtime(call, async move { deed(permitted(request, &who, asked).await?).await }).await;
    done.map_err(|error| {
        log(call, &error);
        refusal(error)
    })
}

fn refusal(error: OAuthError) -> Refusal {
    match error.code {
        "not_found" => Outcome::not_found().into(),
        "access_denied" => Outcome::forbidden(error.description).into(),
        "conflict" => Outcome::conflict(error.description).into(),
        "server_error" => Outcome::exception("the authorization server could not do it").into(),
        "temporarily_unavailable" => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Outcome::exception(error.description))
        }
        _ => Outcome::value(error.description).into(),
    }
}

async fn body(call: &mut Call) -> Result<Vec<u8>, Refusal> {
    if !matches!(call.content_type().as_str(), "application/json" | "application/fhir+json") {
        return Err(Refusal::unsupported_media_type("application/fhir+json or application/json"));
    }
    let body = call.body().await?;
    if body.len() > LARGEST {
        return Err(Outcome::value("the body is too large").into());
    }
    Ok(body)
}

fn parameter(call: &Call, name: &str) -> Result<Option<String>, Refusal> {
    let found = call.parameters()?.into_iter().find(|(it, _)| it == name);
    Ok(found.map(|(_, value)| value).filter(|it| !it.is_empty()))
}

fn at(call: &Call, place: &str, mut response: HttpResponse) -> HttpResponse {
    let url = format!("{}/admin/{place}", call.config().public_url());
    if let Ok(url) = HeaderValue::from_str(&url) {
        response.headers_mut().insert(LOCATION, url);
    }
    response
}

fn fhir(status: StatusCode, resource: &Value) -> HttpResponse {
    plain::text(status, "application/fhir+json", resource.to_string())
}

fn json(status: StatusCode, value: &Value) -> HttpResponse {
    plain::json(status, value.to_string())
}
