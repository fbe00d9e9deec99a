//! DPoP proofs: a client shows that it holds a key, for one request. <https://www.rfc-editor.org/rfc/rfc9449>
//!
//! This is the one kind of token whose key stands in itself: it proves nothing but that whoever made it has that key.

use super::jwks::KeySet;
use super::jws::JwsError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde_json::{Map, Value};

/// The algorithms that proofs are checked with.
pub const ALGORITHMS: [&str; 4] = ["ES256", "ES384", "RS256", "RS384"];

/// The longest proof that is looked at.
const LONGEST: usize = 8 * 1024;

/// A proof whose signature is right.
#[derive(Clone, Debug)]
pub struct DpopProof {
    /// The SHA-256 thumbprint of the key, RFC 7638: what a token is bound to.
    pub thumbprint: String,
    /// What it says.
    pub claims: Map<String, Value>,
}

/// Checks the form and the signature of a proof. What it is for, and when, is the caller's to check.
///
/// # Errors
/// It is none, or the signature is not of the key that it names.
pub fn verify(proof: &str) -> Result<DpopProof, JwsError> {
    if proof.len() > LONGEST {
        return Err(JwsError::Malformed);
    }
    let raw = proof.split('.').next().and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
    let raw: Value = raw.and_then(|it| serde_json::from_slice(&it).ok()).ok_or(JwsError::Malformed)?;
    let named = raw.get("jwk").and_then(Value::as_object).ok_or(JwsError::Malformed)?;
    // RFC 9449 4.3: the key must not be a private one, nor a shared secret.
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|it| named.contains_key(*it)) {
        return Err(JwsError::MalformedKey);
    }
    let header = jsonwebtoken::decode_header(proof).map_err(|_| JwsError::Malformed)?;
    if header.typ.as_deref() != Some("dpop+jwt") || header.crit.is_some() {
        return Err(JwsError::Malformed);
    }
    let jwk: Jwk =
        serde_json::from_value(Value::Object(named.clone())).map_err(|_| JwsError::MalformedKey)?;
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| JwsError::MalformedKey)?;
    let keys = KeySet::of(jwk)?;
    let key = keys.candidates(None, header.alg).next().ok_or(JwsError::UnknownKey)?;
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let token = jsonwebtoken::decode::<Map<String, Value>>(proof, &key.decoding, &validation);
    let claims = token.map_err(|_| JwsError::WrongSignature)?.claims;
    Ok(DpopProof { thumbprint, claims })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::jws::TokenKey;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    #[test]
    fn a_proof_names_the_key_that_signed_it() {
        let key = TokenKey::from_pem(&TokenKey::new_pem().unwrap()).unwrap();
        let proof = key.prove(&json!({ "jti": "1", "htm": "GET" })).unwrap();
        let proof = proof.expose_secret();
        let checked = verify(proof).unwrap();
        assert_eq!(checked.thumbprint, key.kid());
        assert_eq!(checked.claims["htm"], "GET");
        assert_eq!(verify(&format!("{}x", &proof[..proof.len() - 1])).unwrap_err(), JwsError::WrongSignature);
        // An access token, with or without a key in it, is no proof; nor is one that shows its private key.
        let token = key.sign("at+jwt", &json!({ "jti": "1" })).unwrap();
        assert!(verify(token.expose_secret()).is_err());
        let typed = key.sign("dpop+jwt", &json!({ "jti": "1" })).unwrap();
        assert!(verify(typed.expose_secret()).is_err());
        for bad in ["", "a.b.c", "e30.e30.", "x"] {
            assert!(verify(bad).is_err(), "{bad}");
        }
        let (head, rest) = proof.split_once('.').unwrap();
        let mut head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
        head["jwk"]["d"] = "AAAA".into();
        let shown = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(head.to_string()));
        assert_eq!(verify(&shown).unwrap_err(), JwsError::MalformedKey);
        head["alg"] = "none".into();
        assert!(verify(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(head.to_string()))).is_err());
    }
}
