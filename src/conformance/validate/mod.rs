//! Whether a resource is legal: R4's structure and rules, and the profiles that it claims.
//!
//! <https://hl7.org/fhir/R4/validation.html>
//!
//! One walk over the resource checks structure, cardinality, primitive values, bindings, invariants, references,
//! extensions and narrative by R4's own types; profiles are checked beside it. What cannot be told (a code system
//! that is not at hand, a reference that cannot be followed) is not an error. An issue names the place, the
//! kind and the rule.

pub mod answers;
mod binding;
mod bundle;
mod extension;
mod invariant;
mod matching;
mod narrative;
mod native;
mod primitive;
mod profile;
mod reference;
mod slicing;
pub mod surroundings;
mod value;
mod walk;

use super::definitions::Definitions;
use crate::fhir::outcome::Issue;
use crate::fhir::resource::Resource;
use answers::Answers;
use walk::Walk;

/// How to validate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Profiles to hold the resource to, beside those that it claims itself.
    pub profiles: &'a [&'a str],
    /// How much to say.
    pub mode: Mode,
}

/// How much to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// What refuses the resource, and warnings that cost nothing: for a write.
    #[default]
    Write,
    /// Every warning too, and the profiles of what is referred to in the same bundle: for `$validate`.
    Full,
    /// Advice on best practice too.
    BestPractice,
}

/// Everything that is wrong with a resource, and what is worth a warning.
#[must_use]
pub fn validate(definitions: &Definitions, resource: &Resource, options: &Options<'_>) -> Vec<Issue> {
    let mut walk = Walk::new(&definitions.types, definitions.rulebook(), options.mode, resource.root());
    walk.resource_with(resource.root(), options.profiles);
    walk.issues
}

/// The same, with what else is known of codes; what would matter and is not known is noted there.
#[must_use]
pub fn validate_asking(
    definitions: &Definitions,
    resource: &Resource,
    options: &Options<'_>,
    answers: &Answers,
) -> Vec<Issue> {
    let mut walk = Walk::new(&definitions.types, definitions.rulebook(), options.mode, resource.root());
    walk.answers = Some(answers);
    walk.resource_with(resource.root(), options.profiles);
    walk.issues
}

#[cfg(test)]
mod tests;
