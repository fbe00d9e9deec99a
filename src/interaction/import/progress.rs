//! How far an import got.

use super::request::ImportRequest;
use crate::interaction::export::asker::Asker;
use serde::{Deserialize, Serialize};

/// The kind of job in the queue.
pub const KIND: &str = "import";

/// What an import job needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportJob {
    /// What was asked for.
    pub request: ImportRequest,
    /// By whom.
    pub asker: Asker,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The files that were sent with it.
    pub uploads: Vec<String>,
}

/// How far an import got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The source that is read.
    pub source: usize,
    /// How many of its bytes were dealt with: whole lines.
    pub offset: u64,
    /// How many of its lines.
    pub line: u64,
    /// What came of the lines, source by source.
    pub tallies: Vec<Tally>,
    /// The files of errors.
    pub errors: Vec<ErrorFile>,
    /// How much is done, in percent.
    pub percent: u8,
}

/// What came of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// New resources.
    pub created: u64,
    /// New versions.
    pub updated: u64,
    /// Lines that changed nothing.
    pub unchanged: u64,
    /// Lines that were refused.
    pub refused: u64,
}

/// A file of OperationOutcomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFile {
    /// The source whose lines it names.
    pub source: usize,
    /// Its name.
    pub name: String,
    /// How many lines were refused.
    pub count: u64,
}

impl Progress {
    /// How far the last report got; the beginning where there is none.
    #[must_use]
    pub fn read(text: &[u8]) -> Progress {
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// How many lines were dealt with.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.tallies.iter().map(Tally::lines).sum()
    }
}

impl Tally {
    /// How many lines.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.refused
    }

    /// Adds another.
    pub fn add(&mut self, other: Tally) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.refused += other.refused;
    }
}
