//! Access tokens: from the `Authorization` header's text to whoever bears it.
//!
//! <https://www.rfc-editor.org/rfc/rfc9068>, <https://www.rfc-editor.org/rfc/rfc6750>
//!
//! A signature is checked once and then remembered by the SHA-256 of the token; its time is checked at every
//! request. Whatever is wrong, the caller is told the same words: the reason is for the log alone.

use crate::access::principal::Principal;
use crate::access::scope::Scopes;
use crate::app::{App, GoodToken};
use crate::config::MAX_TOKEN_LIFETIME_SECONDS;
use crate::crypto::jws::{self, Expected, JwsError};
use crate::fhir::id::{ResourceId, TenantId};
use crate::fhir::outcome::Outcome;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// How far the clocks of issuer and server may differ.
const LEEWAY_SECONDS: i64 = 5;

/// Why a bearer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Token(#[from] JwsError),
    #[error("the claim {0} is missing or malformed")]
    Claim(&'static str),
}

/// Who bears this token.
///
/// # Errors
/// [`Outcome::login`], in the same words whatever is wrong.
pub fn verify(app: &App, token: &str) -> Result<Principal, Outcome> {
    let hash: [u8; 32] = Sha256::digest(token).into();
    let now = app.clock.now().as_second();
    if let Some(good) = app.good_tokens.get(&hash) {
        if now < good.expires_seconds.saturating_add(LEEWAY_SECONDS) {
            return Ok(good.principal.clone());
        }
        app.good_tokens.invalidate(&hash);
    }
    match check(app, token, now) {
        Ok(good) => {
            let principal = good.principal.clone();
            app.good_tokens.insert(hash, Arc::new(good));
            Ok(principal)
        }
        Err(refusal) => {
            tracing::info!(reason = %refusal, "refused an access token");
            Err(Outcome::login())
        }
    }
}

fn check(app: &App, token: &str, now_seconds: i64) -> Result<GoodToken, Refusal> {
    let (issuer, audience) = (app.config.token_issuer(), app.config.token_audience());
    let expected = Expected {
        token_type: "at+jwt",
        issuer: &issuer,
        audience: &audience,
        now_seconds,
        leeway_seconds: LEEWAY_SECONDS,
        max_lifetime_seconds: app.config.tokens.lifetime_seconds.min(MAX_TOKEN_LIFETIME_SECONDS).into(),
    };
    let claims = jws::verify(&app.token_keys, token, &expected)?;
    let expires_seconds = claims.get("exp").and_then(Value::as_i64).ok_or(Refusal::Claim("exp"))?;
    let principal = principal(&claims, &app.fhir_base())?;
    Ok(GoodToken { principal, expires_seconds })
}

/// A claim of another type than a string is as bad as a false one: it is never read as missing.
fn principal(claims: &Map<String, Value>, fhir_base: &str) -> Result<Principal, Refusal> {
    let optional = |name: &'static str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
        Some(_) => Err(Refusal::Claim(name)),
    };
    let required = |name: &'static str| optional(name)?.ok_or(Refusal::Claim(name));
    let patient = match optional("patient")? {
        None => None,
        Some(id) => Some(ResourceId::parse(id).ok_or(Refusal::Claim("patient"))?),
    };
    let user = optional("fhirUser")?;
    let user = user.map(|url| url.strip_prefix(fhir_base).unwrap_or(url).trim_start_matches('/'));
    Ok(Principal {
        tenant: TenantId::FIRST,
        subject: required("sub")?.to_owned(),
        client_id: required("client_id")?.to_owned(),
        fhir_user: user.map(str::to_owned),
        patient,
        scopes: Scopes::parse(optional("scope")?.unwrap_or_default()),
        purpose: optional("purpose_of_use")?.map(str::to_owned),
        token_id: required("jti")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(claims: Value) -> Result<Principal, Refusal> {
        let mut all = json!({ "sub": "s", "client_id": "c", "jti": "j", "scope": "user/*.rs" });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        principal(all.as_object().unwrap(), "https://h/fhir")
    }

    #[test]
    fn claims_become_a_principal() {
        let it = read(json!({ "patient": "p", "fhirUser": "https://h/fhir/Practitioner/1" })).unwrap();
        assert_eq!(it.patient, ResourceId::parse("p"));
        assert_eq!(it.fhir_user.as_deref(), Some("Practitioner/1"));
        assert_eq!(it.scopes.resources().len(), 1);
        assert!(read(json!({ "scope": null })).unwrap().scopes.resources().is_empty());
    }

    #[test]
    fn a_malformed_claim_is_not_a_missing_one() {
        for (claims, name) in [
            (json!({ "patient": 7 }), "patient"),
            (json!({ "patient": "a b" }), "patient"),
            (json!({ "patient": "" }), "patient"),
            (json!({ "sub": null }), "sub"),
            (json!({ "scope": ["user/*.rs"] }), "scope"),
        ] {
            assert_eq!(read(claims).unwrap_err(), Refusal::Claim(name));
        }
    }
}
