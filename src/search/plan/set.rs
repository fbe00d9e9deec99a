//! Sets of codes that a query names and somebody else looks up: the planner does no I/O.
//!
//! <https://hl7.org/fhir/R4/search.html#token>

use super::condition::with_modifier;
use super::filter;
use super::split::{split, unescape};
use std::collections::{BTreeSet, HashMap};

/// What a modifier asks of terminology.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// `:in`, `:not-in`: the codes of a value set.
    ValueSet(String),
    /// `:below`: a code and all below it.
    Below(String),
    /// `:above`: a code and all above it.
    Above(String),
}

/// The codes behind each need: system and code.
pub type Sets = HashMap<Need, Vec<(String, String)>>;

/// What a query needs to have looked up before it can be planned. Chains count: what matters is the last name.
#[must_use]
pub fn needed(parameters: &[(String, String)]) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    for (name, value) in parameters {
        if name == "_filter" || name.ends_with("._filter") || name.ends_with(":_filter") {
            needs.extend(filter::needed(value));
            continue;
        }
        let last = name.rsplit(['.', ']']).next().unwrap_or_default();
        let last = match last.strip_prefix("_has:") {
            // `_has:Type:reference:parameter:modifier`
            Some(_) => last.splitn(4, ':').nth(3).unwrap_or_default(),
            None => last,
        };
        let (_, Some(modifier)) = with_modifier(last) else { continue };
        let modifier = modifier.rsplit(':').next().unwrap_or_default();
        needs.extend(split(value, ',').into_iter().filter_map(|raw| need(modifier, raw)));
    }
    needs
}

/// What one value under a modifier needs.
pub(super) fn need(modifier: &str, raw: &str) -> Option<Need> {
    if raw.is_empty() {
        return None;
    }
    match modifier {
        "in" | "not-in" => Some(Need::ValueSet(unescape(raw).into_owned())),
        "below" => code(raw).map(Need::Below),
        "above" => code(raw).map(Need::Above),
        _ => None,
    }
}

/// `system|code`; a code without its system stands nowhere in a hierarchy.
fn code(raw: &str) -> Option<String> {
    match split(raw, '|').as_slice() {
        [system, code] if !system.is_empty() && !code.is_empty() => {
            Some(format!("{}|{}", unescape(system), unescape(code)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_query_needs() {
        let needed = |name: &str, value: &str| needed(&[(name.to_owned(), value.to_owned())]);
        let set = |it: &str| BTreeSet::from([Need::ValueSet(it.to_owned())]);
        assert_eq!(needed("code:in", "http://v"), set("http://v"));
        assert_eq!(needed("subject:Patient.general-practitioner:Practitioner.gender:not-in", "v"), set("v"));
        assert_eq!(needed("_has:Observation:patient:code:in", "v"), set("v"));
        assert_eq!(needed("code:below", "s|c"), BTreeSet::from([Need::Below("s|c".to_owned())]));
        assert_eq!(needed("code:above", "s|c,s|d").len(), 2);
        assert_eq!(needed("_filter", "status eq final and (code in http://v or not (code ss s|c))").len(), 2);
        assert_eq!(needed("_filter", "code sb s|c"), BTreeSet::from([Need::Above("s|c".to_owned())]));
        assert!(needed("_filter", r#"code eq "a in b" and"#).is_empty());
        for (name, value) in [("code", "v"), ("code:not", "v"), ("code:below", "c"), ("code:in", "")] {
            assert!(needed(name, value).is_empty(), "{name}={value}");
        }
    }
}
