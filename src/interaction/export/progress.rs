//! How far an export got: what a worker reports, and what the manifest is made of.

use crate::app::App;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind of job in the queue.
pub const KIND: &str = "export";

/// What an export job needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportJob {
    /// What was asked for, with the types that were permitted.
    pub request: super::request::ExportRequest,
    /// For whom.
    pub asker: super::asker::Asker,
    /// The time that everything is exported as of, in microseconds since 1970.
    pub at: i64,
}

/// How far an export got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The files that are whole.
    pub parts: Vec<Part>,
    /// The step that is next or under way.
    pub step: usize,
    /// Where in it the last file ended.
    pub after: i64,
    /// The same of a step that goes by time.
    pub after_row: i64,
    /// How much is done, in percent.
    pub percent: u8,
    /// What de-identifying came to, of what is in files.
    #[serde(default)]
    pub tally: Tally,
}

/// What de-identifying came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many values were removed or replaced, by kind.
    pub removed: BTreeMap<String, u64>,
    /// How many patients are alike in year of birth, sex and area.
    pub cells: BTreeMap<String, u64>,
    /// There are more kinds of patients than are counted.
    pub is_cut: bool,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// In which list of the manifest.
    pub list: List,
    /// The type of its resources; nothing where it holds several.
    pub of: Option<String>,
    /// The view whose rows it holds, if it does.
    #[serde(default)]
    pub view: Option<String>,
    /// Its name.
    pub name: String,
    /// How many resources or rows.
    pub count: u64,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// A list of files in a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum List {
    /// `output`
    Output,
    /// `deleted`
    Deleted,
    /// `error`
    Error,
}

/// Of fewer than so many patients that are alike, each might be found.
pub const SMALLEST: u64 = 11;
/// So many kinds of patients are told apart.
const MOST_CELLS: usize = 50_000;

impl Tally {
    /// One more patient of that kind.
    pub fn count(&mut self, cell: String) {
        self.count_many(cell, 1);
    }

    fn count_many(&mut self, cell: String, patients: u64) {
        if self.cells.len() < MOST_CELLS || self.cells.contains_key(&cell) {
            *self.cells.entry(cell).or_default() += patients;
        } else {
            self.is_cut = true;
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Tally) {
        for (kind, count) in other.removed {
            *self.removed.entry(kind).or_default() += count;
        }
        for (cell, count) in other.cells {
            self.count_many(cell, count);
        }
        self.is_cut |= other.is_cut;
    }

    /// How many patients there are.
    #[must_use]
    pub fn patients(&self) -> u64 {
        self.cells.values().sum()
    }

    /// How many kinds of patients are so few that each of them might be found.
    #[must_use]
    pub fn small_cells(&self) -> usize {
        self.cells.values().filter(|it| **it < SMALLEST).count()
    }
}

impl ExportJob {
    /// On behalf of whoever asked, now.
    ///
    /// # Errors
    /// What is legal cannot be found out now.
    pub async fn context(&self, app: &Arc<App>) -> Result<Context, Outcome> {
        let ctx = self.asker.context(app).await?;
        Ok(Context { deidentifies: self.request.deidentify.is_some(), ..ctx })
    }

    /// For whom the pseudonyms are.
    #[must_use]
    pub fn recipient(&self) -> String {
        match &self.request.recipient {
            Some(named) => format!("named {named}"),
            None => format!("client {}", self.asker.client()),
        }
    }
}

impl Progress {
    /// How far the last report got; the beginning where there is none.
    #[must_use]
    pub fn read(text: &[u8]) -> Progress {
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// How many resources are in files.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.parts.iter().filter(|it| it.list == List::Output).map(|it| it.count).sum()
    }
}
