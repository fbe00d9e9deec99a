//! The only source of randomness: keys, nonces, ids, tokens.
//!
//! Everything comes from the operating system's generator. Without it no seal is safe, so the
//! process ends rather than go on with less.
//!
//! Ids are UUIDs of version 7, <https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7>: ordered
//! by time, so that an index grows at one end.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use std::cell::RefCell;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Fills the bytes straight from the operating system: for keys and secrets.
pub fn fill(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        // There is no answer that would be both honest and safe: a nonce or key that is not random
        // gives sealed elements away.
        std::process::abort();
    }
}

/// So many bytes, straight from the operating system: for keys and secrets.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// A secret of so many random bytes, in letters, digits, `-` and `_`: codes, tokens, cookies.
#[must_use]
pub fn token_urlsafe(random_bytes: usize) -> SecretString {
    let mut bytes = Zeroizing::new(vec![0; random_bytes]);
    fill(&mut bytes);
    SecretString::from(URL_SAFE_NO_PAD.encode(&*bytes))
}

/// A new id, ordered by time: UUID version 7 with the microseconds of `now` and 62 random bits.
#[must_use]
pub fn id(now_microseconds: i64) -> Uuid {
    let random: [u8; 8] = nonce();
    let now = u64::try_from(now_microseconds).unwrap_or(0);
    let (milliseconds, rest) = (now / 1000, now % 1000);
    // RFC 9562 6.2, method 3: the twelve bits after the milliseconds are their fraction.
    let high = (milliseconds << 16) | 0x7000 | (rest * 4096 / 1000);
    let low = (u64::from_be_bytes(random) >> 2) | 1 << 63;
    Uuid::from_u64_pair(high, low)
}

/// Bytes that must never repeat but are no secret: nonces and ids. Drawn from the operating system
/// some hundred at a time, because one call to it costs more than sealing a small section.
#[must_use]
pub fn nonce<const N: usize>() -> [u8; N] {
    thread_local! {
        static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; 512], used: 512 }) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.used + N > drawn.bytes.len() {
            fill(&mut drawn.bytes);
            drawn.used = 0;
        }
        let taken = drawn.bytes.get(drawn.used..).and_then(|rest| rest.first_chunk::<N>()).copied();
        drawn.used += N;
        // None only for more bytes than are ever drawn at once.
        taken.unwrap_or_else(bytes)
    })
}

struct Drawn {
    bytes: [u8; 512],
    used: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::collections::HashSet;

    #[test]
    fn ids_are_ordered_by_time_and_never_repeat() {
        let start = 1_795_424_400_000_000;
        let ids: Vec<Uuid> = (0..5000).map(|step| id(start + step)).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(ids[0].get_version_num(), 7);
        assert_eq!(ids[0].get_variant(), uuid::Variant::RFC4122);
        assert!(ids.windows(2).filter(|pair| pair[0].as_u128() >> 64 > pair[1].as_u128() >> 64).count() == 0);
        let (seconds, nanoseconds) = ids[0].get_timestamp().unwrap().to_unix();
        assert_eq!(seconds * 1000 + u64::from(nanoseconds) / 1_000_000, 1_795_424_400_000);
    }

    #[test]
    fn nonces_do_not_repeat() {
        let drawn: HashSet<[u8; 12]> = (0..10_000).map(|_| nonce::<12>()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert_ne!(nonce::<600>()[500..], [0; 100]);
    }

    #[test]
    fn tokens_are_safe_in_urls() {
        let token = token_urlsafe(32);
        assert_eq!(token.expose_secret().len(), 43);
        assert!(token.expose_secret().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }
}
