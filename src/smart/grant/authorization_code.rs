//! The authorization code, for tokens: <https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3>,
//! <https://www.rfc-editor.org/rfc/rfc7636#section-4.6>
//!
//! The code is used up before anything else is looked at: a wrong verifier or address costs it.

use super::Grant;
use crate::audit::event::Kind;
use crate::crypto::token_hash;
use crate::smart::client::Client;
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::store::grants::{GrantTokenKind, Used};
use serde_json::Value;

pub(in crate::smart) async fn run(
    request: &Request,
    client: &Client,
    form: &Form,
    key: Option<&str>,
) -> Result<Value, OAuthError> {
    let code = form.required("code")?;
    let verifier = form.required("code_verifier")?;
    let redirect_uri = form.required("redirect_uri")?;
    let hash = token_hash::hash(code);
    let found = request.app.store.find_grant_token(request.tenant, (GrantTokenKind::Code, &hash)).await?;
    if found.is_some_and(|(row, _)| row.client != client.id) {
        // Another client's code is not this one's to use up, nor to end its family by.
        let who = Who { client: &client.id, ..Who::default() };
        let error = OAuthError::invalid_grant("the code is not good, or no more");
        return Err(record::refused(request, who, (Kind::TokenIssued, "another client's code"), error).await);
    }
    let row = match request.app.store.use_grant_token(request.tenant, (GrantTokenKind::Code, &hash)).await? {
        Used::Now(row) => row,
        Used::Before(row) => return Err(super::replayed(request, client, row.id).await?),
        Used::Unknown => {
            let who = Who { client: &client.id, ..Who::default() };
            let error = OAuthError::invalid_grant("the code is not good, or no more");
            return Err(record::refused(request, who, (Kind::TokenIssued, "unknown code"), error).await);
        }
    };
    let grant = Grant::of(&row)?;
    let user = row.account.map(|it| it.to_string()).unwrap_or_default();
    let who = Who { user: &user, client: &client.id };
    let refusal = if grant.redirect_uri != redirect_uri {
        Some("redirect_uri is not the one that the code was sent to")
    } else if !is_verifier(verifier)
        || !token_hash::is_same(token_hash::pkce_challenge(verifier).as_bytes(), grant.challenge.as_bytes())
    {
        Some("code_verifier does not fit the code_challenge")
    } else {
        super::standing(request, client, &row).await?
    };
    if let Some(rule) = refusal {
        return Err(record::refused(
            request,
            who,
            (Kind::TokenIssued, rule),
            OAuthError::invalid_grant(rule),
        )
        .await);
    }
    // RFC 9449 5: a public client's refresh tokens are bound, a confidential one proves itself otherwise.
    if let Some(key) = key.filter(|_| !client.is_confidential()) {
        let bound = Grant { key: Some(key.to_owned()), ..grant.clone() };
        let document = serde_json::to_string(&bound).map_err(OAuthError::server_error)?;
        request.app.store.change_grant(request.tenant, row.id, &document).await?;
    }
    let answer = super::answer(request, client, (&row, &grant), (&grant.scopes, key)).await?;
    record::success(request, who, Kind::TokenIssued, "authorization code").await?;
    Ok(answer)
}

/// RFC 7636 4.1: from 43 to 128 unreserved characters.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_' | b'~'))
}
