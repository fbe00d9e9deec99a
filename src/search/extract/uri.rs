//! URIs as keys: exactly, and with their parents.
//!
//! <https://hl7.org/fhir/R4/search.html#uri>

use super::{Reading, push};
use crate::search::index::{Index, KeyKind};
use crate::search::parameters::{Found, Parameter};

pub(super) fn enter(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    let Found::Element(node, type_id) = found else { return };
    let Some(uri) = node.as_str() else { return };
    push(index, parameter, KeyKind::Uri, &*uri);
    if reading.types.name(type_id) == "canonical"
        && let Some((current, _)) = uri.split_once('|')
    {
        push(index, parameter, KeyKind::Uri, current);
    }
    for parent in with_parents(&uri) {
        push(index, parameter, KeyKind::UriBelow, parent);
    }
}

/// A URL and each of its parents by path segment. A URN has none: `:below` is for URLs.
pub(in crate::search) fn with_parents(uri: &str) -> Vec<&str> {
    let Some(authority) = uri.find("://").map(|place| place + "://".len()) else { return Vec::new() };
    let mut here = uri.trim_end_matches('/');
    let mut all = Vec::new();
    while here.len() > authority && all.len() < 32 {
        all.push(here);
        match here.get(authority..).and_then(|path| path.rfind('/')) {
            Some(slash) => here = here.get(..authority + slash).unwrap_or_default(),
            None => break,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_end_at_the_authority() {
        assert_eq!(with_parents("http://a.org/b/c/"), ["http://a.org/b/c", "http://a.org/b", "http://a.org"]);
        assert_eq!(with_parents("http://a.org"), ["http://a.org"]);
        assert!(with_parents("urn:oid:1.2.3").is_empty());
        assert!(with_parents("http://").is_empty());
    }
}
