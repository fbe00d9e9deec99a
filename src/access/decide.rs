//! The decision: may this principal do that, and to what?
//!
//! Pure: facts are arguments. Deny by default; a denial wins.
//!
//! An interaction may need several permissions: an update that may create, or one that finds its resource by
//! criteria. Whoever performs it asks once for each ([`Action::criteria`]): a permit is for one permission.

use crate::access::facts::Facts;
use crate::access::narrowing;
use crate::access::permit::{Hidden, Narrowing, Permit};
use crate::access::principal::Principal;
use crate::access::reach::{Asker, Bound};
use crate::access::scope::{Level, Permission};
use crate::conformance::definitions::Definitions;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use std::sync::Arc;

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The permission of SMART scopes that it needs.
    pub permission: Permission,
    /// The types that it touches; empty for all that the principal may touch.
    pub resource_types: Vec<ResourceType>,
    /// The patient whose compartment it stays in, where the request says so.
    pub patient: Option<ResourceId>,
    /// What comes of it is de-identified before it leaves.
    pub is_deidentified: bool,
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

/// Nothing that was granted speaks of such an interaction.
pub(super) const NO_SCOPE: &str = "no scope covers it";
/// What was granted is for a patient in context, and there is none.
pub(super) const NO_PATIENT: &str = "no patient is in context";
/// What was granted is for another kind of principal.
pub(super) const WRONG_LEVEL: &str = "the scope is not for this kind of user";
/// The role has no such purpose of use.
pub(super) const WRONG_PURPOSE: &str = "the purpose of use is not one of the role's";
/// The role may not do that with such resources.
pub(super) const NOT_THE_ROLE: &str = "the role does not cover it";
/// The client is another organization's, with which there is no agreement now.
pub(super) const NO_AGREEMENT: &str = "there is no agreement with the client's organization";
/// The client is given de-identified data alone.
pub(super) const DEIDENTIFIED_ONLY: &str = "the client may have de-identified data alone";
/// The role that need not be named: whoever holds it is held to the scopes.
const UNNAMED: &str = "system";
/// What was granted does not reach that type, or its query cannot be asked of it.
pub(super) const OUT_OF_REACH: &str = "the scope does not reach that type";

impl Action {
    /// Read, vread, the history of one resource; conditional reads.
    #[must_use]
    pub fn read(resource_type: ResourceType) -> Action {
        Action::on(Permission::Read, [resource_type])
    }

    /// Search and history over these types; over everything where there are none.
    #[must_use]
    pub fn search(resource_types: impl IntoIterator<Item = ResourceType>) -> Action {
        Action::on(Permission::Search, resource_types)
    }

    /// Create.
    #[must_use]
    pub fn create(resource_type: ResourceType) -> Action {
        Action::on(Permission::Create, [resource_type])
    }

    /// Update and patch.
    #[must_use]
    pub fn update(resource_type: ResourceType) -> Action {
        Action::on(Permission::Update, [resource_type])
    }

    /// Delete.
    #[must_use]
    pub fn delete(resource_type: ResourceType) -> Action {
        Action::on(Permission::Delete, [resource_type])
    }

    /// An operation that needs that permission on these types.
    #[must_use]
    pub fn on(permission: Permission, resource_types: impl IntoIterator<Item = ResourceType>) -> Action {
        let resource_types = resource_types.into_iter().collect();
        Action { permission, resource_types, patient: None, is_deidentified: false }
    }

    /// The same within the compartment of that patient.
    #[must_use]
    pub fn within(mut self, patient: ResourceId) -> Action {
        self.patient = Some(patient);
        self
    }

    /// What a conditional interaction needs besides: to search for what its criteria match.
    #[must_use]
    pub fn criteria(&self) -> Action {
        Action { permission: Permission::Search, ..self.clone() }
    }
}

