//! Access tokens: from the `Authorization` header's text to whoever bears it.
//!
//! <https://www.rfc-editor.org/rfc/rfc9068>, <https://www.rfc-editor.org/rfc/rfc6750>
//!
//! A signature is checked once and then remembered by the SHA-256 of the token; its time, and whether it was
//! revoked, are checked at every request. Whatever is wrong, the caller is told the same words: the reason is
//! for the log alone.
//!
//! A token is checked against our own keys, and against the key set of the settings: of another issuer of the
//! same name, or of dev mode.

use crate::access::principal::Principal;
use crate::access::role;
use crate::access::scope::Scopes;
use crate::app::{App, GoodToken};
use crate::config::MAX_TOKEN_LIFETIME_SECONDS;
use crate::crypto::jws::{self, Expected, JwsError};
use crate::fhir::id::{ResourceId, TenantId};
use crate::fhir::outcome::Outcome;
use crate::smart::dpop::{self, Presented};
use crate::smart::{id_token, revocation};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The claim that says how often a minute the bearer may ask, where the client has a limit of its own.
pub(super) const REQUESTS_PER_MINUTE: &str = "requests_per_minute";
/// How far the clocks of issuer and server may differ.
const LEEWAY_SECONDS: i64 = 5;

/// Why a bearer is not let in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Token(#[from] JwsError),
    #[error("the claim {0} is missing or malformed")]
    Claim(&'static str),
    #[error("the keys cannot be read")]
    Keys(Outcome),
}

/// A token that is in order, and all that it says. Whether it was revoked is another question.
#[derive(Clone, Debug)]
pub struct Claims {
    /// What of it matters.
    pub token: GoodToken,
    /// Every claim.
    pub all: Map<String, Value>,
}

/// Who bears this token, as it was presented.
///
/// # Errors
/// [`Outcome::login`], in the same words whatever is wrong; another where that cannot be found out now.
pub async fn verify(app: &Arc<App>, presented: &Presented) -> Result<Arc<GoodToken>, Outcome> {
    let good = good_token(app, &presented.token).await?;
    if !dpop::is_proven(app, good.key.as_deref(), presented).await? {
        return Err(Outcome::login());
    }
    if revocation::is_live(app, &good).await? {
        return Ok(good);
    }
    tracing::info!(reason = "it was revoked", "refused an access token");
    Err(Outcome::login())
}

/// The same, where memory alone can tell that the token is good; nothing where more must be asked: whether a proof was
/// seen before is known to the database.
#[must_use]
pub fn remembered(app: &App, presented: &Presented) -> Option<Arc<GoodToken>> {
    let good = app.good_tokens.get(&hash(&presented.token))?;
    if presented.is_dpop || good.key.is_some() {
        return None;
    }
    let is_young = !is_over(&good, app.clock.now().as_second());
    (is_young && revocation::is_known_to_be_live(app, &good)).then_some(good)
}

/// The claims of a token that is in order.
///
/// # Errors
/// [`Outcome::login`], in the same words whatever is wrong; another where that cannot be found out now.
pub async fn claims(app: &App, token: &str) -> Result<Claims, Outcome> {
    check(app, token, app.clock.now().as_second()).await.map_err(refused)
}

async fn good_token(app: &App, token: &str) -> Result<Arc<GoodToken>, Outcome> {
    let hash = hash(token);
    let now = app.clock.now().as_second();
    if let Some(good) = app.good_tokens.get(&hash) {
        if !is_over(&good, now) {
            return Ok(good);
        }
        app.good_tokens.invalidate(&hash);
    }
    let good = Arc::new(check(app, token, now).await.map_err(refused)?.token);
    app.good_tokens.insert(hash, Arc::clone(&good));
    Ok(good)
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn is_over(token: &GoodToken, now_seconds: i64) -> bool {
    now_seconds >= token.expires_seconds.saturating_add(LEEWAY_SECONDS)
}

fn refused(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::Keys(outcome) => outcome,
        refusal => {
            tracing::info!(reason = %refusal, "refused an access token");
            Outcome::login()
        }
    }
}

