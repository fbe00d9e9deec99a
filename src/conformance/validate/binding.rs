//! Bindings: whether codes come from the value set that they must, or should, come from.
//!
//! <https://hl7.org/fhir/R4/terminologies.html#strength>. A value set that is not at hand refuses nothing.

use super::Mode;
use super::value::Value;
use super::walk::Walk;
use crate::conformance::constraint::{Binding, Strength};
use crate::conformance::value_set::{Answer, ValueSet};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;

impl<'a> Walk<'_, 'a> {
    /// Checks a value against a binding; `near` is the guide that binds.
    pub(super) fn binding(&mut self, binding: &Binding, value: Value<'a>, near: Option<usize>) {
        let is_required = binding.strength == Strength::Required;
        if !is_required && self.mode == Mode::Write {
            return;
        }
        let Some(node) = value.node else { return };
        let Some(value_set) = self.book.value_set(&binding.value_set, near) else { return };
        let answer = match self.types.name(value.type_id) {
            "CodeableConcept" => concept(value_set, node, is_required && !binding.is_max),
            "Coding" | "Quantity" | "Age" | "Duration" | "Distance" | "Count" => coding(value_set, node),
            // `code`, `uri`, `string` and their kind.
            _ => node.as_str().map_or(Answer::Unknown, |code| value_set.code(&code)),
        };
        if answer != Answer::Out {
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

/// One of its codings is enough. Only text is not, where a code is required.
fn concept(value_set: &ValueSet, node: Node<'_>, needs_code: bool) -> Answer {
    let mut answer = None;
    for item in node.get("coding").into_iter().flat_map(Node::items) {
        match coding(value_set, item) {
            Answer::In => return Answer::In,
            Answer::Unknown => answer = Some(Answer::Unknown),
            Answer::Out => answer = answer.or(Some(Answer::Out)),
        }
    }
    let is_excused = !needs_code || node.get("extension").is_some();
    answer.unwrap_or(if is_excused { Answer::Unknown } else { Answer::Out })
}

fn coding(value_set: &ValueSet, node: Node<'_>) -> Answer {
    let Some(code) = node.string("code") else { return Answer::Unknown };
    match node.string("system") {
        Some(system) => value_set.coding(&system, &code),
        None => Answer::Out,
    }
}
