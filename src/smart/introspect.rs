//! Introspection: what a token is good for, for those who hold it and may ask.
//!
//! <https://www.rfc-editor.org/rfc/rfc7662>,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html>
//!
//! A confidential client may ask, and the bearer of an access token. Of a token that is not good, nothing is
//! said but that.

use crate::audit::event::Kind;
use crate::crypto::token_hash;
use crate::smart::client::{self, Credentials};
use crate::smart::error::OAuthError;
use crate::smart::grant::Grant;
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::smart::{access_token, revocation};
use crate::store::grants::GrantTokenKind;
use serde_json::{Value, json};

/// Answers an introspection request.
///
/// # Errors
/// Whoever asks is not known, or names no token.
pub async fn introspect(
    request: &Request,
    (credentials, bearer): (&Credentials, Option<&str>),
    form: &Form,
) -> Result<Value, OAuthError> {
    let asker = match bearer {
        Some(bearer) => {
            let claims = access_token::claims(&request.app, bearer).await;
            let claims = claims.map_err(|_| OAuthError::invalid_token())?;
            // One that is bound to a key asks as its client does, not as whoever has it.
            if claims.token.key.is_some() || !revocation::is_live(&request.app, &claims.token).await? {
                return Err(OAuthError::invalid_token());
            }
            claims.token.principal.client_id
        }
        None => {
            let client = client::authenticate(request, credentials, form).await?;
            if !client.is_confidential() {
                return Err(OAuthError::invalid_client());
            }
            client.id
        }
    };
    let token = form.required("token")?;
    let answer = match describe_access_token(request, token).await? {
        Some(answer) => Some(answer),
        None => describe_refresh_token(request, token).await?,
    };
    record::success(request, Who { client: &asker, ..Who::default() }, Kind::Introspection, "asked").await?;
    Ok(answer.unwrap_or_else(|| json!({ "active": false })))
}

async fn describe_access_token(request: &Request, token: &str) -> Result<Option<Value>, OAuthError> {
    let Ok(claims) = access_token::claims(&request.app, token).await else { return Ok(None) };
    if !revocation::is_live(&request.app, &claims.token).await? {
        return Ok(None);
    }
    let mut answer = claims.all.clone();
    answer.insert("active".to_owned(), true.into());
    let token_type = if claims.token.key.is_some() { "DPoP" } else { "Bearer" };
    answer.insert("token_type".to_owned(), token_type.into());
    for ours in ["family", "visit"] {
        answer.remove(ours);
    }
    if let Some(user) = claims.all.get("fhirUser").and_then(Value::as_str)
        && !user.contains("://")
    {
        answer.insert("fhirUser".to_owned(), format!("{}/{user}", request.app.fhir_base()).into());
    }
    Ok(Some(Value::Object(answer)))
}

async fn describe_refresh_token(request: &Request, token: &str) -> Result<Option<Value>, OAuthError> {
    let hash = token_hash::hash(token);
    let found = request.app.store.find_grant_token(request.tenant, (GrantTokenKind::Refresh, &hash)).await?;
    let Some((row, None)) = found else { return Ok(None) };
    if row.revoked.is_some() || row.expires <= request.now {
        return Ok(None);
    }
    let grant = Grant::of(&row)?;
    Ok(Some(json!({
        "active": true,
        "client_id": row.client,
        "scope": grant.scopes.join(" "),
        "sub": row.account.map(|it| it.to_string()),
        "iss": request.app.config.token_issuer(),
        "exp": row.expires.div_euclid(1_000_000),
        "token_type": "refresh_token",
    })))
}
