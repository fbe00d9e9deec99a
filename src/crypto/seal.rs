//! Sealing bytes: AES-256-GCM with a random nonce of 96 bits.
//!
//! <https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf>
//!
//! A sealed text is `nonce ‖ ciphertext ‖ tag`, 28 bytes longer than the plain one. The associated
//! data (AAD) says where the text belongs; anywhere else it does not open. Section keys are made per
//! patient and class, so the number of random nonces under one key stays far below the 2^32 that
//! 800-38D 8.3 allows.

use super::random;
use super::secret_key::SecretKey;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use zeroize::Zeroizing;

/// How many bytes longer a sealed text is.
pub const OVERHEAD: usize = NONCE + TAG;

const NONCE: usize = 12;
const TAG: usize = 16;

/// A key that is ready to seal and open. Wiped when it goes.
#[derive(Clone)]
pub struct SectionKey(Aes256Gcm);

/// The text was changed, belongs to another place, or was sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seal is broken")]
pub struct BrokenSeal;

impl SectionKey {
    /// Makes a key ready.
    #[must_use]
    pub fn new(key: &SecretKey) -> SectionKey {
        SectionKey(Aes256Gcm::new(key.expose().into()))
    }
}

impl std::fmt::Debug for SectionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SectionKey(..)")
    }
}

/// Seals a text for the place that `aad` describes.
#[must_use]
pub fn seal(key: &SectionKey, aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
    seal_onto(key, aad, plain, &mut sealed);
    sealed
}

/// Seals a text, adding it to the end of `out`.
pub fn seal_onto(key: &SectionKey, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
    let nonce: [u8; NONCE] = random::nonce();
    out.reserve(plain.len() + OVERHEAD);
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(plain);
    let tag = out
        .get_mut(start..)
        .and_then(|body| key.0.encrypt_inout_detached(&Nonce::from(nonce), aad, body.into()).ok());
    match tag {
        Some(tag) => out.extend_from_slice(&tag),
        // Only a text beyond 64 GiB comes here, and no such text was ever read into memory.
        None => std::process::abort(),
    }
}

/// Opens a sealed text at the place that `aad` describes.
///
/// # Errors
/// The seal is broken: nothing of the text is given out.
pub fn open(key: &SectionKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BrokenSeal> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(BrokenSeal)?;
    let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(BrokenSeal)?;
    let mut plain = Zeroizing::new(body.to_vec());
    key.0
        .decrypt_inout_detached(&Nonce::from(*nonce), aad, plain.as_mut_slice().into(), &Tag::from(*tag))
        .map_err(|_| BrokenSeal)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn opens_what_was_sealed_and_only_there(plain: Vec<u8>, aad: Vec<u8>, other: Vec<u8>, at: prop::sample::Index) {
            let key = SectionKey::new(&SecretKey::random());
            let mut sealed = seal(&key, &aad, &plain);
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(&*open(&key, &aad, &sealed).unwrap(), &plain);
            if other != aad {
                prop_assert_eq!(open(&key, &other, &sealed), Err(BrokenSeal));
            }
            prop_assert_eq!(open(&SectionKey::new(&SecretKey::random()), &aad, &sealed), Err(BrokenSeal));
            let at = at.index(sealed.len());
            sealed[at] ^= 1;
            prop_assert_eq!(open(&key, &aad, &sealed), Err(BrokenSeal));
        }
    }

    #[test]
    fn refuses_what_is_cut_short() {
        let key = SectionKey::new(&SecretKey::random());
        let sealed = seal(&key, b"here", b"text");
        for length in 0..sealed.len() {
            assert_eq!(open(&key, b"here", &sealed[..length]), Err(BrokenSeal));
        }
    }

    #[test]
    fn never_seals_alike() {
        let key = SectionKey::new(&SecretKey::random());
        assert_ne!(seal(&key, b"", b"text"), seal(&key, b"", b"text"));
    }
}
