//! Bindings: whether codes come from the value set that they must, or should, come from.
//!
//! <https://hl7.org/fhir/R4/terminologies.html#strength>. A value set that is not at hand refuses nothing.

use super::Mode;
use super::answers::{Answers, Question};
use super::value::Value;
use super::walk::Walk;
use crate::conformance::constraint::{Binding, Strength};
use crate::conformance::value_set::{Answer, ValueSet};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;

/// A value set that codes are held against: what the definitions know of it, and what else is known.
pub(super) struct Asked<'w> {
    pub(super) known: Option<&'w ValueSet>,
    pub(super) answers: Option<&'w Answers>,
    pub(super) canonical: &'w str,
}

impl<'a> Walk<'_, 'a> {
    /// Checks a value against a binding; `near` is the guide that binds.
    pub(super) fn binding(&mut self, binding: &Binding, value: Value<'a>, near: Option<usize>) {
        let is_required = binding.strength == Strength::Required;
        let is_write = self.mode == Mode::Write;
        if is_write && binding.strength == Strength::Preferred {
            return;
        }
        let Some(node) = value.node else { return };
        let known = self.book.value_set(&binding.value_set, near);
        // On a write only what refuses is told of the definitions' own sets, and only for sets that a guide names and
        // does not have is anybody asked.
        if known.is_some() && is_write && !is_required {
            return;
        }
        let may_ask = !is_write || (known.is_none() && near.is_some());
        let asked = Asked { known, answers: self.answers.filter(|_| may_ask), canonical: &binding.value_set };
        if asked.known.is_none() && asked.answers.is_none() {
            return;
        }
        let needs_code = is_required && !binding.is_max;
        if answer(&asked, self.types.name(value.type_id), node, needs_code) != Answer::Out {
            return;
        }
        match binding.strength {
            Strength::Required => {
                let message = "the code is not in the value set that it must come from";
                self.complain(node, IssueType::CodeInvalid, &binding.value_set, message);
            }
            Strength::Extensible => {
                let message = "the code is not in the value set that it must come from if one there fits";
                self.warn(node, IssueType::CodeInvalid, &binding.value_set, message);
            }
            Strength::Preferred => {
                let message = "the code is not in the value set that is preferred";
                self.warn(node, IssueType::CodeInvalid, &binding.value_set, message);
            }
        }
    }
}

impl Asked<'_> {
    /// A `code`: its system is not said.
    pub(super) fn code(&self, code: &str) -> Answer {
        match self.known.map(|it| it.code(code)) {
            Some(Answer::Unknown) | None => self.found(None, code),
            Some(answer) => answer,
        }
    }

    fn coding(&self, node: Node<'_>) -> Answer {
        let Some(code) = node.string("code") else { return Answer::Unknown };
        let Some(system) = node.string("system") else {
            return if self.known.is_some() { Answer::Out } else { Answer::Unknown };
        };
        match self.known.map(|it| it.coding(&system, &code)) {
            Some(Answer::Unknown) | None => self.found(Some(&system), &code),
            Some(answer) => answer,
        }
    }

    /// One of its codings is enough. Only text is not, where a code is required.
    fn concept(&self, node: Node<'_>, needs_code: bool) -> Answer {
        let mut answer = None;
        for item in node.get("coding").into_iter().flat_map(Node::items) {
            match self.coding(item) {
                Answer::In => return Answer::In,
                Answer::Unknown => answer = Some(Answer::Unknown),
                Answer::Out => answer = answer.or(Some(Answer::Out)),
            }
        }
        let is_excused = !needs_code || self.known.is_none() || node.get("extension").is_some();
        answer.unwrap_or(if is_excused { Answer::Unknown } else { Answer::Out })
    }

    /// What somebody found out.
    fn found(&self, system: Option<&str>, code: &str) -> Answer {
        let question = || Question::IsMember {
            value_set: self.canonical.to_owned(),
            system: system.map(str::to_owned),
            code: code.to_owned(),
        };
        match self.answers.and_then(|it| it.to(question())) {
            Some(true) => Answer::In,
            Some(false) => Answer::Out,
            None => Answer::Unknown,
        }
    }
}

/// Whether a value of that type is in a value set.
pub(super) fn answer(asked: &Asked<'_>, type_name: &str, node: Node<'_>, needs_code: bool) -> Answer {
    match type_name {
        "CodeableConcept" => asked.concept(node, needs_code),
        "Coding" | "Quantity" | "Age" | "Duration" | "Distance" | "Count" => asked.coding(node),
        // `code`, `uri`, `string` and their kind.
        _ => node.as_str().map_or(Answer::Unknown, |code| asked.code(&code)),
    }
}
