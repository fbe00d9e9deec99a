//! From a query string to a [`Query`]: what each parameter means, as a predicate over the index.

use crate::conformance::definitions::Definitions;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::search::query::{Handling, Query};

/// What a query is read by.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The search parameters.
    pub definitions: &'a Definitions,
    /// The FHIR base of this server, without a closing slash: absolute references to it are relative ones.
    pub base: &'a str,
    /// Now, in microseconds since 1970: for `ap`.
    pub now: i64,
    /// What becomes of parameters that are not understood.
    pub handling: Handling,
    /// `_count` where the query names none.
    pub default_count: u32,
    /// The greatest `_count`.
    pub max_count: u32,
}

/// Reads a query over these types (one, or several for a system search): the query, and what there is to say
/// about it (parameters that were left out in lenient handling).
///
/// # Errors
/// A parameter or value that is not understood.
pub fn plan(
    setting: &Setting<'_>,
    _resource_types: &[ResourceType],
    _parameters: &[(String, String)],
) -> Result<(Query, Vec<Issue>), Outcome> {
    let _ = setting;
    Err(Outcome::not_supported("search is being built"))
}
