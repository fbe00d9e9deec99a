//! What an expression may ask of the definitions: value sets, code systems, profiles.

use super::answers::{Answers, Question};
use super::value::Value;
use super::walk::{Place, Walk};
use super::{Mode, binding};
use crate::conformance::definitions::Definitions;
use crate::conformance::rulebook::Rulebook;
use crate::conformance::value_set::Answer;
use crate::fhir::types::Types;
use crate::fhirpath::Surroundings;
use crate::fhirpath::value::{Element, Item};

/// The definitions, as an expression asks them: `memberOf`, `subsumes`, `conformsTo`.
pub struct Known<'d> {
    pub(super) types: &'d Types,
    pub(super) book: &'d Rulebook,
    pub(super) answers: Option<&'d Answers>,
    /// How deep profiles have led from one to another.
    pub(super) depth: u32,
}

impl<'d> Known<'d> {
    /// For expressions outside of a validation.
    #[must_use]
    pub fn of(definitions: &'d Definitions) -> Known<'d> {
        Known { types: &definitions.types, book: definitions.rulebook(), answers: None, depth: 0 }
    }
}

impl Surroundings for Known<'_> {
    fn is_member_of(&self, item: &Item<'_>, value_set: &str) -> Option<bool> {
        let asked = binding::Asked {
            known: self.book.value_set(value_set, None),
            answers: self.answers,
            canonical: value_set,
        };
        let answer = match item {
            Item::Element(Element { node: Some(node), type_id, .. }) => {
                binding::answer(&asked, self.types.name(*type_id), *node, false)
            }
            Item::Element(_) => Answer::Unknown,
            Item::Value(value) => asked.code(&value.to_text()),
        };
        match answer {
            Answer::In => Some(true),
            Answer::Out => Some(false),
            Answer::Unknown => None,
        }
    }

    fn subsumes(&self, general: &Item<'_>, special: &Item<'_>) -> Option<bool> {
        let (general, special) = (coding(general)?, coding(special)?);
        if general == special {
            return Some(true);
        }
        if general.0 != special.0 {
            return Some(false);
        }
        let (system, general) = general;
        self.answers?.to(Question::Subsumes { system, general, special: special.1 })
    }

    fn conforms_to(&self, item: &Item<'_>, profile: &str) -> Option<bool> {
        let Item::Element(Element { node: Some(node), companion, type_id }) = *item else { return None };
        let known = self.book.profiles(self.types, profile, None);
        if known.is_empty() {
            return None;
        }
        let place = Place { root: node, resource: node, resource_type: type_id };
        let value = Value { node: Some(node), companion, type_id };
        let mut walk = Walk::new(self.types, self.book, Mode::Write, node);
        walk.answers = self.answers;
        walk.depth = self.depth.saturating_add(1);
        Some(known.iter().any(|it| walk.tries(|walk| walk.profile(it, value, place))))
    }
}

/// The system and code of a Coding.
fn coding(item: &Item<'_>) -> Option<(String, String)> {
    let Item::Element(Element { node: Some(node), .. }) = item else { return None };
    let text = |name: &str| node.string(name).map(std::borrow::Cow::into_owned);
    Some((text("system")?, text("code")?))
}
