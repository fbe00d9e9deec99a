//! Blind keys: what an index holds of a value that it must not show.
//!
//! A blind key is the first 64 bits of HMAC-SHA-256 over the kind and the normalised value, under a
//! key of its own for each tenant, epoch, resource type and parameter. Whoever sees the index learns
//! which rows are equal and nothing else; a hit is always verified on the unsealed value.
//!
//! Normalising is the caller's part: this room does not know what a name is.

use super::secret_key::SecretKey;
use arc_swap::ArcSwap;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// As many parameters are kept ready; there are some 1,400 in R4. Beyond it, keys are made each time.
const KEPT: usize = 8192;

/// The index keys of one tenant, in one epoch.
pub struct BlindKeys {
    epoch: u16,
    key: SecretKey,
    parameters: ArcSwap<HashMap<Name, BlindParameter>>,
}

/// The index key of one parameter of one resource type, ready to hash.
#[derive(Clone)]
pub struct BlindParameter {
    epoch: u16,
    state: Hmac<Sha256>,
}

/// Resource type, a zero byte, parameter.
type Name = SmallVec<[u8; 64]>;

impl BlindKeys {
    /// The index keys that come from that key.
    #[must_use]
    pub fn new(epoch: u16, key: SecretKey) -> BlindKeys {
        BlindKeys { epoch, key, parameters: ArcSwap::default() }
    }

    /// The epoch that these keys belong to.
    #[must_use]
    pub fn epoch(&self) -> u16 {
        self.epoch
    }

    /// The blind key of one value. Where many values of one parameter follow each other, take
    /// [`BlindKeys::parameter`] once.
    #[must_use]
    pub fn key(&self, resource_type: &str, parameter: &str, kind: &str, value: &str) -> i64 {
        let name = name(resource_type, parameter);
        if let Some(ready) = self.parameters.load().get(&name) {
            return ready.key(kind, value);
        }
        self.make(name, resource_type, parameter).key(kind, value)
    }

    /// The key of one parameter.
    #[must_use]
    pub fn parameter(&self, resource_type: &str, parameter: &str) -> BlindParameter {
        let name = name(resource_type, parameter);
        let ready = self.parameters.load().get(&name).cloned();
        ready.unwrap_or_else(|| self.make(name, resource_type, parameter))
    }

    fn make(&self, name: Name, resource_type: &str, parameter: &str) -> BlindParameter {
        let epoch = self.epoch.to_be_bytes();
        let key = self.key.derive(&[b"vesta blind", &epoch, resource_type.as_bytes(), parameter.as_bytes()]);
        let made = BlindParameter { epoch: self.epoch, state: key.hmac() };
        if self.parameters.load().len() < KEPT {
            self.parameters.rcu(|known| {
                let mut known = HashMap::clone(known);
                known.insert(name.clone(), made.clone());
                Arc::new(known)
            });
        }
        made
    }
}

impl BlindParameter {
    /// The blind key of one value.
    #[must_use]
    pub fn key(&self, kind: &str, value: &str) -> i64 {
        let mut state = self.state.clone();
        state.update(&self.epoch.to_be_bytes());
        // Kinds are short words of ours without a zero byte, so the pair reads back one way only.
        state.update(kind.as_bytes());
        state.update(&[0]);
        state.update(value.as_bytes());
        let hash: [u8; 32] = state.finalize().into_bytes().into();
        hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
    }
}

fn name(resource_type: &str, parameter: &str) -> Name {
    let mut name = Name::new();
    name.extend_from_slice(resource_type.as_bytes());
    name.push(0);
    name.extend_from_slice(parameter.as_bytes());
    name
}

impl std::fmt::Debug for BlindKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlindKeys(epoch {})", self.epoch)
    }
}

impl std::fmt::Debug for BlindParameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlindParameter(epoch {})", self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn keys(byte: u8, epoch: u16) -> BlindKeys {
        BlindKeys::new(epoch, SecretKey::from_slice(&[byte; 32]).unwrap())
    }

    #[test]
    fn are_the_same_again_and_differ_in_every_part() {
        let one = keys(1, 1);
        let key = one.key("Patient", "family", "exact", "Lovelace");
        assert_eq!(key, one.key("Patient", "family", "exact", "Lovelace"));
        assert_eq!(key, one.parameter("Patient", "family").key("exact", "Lovelace"));
        assert_eq!(key, keys(1, 1).key("Patient", "family", "exact", "Lovelace"));
        let others = [
            key,
            one.key("Person", "family", "exact", "Lovelace"),
            one.key("Patient", "given", "exact", "Lovelace"),
            one.key("Patient", "family", "whole", "Lovelace"),
            one.key("Patient", "family", "exact", "lovelace"),
            one.key("Patient", "family", "exac", "tLovelace"),
            keys(2, 1).key("Patient", "family", "exact", "Lovelace"),
            keys(1, 2).key("Patient", "family", "exact", "Lovelace"),
        ];
        assert_eq!(others.iter().collect::<HashSet<_>>().len(), others.len());
    }

    #[test]
    fn stay_what_they_are_between_releases() {
        // Stored rows depend on these numbers: a change needs a new epoch.
        assert_eq!(keys(1, 1).key("Patient", "family", "exact", "Lovelace"), -2_085_955_488_592_368_513);
        assert_eq!(
            keys(1, 1).key("Observation", "code", "system-code", "http://loinc.org|8480-6"),
            8_944_713_336_484_417_495
        );
    }

    #[test]
    fn keeps_a_bounded_number_ready() {
        let one = keys(1, 1);
        for at in 0..100 {
            let _ = one.key("Patient", &format!("parameter-{at}"), "exact", "x");
        }
        assert_eq!(one.parameters.load().len(), 100);
    }
}
