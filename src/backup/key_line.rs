//! Wrapped keys in a key parcel: one JSON object a line, subject by subject, epoch by epoch; and who was destroyed.
//!
//! A key that was exchanged for a newer one is destroyed too, once nothing needs it any more. But then the newer one
//! was there before; where somebody was destroyed, it was not.

use crate::audit::checkpoint::hex;
use crate::store::restore::RestoredKey;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A line is not longer than this.
const LONGEST: usize = 64 * 1024;

/// Whose keys: tenant, purpose and subject.
pub(super) type Owner = (i32, i16, i64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyLine {
    tenant: i32,
    purpose: i16,
    subject: i64,
    epoch: i16,
    created: i64,
    active: bool,
    destroyed: Option<i64>,
    wrapped: Option<String>,
}

/// Who was destroyed, up to which epoch, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Destroyed(HashMap<Owner, (i16, i64)>);

impl KeyLine {
    pub(super) fn owner(&self) -> Owner {
        (self.tenant, self.purpose, self.subject)
    }

    pub(super) fn to_line(&self) -> Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// As it goes into the database.
    pub(super) fn restored(self) -> Result<RestoredKey> {
        let wrapped = self.wrapped.as_deref().map(bytes).transpose()?;
        Ok(RestoredKey {
            tenant: self.tenant,
            purpose: self.purpose,
            subject: self.subject,
            epoch: self.epoch,
            created: self.created,
            is_active: self.active,
            destroyed: self.destroyed,
            wrapped,
        })
    }
}

impl Destroyed {
    /// Looks at the keys of one owner, in the order of their epochs.
    pub(super) fn look(&mut self, keys: &[KeyLine]) {
        let is_end = |key: &&KeyLine| {
            let destroyed = key.destroyed?;
            let has_successor = keys.iter().any(|it| it.epoch > key.epoch && it.created <= destroyed);
            (!has_successor).then_some((key.epoch, destroyed))
        };
        let ends = keys.iter().filter_map(|key| is_end(&key));
        if let (Some(end), Some(first)) = (ends.max(), keys.first()) {
            self.0.insert(first.owner(), end);
        }
    }

    /// Who they are.
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> + '_ {
        self.0.keys().copied()
    }

    /// When the owner of that key was destroyed with it, if it is known.
    pub(super) fn of(&self, key: &KeyLine) -> Option<i64> {
        self.0.get(&key.owner()).filter(|(epoch, _)| key.epoch <= *epoch).map(|(_, at)| *at)
    }

    /// The key, without what must not come back; and whether there was such a thing.
    pub(super) fn taken_from(&self, mut key: KeyLine) -> (KeyLine, bool) {
        let Some(at) = self.of(&key).filter(|_| key.wrapped.is_some()) else { return (key, false) };
        (key.wrapped, key.active, key.destroyed) = (None, false, Some(at));
        (key, true)
    }
}

/// Cuts bytes that come in pieces into lines.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// The keys whose lines end in this piece.
    pub(super) fn more(&mut self, piece: &[u8]) -> Result<Vec<KeyLine>> {
        let mut keys = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(part);
            if self.0.len() > LONGEST {
                bail!("a line of the keys is too long");
            }
            if part.ends_with(b"\n") {
                keys.push(serde_json::from_slice(&self.0).context("a line of the keys cannot be read")?);
                self.0.clear();
            }
        }
        Ok(keys)
    }
}

/// Gathers the keys of one owner after the other, out of lines in order.
#[derive(Debug, Default)]
pub(super) struct ByOwner(Vec<KeyLine>);

impl ByOwner {
    /// The next key: all those of the owner before, if it is another's.
    pub(super) fn next(&mut self, key: KeyLine) -> Option<Vec<KeyLine>> {
        let is_another = self.0.first().is_some_and(|it| it.owner() != key.owner());
        let before = is_another.then(|| std::mem::take(&mut self.0));
        self.0.push(key);
        before
    }

    /// Those of the last owner.
    pub(super) fn end(self) -> Vec<KeyLine> {
        self.0
    }
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    match bytes {
        Some(bytes) if rest.is_empty() && hex(&bytes) == text => Ok(bytes),
        _ => bail!("a wrapped key cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(subject: i64, epoch: i16, created: i64, destroyed: Option<i64>) -> KeyLine {
        let wrapped = destroyed.is_none().then(|| "00ff".to_owned());
        let active = destroyed.is_none();
        KeyLine { tenant: 1, purpose: 4, subject, epoch, created, active, destroyed, wrapped }
    }

    fn destroyed(keys: &[&[KeyLine]]) -> Destroyed {
        let mut found = Destroyed::default();
        keys.iter().for_each(|it| found.look(it));
        found
    }

    #[test]
    fn who_was_destroyed_is_told_from_whose_key_was_exchanged() {
        let exchanged = [key(1, 1, 10, Some(30)), key(1, 2, 20, None)];
        let gone = [key(2, 1, 10, Some(30))];
        let back_again = [key(3, 1, 10, Some(30)), key(3, 2, 40, None)];
        let gone_while_exchanged = [key(4, 1, 10, Some(30)), key(4, 2, 20, Some(30))];
        let exchanged_after = [key(5, 1, 10, Some(30)), key(5, 2, 40, Some(60)), key(5, 3, 50, None)];
        let found = destroyed(&[&exchanged, &gone, &back_again, &gone_while_exchanged, &exchanged_after]);
        let whole = |subject, epoch| found.of(&key(subject, epoch, 10, None));
        assert_eq!((whole(1, 1), whole(1, 2)), (None, None));
        assert_eq!(whole(2, 1), Some(30));
        assert_eq!((whole(3, 1), whole(3, 2)), (Some(30), None));
        assert_eq!((whole(4, 1), whole(4, 2)), (Some(30), Some(30)));
        assert_eq!((whole(5, 1), whole(5, 2), whole(5, 3)), (Some(30), None, None));
        let (taken, was_there) = found.taken_from(key(2, 1, 10, None));
        assert!(was_there && taken.wrapped.is_none() && !taken.active && taken.destroyed == Some(30));
        assert_eq!(found.taken_from(key(1, 2, 20, None)), (key(1, 2, 20, None), false));
    }

    #[test]
    fn lines_come_in_pieces_and_owners_in_order() {
        let all = [key(1, 1, 10, Some(30)), key(1, 2, 20, None), key(2, 1, 10, None)];
        let text: String = all.iter().map(|it| it.to_line().unwrap()).collect();
        for piece in [1, 7, 1000] {
            let (mut lines, mut owners, mut groups) = (Lines::default(), ByOwner::default(), Vec::new());
            for piece in text.as_bytes().chunks(piece) {
                groups.extend(lines.more(piece).unwrap().into_iter().filter_map(|it| owners.next(it)));
            }
            groups.push(owners.end());
            assert_eq!(groups, [all[..2].to_vec(), all[2..].to_vec()]);
        }
        assert!(Lines::default().more(b"no\n").is_err());
        assert!(Lines::default().more(&vec![b'x'; LONGEST + 1]).is_err());
        assert_eq!(key(1, 1, 10, None).restored().unwrap().wrapped, Some(vec![0, 255]));
        for wrong in ["0", "zz", "+1", "00f"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
