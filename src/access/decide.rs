//! The decision: may this principal do that, and to what?
//!
//! Pure: facts are arguments. Deny by default; a denial wins.

use crate::access::permit::{Narrowing, Permit};
use crate::access::principal::Principal;
use crate::access::scope::{Level, Permission};
use crate::conformance::definitions::Definitions;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The permission of SMART scopes that it needs.
    pub permission: Permission,
    /// The types that it touches; empty for all that the principal may touch.
    pub resource_types: Vec<ResourceType>,
    /// The patient whose compartment it stays in, where the request says so.
    pub patient: Option<ResourceId>,
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Decision {
    /// As far as the permit goes.
    Permit(Permit),
    /// No, and by which rule. What a caller is told says less: see `interaction`.
    Deny {
        /// The rule that denied, for the trail.
        rule: &'static str,
    },
}

/// Decides.
#[must_use]
pub fn decide(definitions: &Definitions, _base: &str, principal: &Principal, action: &Action) -> Decision {
    let mut narrowing = Narrowing::default();
    for scope in principal.scopes.resources() {
        // A granular scope that cannot be asked grants nothing.
        if !scope.permissions.allow(action.permission) || !scope.query.is_empty() {
            continue;
        }
        for resource_type in ResourceType::all().filter(|it| scope.covers(*it, action.permission)) {
            let is_personal = resource_type.name() == "Patient"
                || !definitions.patient_compartment(resource_type).is_empty();
            let predicate = match (scope.level, &principal.patient) {
                (Level::Patient, None) => Predicate::False,
                (Level::Patient, Some(patient)) if is_personal => Predicate::Compartment(patient.clone()),
                _ => Predicate::True,
            };
            narrowing.open(resource_type, predicate);
        }
    }
    let is_open = |it: &ResourceType| *narrowing.of(*it) != Predicate::False;
    let may = match action.resource_types.as_slice() {
        [] => ResourceType::all().any(|it| is_open(&it)),
        types => types.iter().all(is_open),
    };
    if may {
        Decision::Permit(Permit::new(narrowing, SealClasses::ALL, "scope"))
    } else {
        Decision::Deny { rule: "no scope covers it" }
    }
}
