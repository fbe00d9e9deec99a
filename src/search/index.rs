//! What a resource can be found by: equality keys, ranges of dates and numbers, its patients.
//!
//! An index is made of values, not of rows or hashes: the store turns a [`Key`] into a 64-bit
//! keyed hash of (type, parameter, kind, value) and keeps ranges as it sees fit.
//!
//! # Index names
//! Many parameters of R4 say the same thing twice: `patient` is `subject` where it is a Patient,
//! `combo-code` is `code` and `component-code` together, `name` covers `family` and `given`. Such a
//! parameter is not indexed again: entries carry the *index name* of the parameter that holds
//! them, and the query asks under that name ([`crate::search::plan`] decides). Composites have no
//! entries at all: they are the conjunction of their components, verified where components must
//! belong together.
//!
//! # Decision 2026-11-23
//! No key says that a parameter is absent or present: it would be eight keys more for an
//! Observation that has about fifteen. `:missing` is answered from [`Index::present`], in memory,
//! on the candidates that the other criteria leave.

use crate::fhir::id::ResourceId;
use std::fmt;
use std::sync::Arc;

/// Everything one resource can be found by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    /// Equality keys, each once.
    pub keys: Vec<Key>,
    /// Dates, as microseconds since 1970, UTC. `i64::MIN` and `i64::MAX` are open ends. Nothing
    /// for sealed parameters: those have only keys.
    pub dates: Vec<RangeEntry<i64>>,
    /// Numbers, quantities and coordinates. Nothing for sealed parameters.
    pub numbers: Vec<RangeEntry<f64>>,
    /// The patients in whose compartments it is; a Patient is in its own.
    pub patients: Vec<ResourceId>,
    /// The codes of the parameters that have a value.
    pub present: Vec<Arc<str>>,
    /// `meta.lastUpdated`, as an interval.
    pub last_updated: Option<(i64, i64)>,
}

/// One thing that is equal or is not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The index name of the parameter.
    pub parameter: Arc<str>,
    /// What kind of value.
    pub kind: KeyKind,
    /// The value, normalised.
    pub value: Box<str>,
}

/// What a key says about the value of its parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyKind {
    /// A token with its system: `system|code`; `|code` where it has none.
    Token,
    /// A token's code, whatever its system.
    Code,
    /// A token's system, whatever its code.
    System,
    /// The first three characters of the text beside a token, normalised: for `:text`.
    Text,
    /// An identifier with its type: `system|type code|value`: for `:of-type`.
    OfType,
    /// A string exactly as it stands.
    Exact,
    /// So many first characters of a string, normalised: one to eight.
    Prefix(u8),
    /// Three adjacent characters of a string, normalised: for `:contains`.
    Trigram,
    /// A word of the narrative, normalised.
    Word,
    /// There are more trigrams or words than are indexed; the value is empty.
    Overflow,
    /// A reference: `Type/id`, and with a version `Type/id/_history/version` as well.
    Reference,
    /// The id of a reference, where a parameter has too many target types to name each.
    ReferenceId,
    /// A reference to elsewhere, a canonical or a URN: without and with its `|version`.
    ReferenceUrl,
    /// The identifier in a reference: `system|value`; `|value` where it has no system.
    Identifier,
    /// The value of the identifier in a reference, whatever its system.
    IdentifierValue,
    /// A URI exactly as it stands.
    Uri,
    /// A URI and each of its parents by path segment: for `:below`.
    UriBelow,
    /// A sealed date lies within this century (`19`), decade (`197`), year, month or day.
    Within,
    /// A sealed date is no day but lies within just this century, decade, year or month; empty
    /// for one that spans centuries.
    Spans,
}

/// A range to compare with: see [`crate::search::range`].
#[derive(Clone, Debug, PartialEq)]
pub struct RangeEntry<T> {
    /// The index name of the parameter.
    pub parameter: Arc<str>,
    /// For quantities: nothing for the bare number (every quantity has that entry), and a second
    /// entry with the canonical unit `http://unitsofmeasure.org|g.m-3`, or another system's
    /// `system|code`. For positions: `latitude` or `longitude`.
    pub unit: Option<Arc<str>>,
    /// The first value meant.
    pub low: T,
    /// The last value meant.
    pub high: T,
}

impl KeyKind {
    /// A short stable name, for hashing: it must never change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Token => "token",
            KeyKind::Code => "code",
            KeyKind::System => "system",
            KeyKind::Text => "text",
            KeyKind::OfType => "of-type",
            KeyKind::Exact => "exact",
            KeyKind::Prefix(1) => "prefix-1",
            KeyKind::Prefix(2) => "prefix-2",
            KeyKind::Prefix(3) => "prefix-3",
            KeyKind::Prefix(4) => "prefix-4",
            KeyKind::Prefix(5) => "prefix-5",
            KeyKind::Prefix(6) => "prefix-6",
            KeyKind::Prefix(7) => "prefix-7",
            KeyKind::Prefix(_) => "prefix-8",
            KeyKind::Trigram => "trigram",
            KeyKind::Word => "word",
            KeyKind::Overflow => "overflow",
            KeyKind::Reference => "reference",
            KeyKind::ReferenceId => "reference-id",
            KeyKind::ReferenceUrl => "reference-url",
            KeyKind::Identifier => "identifier",
            KeyKind::IdentifierValue => "identifier-value",
            KeyKind::Uri => "uri",
            KeyKind::UriBelow => "uri-below",
            KeyKind::Within => "within",
            KeyKind::Spans => "spans",
        }
    }
}

impl Key {
    /// A key.
    #[must_use]
    pub fn new(parameter: &Arc<str>, kind: KeyKind, value: impl Into<Box<str>>) -> Key {
        Key { parameter: parameter.clone(), kind, value: value.into() }
    }
}

impl fmt::Debug for Key {
    /// Never the value: an index must not reach a log by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.parameter, self.kind.name())
    }
}
