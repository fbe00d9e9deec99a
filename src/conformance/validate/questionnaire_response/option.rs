//! The answers that a questionnaire offers: `answerOption` and `answerValueSet`.

use super::form::{Asked, Form, Membership, extension, value_of};
use crate::conformance::validate::{coding, matching};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;

const EXCLUSIVE: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive";

/// What is wrong with the choice of an answer, and where.
pub(super) fn broken<'a>(
    asked: &Asked<'_>,
    (kind, value): (&str, Node<'a>),
    count: usize,
    form: &Form<'_>,
) -> Vec<(Node<'a>, IssueType, &'static str)> {
    // Whoever may answer freely does so in words.
    if asked.kind == "open-choice" && kind == "String" {
        return Vec::new();
    }
    if let Some(options) = asked.node.get("answerOption") {
        let is_it = |option: &Node<'_>| value_of(*option).is_some_and(|it| is_same(it, (kind, value)));
        return match options.items().find(is_it) {
            None => vec![(value, IssueType::CodeInvalid, "this is not among the options of the question")],
            Some(option) => {
                let is_exclusive = extension(option, EXCLUSIVE).and_then(Node::as_bool) == Some(true);
                let message = "this option excludes all others, and others are chosen";
                let broken = (is_exclusive && count > 1).then_some((value, IssueType::BusinessRule, message));
                broken.into_iter().collect()
            }
        };
    }
    let Some(canonical) = asked.node.string("answerValueSet") else { return Vec::new() };
    if kind != "Coding" {
        return Vec::new();
    }
    match form.membership(&canonical, value) {
        Membership::Out => {
            vec![(value, IssueType::CodeInvalid, "the code is not in the value set of the question")]
        }
        Membership::In(names) => {
            let Some(display) = value.get("display").filter(|_| !names.is_empty()) else { return Vec::new() };
            let is_named = display.as_str().is_some_and(|it| coding::is_called(&it, names));
            let message = "the display is not what the value set or its code system calls the code";
            let broken = (!is_named).then_some((display, IssueType::CodeInvalid, message));
            broken.into_iter().collect()
        }
        Membership::Unknown => Vec::new(),
    }
}

/// Whether two values are the same answer: a coding by its system and code, a number by its value.
pub(super) fn is_same((kind, one): (&str, Node<'_>), (other_kind, other): (&str, Node<'_>)) -> bool {
    let is_number = |kind: &str| matches!(kind, "Integer" | "Decimal");
    if kind != other_kind && !(is_number(kind) && is_number(other_kind)) {
        return false;
    }
    let members: &[&str] = match kind {
        "Coding" => &["system", "code"],
        "Reference" => &["reference"],
        "Quantity" => &["value", "system", "code"],
        _ => return matching::is_equal(one, other),
    };
    members.iter().all(|name| match (one.get(name), other.get(name)) {
        (Some(one), Some(other)) => matching::is_equal(one, other),
        (None, None) => true,
        _ => false,
    })
}