/// Decides. `base` is the FHIR base of this server, without a closing slash.
#[must_use]
pub fn decide(
    definitions: &Definitions,
    base: &str,
    principal: &Principal,
    facts: &Facts,
    action: &Action,
) -> Decision {
    if facts.is_deidentified_only && !action.is_deidentified {
        return Decision::Deny { rule: DEIDENTIFIED_ONLY };
    }
    let bounds = narrowing::of(definitions, base, principal, facts, action.permission);
    let is_open = |it: &ResourceType| *bounds.touch.of(*it) != Predicate::False;
    let may = match action.resource_types.as_slice() {
        [] => !bounds.touch.is_closed(),
        types => types.iter().all(is_open),
    };
    if !may {
        return Decision::Deny { rule: denying_rule(base, principal, facts, action, &bounds.touch) };
    }
    let permit = Permit::new(bounds, SealClasses::ALL, permitting_rule(base, principal, facts, action));
    match facts.role.hides_anything() {
        true => Decision::Permit(permit.hiding(Arc::new(hidden(facts)))),
        false => Decision::Permit(permit),
    }
}

/// What each rule leaves of a type, with what to say where a resource is not in it: for whoever explains.
#[must_use]
pub fn layers(
    definitions: &Definitions,
    base: &str,
    principal: &Principal,
    facts: &Facts,
    action: &Action,
    resource_type: ResourceType,
) -> [(&'static str, Predicate); 5] {
    let asked = (action.permission, resource_type);
    let (granted, layers) = narrowing::layers(definitions, base, principal, facts, asked);
    [
        ("it is outside what the scopes reach", granted),
        (NOT_THE_ROLE, layers.role),
        ("the user has nothing to do with the patient", layers.care),
        ("it carries a label that the role does not see for this purpose", layers.labels),
        ("the patient forbids it in a Consent", layers.consent),
    ]
}

/// The elements that the role does not see.
fn hidden(facts: &Facts) -> Hidden {
    let mut hidden = Hidden::default();
    for resource_type in facts.role.types_with_hidden_elements() {
        let elements = facts.role.hidden(resource_type, facts.purpose.as_deref());
        hidden.add(resource_type, elements.map(Box::from).collect());
    }
    hidden
}

/// The first scope that reaches somebody's data of the (first) type.
fn permitting_rule(base: &str, principal: &Principal, facts: &Facts, action: &Action) -> Arc<str> {
    let asker = Asker::of(principal, base);
    let scope = principal.scopes.resources().iter().find(|scope| {
        let first = action.resource_types.first();
        scope.permissions.allow(action.permission)
            && first.is_none_or(|it| scope.covers(*it, action.permission))
            && asker.bound(scope.level, principal.patient.as_ref()) != Bound::Nobody
    });
    let mut rule = scope.map_or_else(|| "scope".to_owned(), |scope| format!("scope {}", scope.name()));
    if &*facts.role.name != UNNAMED {
        rule.push_str(&format!(", role {}", facts.role.name));
    }
    if facts.is_bound_by_consents() {
        rule.push_str(", narrowed by Consents");
    }
    let is_of_one = |it: &ResourceId| facts.emergencies.contains(it);
    if !facts.emergencies.is_empty() && action.patient.as_ref().is_none_or(is_of_one) {
        rule.push_str(", emergency access");
    }
    rule.into()
}

fn denying_rule(
    base: &str,
    principal: &Principal,
    facts: &Facts,
    action: &Action,
    narrowing: &Narrowing,
) -> &'static str {
    let closed = action.resource_types.iter().find(|it| *narrowing.of(**it) == Predicate::False);
    let mut covering = principal.scopes.resources().iter().filter(|scope| {
        scope.permissions.allow(action.permission)
            && closed.is_none_or(|it| scope.covers(*it, action.permission))
    });
    let Some(first) = covering.next() else { return NO_SCOPE };
    let asker = Asker::of(principal, base);
    let reaches_nobody = |level| asker.bound(level, principal.patient.as_ref()) == Bound::Nobody;
    if !reaches_nobody(first.level) || covering.any(|scope| !reaches_nobody(scope.level)) {
        let may = |it: &ResourceType| facts.role.may(action.permission, *it);
        return match closed {
            _ if facts.names_wrong_purpose => WRONG_PURPOSE,
            Some(it) if !may(it) => NOT_THE_ROLE,
            _ if facts.lacks_agreement => NO_AGREEMENT,
            _ => OUT_OF_REACH,
        };
    }
    match (first.level, asker) {
        (Level::Patient, _) | (Level::User, Asker::Proxy) => NO_PATIENT,
        _ => WRONG_LEVEL,
    }
}

#[cfg(test)]
mod tests;
