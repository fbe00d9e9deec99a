//! Validation: everything that is wrong with a resource, at once.
//!
//! <https://hl7.org/fhir/R4/validation.html>
//!
//! Every issue has a severity, a code, a FHIRPath location and, where there is one, the rule's id.
//! What is checked against R4 itself: structure, cardinality, JSON shape, choice types, primitive
//! values.

mod primitive;
mod structure;

use super::definitions::Definitions;
use crate::fhir::outcome::Issue;
use crate::fhir::resource::Resource;

/// How to validate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {}

/// Everything that is wrong with a resource, and what is worth a warning.
#[must_use]
pub fn validate(definitions: &Definitions, resource: &Resource, _options: &Options) -> Vec<Issue> {
    structure::check(&definitions.types, resource.root())
}
