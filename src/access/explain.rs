//! A decision, told to an officer in a sentence.
//!
//! Names scopes, types and rules; nothing of any resource. Who asked is named by what stands in the trail.

use crate::access::decide::{
    Action, Decision, NO_PATIENT, NO_SCOPE, NOT_THE_ROLE, OUT_OF_REACH, WRONG_LEVEL,
};
use crate::access::permit::Permit;
use crate::access::principal::Principal;
use crate::access::scope::Permission;
use crate::fhir::id::ResourceType;
use crate::search::predicate::Predicate;

/// Why the principal may, or may not, do that.
#[must_use]
pub fn explain(principal: &Principal, action: &Action, decision: &Decision) -> String {
    let who = principal.fhir_user.as_deref().unwrap_or(&principal.subject);
    let what = format!("{} {}", verb(action.permission), types(&action.resource_types));
    match decision {
        Decision::Permit(permit) => {
            let rule = permit.rule();
            let extent = extent(permit, &action.resource_types);
            format!("{who} may {what} through {}, by {rule}: {extent}.", principal.client_id)
        }
        Decision::Deny { rule } => {
            let reason = reason(rule, action.permission);
            format!("{who} may not {what} through {}: {reason}.", principal.client_id)
        }
    }
}

fn verb(permission: Permission) -> &'static str {
    match permission {
        Permission::Create => "create",
        Permission::Read => "read",
        Permission::Update => "update",
        Permission::Delete => "delete",
        Permission::Search => "search",
    }
}

fn types(resource_types: &[ResourceType]) -> String {
    match resource_types {
        [] => "any type".to_owned(),
        types => types.iter().map(|it| it.name()).collect::<Vec<_>>().join(", "),
    }
}

fn extent(permit: &Permit, resource_types: &[ResourceType]) -> String {
    let [resource_type] = resource_types else {
        return "as far as the scopes reach in each type".to_owned();
    };
    let mut patients = Vec::new();
    let mut is_granular = false;
    look_into(permit.narrowing().of(*resource_type), &mut patients, &mut is_granular);
    patients.sort_unstable();
    patients.dedup();
    match (patients.as_slice(), is_granular) {
        ([], false) => "every one of them".to_owned(),
        ([], true) => "those that satisfy the query of the scope".to_owned(),
        (patients, false) => format!("those in the compartment of {}", patients.join(" and ")),
        (patients, true) => format!(
            "those in the compartment of {} that satisfy the query of the scope",
            patients.join(" and ")
        ),
    }
}

fn look_into(predicate: &Predicate, patients: &mut Vec<String>, is_granular: &mut bool) {
    match predicate {
        Predicate::True | Predicate::False => {}
        Predicate::Compartment(patient) => patients.push(format!("Patient/{patient}")),
        Predicate::All(parts) | Predicate::Any(parts) => {
            parts.iter().for_each(|it| look_into(it, patients, is_granular));
        }
        _ => *is_granular = true,
    }
}

fn reason(rule: &str, permission: Permission) -> String {
    let verb = verb(permission);
    match rule {
        NO_SCOPE => format!("no scope of the token lets it {verb} that"),
        NO_PATIENT => "its scopes are for a patient in context, and the token names none".to_owned(),
        WRONG_LEVEL => {
            "user/ scopes need a fhirUser who is known here, and system/ scopes a client without a \
                        user"
                .to_owned()
        }
        OUT_OF_REACH => {
            "its scopes do not reach that type: nothing of it belongs to the patient in context, \
                         or the query of the scope cannot be asked of it"
                .to_owned()
        }
        NOT_THE_ROLE => format!("the role does not let it {verb} that"),
        other => other.to_owned(),
    }
}
