//! The id_token: who the user is, for the client alone.
//!
//! <https://openid.net/specs/openid-connect-core-1_0.html#IDToken>,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-identity-data>

use crate::crypto::jws::{self, Expected};
use crate::crypto::token_hash;
use crate::smart::client::Client;
use crate::smart::error::OAuthError;
use crate::smart::grant::Grant;
use crate::smart::request::Request;
use crate::store::signing_keys::SigningAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

/// What `acr` says of a password and a one-time password.
pub(super) const TWO_FACTORS: &str = "urn:vesta:acr:two-factors";
/// How long a client may take to look at it.
const LIFETIME_SECONDS: i64 = 600;

/// What the id_token of a grant says.
pub(super) fn claims(
    request: &Request,
    (subject, client): (&str, &str),
    grant: &Grant,
    access_token: &SecretString,
) -> Value {
    let now = request.now_seconds();
    let mut claims = json!({
        "iss": request.app.config.token_issuer(),
        "sub": subject,
        "aud": client,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "auth_time": grant.auth_time,
        "amr": grant.methods,
        "acr": TWO_FACTORS,
        "sid": grant.sid,
    });
    let has = |word: &str| grant.scopes.iter().any(|it| it == word);
    let Some(object) = claims.as_object_mut() else { return claims };
    if let Some(nonce) = &grant.nonce {
        object.insert("nonce".to_owned(), nonce.clone().into());
    }
    if let Some(user) = grant.fhir_user.as_ref().filter(|_| has("fhirUser") || has("profile")) {
        let url = format!("{}/{user}", request.app.fhir_base());
        object.insert("fhirUser".to_owned(), url.clone().into());
        object.insert("profile".to_owned(), url.into());
    }
    // OpenID Connect Core 3.1.3.6: the left half of the hash. Of RS256 and ES256; ES384 would need another.
    let hash = token_hash::hash(access_token.expose_secret());
    if let Some(half) = hash.get(..16) {
        object.insert("at_hash".to_owned(), URL_SAFE_NO_PAD.encode(half).into());
    }
    claims
}

/// Signs it with the algorithm that the client registered: RS256 where it did not.
pub(super) async fn sign(request: &Request, client: &Client, claims: &Value) -> Result<String, OAuthError> {
    let registered = client.registration.id_token_signed_response_alg.as_deref();
    let algorithm = registered.and_then(SigningAlgorithm::parse).unwrap_or(SigningAlgorithm::Rs256);
    let mut claims = claims.clone();
    if algorithm == SigningAlgorithm::Es384
        && let Some(object) = claims.as_object_mut()
    {
        // Optional, and of SHA-384 here.
        object.remove("at_hash");
    }
    let keys = request.app.store.signing_keys(request.tenant).await?;
    let key = keys.active(algorithm);
    let key =
        key.ok_or_else(|| OAuthError::server_error(std::io::Error::other("there is no signing key")))?;
    let token = key.sign("JWT", &claims).map_err(OAuthError::server_error)?;
    Ok(token.expose_secret().to_owned())
}

/// The claims of an id_token that we signed, however old: a hint of who logs out.
pub(super) async fn of_ours(
    request: &Request,
    token: &str,
    client: &str,
) -> Result<Option<Map<String, Value>>, OAuthError> {
    let issuer = request.app.config.token_issuer();
    let expected = Expected {
        token_type: "JWT",
        issuer: &issuer,
        audience: client,
        now_seconds: request.now_seconds(),
        leeway_seconds: i64::MAX,
        max_lifetime_seconds: LIFETIME_SECONDS,
    };
    let keys = request.app.store.signing_keys(request.tenant).await?;
    Ok(jws::verify(keys.public(), token, &expected).ok())
}
