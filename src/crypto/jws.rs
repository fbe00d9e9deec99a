//! Signed tokens: JWS in its compact form, <https://www.rfc-editor.org/rfc/rfc7515>, as access tokens
//! (`at+jwt`, <https://www.rfc-editor.org/rfc/rfc9068>) and as client assertions.
//!
//! The algorithm is a property of the key, never of the token: a header that asks for another one is
//! refused (RFC 8725, 3.1). Keys named by the token itself (`jwk`, `jku`, `x5u`) are not looked at.
//! Time is an argument.

use super::jwks::KeySet;
use super::key_file;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;
use zeroize::Zeroizing;

/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;

/// The key that signs tokens.
pub struct TokenKey {
    kid: String,
    algorithm: Algorithm,
    encoding: EncodingKey,
    public: KeySet,
}

/// What a token must say to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Its `typ`, such as `at+jwt`; `application/` before it is the same. A token that is only a `JWT`
    /// may leave its type, and when it was issued, unsaid: RFC 7519 asks for neither.
    pub token_type: &'a str,
    /// Its `iss`.
    pub issuer: &'a str,
    /// One of its `aud`.
    pub audience: &'a str,
    /// Seconds since 1970.
    pub now_seconds: i64,
    /// How far clocks may differ.
    pub leeway_seconds: i64,
    /// The longest that a token may have been made to live, from `iat` to `exp`.
    pub max_lifetime_seconds: i64,
}

/// Why a key or token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// The key is not one that we sign or check with.
    #[error("this is not an ES256, ES384, RS256 or RS384 key")]
    MalformedKey,
    /// The key file cannot be used.
    #[error("the key file cannot be used: {0}")]
    KeyFile(std::io::ErrorKind),
    /// The claims cannot be signed.
    #[error("the claims cannot be signed")]
    Unsignable,
    /// The token is not a signed token of the expected type.
    #[error("the token is malformed")]
    Malformed,
    /// No key of the set fits the token.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature of the token is wrong")]
    WrongSignature,
    /// Another issuer made it.
    #[error("the token is from another issuer")]
    OtherIssuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    OtherAudience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It was made to live longer than is allowed.
    #[error("the token lives too long")]
    LivesTooLong,
}

impl TokenKey {
    /// A new ES256 key, PEM (PKCS #8).
    ///
    /// # Errors
    /// The library cannot make one.
    pub fn new_pem() -> Result<SecretString, JwsError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
        Ok(SecretString::from(key.map_err(|_| JwsError::Unsignable)?.serialize_pem()))
    }

    /// A new ES384 key, PEM (PKCS #8).
    ///
    /// # Errors
    /// The library cannot make one.
    pub fn new_p384_pem() -> Result<SecretString, JwsError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384);
        Ok(SecretString::from(key.map_err(|_| JwsError::Unsignable)?.serialize_pem()))
    }

    /// A new RSA key of 2048 bits, PEM (PKCS #8): it signs with RS256.
    ///
    /// # Errors
    /// The library cannot make one.
    pub fn new_rsa_pem() -> Result<SecretString, JwsError> {
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        Ok(SecretString::from(key.map_err(|_| JwsError::Unsignable)?.serialize_pem()))
    }

    /// A private P-384 key in PEM (PKCS #8) as a JWK, for clients that want it so.
    ///
    /// # Errors
    /// It is not one that was made here.
    pub fn private_jwk(pem: &SecretString) -> Result<SecretString, JwsError> {
        // RFC 5915: an ECPrivateKey begins with version 1 and the 48 bytes of the number.
        const START: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 48];
        let key = TokenKey::from_pem(pem)?;
        let text: String = pem.expose_secret().lines().filter(|line| !line.starts_with("-----")).collect();
        let der = Zeroizing::new(STANDARD.decode(text).map_err(|_| JwsError::MalformedKey)?);
        let start = der.windows(START.len()).position(|it| it == START).ok_or(JwsError::MalformedKey)?;
        let number = der.get(start + START.len()..).and_then(|rest| rest.get(..48));
        let number = number.ok_or(JwsError::MalformedKey)?;
        let set: Value = serde_json::from_str(&key.public.to_json()).map_err(|_| JwsError::MalformedKey)?;
        let mut jwk = set.pointer("/keys/0").cloned().ok_or(JwsError::MalformedKey)?;
        let fields = jwk.as_object_mut().ok_or(JwsError::MalformedKey)?;
        fields.insert("d".to_owned(), URL_SAFE_NO_PAD.encode(number).into());
        Ok(SecretString::from(jwk.to_string()))
    }

    /// Reads the key from its file, making an ES256 key when there is none.
    ///
    /// # Errors
    /// The file cannot be used, or holds something else.
    pub fn read_or_create(path: &Path) -> Result<TokenKey, JwsError> {
        let text = key_file::read_or_create(path, || TokenKey::new_pem().map_err(std::io::Error::other))
            .map_err(|error| JwsError::KeyFile(error.kind()))?;
        TokenKey::from_pem(&text)
    }

    /// Reads a private key in PEM: P-256 signs with ES256, P-384 with ES384, RSA with RS256.
    ///
    /// # Errors
    /// The text is something else.
    pub fn from_pem(text: &SecretString) -> Result<TokenKey, JwsError> {
        let pem = text.expose_secret().as_bytes();
        let (encoding, algorithms) = match EncodingKey::from_ec_pem(pem) {
            Ok(key) => (key, [Algorithm::ES256, Algorithm::ES384].as_slice()),
            Err(_) => {
                let key = EncodingKey::from_rsa_pem(pem).map_err(|_| JwsError::MalformedKey)?;
                (key, [Algorithm::RS256].as_slice())
            }
        };
        let fitting = algorithms
            .iter()
            .find_map(|&algorithm| Some((algorithm, Jwk::from_encoding_key(&encoding, algorithm).ok()?)));
        let (algorithm, mut jwk) = fitting.ok_or(JwsError::MalformedKey)?;
        // RFC 7638: the thumbprint names the key by what it is, so no two keys share a name.
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| JwsError::MalformedKey)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(TokenKey { kid, algorithm, encoding, public: KeySet::of(jwk)? })
    }

    /// The name of the key in its key set.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key set to check with.
    #[must_use]
    pub fn key_set(&self) -> &KeySet {
        &self.public
    }

    /// Signs claims as a token of that type.
    ///
    /// # Errors
    /// The claims are not a JSON object.
    pub fn sign(&self, token_type: &str, claims: &impl Serialize) -> Result<SecretString, JwsError> {
        let mut header = Header::new(self.algorithm);
        header.typ = Some(token_type.to_owned());
        header.kid = Some(self.kid.clone());
        self.encode(&header, claims)
    }

    /// Signs claims as a DPoP proof, which holds the public key: [`super::dpop`].
    ///
    /// # Errors
    /// The claims are not a JSON object.
    pub fn prove(&self, claims: &impl Serialize) -> Result<SecretString, JwsError> {
        let mut header = Header::new(self.algorithm);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = self.public.first().cloned();
        self.encode(&header, claims)
    }

    fn encode(&self, header: &Header, claims: &impl Serialize) -> Result<SecretString, JwsError> {
        let token = jsonwebtoken::encode(header, claims, &self.encoding);
        Ok(SecretString::from(token.map_err(|_| JwsError::Unsignable)?))
    }
}

