//! The time: the only place that reads the wall clock.
//!
//! Everything else is given a [`Clock`], or a time, so that a test can say what time it is.

use jiff::{Timestamp, ToSpan};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The system's clock, or one that stands still until it is stepped. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    stepped: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn system() -> Clock {
        Clock { stepped: None }
    }

    /// A clock that stands at that time until it is stepped.
    #[must_use]
    pub fn stepped(start: Timestamp) -> Clock {
        Clock { stepped: Some(Arc::new(AtomicI64::new(start.as_microsecond()))) }
    }

    /// Moves a stepped clock, backwards too. The system's clock takes no notice.
    pub fn step(&self, microseconds: i64) {
        if let Some(time) = &self.stepped {
            time.fetch_add(microseconds, Ordering::Relaxed);
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let microseconds = self.now_microseconds();
        Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Microseconds since 1970: FHIR instants are kept no finer.
    #[must_use]
    pub fn now_microseconds(&self) -> i64 {
        match &self.stepped {
            Some(time) => time.load(Ordering::Relaxed),
            None => system_time().as_microsecond(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else takes the time from")]
fn system_time() -> Timestamp {
    Timestamp::now()
}

/// A time so many seconds later, for expiry; the last of all times if that is too far.
#[must_use]
pub fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_clock_stands_still() {
        let clock = Clock::stepped(Timestamp::from_second(1_700_000_000).unwrap());
        let again = clock.clone();
        assert_eq!(clock.now(), again.now());
        clock.step(1_500_000);
        assert_eq!(again.now_microseconds(), 1_700_000_001_500_000);
    }
}
