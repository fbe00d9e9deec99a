//! A key of 256 bits that is wiped when it goes, and the keys derived from it.
//!
//! Derivation is HKDF-Expand with SHA-256, <https://www.rfc-editor.org/rfc/rfc5869>: the keys are
//! uniformly random already, so the extract step has nothing to add (RFC 5869, 3.3).

use super::random;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A key of 256 bits. It has no way into a log.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// A new key.
    #[must_use]
    pub fn random() -> SecretKey {
        let mut key = SecretKey([0; 32]);
        random::fill(&mut key.0);
        key
    }

    /// The key with these bytes, if there are 32 of them.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<SecretKey> {
        Some(SecretKey(bytes.try_into().ok()?))
    }

    /// The bytes, for the cipher or the key file alone.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key for one purpose. The parts say which; each is counted, so that no two lists of
    /// parts make the same key.
    #[must_use]
    pub fn derive(&self, parts: &[&[u8]]) -> SecretKey {
        let mut key = SecretKey([0; 32]);
        self.expand(parts, &mut key.0);
        key
    }

    /// Bytes that name the key and give nothing of it away.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        let mut fingerprint = [0; 8];
        self.expand(&[b"vesta fingerprint"], &mut fingerprint);
        fingerprint
    }

    /// HMAC-SHA-256 under this key, ready to hash.
    #[must_use]
    pub(crate) fn hmac(&self) -> Hmac<Sha256> {
        // RFC 2104 fills a short key up with zeroes to the length of a block.
        let mut block = zeroize::Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte = key);
        Hmac::new((&*block).into())
    }

    fn expand(&self, parts: &[&[u8]], out: &mut [u8]) {
        let mut info = smallvec::SmallVec::<[u8; 128]>::new();
        for part in parts {
            push_counted(&mut info, part);
        }
        // Both can only fail for lengths that do not occur: a key shorter or an output longer
        // than SHA-256 allows. Zeroes must not become a key, so then there is none.
        let expanded = Hkdf::<Sha256>::from_prk(&self.0).map(|hkdf| hkdf.expand(&info, out).is_ok());
        if !matches!(expanded, Ok(true)) {
            std::process::abort();
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Adds the bytes and, before them, how many there are.
pub(crate) fn push_counted(out: &mut impl Extend<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_one_key_per_list_of_parts() {
        let key = SecretKey::from_slice(&[7; 32]).unwrap();
        assert_eq!(key.derive(&[b"a", b"bc"]).expose(), key.derive(&[b"a", b"bc"]).expose());
        assert_ne!(key.derive(&[b"a", b"bc"]).expose(), key.derive(&[b"ab", b"c"]).expose());
        assert_ne!(key.derive(&[b"a"]).expose(), SecretKey::random().derive(&[b"a"]).expose());
    }

    #[test]
    fn agrees_with_rfc_5869_test_case_1() {
        let prk = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
        let prk: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&prk[2 * at..2 * at + 2], 16).unwrap()).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let mut okm = [0; 42];
        Hkdf::<Sha256>::from_prk(&prk).unwrap().expand(&info, &mut okm).unwrap();
        assert_eq!(okm[..4], [0x3c, 0xb2, 0x5f, 0x25]);
    }

    #[test]
    fn says_nothing_of_itself() {
        assert_eq!(format!("{:?}", SecretKey::random()), "SecretKey(..)");
    }
}
