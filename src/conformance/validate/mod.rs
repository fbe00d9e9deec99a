//! Whether a resource is legal: R4's structure and rules, and the profiles that it claims.
//!
//! <https://hl7.org/fhir/R4/validation.html>
//!
//! One walk over the resource checks structure, cardinality, primitive values, bindings, invariants, references,
//! extensions and narrative by R4's own types; profiles are checked beside it. What cannot be told (a code system
//! that is not at hand, a reference that cannot be followed) is not an error. An issue names the place, the
//! kind and the rule.

pub mod answers;
pub mod beside;
mod binding;
mod bundle;
mod coding;
mod datatype;
mod definition;
mod extension;
mod invariant;
mod matching;
mod native;
mod primitive;
mod profile;
mod questionnaire_response;
mod reference;
pub mod refusal;
mod slicing;
pub mod surroundings;
mod terminology;
mod value;
mod walk;

use super::definitions::Definitions;
use crate::fhir::outcome::Issue;
use crate::fhir::resource::Resource;
use answers::Answers;
use beside::Beside;
use refusal::Refusal;
use walk::Walk;

/// How to validate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Profiles to hold the resource to, beside those that it claims itself.
    pub profiles: &'a [&'a str],
    /// How much to say.
    pub mode: Mode,
    /// What was found beside the definitions.
    pub beside: Option<&'a Beside>,
    /// What is refused although R4 allows it.
    pub refusals: &'a [Refusal],
}

/// How much to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// What refuses the resource, and warnings that cost nothing: for a write.
    #[default]
    Write,
    /// Every warning too, and what looks beyond the element: codes by their code systems, the profiles of what is
    /// referred to in the same bundle, what definitions build upon. For `$validate`.
    Full,
    /// Advice on best practice too.
    BestPractice,
}

/// Everything that is wrong with a resource, and what is worth a warning.
#[must_use]
pub fn validate(definitions: &Definitions, resource: &Resource, options: &Options<'_>) -> Vec<Issue> {
    walked(definitions, resource, options, None)
}

/// The same, with what else is known of codes; what would matter and is not known is noted there.
#[must_use]
pub fn validate_asking(
    definitions: &Definitions,
    resource: &Resource,
    options: &Options<'_>,
    answers: &Answers,
) -> Vec<Issue> {
    walked(definitions, resource, options, Some(answers))
}

fn walked<'d>(
    definitions: &'d Definitions,
    resource: &Resource,
    options: &Options<'d>,
    answers: Option<&'d Answers>,
) -> Vec<Issue> {
    let mut walk = Walk::new(&definitions.types, definitions.rulebook(), options.mode, resource.root());
    walk.definitions = Some(definitions);
    walk.beside = options.beside;
    walk.refusals = options.refusals;
    walk.answers = answers;
    walk.resource_with(resource.root(), options.profiles);
    walk.issues
}

#[cfg(test)]
mod tests;
