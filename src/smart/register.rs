//! Dynamic registration, <https://www.rfc-editor.org/rfc/rfc7591>, for those who were given leave: an initial
//! access token, made by `vesta client leave`, good for a number of registrations until its end.
//!
//! Where the settings say so, one may register without leave, too: such a client waits for an officer who approves
//! it (`administration`), and gets nothing until then.
//!
//! What a client registers is taken as it stands or refused: nothing is quietly left out of it. Scopes of
//! systems, and the right to begin launches, are not to be had this way: an operator gives them.

use crate::access::scope::{Level, ResourceScope};
use crate::audit::event::Kind;
use crate::crypto::{random, token_hash};
use crate::smart::client::Registration;
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use crate::store::clients::ClientRow;
use crate::store::tickets::TicketKind;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// The largest registration that is looked at.
const LARGEST: usize = 64 * 1024;
/// So many clients may wait to be approved.
const MOST_PENDING: i64 = 100;

/// Leave to register one client, for so many seconds: an initial access token.
///
/// # Errors
/// The database fails.
pub async fn give_leave(request: &Request, seconds: i64) -> Result<SecretString, OAuthError> {
    let token = random::token_urlsafe(32);
    let hash = token_hash::hash(token.expose_secret());
    let ticket = (TicketKind::Registration, hash.as_slice());
    request.app.store.keep_ticket(request.tenant, ticket, "", request.later(seconds)).await?;
    record::success(request, Who::default(), Kind::ClientChanged, "leave to register").await?;
    Ok(token)
}

/// Registers a client: what it is told.
///
/// # Errors
/// There is no leave, or the registration is not in order.
pub async fn register(request: &Request, leave: Option<&str>, body: &[u8]) -> Result<Value, OAuthError> {
    let store = &request.app.store;
    if leave.is_none() && request.app.config.tokens.open_registration {
        let (registration, extra) = parse(body)?;
        if store.pending_clients(request.tenant).await? >= MOST_PENDING {
            let text = "too many clients wait to be approved";
            let rule = (Kind::ClientChanged, text);
            let error = OAuthError::new("temporarily_unavailable", text);
            return Err(record::refused(request, Who::default(), rule, error).await);
        }
        return keep(request, registration, extra, Some(request.now)).await;
    }
    let hash = leave.map(token_hash::hash).unwrap_or_default();
    let ticket = (TicketKind::Registration, hash.as_slice());
    if leave.is_none() || store.ticket(request.tenant, ticket).await?.is_none() {
        let error = OAuthError::invalid_token();
        let rule = (Kind::ClientChanged, "no leave to register");
        return Err(record::refused(request, Who::default(), rule, error).await);
    }
    let (registration, extra) = parse(body)?;
    if store.use_ticket(request.tenant, ticket).await?.is_none() {
        return Err(OAuthError::invalid_token());
    }
    keep(request, registration, extra, None).await
}

/// Keeps a registration, pending or not: what the client is told.
async fn keep(
    request: &Request,
    mut registration: Registration,
    extra: Value,
    pending: Option<i64>,
) -> Result<Value, OAuthError> {
    let id = random::id(request.now).to_string();
    let secret = registration.is_symmetric().then(|| random::token_urlsafe(32));
    registration.may_launch = false;
    registration.requests_per_minute = None;
    registration.organization = None;
    let row = ClientRow {
        id: id.clone(),
        secret_hash: secret.as_ref().map(|it| token_hash::hash(it.expose_secret())),
        disabled: None,
        pending,
        document: serde_json::to_string(&registration).map_err(OAuthError::server_error)?,
    };
    request.app.store.put_client(request.tenant, &row).await?;
    let rule = if pending.is_some() { "registered, waits to be approved" } else { "registered" };
    record::success(request, Who { client: &id, ..Who::default() }, Kind::ClientChanged, rule).await?;
    let mut answer = extra;
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("client_id".to_owned(), id.into());
        fields.insert("client_id_issued_at".to_owned(), request.now_seconds().into());
        if let Some(secret) = secret {
            fields.insert("client_secret".to_owned(), secret.expose_secret().into());
            fields.insert("client_secret_expires_at".to_owned(), 0.into());
        }
    }
    Ok(answer)
}

/// The registration, and what of it is told back.
fn parse(body: &[u8]) -> Result<(Registration, Value), OAuthError> {
    let bad = |text: String| OAuthError::new("invalid_client_metadata", text);
    if body.len() > LARGEST {
        return Err(bad("the registration is too large".to_owned()));
    }
    let mut value: Value =
        serde_json::from_slice(body).map_err(|_| bad("the body must be a JSON object".to_owned()))?;
    let Some(fields) = value.as_object_mut() else {
        return Err(bad("the body must be a JSON object".to_owned()));
    };
    if fields.contains_key("may_launch") {
        return Err(bad("may_launch is given by an operator".to_owned()));
    }
    // RFC 7591 2: what is left unsaid has these meanings.
    fields.entry("token_endpoint_auth_method").or_insert_with(|| "client_secret_basic".into());
    fields.entry("grant_types").or_insert_with(|| json!(["authorization_code"]));
    let registration: Registration = serde_json::from_value(value.clone())
        .map_err(|_| bad("a field of the registration has a value that it cannot have".to_owned()))?;
    let known = ["authorization_code", "refresh_token"];
    if let Some(other) = registration.grant_types.iter().find(|it| !known.contains(&it.as_str())) {
        return Err(bad(format!("the grant_type {other} is given by an operator")));
    }
    let scopes = registration.scope.as_deref().unwrap_or_default().split_ascii_whitespace();
    if scopes.filter_map(ResourceScope::parse).any(|it| it.level == Level::System) {
        return Err(bad("scopes of systems are given by an operator".to_owned()));
    }
    match registration.complaints().into_iter().next() {
        Some(complaint) if complaint.contains("redirect_uris") || complaint.contains("must be https") => {
            Err(OAuthError::new("invalid_redirect_uri", complaint))
        }
        Some(complaint) => Err(bad(complaint)),
        None => Ok((registration, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &Value) -> &'static str {
        parse(body.to_string().as_bytes()).map_or_else(|error| error.code, |_| "taken")
    }

    #[test]
    fn what_is_not_in_order_is_refused() {
        let uris = json!(["https://a.example/"]);
        assert_eq!(code(&json!({ "redirect_uris": uris })), "taken");
        assert_eq!(code(&json!({ "redirect_uris": ["http://a.example/"] })), "invalid_redirect_uri");
        assert_eq!(code(&json!({})), "invalid_redirect_uri");
        for extra in [
            json!({ "may_launch": true }),
            json!({ "grant_types": ["client_credentials"] }),
            json!({ "grant_types": ["password"] }),
            json!({ "scope": "system/*.rs" }),
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            json!({ "token_endpoint_auth_method": "magic" }),
        ] {
            let mut body = json!({ "redirect_uris": uris });
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            assert_eq!(code(&body), "invalid_client_metadata", "{body}");
        }
        assert_eq!(parse(b"[]").unwrap_err().code, "invalid_client_metadata");
    }
}
