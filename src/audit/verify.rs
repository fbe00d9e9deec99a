//! Checks a trail: every event is there, as it was, in its order, and none besides.
//!
//! Pure: it is fed the chain link by link, the checkpoints, and the ids of the events there are, by whoever
//! reads them ([`crate::audit::live`], [`crate::audit::export`]). It keeps no more in memory than the events of
//! some minutes, however long the trail.
//!
//! # What cannot be proved
//! * Events after the last checkpoint can be cut off, with their links. At most a minute of them is unsigned
//!   while a server runs; the report says how many there are.
//! * Somebody who owns the database can take away the last checkpoints together with what they cover. A
//!   checkpoint that left the machine (the log, an older export) shows it: it is a *witness*.
//! * An event that was never written, or was forged before it was chained.

use crate::audit::chain::hash;
use crate::audit::checkpoint::{self, is_genuine};
use crate::crypto::sign::CheckpointPublicKey;
use crate::fhir::id::TenantId;
use crate::store::audit_archive::Archive;
use crate::store::audit_chain::{Checkpoint, Head, LOOK_BACK, Link};
use std::collections::BTreeSet;
use std::fmt;

/// The report names as many faults, and counts the others.
const NAMED: usize = 20;
/// As many ids of inserted events are kept.
const INSERTED: usize = 10_000;
/// A head that is unsigned longer than that, in microseconds, is a fault: a server signs every minute.
const SIGNED_WITHIN: i64 = 10 * 60 * 1_000_000;
/// How far ids look back: milliseconds above 22 bits.
const ID_LOOK_BACK: i64 = (LOOK_BACK / 1000) << 22;

/// Something that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The event is not what was chained.
    Altered {
        /// Its place in the chain.
        place: i64,
        /// Its id.
        id: i64,
    },
    /// The event is gone.
    Missing {
        /// Its place in the chain.
        place: i64,
        /// Its id.
        id: i64,
    },
    /// The event is chained twice, or where it cannot belong.
    Misplaced {
        /// Its place in the chain.
        place: i64,
        /// Its id.
        id: i64,
    },
    /// The event stands in the trail, but not in the chain.
    Inserted {
        /// Its id.
        id: i64,
    },
    /// The next link does not follow on the last.
    Broken {
        /// The place where it should have begun.
        expected: i64,
        /// The place where it begins.
        found: i64,
    },
    /// A checkpoint is signed by none of the keys.
    Forged {
        /// How many events it is for.
        count: i64,
    },
    /// A checkpoint covers a chain with another hash.
    Rewritten {
        /// How many events it is for.
        count: i64,
    },
    /// A checkpoint covers more events than there are.
    Truncated {
        /// How many events it is for.
        count: i64,
        /// How many there are.
        found: i64,
    },
    /// Nobody signed the head for long, though the trail went on.
    Unsigned {
        /// How many events are not signed.
        count: i64,
    },
    /// A month is said to be archived, and none of the keys signed that.
    ForgedArchive {
        /// The month.
        month: String,
    },
    /// The file does not hold what was archived.
    Incomplete {
        /// The place where it should have ended.
        expected: i64,
        /// The place where it ends.
        found: i64,
    },
    /// The file ends before its end, or a line cannot be read.
    Unreadable {
        /// The number of the line.
        line: u64,
    },
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Where the chain ends.
    pub head: Head,
    /// How many checkpoints agree.
    pub checkpoints: usize,
    /// How many events the last of them covers.
    pub signed: i64,
    /// How many events are younger than the chain: nothing can be said about them yet.
    pub waiting: i64,
    /// How many events are in archives, and not here.
    pub archived: i64,
    /// The ids of events that are in no link: the first ten thousand.
    pub inserted: Vec<i64>,
    /// The first faults, in the order found.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub fault_count: u64,
}

