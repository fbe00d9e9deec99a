//! Hashes of our own random tokens: what is stored of a code, cookie or refresh token, and what is derived
//! from one.
//!
//! The tokens have 256 random bits ([`super::random::token_urlsafe`]), so one SHA-256 keeps them: there is
//! nothing to guess, and nothing to salt.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What is stored of a token.
#[must_use]
pub fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// A text that only the holder of the token can make, one for each label: a form's CSRF token.
#[must_use]
pub fn derive(token: &str, label: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"vesta derived\0");
    hash.update(label.as_bytes());
    hash.update([0]);
    hash.update(token.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// The PKCE challenge of a verifier, S256: <https://www.rfc-editor.org/rfc/rfc7636#section-4.2>.
#[must_use]
pub fn pkce_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Whether two texts are the same, found out in a time that does not tell where they differ.
#[must_use]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(pkce_challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn labels_part_what_is_derived() {
        assert_ne!(derive("token", "one"), derive("token", "other"));
        assert!(is_same(derive("token", "one").as_bytes(), derive("token", "one").as_bytes()));
        assert!(!is_same(b"a", b"ab"));
        assert_eq!(hash("token").len(), 32);
    }
}