async fn check(app: &App, token: &str, now_seconds: i64) -> Result<Claims, Refusal> {
    let (issuer, audience) = (app.config.token_issuer(), app.config.token_audience());
    let expected = Expected {
        token_type: "at+jwt",
        issuer: &issuer,
        audience: &audience,
        now_seconds,
        leeway_seconds: LEEWAY_SECONDS,
        max_lifetime_seconds: app.config.tokens.lifetime_seconds.min(MAX_TOKEN_LIFETIME_SECONDS).into(),
    };
    let claims = match jws::verify(&app.token_keys, token, &expected) {
        Err(JwsError::UnknownKey) => {
            let ours = app.store.signing_keys(app.tenant).await;
            jws::verify(ours.map_err(|error| Refusal::Keys(error.into()))?.public(), token, &expected)?
        }
        result => result?,
    };
    let seconds = |name: &'static str| claims.get(name).and_then(Value::as_i64).ok_or(Refusal::Claim(name));
    let token = GoodToken {
        principal: principal(app.tenant, &claims, &app.fhir_base())?,
        issued_seconds: seconds("iat")?,
        expires_seconds: seconds("exp")?,
        family: optional(&claims, "family")?.map(str::to_owned),
        key: key(&claims)?,
        visit: optional(&claims, "visit")?.map(str::to_owned),
        requests_per_minute: claims.get(REQUESTS_PER_MINUTE).and_then(Value::as_u64).and_then(as_u32),
    };
    Ok(Claims { token, all: claims })
}

fn as_u32(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

/// A claim of another type than a string is as bad as a false one: it is never read as missing.
fn optional<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<Option<&'c str>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
        Some(_) => Err(Refusal::Claim(name)),
    }
}

/// The key that the token is bound to: a confirmation of another kind is one that we cannot check.
fn key(claims: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let Some(confirmation) = claims.get("cnf") else { return Ok(None) };
    let members = confirmation.as_object().filter(|it| it.len() == 1);
    let key = members.and_then(|it| it.get("jkt")).and_then(Value::as_str).filter(|it| !it.is_empty());
    key.map(|it| Some(it.to_owned())).ok_or(Refusal::Claim("cnf"))
}

fn principal(tenant: TenantId, claims: &Map<String, Value>, fhir_base: &str) -> Result<Principal, Refusal> {
    let optional = |name| optional(claims, name);
    let required = |name: &'static str| optional(name)?.ok_or(Refusal::Claim(name));
    let patient = match optional("patient")? {
        None => None,
        Some(id) => Some(ResourceId::parse(id).ok_or(Refusal::Claim("patient"))?),
    };
    let user = optional("fhirUser")?;
    let user = user.map(|url| url.strip_prefix(fhir_base).unwrap_or(url).trim_start_matches('/'));
    Ok(Principal {
        tenant,
        subject: required("sub")?.to_owned(),
        client_id: required("client_id")?.to_owned(),
        fhir_user: user.map(str::to_owned),
        patient,
        scopes: Scopes::parse(optional("scope")?.unwrap_or_default()),
        role: role(optional("role")?)?,
        strong_since: strong_since(claims),
        purpose: optional("purpose_of_use")?.map(str::to_owned),
        token_id: required("jti")?.to_owned(),
    })
}

/// The role that an issuer says. Nobody is the server.
fn role(said: Option<&str>) -> Result<Option<String>, Refusal> {
    match said {
        Some(role::SERVER) => Err(Refusal::Claim("role")),
        said => Ok(said.map(str::to_owned)),
    }
}

/// When the second factor was given, if one was.
fn strong_since(claims: &Map<String, Value>) -> Option<i64> {
    let is_strong = claims.get("acr").and_then(Value::as_str) == Some(id_token::TWO_FACTORS);
    claims.get("auth_time").and_then(Value::as_i64).filter(|_| is_strong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(claims: Value) -> Result<Principal, Refusal> {
        let mut all = json!({ "sub": "s", "client_id": "c", "jti": "j", "scope": "user/*.rs" });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        principal(TenantId::FIRST, all.as_object().unwrap(), "https://h/fhir")
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
    fn a_confirmation_that_cannot_be_checked_is_refused() {
        let read = |claims: Value| key(claims.as_object().unwrap());
        assert_eq!(read(json!({})).unwrap(), None);
        assert_eq!(read(json!({ "cnf": { "jkt": "k" } })).unwrap().as_deref(), Some("k"));
        for bad in [
            json!(null),
            json!("k"),
            json!({}),
            json!({ "jkt": "" }),
            json!({ "x5t#S256": "x" }),
            json!({ "jkt": "k", "x5t#S256": "x" }),
        ] {
            assert!(read(json!({ "cnf": bad })).is_err(), "{bad}");
        }
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
            assert!(matches!(read(claims).unwrap_err(), Refusal::Claim(it) if it == name), "{name}");
        }
    }
}
