//! Code systems and value sets: what R4 says of them in words, and in no invariant.
//!
//! <https://hl7.org/fhir/R4/codesystem.html>, <https://hl7.org/fhir/R4/valueset.html>

use super::walk::Walk;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::terminology::code_system::CodeSystem;
use std::collections::HashMap;
use std::sync::Arc;

const CONCEPT_PROPERTIES: &str = "http://hl7.org/fhir/concept-properties#";

impl<'d> Walk<'d, '_> {
    /// Checks a CodeSystem.
    pub(super) fn code_system(&mut self, node: Node<'_>) {
        if let Some(supplements) = node.get("supplements") {
            self.supplement(node, supplements);
        }
        let mut types: HashMap<String, String> = HashMap::new();
        let mut uris: Vec<String> = Vec::new();
        for property in items(node, "property") {
            let (Some(code), Some(of)) = (property.string("code"), property.string("type")) else { continue };
            if types.insert(code.into_owned(), of.clone().into_owned()).is_some() {
                // "A code that is used to identify the property".
                self.complain(property, IssueType::Duplicate, "", "a property of this code is there already");
            }
            let Some(uri) = property.string("uri") else { continue };
            if let Some(name) = uri.strip_prefix(CONCEPT_PROPERTIES)
                && defined_type(name).is_some_and(|it| it != of)
            {
                let message = "the property that the URI stands for has another type";
                self.complain(property, IssueType::Value, CONCEPT_PROPERTIES, message);
            }
            if uris.contains(&uri.clone().into_owned()) {
                self.complain(property, IssueType::Duplicate, "", "a property of this URI is there already");
            }
            uris.push(uri.into_owned());
        }
        self.concepts(node, &types);
    }

    /// What supplements a code system says so in its content, and names no codes that are not there.
    fn supplement(&mut self, node: Node<'_>, supplements: Node<'_>) {
        if !node.get("content").is_some_and(|it| it.is("supplement")) {
            let message = "a code system that supplements another has the content supplement";
            self.complain(supplements, IssueType::BusinessRule, "", message);
        }
        let Some(base) = supplements.as_str().and_then(|it| self.complete_system(&it)) else { return };
        let mut waiting: Vec<Node<'_>> = items(node, "concept").collect();
        while let Some(concept) = waiting.pop() {
            if concept.string("code").is_some_and(|it| base.concept(&it).is_none()) {
                let message = "the code system that is supplemented has no such code";
                self.complain(concept, IssueType::CodeInvalid, "", message);
            }
            waiting.extend(items(concept, "concept"));
        }
    }

    /// "CodeSystem.concept.property.code: a code that is a reference to CodeSystem.property.code."
    fn concepts(&mut self, holder: Node<'_>, types: &HashMap<String, String>) {
        for concept in items(holder, "concept") {
            for property in items(concept, "property") {
                let Some(code) = property.string("code") else { continue };
                let Some(of) = types.get(&*code) else {
                    let message = "a property that the code system does not declare";
                    self.warn(property, IssueType::CodeInvalid, "", message);
                    continue;
                };
                let is_it = |(key, _): (Node<'_>, Node<'_>)| {
                    key.as_str().and_then(|it| it.strip_prefix("value").map(|it| it.eq_ignore_ascii_case(of)))
                };
                if property.members().find_map(is_it) == Some(false) {
                    let message = "the property is declared with another type";
                    self.complain(property, IssueType::Value, "", message);
                }
            }
            self.concepts(concept, types);
        }
    }

    /// Checks a ValueSet: filters that name a code of another system, where that is at hand.
    pub(super) fn value_set(&mut self, node: Node<'_>) {
        let Some(compose) = node.get("compose") else { return };
        for clause in items(compose, "include").chain(items(compose, "exclude")) {
            for filter in items(clause, "filter").filter(|it| it.get("op").is_some_and(|it| it.is("="))) {
                let Some(value) = filter.get("value") else { continue };
                let Some(text) = value.as_str() else { continue };
                if let Some((system, code)) = text.rsplit_once('#')
                    && let Some(known) = self.complete_system(system)
                    && known.concept(code).is_none()
                {
                    let message = "the code system that the filter names has no such code";
                    self.complain(value, IssueType::CodeInvalid, "", message);
                }
            }
        }
    }

    fn complete_system(&self, canonical: &str) -> Option<&'d Arc<CodeSystem>> {
        self.beside?.library.code_system(canonical).filter(|it| it.is_complete())
    }
}

fn items<'n>(of: Node<'n>, name: &str) -> impl Iterator<Item = Node<'n>> + use<'n> {
    of.get(name).into_iter().flat_map(Node::items)
}

/// <https://hl7.org/fhir/R4/codesystem-concept-properties.html>
fn defined_type(name: &str) -> Option<&'static str> {
    Some(match name {
        "inactive" | "notSelectable" => "boolean",
        "deprecated" => "dateTime",
        "parent" | "child" => "code",
        _ => return None,
    })
}
