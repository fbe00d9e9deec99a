//! How far an export got: what a worker reports, and what the manifest is made of.

use serde::{Deserialize, Serialize};

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
