//! Public keys that tokens are checked against: a JSON Web Key Set,
//! <https://www.rfc-editor.org/rfc/rfc7517>.
//!
//! Only ES256, ES384, RS256 and RS384 are known. A key of any other kind is left out, as RFC 7517
//! section 5 asks; so `none`, and a shared secret in a public set, can never check anything.

use super::jws::JwsError;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// A set of public keys.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

/// One key and what may be checked with it.
#[derive(Clone)]
pub(super) struct PublicKey {
    jwk: Jwk,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) decoding: DecodingKey,
}

impl KeySet {
    /// Reads a JWKS document.
    ///
    /// # Errors
    /// It is not one, or there is no key in it that tokens could be checked against.
    pub fn parse(text: &str) -> Result<KeySet, JwsError> {
        let set: JwkSet = serde_json::from_str(text).map_err(|_| JwsError::MalformedKey)?;
        let keys: Vec<_> = set.keys.into_iter().filter_map(PublicKey::of).collect();
        if keys.is_empty() { Err(JwsError::MalformedKey) } else { Ok(KeySet { keys }) }
    }

    /// The JWKS document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|key| &key.jwk).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    /// These keys and those.
    #[must_use]
    pub fn and(mut self, other: KeySet) -> KeySet {
        self.keys.extend(other.keys);
        self
    }

    pub(super) fn of(jwk: Jwk) -> Result<KeySet, JwsError> {
        Ok(KeySet { keys: vec![PublicKey::of(jwk).ok_or(JwsError::MalformedKey)?] })
    }

    /// The first key.
    pub(super) fn first(&self) -> Option<&Jwk> {
        self.keys.first().map(|key| &key.jwk)
    }

    /// The keys that may have signed a token with this header.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(move |key| {
            let is_named = kid.is_none_or(|kid| key.jwk.common.key_id.as_deref() == Some(kid));
            is_named && key.algorithms.contains(&algorithm)
        })
    }
}

impl PublicKey {
    fn of(jwk: Jwk) -> Option<PublicKey> {
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            return None;
        }
        let fitting: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => &[],
            },
            AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::RS384],
            _ => &[],
        };
        let stated = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string());
        let algorithms: Vec<_> = fitting
            .iter()
            .copied()
            .filter(|algorithm| stated.as_ref().is_none_or(|stated| *stated == format!("{algorithm:?}")))
            .collect();
        if algorithms.is_empty() {
            return None;
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(PublicKey { jwk, algorithms, decoding })
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.keys.iter().map(|key| key.jwk.common.key_id.as_deref().unwrap_or("unnamed"));
        f.debug_list().entries(names).finish()
    }
}
