//! Clients, in the words of RFC 7591; leave to register; launches.
//!
//! A client is told with its `client_id` and a `status`: `active`, `pending` (it registered itself, and waits to be
//! approved) or `disabled`. A secret is made up here and told once.

use super::{MOST, object, unknown};
use crate::audit::event::Kind;
use crate::crypto::{random, token_hash};
use crate::smart::accounts;
use crate::smart::client::Registration;
use crate::smart::error::OAuthError;
use crate::smart::launch;
use crate::smart::record::{self, Who};
use crate::smart::register;
use crate::smart::request::{Form, Request};
use crate::smart::revoke;
use crate::store::clients::ClientRow;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// Leave to register lives for an hour where nothing is said, and for a month at most.
const LEAVE_SECONDS: (i64, i64) = (3600, 30 * 86_400);

/// The clients whose ids come after that one.
///
/// # Errors
/// The database fails.
pub async fn list(request: &Request, after: Option<&str>) -> Result<Value, OAuthError> {
    let rows = request.app.store.clients_after(request.tenant, after.unwrap_or_default(), MOST).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|it| it == MOST);
    let next = rows.last().filter(|_| is_full).map(|it| it.id.clone());
    let clients = rows.iter().map(described).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "clients": clients, "next": next }))
}

/// One client.
///
/// # Errors
/// There is no such client.
pub async fn read(request: &Request, id: &str) -> Result<Value, OAuthError> {
    described(&find(request, id).await?)
}

/// Makes a client: its id and what it is told, with the secret that was made up where it needs one.
///
/// # Errors
/// The registration cannot work, or there is a client of that id.
pub async fn create(request: &Request, body: &[u8]) -> Result<(String, Value), OAuthError> {
    let (id, registration) = parse(body)?;
    let id = id.unwrap_or_else(|| random::id(request.now).to_string());
    if request.app.store.client(request.tenant, &id).await?.is_some() {
        return Err(OAuthError::new("conflict", "there is a client of that id"));
    }
    let secret = registration.is_symmetric().then(|| random::token_urlsafe(32));
    accounts::put_client(request, &id, (&registration, secret.as_ref())).await?;
    Ok((id.clone(), with_secret(read(request, &id).await?, secret.as_ref())))
}

/// Puts another registration in the place of a client's: it is active again if it was disabled; one that waits to be
/// approved goes on waiting.
///
/// # Errors
/// There is no such client, or the registration cannot work.
pub async fn update(request: &Request, id: &str, body: &[u8]) -> Result<Value, OAuthError> {
    let row = find(request, id).await?;
    let (named, registration) = parse(body)?;
    if named.is_some_and(|it| it != id) {
        return Err(OAuthError::invalid_request("client_id is another's"));
    }
    let secret =
        (registration.is_symmetric() && row.secret_hash.is_none()).then(|| random::token_urlsafe(32));
    accounts::put_client(request, id, (&registration, secret.as_ref())).await?;
    Ok(with_secret(read(request, id).await?, secret.as_ref()))
}

/// Gives a client no more tokens, and ends those that it has. One that waits is turned down.
///
/// # Errors
/// There is no such client.
pub async fn disable(request: &Request, id: &str) -> Result<(), OAuthError> {
    let row = find(request, id).await?;
    if row.pending.is_some() {
        request.app.store.put_client(request.tenant, &ClientRow { pending: None, ..row }).await?;
    }
    revoke::disable_client(request, id).await
}

/// Lets in a client that registered itself.
///
/// # Errors
/// There is no such client, or it does not wait.
pub async fn approve(request: &Request, id: &str) -> Result<Value, OAuthError> {
    let row = find(request, id).await?;
    if row.pending.is_none() {
        return Err(OAuthError::new("conflict", "the client does not wait to be approved"));
    }
    request.app.store.put_client(request.tenant, &ClientRow { pending: None, ..row }).await?;
    changed(request, id, "approved").await?;
    read(request, id).await
}

