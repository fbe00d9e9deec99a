//! Pseudonyms: what stands for an id in data that shall not say whose it is.
//!
//! Each recipient has a key of their own, so that two of them cannot lay their data side by side; under one key the
//! same id is always the same pseudonym. A pseudonym says nothing to whoever lacks the key, and can only be traced
//! back by trying every id that there is.

use super::secret_key::SecretKey;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The pseudonyms for one recipient.
#[derive(Clone)]
pub struct Pseudonyms {
    state: Hmac<Sha256>,
}

impl Pseudonyms {
    /// Those that come from that key.
    #[must_use]
    pub fn new(key: &SecretKey) -> Pseudonyms {
        Pseudonyms { state: key.hmac() }
    }

    /// The pseudonym of a value of that kind: 32 hexadecimal digits.
    #[must_use]
    pub fn name(&self, kind: &str, value: &str) -> String {
        self.hash(kind, value).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A number from 1 to `most`, always the same of the same value.
    #[must_use]
    pub fn number(&self, kind: &str, value: &str, most: u32) -> u32 {
        let hash = self.hash(kind, value);
        let number = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        u32::try_from(number % u64::from(most.max(1))).unwrap_or(0) + 1
    }

    fn hash(&self, kind: &str, value: &str) -> [u8; 32] {
        let mut state = self.state.clone();
        state.update(kind.as_bytes());
        state.update(&[0]);
        state.update(value.as_bytes());
        state.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(byte: u8) -> Pseudonyms {
        Pseudonyms::new(&SecretKey::from_slice(&[byte; 32]).unwrap())
    }

    #[test]
    fn are_stable_under_a_key_and_differ_between_keys_and_kinds() {
        let name = of(1).name("Patient", "a");
        assert_eq!(name, of(1).name("Patient", "a"));
        assert_eq!(name.len(), 32);
        for other in [of(2).name("Patient", "a"), of(1).name("Person", "a"), of(1).name("Patient", "b")] {
            assert_ne!(name, other);
        }
        assert!((1..=364).contains(&of(1).number("shift", "a", 364)));
    }
}