/// A check on its way.
pub struct Check {
    report: Report,
    /// The hash to go on from: after a fault that of the chain, so that only what is wrong is named.
    before: [u8; 32],
    /// What is still to be met, shortest first.
    checkpoints: std::iter::Peekable<std::vec::IntoIter<Checkpoint>>,
    /// Chained, but not yet seen among the ids.
    open: BTreeSet<i64>,
    /// The greatest id chained.
    youngest: i64,
    /// Every id up to this one has been compared.
    compared: i64,
    /// Events with a lesser id were archived.
    archived_below: i64,
}

impl Check {
    /// A check against these checkpoints, which must be signed by one of the keys.
    #[must_use]
    pub fn new(tenant: TenantId, keys: &[CheckpointPublicKey], checkpoints: Vec<Checkpoint>) -> Check {
        let mut check = Check {
            report: Report::default(),
            before: [0; 32],
            checkpoints: Vec::new().into_iter().peekable(),
            open: BTreeSet::new(),
            youngest: 0,
            compared: 0,
            archived_below: i64::MIN,
        };
        let (mut genuine, forged): (Vec<_>, Vec<_>) =
            checkpoints.into_iter().partition(|it| is_genuine(keys, tenant, it));
        genuine.sort_by_key(|it| it.head.count);
        for checkpoint in forged {
            check.find(Fault::Forged { count: checkpoint.head.count });
        }
        check.checkpoints = genuine.into_iter().peekable();
        check
    }

    /// These months were archived: their events need not be here. What nobody signed is told, and counts for nothing.
    pub fn archives(&mut self, tenant: TenantId, keys: &[CheckpointPublicKey], archives: &[Archive]) {
        for archive in archives {
            if checkpoint::is_genuine_archive(keys, tenant, archive) {
                self.archived_below = self.archived_below.max(archive.high);
            } else {
                self.find(Fault::ForgedArchive { month: archive.month.clone() });
            }
        }
    }

    /// The chain is looked at from the middle on: it begins where that archive does.
    pub fn begin(&mut self, archive: &Archive) {
        let place = archive.first - 1;
        self.before = archive.before;
        self.report.head = Head { count: place, hash: archive.before };
        self.report.signed = place;
        // What came late, of a month before, is in that one's archive.
        self.archived_below = archive.low;
        while let Some(checkpoint) = self.checkpoints.next_if(|it| it.head.count <= place) {
            if checkpoint.head.count == place && checkpoint.head.hash != archive.before {
                self.find(Fault::Rewritten { count: place });
            }
        }
    }

    /// The next link.
    pub fn link(&mut self, link: &Link) {
        let expected = self.report.head.count + 1;
        if link.first != expected {
            self.find(Fault::Broken { expected, found: link.first });
        }
        // Places go on from what the link says: what is missing before it has been named.
        let floor = self.youngest.saturating_sub(ID_LOOK_BACK).max(self.compared);
        for (place, event) in (link.first..).zip(&link.events) {
            let id = event.id;
            match &event.canonical {
                None if id < self.archived_below => self.report.archived += 1,
                None => self.find(Fault::Missing { place, id }),
                Some(canonical) if hash(&self.before, canonical) != event.hash => {
                    self.find(Fault::Altered { place, id });
                }
                Some(_) => {}
            }
            if id <= floor || !self.open.insert(id) {
                self.find(Fault::Misplaced { place, id });
            }
            self.youngest = self.youngest.max(id);
            self.before = event.hash;
            self.report.head = Head { count: place, hash: event.hash };
            self.meet_checkpoints();
        }
    }

    /// The range of ids that can be compared now, exclusive below and inclusive above: no later link may hold
    /// one of these. Nothing while it is not worth while.
    #[must_use]
    pub fn comparable(&self) -> Option<(i64, i64)> {
        let to = self.youngest.saturating_sub(ID_LOOK_BACK);
        (to > self.compared && self.open.len() >= 20_000).then_some((self.compared, to))
    }

    /// The same at the end of the chain: everything but what may still be chained.
    #[must_use]
    pub fn rest(&self) -> (i64, i64) {
        (self.compared, self.youngest.saturating_sub(ID_LOOK_BACK).max(self.compared))
    }

