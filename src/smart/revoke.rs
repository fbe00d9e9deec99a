//! Taking access back: a token, a grant, a user, a client.
//!
//! <https://www.rfc-editor.org/rfc/rfc7009>
//!
//! Whichever token of a grant a client gives back, the whole family ends: the refresh token, and every access
//! token, at its next use, on every server.

use crate::audit::event::Kind;
use crate::crypto::token_hash;
use crate::smart::access_token;
use crate::smart::client::{self, Credentials};
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::store::grants::{GrantTokenKind, Grants};
use crate::store::revocations::RevocationKind;
use uuid::Uuid;

/// How long every server must remember: longer than any access token lives.
const NEWS_SECONDS: i64 = 1200;

/// Answers a revocation request: nothing is said of tokens that are not the client's.
///
/// # Errors
/// The client is not who it says, or names no token.
pub async fn revoke_token(
    request: &Request,
    credentials: &Credentials,
    form: &Form,
) -> Result<(), OAuthError> {
    let client = client::authenticate(request, credentials, form).await?;
    let token = form.required("token")?;
    let hash = token_hash::hash(token);
    let store = &request.app.store;
    let refresh = store.find_grant_token(request.tenant, (GrantTokenKind::Refresh, &hash)).await?;
    if let Some((row, _)) = refresh.filter(|(row, _)| row.client == client.id) {
        revoke(request, &Grants::Family(row.id)).await?;
    } else if let Ok(claims) = access_token::claims(&request.app, token).await
        && claims.token.principal.client_id == client.id
    {
        match claims.token.family.as_deref().and_then(|it| Uuid::parse_str(it).ok()) {
            Some(family) => revoke(request, &Grants::Family(family)).await?,
            None => {
                let subject = (RevocationKind::Token, claims.token.principal.token_id.as_str());
                store.revoke(request.tenant, subject, request.later(NEWS_SECONDS)).await?;
            }
        }
    }
    let who = Who { client: &client.id, ..Who::default() };
    record::success(request, who, Kind::TokenRevoked, "asked by the client").await
}

/// Revokes grants.
///
/// # Errors
/// The database fails.
pub async fn revoke(request: &Request, which: &Grants<'_>) -> Result<(), OAuthError> {
    request.app.store.revoke_grants(request.tenant, which, request.later(NEWS_SECONDS)).await?;
    Ok(())
}

/// Ends the sessions of a user, and all that they granted; they may sign in again.
///
/// # Errors
/// The database fails.
pub async fn sign_out_user(request: &Request, id: Uuid) -> Result<(), OAuthError> {
    let store = &request.app.store;
    store.end_sessions_of(request.tenant, id).await?;
    revoke(request, &Grants::Account(id)).await?;
    let subject = id.to_string();
    let news = (RevocationKind::User, subject.as_str());
    store.revoke(request.tenant, news, request.later(NEWS_SECONDS)).await?;
    record::success(request, Who { user: &subject, ..Who::default() }, Kind::TokenRevoked, "all of a user")
        .await
}

/// Ends all access of a client; it may ask again.
///
/// # Errors
/// The database fails.
pub async fn sign_out_client(request: &Request, id: &str) -> Result<(), OAuthError> {
    let store = &request.app.store;
    revoke(request, &Grants::Client(id)).await?;
    store.revoke(request.tenant, (RevocationKind::Client, id), request.later(NEWS_SECONDS)).await?;
    record::success(request, Who { client: id, ..Who::default() }, Kind::TokenRevoked, "all of a client")
        .await
}

/// Disables an account: it signs in no more, its sessions end, and its tokens are dead.
///
/// # Errors
/// The database fails.
pub async fn disable_user(request: &Request, id: Uuid) -> Result<(), OAuthError> {
    let store = &request.app.store;
    let Some(mut account) = store.account_by_id(request.tenant, id).await? else { return Ok(()) };
    account.disabled = Some(request.now);
    store.put_account(request.tenant, &account).await?;
    store.end_sessions_of(request.tenant, id).await?;
    revoke(request, &Grants::Account(id)).await?;
    let subject = id.to_string();
    let news = (RevocationKind::User, subject.as_str());
    store.revoke(request.tenant, news, request.later(NEWS_SECONDS)).await?;
    let who = Who { user: &subject, ..Who::default() };
    record::success(request, who, Kind::UserChanged, "disabled").await
}

/// Disables a client: it gets no more tokens, and those it has are dead.
///
/// # Errors
/// The database fails.
pub async fn disable_client(request: &Request, id: &str) -> Result<(), OAuthError> {
    let store = &request.app.store;
    let Some(mut row) = store.client(request.tenant, id).await? else { return Ok(()) };
    row.disabled = Some(request.now);
    store.put_client(request.tenant, &row).await?;
    revoke(request, &Grants::Client(id)).await?;
    store.revoke(request.tenant, (RevocationKind::Client, id), request.later(NEWS_SECONDS)).await?;
    let who = Who { client: id, ..Who::default() };
    record::success(request, who, Kind::ClientChanged, "disabled").await
}
