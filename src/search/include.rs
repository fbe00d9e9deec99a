//! `_include` and `_revinclude`: what to send beside the matches.
//!
//! <https://hl7.org/fhir/R4/search.html#revinclude>

use crate::fhir::id::ResourceType;
use std::sync::Arc;

/// One `_include` or `_revinclude`.
#[derive(Clone, Debug, PartialEq)]
pub struct Include {
    /// Which way to follow the references.
    pub direction: Direction,
    /// `:iterate`: also from what was included.
    pub is_iterated: bool,
    /// The type that holds the reference; nothing for `*`.
    pub source: Option<ResourceType>,
    /// The code of the reference parameter; nothing for `*`: all of them.
    pub parameter: Option<Arc<str>>,
    /// Only references to this type.
    pub target: Option<ResourceType>,
}

/// Which way an include follows references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `_include`: what the matches refer to.
    Forward,
    /// `_revinclude`: what refers to the matches.
    Reverse,
}
