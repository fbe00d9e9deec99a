//! From a resource to everything it can be found by.

use crate::conformance::definitions::Definitions;
use crate::fhir::resource::Resource;
use crate::search::index::Index;

/// What the resource can be found by. `base` is the FHIR base of this server, without a closing slash.
#[must_use]
pub fn index(_definitions: &Definitions, _base: &str, _resource: &Resource) -> Index {
    Index::default()
}
