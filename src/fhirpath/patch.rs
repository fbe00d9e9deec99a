//! FHIRPath Patch. <https://hl7.org/fhir/R4/fhirpatch.html>

use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::types::Types;

/// Applies a patch to a resource: the new text.
///
/// # Errors
/// An operation cannot be done: then nothing is.
pub fn apply(_types: &Types, _resource: &Resource, _patch: &Resource) -> Result<String, Outcome> {
    Err(Outcome::not_supported("FHIRPath Patch"))
}