/// Makes up another secret, told once; the one before is no good any more.
///
/// # Errors
/// There is no such client, or it has no secret.
pub async fn rotate_secret(request: &Request, id: &str) -> Result<Value, OAuthError> {
    let row = find(request, id).await?;
    if row.secret_hash.is_none() {
        return Err(OAuthError::new("conflict", "the client has no secret"));
    }
    let secret = random::token_urlsafe(32);
    let secret_hash = Some(token_hash::hash(secret.expose_secret()));
    request.app.store.put_client(request.tenant, &ClientRow { secret_hash, ..row }).await?;
    changed(request, id, "secret rotated").await?;
    Ok(with_secret(read(request, id).await?, Some(&secret)))
}

/// Ends all access that a client has; it may ask again.
///
/// # Errors
/// There is no such client.
pub async fn revoke_all(request: &Request, id: &str) -> Result<Value, OAuthError> {
    find(request, id).await?;
    revoke::sign_out_client(request, id).await?;
    read(request, id).await
}

/// Leave to register one client: an initial access token.
///
/// # Errors
/// `expires_in` is no number of seconds that it may live.
pub async fn give_leave(request: &Request, body: &[u8]) -> Result<Value, OAuthError> {
    let (usual, longest) = LEAVE_SECONDS;
    let seconds = match object(body)?.get("expires_in") {
        None => usual,
        Some(value) => value
            .as_i64()
            .filter(|it| (1..=longest).contains(it))
            .ok_or_else(|| OAuthError::invalid_request(format!("expires_in is from 1 to {longest}")))?,
    };
    let leave = register::give_leave(request, seconds).await?;
    Ok(json!({ "initial_access_token": leave.expose_secret(), "expires_in": seconds }))
}

/// Begins a launch for a user: fields as for `/auth/launch`, in JSON.
///
/// # Errors
/// The client or user is unknown, or a field is malformed.
pub async fn begin_launch(request: &Request, body: &[u8]) -> Result<Value, OAuthError> {
    let mut fields = Vec::new();
    for (name, value) in object(body)?.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        fields.push((name.clone(), text));
    }
    launch::begin_with(request, &Form(fields)).await
}

async fn changed(request: &Request, id: &str, rule: &str) -> Result<(), OAuthError> {
    request.app.facts_changed(request.tenant);
    record::success(request, Who { client: id, ..Who::default() }, Kind::ClientChanged, rule).await
}

/// The id that a body names, if it does, and its registration.
fn parse(body: &[u8]) -> Result<(Option<String>, Registration), OAuthError> {
    let mut value = object(body)?;
    let mut id = None;
    if let Some(fields) = value.as_object_mut() {
        id = fields.remove("client_id").and_then(|it| it.as_str().map(str::to_owned));
        fields.remove("status");
        if let Some(unknown) = fields.keys().find(|it| !Registration::FIELDS.contains(&it.as_str())) {
            return Err(OAuthError::invalid_request(format!("there is no field {unknown}")));
        }
    }
    let registration = serde_json::from_value(value).map_err(|_| {
        OAuthError::invalid_request("a field of the registration has a value that it cannot have")
    })?;
    Ok((id, registration))
}

fn described(row: &ClientRow) -> Result<Value, OAuthError> {
    let mut value: Value = serde_json::from_str(&row.document).map_err(OAuthError::server_error)?;
    let status = match (row.disabled, row.pending) {
        (Some(_), _) => "disabled",
        (None, Some(_)) => "pending",
        (None, None) => "active",
    };
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        fields.insert("client_id".to_owned(), row.id.clone().into());
        fields.insert("status".to_owned(), status.into());
    }
    Ok(value)
}

fn with_secret(mut described: Value, secret: Option<&SecretString>) -> Value {
    if let (Some(fields), Some(secret)) = (described.as_object_mut(), secret) {
        fields.insert("client_secret".to_owned(), secret.expose_secret().into());
        fields.insert("client_secret_expires_at".to_owned(), 0.into());
    }
    described
}

async fn find(request: &Request, id: &str) -> Result<ClientRow, OAuthError> {
    request.app.store.client(request.tenant, id).await?.ok_or_else(unknown)
}
