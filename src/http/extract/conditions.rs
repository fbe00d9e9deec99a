//! The headers that make a request conditional.
//!
//! <https://hl7.org/fhir/R4/http.html#concurrency>, <https://hl7.org/fhir/R4/http.html#ccreate>. A condition
//! that is not understood refuses the request: to ignore it could lose somebody's work.

use super::query;
use crate::fhir::outcome::Outcome;
use crate::http::edge::Call;
use crate::interaction::request::Parameters;

/// The version that must be current.
pub(crate) fn if_match(call: &Call) -> Result<Option<String>, Outcome> {
    match call.header("if-match")? {
        None => Ok(None),
        Some(text) => match version(text) {
            Some(version) => Ok(Some(version.to_owned())),
            None => Err(Outcome::value("If-Match must be one version, such as W/\"3\"")),
        },
    }
}

/// Whether the resource must not exist yet.
pub(crate) fn if_none_match_any(call: &Call) -> Result<bool, Outcome> {
    match call.header("if-none-match")? {
        None => Ok(false),
        Some("*") => Ok(true),
        Some(_) => Err(Outcome::value("If-None-Match of an update must be *")),
    }
}

/// The criteria that nothing may match yet.
pub(crate) fn if_none_exist(call: &Call) -> Result<Option<Parameters>, Outcome> {
    let Some(text) = call.header("if-none-exist")? else { return Ok(None) };
    let criteria = query::decode(text.rsplit_once('?').map_or(text, |(_, query)| query))?;
    if criteria.is_empty() {
        return Err(Outcome::value("If-None-Exist must hold criteria"));
    }
    Ok(Some(criteria))
}

/// Whether one of the entity tags names that version, or any: `If-None-Match` of a read.
pub(crate) fn names(tags: &str, current: &str) -> bool {
    tags.split(',').any(|tag| tag.trim() == "*" || version(tag.trim()) == Some(current))
}

/// The version in an entity tag, weak or strong.
fn version(tag: &str) -> Option<&str> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let version = tag.strip_prefix('"')?.strip_suffix('"')?;
    let is_version = !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    is_version.then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_entity_tags() {
        assert_eq!(version("W/\"3\""), Some("3"));
        assert_eq!(version("\"3\""), Some("3"));
        for bad in ["3", "W/3", "\"\"", "\"a\"b\"", "*", "W/\"1\", W/\"2\""] {
            assert_eq!(version(bad), None, "{bad}");
        }
        assert!(names("W/\"1\", W/\"2\"", "2") && names("*", "9") && !names("W/\"1\"", "2"));
    }
}
