//! Tokens that are bound to a key: who has the token alone, has nothing. <https://www.rfc-editor.org/rfc/rfc9449>
//!
//! A client that sends a proof with its token request gets tokens of the type `DPoP`, and sends another proof with
//! every request. Each proof is good once, for one method, address and token, within a minute. We ask for no nonce:
//! clocks of clients may be a few seconds apart, and a proof that was seen is known on every server.

use crate::app::App;
use crate::audit::event::{self, Kind};
use crate::crypto::{dpop, token_hash};
use crate::fhir::id::TenantId;
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use crate::store::error::StoreError;
use crate::store::tickets::TicketKind;
use serde_json::Value;
use std::sync::Arc;

/// How old a proof may be.
const OLDEST_SECONDS: i64 = 60;
/// How far a client's clock may go before ours.
const LEEWAY_SECONDS: i64 = 10;
/// The longest name of a proof.
const LONGEST_NAME: usize = 256;

/// A token as it was presented.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Whether the scheme was `DPoP`: else it was `Bearer`.
    pub is_dpop: bool,
    /// The token.
    pub token: String,
    /// The proof that came along.
    pub proof: Option<String>,
    /// The method of the request.
    pub method: String,
    /// The address of the request, as clients know it.
    pub url: String,
}

/// What came of looking at a proof.
enum Looked {
    /// The thumbprint of its key.
    Good(String),
    /// Why it is refused.
    Bad(&'static str),
    /// It was used before.
    Replayed,
}

/// The key that a token request is proven with, if it is.
///
/// # Errors
/// There is a proof, and it is not good.
pub(super) async fn of_token_request(
    request: &Request,
    client: &str,
    proof: Option<&str>,
) -> Result<Option<String>, OAuthError> {
    let Some(proof) = proof else { return Ok(None) };
    let (url, now) = (request.endpoint("token"), request.now_seconds());
    let refusal = match look(&request.app, request.tenant, (proof, now), ("POST", &url, None)).await? {
        Looked::Good(thumbprint) => return Ok(Some(thumbprint)),
        Looked::Bad(rule) => (Kind::TokenIssued, rule),
        Looked::Replayed => (Kind::Replay, REPLAYED),
    };
    let who = Who { client, ..Who::default() };
    let (kind, rule) = refusal;
    record::record(request, who, kind, (event::Result::MinorFailure, rule)).await?;
    Err(OAuthError::new("invalid_dpop_proof", rule))
}

/// Whether a token that is bound to a key, or to none, was presented as it must be.
///
/// # Errors
/// That cannot be found out now.
pub(super) async fn is_proven(
    app: &Arc<App>,
    bound_to: Option<&str>,
    presented: &Presented,
) -> Result<bool, StoreError> {
    let Some(key) = bound_to else {
        // RFC 9449 7.1: a token of one kind is not presented as the other.
        return Ok(!presented.is_dpop);
    };
    let Some(proof) = presented.proof.as_deref().filter(|_| presented.is_dpop) else { return Ok(false) };
    let now = app.clock.now().as_second();
    let asked = (presented.method.as_str(), presented.url.as_str(), Some(presented.token.as_str()));
    let reason = match look(app, app.tenant, (proof, now), asked).await? {
        Looked::Good(thumbprint) if token_hash::is_same(thumbprint.as_bytes(), key.as_bytes()) => {
            return Ok(true);
        }
        Looked::Good(_) => "it is of another key",
        Looked::Bad(reason) => reason,
        Looked::Replayed => REPLAYED,
    };
    tracing::info!(reason, "refused a DPoP proof");
    Ok(false)
}

const REPLAYED: &str = "the proof was used before";

async fn look(
    app: &App,
    tenant: TenantId,
    (proof, now): (&str, i64),
    (method, url, token): (&str, &str, Option<&str>),
) -> Result<Looked, StoreError> {
    let Ok(proof) = dpop::verify(proof) else { return Ok(Looked::Bad("the proof is not valid")) };
    let text = |name: &str| proof.claims.get(name).and_then(Value::as_str);
    if text("htm") != Some(method) {
        return Ok(Looked::Bad("the proof is for another method"));
    }
    if !text("htu").is_some_and(|it| is_same_place(it, url)) {
        return Ok(Looked::Bad("the proof is for another address"));
    }
    // RFC 9449 4.2: base64url of the SHA-256 of the token, as PKCE makes a challenge.
    if token.is_some_and(|token| text("ath") != Some(token_hash::pkce_challenge(token).as_str())) {
        return Ok(Looked::Bad("the proof is for another token"));
    }
    let made = proof.claims.get("iat").and_then(Value::as_i64).unwrap_or_default();
    if !(now - OLDEST_SECONDS..=now + LEEWAY_SECONDS).contains(&made) {
        return Ok(Looked::Bad("the proof is too old, or of a time to come"));
    }
    let Some(name) = text("jti").filter(|it| !it.is_empty() && it.len() <= LONGEST_NAME) else {
        return Ok(Looked::Bad("the proof has no jti"));
    };
    let hash = token_hash::hash(&format!("{}\n{name}", proof.thumbprint));
    let ends = made.saturating_add(OLDEST_SECONDS + LEEWAY_SECONDS).saturating_mul(1_000_000);
    let is_new = app.store.keep_ticket(tenant, (TicketKind::Proof, hash.as_slice()), "", ends).await?;
    Ok(if is_new { Looked::Good(proof.thumbprint) } else { Looked::Replayed })
}

/// RFC 9449 4.3: without query and fragment, and however the host is spelled.
fn is_same_place(one: &str, other: &str) -> bool {
    let place = |text: &str| {
        let mut url = url::Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    place(one).is_some_and(|one| place(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_whatever_follows_it() {
        for same in ["https://H.example/fhir/Patient", "https://h.example:443/fhir/Patient?a=b#c"] {
            assert!(is_same_place(same, "https://h.example/fhir/Patient"), "{same}");
        }
        for other in ["https://h.example/fhir/Patient/1", "http://h.example/fhir/Patient", "nonsense", ""] {
            assert!(!is_same_place(other, "https://h.example/fhir/Patient"), "{other}");
        }
    }
}
