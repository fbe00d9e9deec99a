//! Consents that users want remembered: the same question of the same app about the same patient is answered
//! as it was, without a page, for ninety days.
//!
//! Only for apps whose address nobody else can take: those that prove who they are, or live under https
//! (RFC 8252 8.6). Anything else that is asked, were it less, is asked anew.

use crate::smart::client::Client;
use crate::smart::error::OAuthError;
use crate::smart::request::Request;
use crate::store::consents::ConsentRow;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const LIFETIME_SECONDS: i64 = 90 * 86_400;

/// A question, and what the user answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The scopes that were asked for.
    pub(super) asked: Vec<String>,
    /// Those that were granted.
    pub(super) granted: Vec<String>,
    /// The patient in context.
    pub(super) patient: Option<String>,
}

/// Whether an app's answers may be remembered.
pub(super) fn is_fit(client: &Client, redirect_uri: &str) -> bool {
    client.is_confidential() || redirect_uri.starts_with("https://")
}

/// What a user granted when they were asked the very same.
pub(super) async fn answer(
    request: &Request,
    (account, client): (Uuid, &str),
    (asked, patient): (&[String], Option<&str>),
) -> Result<Option<Vec<String>>, OAuthError> {
    let rows = request.app.store.consents_of(request.tenant, account).await?;
    let Some(row) = rows.iter().find(|row| row.client == client) else { return Ok(None) };
    let known: Remembered = serde_json::from_str(&row.document).map_err(OAuthError::server_error)?;
    let is_same = known.patient.as_deref() == patient
        && known.asked.len() == asked.len()
        && known.asked.iter().all(|it| asked.contains(it));
    Ok(is_same.then_some(known.granted))
}

/// Remembers an answer.
pub(super) async fn keep(
    request: &Request,
    (account, client): (Uuid, &str),
    answer: &Remembered,
) -> Result<(), OAuthError> {
    let document = serde_json::to_string(answer).map_err(OAuthError::server_error)?;
    let row = ConsentRow { client: client.to_owned(), created: request.now, document };
    let expires = request.later(LIFETIME_SECONDS);
    Ok(request.app.store.keep_consent(request.tenant, account, &row, expires).await?)
}