    /// Every id that there is from where the last comparison ended, up to `to`.
    pub fn compare(&mut self, ids: impl IntoIterator<Item = i64>, to: i64) {
        for id in ids {
            if !self.open.remove(&id) {
                self.insert(id);
            }
        }
        // What is left up to there is missing, and has been named.
        self.forget(to);
    }

    /// An event that is in no link.
    pub fn insert(&mut self, id: i64) {
        if self.report.inserted.len() < INSERTED {
            self.report.inserted.push(id);
        }
        self.find(Fault::Inserted { id });
    }

    /// Events that wait for the chain, as somebody else counted them.
    pub fn wait(&mut self, count: i64) {
        self.report.waiting += count;
    }

    /// What was found so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Ids up to `to` need not be compared: there is nothing to compare with.
    pub fn forget(&mut self, to: i64) {
        self.open = self.open.split_off(&to.saturating_add(1));
        self.compared = self.compared.max(to);
    }

    /// Ids beyond [`Check::rest`]: those that are not chained are waiting for it.
    pub fn compare_young(&mut self, ids: impl IntoIterator<Item = i64>) {
        let unchained = ids.into_iter().filter(|id| !self.open.contains(id)).count();
        self.report.waiting += i64::try_from(unchained).unwrap_or(i64::MAX);
    }

    /// Something that whoever feeds the check found.
    pub fn find(&mut self, fault: Fault) {
        if self.report.faults.len() < NAMED {
            self.report.faults.push(fault);
        }
        self.report.fault_count += 1;
    }

    /// The chain ended. `now` is when the trail was read: a head that was not signed by then, though it had been
    /// there for long, is a fault.
    #[must_use]
    pub fn end(mut self, now: i64) -> Report {
        let found = self.report.head.count;
        while let Some(checkpoint) = self.checkpoints.next() {
            self.find(Fault::Truncated { count: checkpoint.head.count, found });
        }
        let unsigned = found - self.report.signed;
        let recorded = recorded_of(self.youngest);
        if unsigned > 0 && recorded.saturating_add(SIGNED_WITHIN) < now {
            self.find(Fault::Unsigned { count: unsigned });
        }
        self.report
    }

    fn meet_checkpoints(&mut self) {
        let head = self.report.head;
        while let Some(checkpoint) = self.checkpoints.next_if(|it| it.head.count <= head.count) {
            if checkpoint.head == head {
                self.report.checkpoints += 1;
                self.report.signed = head.count;
            } else {
                self.find(Fault::Rewritten { count: checkpoint.head.count });
            }
        }
    }
}

/// When an event with that id was recorded, about: ids are milliseconds since 2020 above 22 bits.
fn recorded_of(id: i64) -> i64 {
    (id >> 22).saturating_mul(1000).saturating_add(1_577_836_800_000_000)
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.fault_count == 0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Altered { place, id } => write!(f, "event {id} (place {place}) was altered"),
            Fault::Missing { place, id } => write!(f, "event {id} (place {place}) is missing"),
            Fault::Misplaced { place, id } => {
                write!(f, "event {id} (place {place}) is chained twice or out of its time")
            }
            Fault::Inserted { id } => write!(f, "event {id} is in no link of the chain: it was inserted"),
            Fault::Broken { expected, found } => {
                write!(f, "a link should begin at place {expected}, the next begins at {found}")
            }
            Fault::Forged { count } => {
                write!(f, "the checkpoint over {count} events is signed by no known key")
            }
            Fault::Rewritten { count } => {
                write!(f, "the chain up to place {count} is not the one that was signed")
            }
            Fault::Truncated { count, found } => {
                write!(f, "the trail was cut off: {count} events were signed, {found} are there")
            }
            Fault::Unsigned { count } => {
                write!(f, "the last {count} events were never signed: checkpoints are missing")
            }
            Fault::ForgedArchive { month } => {
                write!(f, "the month {month} is said to be archived, and no known key signed that")
            }
            Fault::Incomplete { expected, found } => {
                write!(f, "the archive should end at place {expected} with another hash, and ends at {found}")
            }
            Fault::Unreadable { line } => write!(f, "line {line} cannot be read, or the file ends too early"),
        }
    }
}
