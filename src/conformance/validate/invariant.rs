//! Invariants: the program's own hands for the frequent ones, FHIRPath for the rest.

use super::surroundings::Known;
use super::value::Value;
use super::walk::{Place, Walk};
use super::{Mode, native};
use crate::conformance::invariant::{Invariant, Weight};
use crate::fhir::issue_type::IssueType;
use crate::fhirpath::Environment;
use crate::fhirpath::value::{Element, Item};

impl<'a> Walk<'_, 'a> {
    /// Checks one rule on one value. A rule that cannot be evaluated refuses nothing.
    pub(super) fn rule(&mut self, rule: &Invariant, value: Value<'a>, place: Place<'a>) {
        let is_wanted = match rule.weight {
            Weight::Error => true,
            Weight::Warning => self.mode >= Mode::Full,
            Weight::BestPractice => self.mode >= Mode::BestPractice,
        };
        if !is_wanted {
            return;
        }
        let is_kept = match native::check(&rule.key, value, place) {
            Some(is_kept) => is_kept,
            None => self.evaluate(rule, value, place),
        };
        let Some(node) = value.place().filter(|_| !is_kept) else { return };
        let message = format!("the rule {} is broken", rule.key);
        match rule.weight {
            Weight::Error => self.complain(node, IssueType::Invariant, &rule.key, message),
            _ => self.warn(node, IssueType::Invariant, &rule.key, message),
        }
    }

    fn evaluate(&self, rule: &Invariant, value: Value<'a>, place: Place<'a>) -> bool {
        let Some(expression) = rule.expression() else { return true };
        let resource = Item::Element(Element {
            node: Some(place.resource),
            companion: None,
            type_id: place.resource_type,
        });
        let mut env = Environment::of(self.types, resource);
        if !place.root.is_same(place.resource)
            && let Some(root) = Item::of_resource(self.types, place.root)
        {
            env.root_resource = root;
        }
        let known = Known { types: self.types, book: self.book, answers: self.answers, depth: self.depth };
        env.surroundings = Some(&known);
        // Nothing at all is no answer, and no answer is no complaint.
        !matches!(expression.evaluate_to_bool(&env, value.item()), Ok(Some(false)))
    }
}
