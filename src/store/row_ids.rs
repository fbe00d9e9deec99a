//! Ids of rows: ordered by time, minted here, so that nothing waits for a sequence of the database.
//!
//! Milliseconds since 2020 (41 bits), the node (10 bits, random for each process), a sequence (12 bits).
//! Two processes that drew the same node may mint the same id: the primary key refuses it, and the write
//! is tried again with another.

use std::sync::atomic::{AtomicU64, Ordering};

/// 2020-01-01, in milliseconds since 1970.
const EPOCH: i64 = 1_577_836_800_000;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;

/// Mints ids that grow, even when the clock steps back.
pub(super) struct RowIds {
    node: u64,
    /// Milliseconds and sequence of the last id.
    last: AtomicU64,
}

impl RowIds {
    /// For a process that drew these random bits.
    pub(super) fn new(random: u16) -> RowIds {
        RowIds { node: u64::from(random) % (1 << NODE_BITS), last: AtomicU64::new(0) }
    }

    /// The next id.
    pub(super) fn next(&self, now_microseconds: i64) -> i64 {
        let milliseconds = (now_microseconds / 1000).saturating_sub(EPOCH);
        let earliest = u64::try_from(milliseconds).unwrap_or(0) << SEQUENCE_BITS;
        let next = |last: u64| Some(earliest.max(last + 1));
        let last = match self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(last) | Err(last) => last,
        };
        let ticket = earliest.max(last + 1);
        let sequence = ticket % (1 << SEQUENCE_BITS);
        let id =
            (ticket >> SEQUENCE_BITS << (NODE_BITS + SEQUENCE_BITS)) | self.node << SEQUENCE_BITS | sequence;
        // 63 bits last until 2089.
        i64::try_from(id).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow() {
        let ids = RowIds::new(7);
        let now = 1_800_000_000_000_000;
        let mut last = 0;
        for step in 0..10_000 {
            // Also when the clock goes back.
            let id = ids.next(now - step);
            assert!(id > last);
            last = id;
        }
        assert_eq!(ids.next(now + 60_000_000) >> 22, (1_800_000_060_000 - EPOCH));
    }
}
