//! Who may administer accounts, clients and launches.
//!
//! These are no resources, so no permit comes of it; but the same words decide: a scope of the token opens, and a role
//! takes away. Accounts are asked for as `Person`, clients and launches as `Device`: an app that was let in with
//! `user/*.cruds` by somebody who holds the role may administer, one with `patient/*.rs` may not. People alone do it,
//! and for a change their second factor is fresh.

use crate::access::principal::Principal;
use crate::access::role::Role;
use crate::access::scope::{Level, Permission};
use crate::fhir::id::ResourceType;

/// How long a second factor is fresh enough for a change.
pub const FRESH_SECONDS: i64 = 3600;

/// What is administered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// Accounts of people.
    Users,
    /// Clients, leave to register them, and launches.
    Clients,
    /// Whether a client that registered itself is let in.
    Approval,
}

/// No scope of the token speaks of it.
const NO_SCOPE: &str = "no scope for users covers it";
/// The role is not there for that.
const NOT_THE_ROLE: &str = "the role does not administer that";
/// The second factor is not fresh.
const NOT_FRESH: &str = "a change asks for a fresh second factor: sign in again";

impl Matter {
    /// The type whose scopes open it.
    fn type_name(self) -> &'static str {
        match self {
            Matter::Users => "Person",
            Matter::Clients | Matter::Approval => "Device",
        }
    }

    /// Whoever approves clients may look at all of them.
    fn is_for(self, role: &Role, only_looks: bool) -> bool {
        match self {
            Matter::Clients if only_looks => role.may_change_accounts || role.may_approve_clients,
            Matter::Users | Matter::Clients => role.may_change_accounts,
            Matter::Approval => role.may_approve_clients,
        }
    }
}

/// Decides.
///
/// # Errors
/// The rule that says no.
pub fn decide(
    principal: &Principal,
    role: &Role,
    (matter, permission): (Matter, Permission),
    now_seconds: i64,
) -> Result<(), &'static str> {
    let covers = |resource_type: ResourceType| {
        principal.scopes.resources().iter().any(|scope| {
            scope.level == Level::User && scope.query.is_empty() && scope.covers(resource_type, permission)
        })
    };
    if !ResourceType::parse(matter.type_name()).is_some_and(covers) {
        return Err(NO_SCOPE);
    }
    let only_looks = matches!(permission, Permission::Read | Permission::Search);
    if !matter.is_for(role, only_looks) {
        return Err(NOT_THE_ROLE);
    }
    let is_fresh = principal.strong_since.is_some_and(|it| now_seconds.saturating_sub(it) <= FRESH_SECONDS);
    if only_looks || is_fresh { Ok(()) } else { Err(NOT_FRESH) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scope::Scopes;
    use crate::fhir::id::TenantId;

    fn principal(scope: &str, strong_since: Option<i64>) -> Principal {
        Principal {
            tenant: TenantId::FIRST,
            subject: "s".into(),
            client_id: "c".into(),
            fhir_user: Some("Practitioner/1".into()),
            patient: None,
            scopes: Scopes::parse(scope),
            role: None,
            strong_since,
            purpose: None,
            token_id: String::new(),
        }
    }

    #[test]
    fn scope_role_and_a_fresh_factor_are_all_needed() {
        let roles = Role::embedded();
        let ask = |scope, strong, role: &str, matter, permission| {
            decide(&principal(scope, strong), &roles[role], (matter, permission), 10_000)
        };
        let (users, clients, approval) = (Matter::Users, Matter::Clients, Matter::Approval);
        assert_eq!(ask("user/*.cruds", Some(9_000), "admin", users, Permission::Update), Ok(()));
        assert_eq!(ask("user/Person.cruds", Some(9_000), "admin", users, Permission::Create), Ok(()));
        assert_eq!(ask("user/*.rs", None, "admin", clients, Permission::Search), Ok(()));
        assert_eq!(
            ask("user/Device.u", Some(9_000), "privacy-officer", approval, Permission::Update),
            Ok(())
        );
        assert_eq!(ask("user/Device.r", None, "privacy-officer", clients, Permission::Read), Ok(()));
        for scope in
            ["patient/*.cruds", "system/*.cruds", "user/Person.cruds?name=x", "user/Person.r", "openid", ""]
        {
            let refused = ask(scope, Some(9_000), "admin", users, Permission::Update);
            assert_eq!(refused, Err(NO_SCOPE), "{scope}");
        }
        for role in ["provider", "nurse", "billing", "patient", "auditor", "privacy-officer", "system"] {
            let refused = ask("user/*.cruds", Some(9_000), role, clients, Permission::Update);
            assert_eq!(refused, Err(NOT_THE_ROLE), "{role}");
        }
        for strong in [None, Some(6_000)] {
            let refused = ask("user/*.cruds", strong, "admin", users, Permission::Update);
            assert_eq!(refused, Err(NOT_FRESH));
        }
    }
}
