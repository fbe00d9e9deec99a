//! Granular scopes: `patient/Observation.rs?category=laboratory` as a predicate.
//!
//! The query is read as a search of that type, strictly. One that cannot be read, or asks for more than a
//! condition on the resource (an order, an include, a page), grants nothing.

use crate::conformance::definitions::Definitions;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::plan::{Setting, plan};
use crate::search::predicate::Predicate;
use crate::search::query::Handling;
use std::sync::Arc;

/// What the resource must satisfy; nothing where the query grants nothing.
pub(super) fn condition(
    definitions: &Definitions,
    base: &str,
    resource_type: ResourceType,
    query: &[(String, String)],
) -> Option<Predicate> {
    if query.is_empty() || !query.iter().all(|(name, value)| is_condition(name, value)) {
        return None;
    }
    // A grant must mean tomorrow what it means today, so there is no now: `is_condition` refuses `ap`.
    let setting = Setting {
        definitions,
        base,
        now: 0,
        handling: Handling::Strict,
        default_count: 1,
        max_count: 1,
        sets: None,
    };
    let (query, issues) = plan(&setting, &[resource_type], query).ok()?;
    let is_whole = issues.is_empty() && query.includes.is_empty() && query.sort.is_empty();
    // A query that is always true or never true says less than it seems to.
    let says_something = !matches!(query.filter, Predicate::True | Predicate::False);
    (is_whole && says_something).then(|| query.filter.for_type(resource_type))
}

/// What names that patient under the parameter `patient`.
pub(super) fn of_patient(
    definitions: &Definitions,
    base: &str,
    resource_type: ResourceType,
    patient: &ResourceId,
) -> Option<Predicate> {
    condition(definitions, base, resource_type, &[("patient".to_owned(), format!("Patient/{patient}"))])
}

/// The name that a reference parameter has in the index.
pub(super) fn index_name(
    definitions: &Definitions,
    resource_type: ResourceType,
    parameter: &str,
) -> Option<Arc<str>> {
    let query = [(parameter.to_owned(), "Patient/x".to_owned())];
    match condition(definitions, "", resource_type, &query)? {
        Predicate::Key(key) => Some(key.parameter),
        _ => None,
    }
}

/// Whether it is a condition that a resource satisfies or does not, whenever it is asked.
fn is_condition(name: &str, value: &str) -> bool {
    const NOT_CONDITIONS: [&str; 16] = [
        "_contained",
        "_containedType",
        "_count",
        "_cursor",
        "_elements",
        "_format",
        "_graph",
        "_include",
        "_maxresults",
        "_offset",
        "_page",
        "_pretty",
        "_revinclude",
        "_sort",
        "_summary",
        "_total",
    ];
    let plain = name.split(':').next().unwrap_or_default();
    let is_relative_to_now = value
        .split(',')
        .any(|it| it.starts_with("ap") && it.as_bytes().get(2).is_some_and(u8::is_ascii_digit));
    !NOT_CONDITIONS.contains(&plain) && !is_relative_to_now
}
