//! Client assertions: a client proves who it is by a signature, <https://www.rfc-editor.org/rfc/rfc7523>.
//!
//! Each is good once: its `jti` is kept, as a hash, until it ends, for all servers. Keys come from the
//! registration, or from the client's own address, which is read again when a key is not known.

use crate::crypto::jwks::KeySet;
use crate::crypto::jws::{self, Expected, JwsError};
use crate::crypto::token_hash;
use crate::smart::client::Client;
use crate::smart::error::OAuthError;
use crate::smart::jwks_uri;
use crate::smart::request::{Form, Request};
use crate::store::tickets::TicketKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// SMART: an assertion ends within five minutes.
const LONGEST_SECONDS: i64 = 300;
const LEEWAY_SECONDS: i64 = 10;

/// Whom the assertion says it is from: nothing is proven yet.
pub(super) fn claimed_client(form: &Form, assertion: &str) -> Result<String, OAuthError> {
    if form.one("client_assertion_type")? != Some(TYPE) {
        return Err(OAuthError::invalid_request(format!("client_assertion_type must be {TYPE}")));
    }
    let payload = assertion.split('.').nth(1).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&payload).unwrap_or_default();
    match claims.get("sub").and_then(Value::as_str) {
        Some(sub) if !sub.is_empty() => Ok(sub.to_owned()),
        _ => Err(OAuthError::invalid_client()),
    }
}

/// Checks an assertion and uses it up. The inner error is the rule that refused it.
pub(super) async fn check(
    request: &Request,
    client: &Client,
    assertion: &str,
) -> Result<Result<(), &'static str>, OAuthError> {
    let registration = &client.registration;
    let mut claims = match (&registration.jwks, &registration.jwks_uri) {
        (Some(jwks), _) => match KeySet::parse(&jwks.to_string()) {
            Ok(keys) => verify(request, client, &keys, assertion),
            Err(error) => Err(error),
        },
        (None, Some(uri)) => verify(request, client, &jwks_uri::keys(request, uri).await, assertion),
        (None, None) => Err(JwsError::UnknownKey),
    };
    if let (Err(JwsError::UnknownKey | JwsError::WrongSignature), Some(uri)) =
        (&claims, &registration.jwks_uri)
    {
        claims = verify(request, client, &jwks_uri::keys_again(request, uri).await, assertion);
    }
    let Ok(claims) = claims else { return Ok(Err("the assertion is not valid")) };
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    if text("sub") != Some(&client.id) {
        return Ok(Err("the assertion is for another client"));
    }
    let Some(jti) = text("jti").filter(|it| it.len() <= 512) else {
        return Ok(Err("the assertion has no jti"));
    };
    let ends = claims.get("exp").and_then(Value::as_i64).unwrap_or(0);
    if ends > request.now_seconds() + LONGEST_SECONDS + LEEWAY_SECONDS {
        return Ok(Err("the assertion lives too long"));
    }
    let name = token_hash::hash(&format!("{}\n{jti}", client.id));
    let expires = ends.saturating_add(2 * LEEWAY_SECONDS).saturating_mul(1_000_000);
    let ticket = (TicketKind::Assertion, name.as_slice());
    let is_new = request.app.store.keep_ticket(request.tenant, ticket, "", expires).await?;
    Ok(if is_new { Ok(()) } else { Err("the assertion was used before") })
}

fn verify(
    request: &Request,
    client: &Client,
    keys: &KeySet,
    assertion: &str,
) -> Result<Map<String, Value>, JwsError> {
    let token = request.endpoint("token");
    let issuer = request.app.config.token_issuer();
    let mut answer = Err(JwsError::OtherAudience);
    for audience in [&token, &issuer] {
        let expected = Expected {
            token_type: "JWT",
            issuer: &client.id,
            audience,
            now_seconds: request.now_seconds(),
            leeway_seconds: LEEWAY_SECONDS,
            max_lifetime_seconds: LONGEST_SECONDS + LEEWAY_SECONDS,
        };
        answer = jws::verify(keys, assertion, &expected);
        if !matches!(answer, Err(JwsError::OtherAudience)) {
            break;
        }
    }
    answer
}