/// Checks a token and gives its claims.
///
/// # Errors
/// Why it is refused. A client is told no more than that it is.
pub fn verify(keys: &KeySet, token: &str, expected: &Expected<'_>) -> Result<Map<String, Value>, JwsError> {
    if token.len() > LONGEST {
        return Err(JwsError::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| JwsError::Malformed)?;
    let is_plain = expected.token_type == "JWT";
    let is_typed = header.typ.as_deref().map_or(is_plain, |typ| {
        let typ = typ.to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == expected.token_type.to_ascii_lowercase()
    });
    // RFC 7515 4.1.11: what is critical and not understood must be refused; we know no extension.
    if !is_typed || header.crit.is_some() {
        return Err(JwsError::Malformed);
    }
    let mut answer = Err(JwsError::UnknownKey);
    for key in keys.candidates(header.kid.as_deref(), header.alg) {
        // The library would read the wall clock, so it checks the signature and we the claims.
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        answer = jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &validation)
            .map_err(|_| JwsError::WrongSignature);
        if answer.is_ok() {
            break;
        }
    }
    let claims = answer?.claims;
    check(&claims, expected)?;
    Ok(claims)
}

fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), JwsError> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(JwsError::OtherIssuer);
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(audience)) => audience == expected.audience,
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == expected.audience),
        _ => false,
    };
    if !is_for_us {
        return Err(JwsError::OtherAudience);
    }
    let seconds = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(JwsError::Malformed),
    };
    let expires = seconds("exp")?.ok_or(JwsError::Malformed)?;
    let is_plain = expected.token_type == "JWT";
    let issued = seconds("iat")?.or(is_plain.then_some(expected.now_seconds)).ok_or(JwsError::Malformed)?;
    let latest = expected.now_seconds.saturating_add(expected.leeway_seconds);
    if expires <= expected.now_seconds.saturating_sub(expected.leeway_seconds) {
        return Err(JwsError::Expired);
    }
    if issued > latest || seconds("nbf")?.is_some_and(|start| start > latest) {
        return Err(JwsError::NotYet);
    }
    if expires.saturating_sub(issued) > expected.max_lifetime_seconds {
        return Err(JwsError::LivesTooLong);
    }
    Ok(())
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({:?}, {})", self.algorithm, self.kid)
    }
}

#[cfg(test)]
mod tests;
