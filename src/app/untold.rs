//! Value sets that nobody keeps, as far as was just found out.
//!
//! Profiles name many such sets, and without this every write would ask the database for each of them. What is
//! believed is no older than a fifth of a second, as with other news; where a definition is written by this server,
//! nothing is believed any more.

use crate::fhir::id::TenantId;
use moka::sync::Cache;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long it is believed that there is none.
const FRESH: Duration = Duration::from_millis(200);
/// So many are remembered.
const MOST: u64 = 1000;

/// Value sets that were looked for in vain.
pub struct UntoldSets {
    sets: Cache<(Age, TenantId, String), ()>,
    age: AtomicU64,
}

/// Between two writes of definitions. What was found in an earlier one counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Age(u64);

impl Default for UntoldSets {
    fn default() -> UntoldSets {
        let sets = Cache::builder().max_capacity(MOST).time_to_live(FRESH).build();
        UntoldSets { sets, age: AtomicU64::new(0) }
    }
}

impl UntoldSets {
    /// The age now: to be asked before looking for a set.
    #[must_use]
    pub fn age(&self) -> Age {
        Age(self.age.load(Ordering::Acquire))
    }

    /// Whether that set was looked for in vain, a moment ago.
    #[must_use]
    pub fn holds(&self, tenant: TenantId, value_set: &str) -> bool {
        self.sets.contains_key(&(self.age(), tenant, value_set.to_owned()))
    }

    /// Remembers that a set was looked for in vain, in that age.
    pub fn keep(&self, age: Age, tenant: TenantId, value_set: &str) {
        self.sets.insert((age, tenant, value_set.to_owned()), ());
    }

    /// A definition was written: what was not there may be there now.
    pub fn forget(&self) {
        self.age.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_for_before_a_definition_was_written_is_looked_for_again() {
        let untold = UntoldSets::default();
        let before = untold.age();
        untold.keep(before, TenantId::FIRST, "http://x/vs");
        assert!(untold.holds(TenantId::FIRST, "http://x/vs"));
        assert!(!untold.holds(TenantId::FIRST, "http://x/other"));
        untold.forget();
        assert!(!untold.holds(TenantId::FIRST, "http://x/vs"));
        // The search began before the write, and ends after it.
        untold.keep(before, TenantId::FIRST, "http://x/vs");
        assert!(!untold.holds(TenantId::FIRST, "http://x/vs"));
    }
}
