//! What may stand beside the definitions: questionnaires, code systems and value sets that the caller found.
//!
//! Validation finds nothing itself. [`needed`] says what it would like to have; what is not given refuses nothing.

use crate::fhir::json::Node;
use crate::fhir::resource::Resource;
use crate::terminology::library::{Library, split};
use std::collections::BTreeSet;

/// The most that one resource asks for; a hostile one could name thousands.
const MOST_NEEDED: usize = 100;

/// What the caller found.
#[derive(Debug, Default)]
pub struct Beside {
    /// Questionnaires that responses name.
    pub questionnaires: Vec<Resource>,
    /// Code systems and value sets.
    pub library: Library,
}

/// What a resource, or a questionnaire, would like to have beside it: canonicals.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Of questionnaires.
    pub questionnaires: BTreeSet<String>,
    /// Of value sets that answers are chosen from.
    pub value_sets: BTreeSet<String>,
    /// Of code systems, with the codes that are looked at.
    pub codes: BTreeSet<(String, String)>,
}

impl Needed {
    /// Adds what something else needs, as far as there is room.
    pub fn extend(&mut self, other: Needed) {
        add(&mut self.questionnaires, other.questionnaires);
        add(&mut self.value_sets, other.value_sets);
        add(&mut self.codes, other.codes);
    }
}

fn add<T: Ord>(list: &mut BTreeSet<T>, more: BTreeSet<T>) {
    let room = MOST_NEEDED.saturating_sub(list.len());
    list.extend(more.into_iter().take(room));
}

impl Beside {
    /// The questionnaire of that canonical.
    #[must_use]
    pub fn questionnaire(&self, canonical: &str) -> Option<&Resource> {
        let (url, version) = split(canonical);
        let mut of_url = self.questionnaires.iter().filter(|it| has(it, "url", url));
        match version {
            None => of_url.next(),
            Some(version) => of_url.find(|it| has(it, "version", version)),
        }
    }
}

fn has(resource: &Resource, name: &str, value: &str) -> bool {
    resource.root().get(name).is_some_and(|it| it.is(value))
}

/// What a resource names that validation can make use of.
#[must_use]
pub fn needed(resource: &Resource) -> Needed {
    let mut needed = Needed::default();
    collect(resource.root(), &mut needed);
    needed
}

fn collect(node: Node<'_>, needed: &mut Needed) {
    if node.get("resourceType").is_some_and(|it| it.is("QuestionnaireResponse")) {
        keep(&mut needed.questionnaires, node.string("questionnaire"));
    }
    if let (Some(system), Some(code)) = (node.string("system"), node.string("code"))
        && needed.codes.len() < MOST_NEEDED
    {
        needed.codes.insert((system.into_owned(), code.into_owned()));
    }
    keep(&mut needed.value_sets, node.string("answerValueSet"));
    for (_, value) in node.members() {
        for value in value.each().filter(|it| it.is_object()) {
            collect(value, needed);
        }
    }
}

fn keep(list: &mut BTreeSet<String>, canonical: Option<std::borrow::Cow<'_, str>>) {
    let canonical = canonical.filter(|it| !it.starts_with('#') && list.len() < MOST_NEEDED);
    list.extend(canonical.map(std::borrow::Cow::into_owned));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::Limits;

    #[test]
    fn names_what_would_help_and_no_contained_thing() {
        let text = r##"{"resourceType":"QuestionnaireResponse","questionnaire":"http://q|1","item":[{"answer":[
            {"valueCoding":{"system":"http://s","code":"a"}}]}],"contained":[{"resourceType":"Questionnaire",
            "item":[{"answerValueSet":"#v"},{"answerValueSet":"http://v"}]}]}"##;
        let needed = needed(&Resource::parse(text, &Limits::default()).unwrap());
        assert_eq!(needed.questionnaires, BTreeSet::from(["http://q|1".to_owned()]));
        assert_eq!(needed.value_sets, BTreeSet::from(["http://v".to_owned()]));
        assert_eq!(needed.codes, BTreeSet::from([("http://s".to_owned(), "a".to_owned())]));
    }
}
