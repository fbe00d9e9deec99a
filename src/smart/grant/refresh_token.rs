//! The refresh token, for new tokens: <https://www.rfc-editor.org/rfc/rfc6749#section-6>
//!
//! Each is good once and replaced by another (RFC 9700 4.14.2). One that comes again ends its family.

use super::Grant;
use crate::audit::event::Kind;
use crate::crypto::token_hash;
use crate::smart::client::Client;
use crate::smart::error::OAuthError;
use crate::smart::granting;
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
    let hash = token_hash::hash(form.required("refresh_token")?);
    let token = (GrantTokenKind::Refresh, hash.as_slice());
    let who = Who { client: &client.id, ..Who::default() };
    let unknown = || OAuthError::invalid_grant("the refresh token is not good, or no more");
    let Some((row, used)) = request.app.store.find_grant_token(request.tenant, token).await? else {
        return Err(
            record::refused(request, who, (Kind::TokenIssued, "unknown refresh token"), unknown()).await
        );
    };
    if row.client != client.id {
        return Err(
            record::refused(request, who, (Kind::TokenIssued, "another client's token"), unknown()).await
        );
    }
    let grant = Grant::of(&row)?;
    if grant.key.is_some() && grant.key.as_deref() != key {
        let rule = (Kind::TokenIssued, "not proven with the key of the grant");
        return Err(record::refused(request, who, rule, unknown()).await);
    }
    // What is asked for is looked at before the token is used up: a mistake in it shall not cost the access.
    let scopes = match form.one("scope")?.filter(|_| used.is_none()) {
        None => grant.scopes.clone(),
        Some(asked) => narrowed(&grant.scopes, asked)?,
    };
    let row = match request.app.store.use_grant_token(request.tenant, token).await? {
        Used::Now(row) => row,
        Used::Before(row) => return Err(super::replayed(request, client, row.id).await?),
        Used::Unknown => {
            return Err(record::refused(
                request,
                who,
                (Kind::TokenIssued, "the refresh token is over"),
                unknown(),
            )
            .await);
        }
    };
    let user = row.account.map(|it| it.to_string()).unwrap_or_default();
    let who = Who { user: &user, client: &client.id };
    if let Some(rule) = super::standing(request, client, &row).await? {
        return Err(record::refused(
            request,
            who,
            (Kind::TokenIssued, rule),
            OAuthError::invalid_grant(rule),
        )
        .await);
    }
    let answer = super::answer(request, client, (&row, &grant), (&scopes, key)).await?;
    record::success(request, who, Kind::TokenIssued, "refresh token").await?;
    Ok(answer)
}

/// The scopes that are asked for again, each of them no more than was granted.
fn narrowed(granted: &[String], asked: &str) -> Result<Vec<String>, OAuthError> {
    let granted = granted.join(" ");
    let words: Vec<String> = asked.split_ascii_whitespace().map(str::to_owned).collect();
    if words.is_empty() || !words.iter().all(|word| granting::covers(&granted, word)) {
        return Err(OAuthError::invalid_scope("this is more than was granted"));
    }
    Ok(words)
}
