use super::*;
use crate::access::explain::explain;
use crate::access::scope::Scopes;
use crate::fhir::id::TenantId;
use std::sync::OnceLock;

const BASE: &str = "https://vesta.example/fhir";

fn definitions() -> &'static Definitions {
    static DEFINITIONS: OnceLock<Definitions> = OnceLock::new();
    DEFINITIONS.get_or_init(|| Definitions::embedded().unwrap())
}

fn a_type(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

fn principal(scopes: &str, fhir_user: &str, patient: &str) -> Principal {
    Principal {
        tenant: TenantId(1),
        subject: "subject".into(),
        client_id: "app".into(),
        fhir_user: (!fhir_user.is_empty()).then(|| fhir_user.into()),
        patient: ResourceId::parse(patient),
        scopes: Scopes::parse(scopes),
        role: None,
        strong_since: None,
        purpose: None,
        token_id: "t".into(),
    }
}

/// Somebody whose position takes nothing away.
fn no_limits() -> Facts {
    Facts::of_a_system()
}

/// What of a type may be touched: `all`, `none`, or the predicate.
fn extent(principal: &Principal, permission: Permission, name: &str) -> String {
    match decide(definitions(), BASE, principal, &no_limits(), &Action::on(permission, [a_type(name)])) {
        Decision::Deny { .. } => "none".into(),
        Decision::Permit(permit) => match permit.narrowing().of(a_type(name)) {
            Predicate::True => "all".into(),
            Predicate::Compartment(patient) => patient.to_string(),
            other => format!("{other:?}"),
        },
    }
}

fn check(scopes: &str, fhir_user: &str, patient: &str, permission: Permission, expected: &[(&str, &str)]) {
    let principal = principal(scopes, fhir_user, patient);
    for (name, expected) in expected {
        let found = extent(&principal, permission, name);
        assert_eq!(found, *expected, "{scopes} {fhir_user} {patient}: {permission:?} {name}");
    }
}

const READ: Permission = Permission::Read;

#[test]
fn each_letter_permits_what_it_says() {
    const ALL: [(&str, Permission); 5] = [
        ("c", Permission::Create),
        ("r", Permission::Read),
        ("u", Permission::Update),
        ("d", Permission::Delete),
        ("s", Permission::Search),
    ];
    for (letter, _) in ALL {
        for (other, permission) in ALL {
            let expected = if letter == other { "all" } else { "none" };
            let scope = format!("system/Observation.{letter}");
            check(&scope, "", "", permission, &[("Observation", expected), ("Condition", "none")]);
        }
    }
    for (scope, permission, expected) in [
        ("system/*.read", Permission::Search, "all"),
        ("system/*.read", Permission::Update, "none"),
        ("system/*.write", Permission::Delete, "all"),
        ("system/*.write", Permission::Read, "none"),
        ("system/*.write", Permission::Search, "none"),
    ] {
        check(scope, "", "", permission, &[("Observation", expected)]);
    }
}

#[test]
fn nothing_granted_permits_nothing() {
    for scopes in ["", "openid fhirUser", "launch/patient", "*", "system/*", "patient/*.sr", "SYSTEM/*.rs"] {
        for user in ["", "Practitioner/p", "Patient/alice"] {
            check(scopes, user, "alice", READ, &[("Patient", "none"), ("Organization", "none")]);
            let action = Action::search([]);
            let decision =
                decide(definitions(), BASE, &principal(scopes, user, "alice"), &no_limits(), &action);
            assert!(matches!(decision, Decision::Deny { rule: NO_SCOPE }), "{scopes}");
        }
    }
}

#[test]
fn patient_scopes_stay_with_the_patient() {
    let expected = [
        ("Patient", "alice"),
        ("Observation", "alice"),
        ("Organization", "all"),
        ("Medication", "all"),
        ("Bundle", "none"),
        ("Bundle", "none"),
        ("Subscription", "none"),
    ];
    check("patient/*.rs", "Practitioner/p", "alice", READ, &expected);
    check("patient/*.read", "Patient/alice", "alice", READ, &expected);
    // Without a patient there is nothing, not even reference data.
    let nothing = expected.map(|(name, _)| (name, "none"));
    check("patient/*.cruds", "Practitioner/p", "", READ, &nothing);
    let only = [("Observation", "alice"), ("Patient", "none"), ("Organization", "none")];
    check("patient/Observation.r", "Patient/alice", "alice", READ, &only);
    let written = [("Observation", "alice"), ("Organization", "none"), ("ValueSet", "none")];
    check("patient/*.cud", "Practitioner/p", "alice", Permission::Update, &written);
}

#[test]
fn patients_and_their_proxies_are_held_to_a_record() {
    for user in ["Patient/alice", "https://vesta.example/fhir/Patient/alice"] {
        check(
            "user/*.rs",
            user,
            "",
            READ,
            &[("Observation", "alice"), ("Location", "all"), ("Bundle", "none")],
        );
    }
    check("user/*.rs", "Patient/alice", "bob", READ, &[("Observation", "alice")]);
    check("user/*.rs", "RelatedPerson/r", "alice", READ, &[("Observation", "alice")]);
    for user in
        ["RelatedPerson/r", "Person/p", "", "Device/d", "what", "https://elsewhere/fhir/Practitioner/p"]
    {
        check("user/*.rs", user, "", READ, &[("Observation", "none"), ("Location", "none")]);
    }
    check("user/*.rs", "Practitioner/p", "alice", READ, &[("Observation", "all"), ("Binary", "all")]);
}

#[test]
fn systems_have_no_user() {
    check("system/*.rs", "", "", READ, &[("Patient", "all")]);
    check("system/*.rs", "Practitioner/p", "", READ, &[("Patient", "none")]);
    check("system/*.rs", "Patient/alice", "alice", READ, &[("Patient", "none")]);
}

#[test]
fn the_trail_is_granted_to_users_by_name() {
    check("user/*.rs", "Practitioner/p", "", READ, &[("AuditEvent", "none"), ("Provenance", "all")]);
    check("user/AuditEvent.rs", "Practitioner/p", "", READ, &[("AuditEvent", "all")]);
    check("user/*.rs", "Patient/alice", "", READ, &[("AuditEvent", "alice")]);
    check("patient/*.rs", "Practitioner/p", "alice", READ, &[("AuditEvent", "alice")]);
    check("system/*.rs", "", "", READ, &[("AuditEvent", "all")]);
}

#[test]
fn grants_add_up() {
    let alice = "patient/Observation.rs patient/Observation.r patient/Patient.r";
    check(alice, "Practitioner/p", "alice", READ, &[("Observation", "alice"), ("Patient", "alice")]);
    let both = "patient/Observation.rs user/Observation.rs";
    check(both, "Practitioner/p", "alice", READ, &[("Observation", "all")]);
}

#[test]
fn queries_that_cannot_be_asked_grant_nothing() {
    for query in ["nonsense=1", "_sort=date", "_include=*", "code:no-such-modifier=1", "_count=1"] {
        let scope = format!("system/Observation.rs?{query}");
        check(&scope, "", "", READ, &[("Observation", "none")]);
        check(&format!("{scope} system/Observation.r"), "", "", READ, &[("Observation", "all")]);
    }
}

#[test]
fn all_types_asked_for_must_be_open() {
    let principal = principal("user/Observation.rs user/Condition.s", "Practitioner/p", "");
    let decided = |types: &[&str]| {
        let action = Action::search(types.iter().map(|it| a_type(it)));
        match decide(definitions(), BASE, &principal, &no_limits(), &action) {
            Decision::Permit(permit) => permit.rule().to_owned(),
            Decision::Deny { rule } => rule.to_owned(),
        }
    };
    assert_eq!(decided(&["Observation", "Condition"]), "scope user/Observation.rs");
    assert_eq!(decided(&["Condition"]), "scope user/Condition.s");
    assert_eq!(decided(&["Observation", "Patient"]), NO_SCOPE);
    assert_eq!(decided(&[]), "scope user/Observation.rs");
}

#[test]
fn decisions_can_be_explained() {
    let told = |scopes: &str, user: &str, patient: &str, name: &str| {
        let principal = principal(scopes, user, patient);
        let action = Action::read(a_type(name));
        explain(&principal, &action, &decide(definitions(), BASE, &principal, &no_limits(), &action))
    };
    assert_eq!(
        told("patient/*.rs", "Practitioner/p", "alice", "Observation"),
        "Practitioner/p may read Observation through app, by scope patient/*.rs: those in the compartment of \
         Patient/alice."
    );
    assert_eq!(
        told("patient/*.rs", "Practitioner/p", "", "Observation"),
        "Practitioner/p may not read Observation through app: its scopes are for a patient in context, and \
         the token names none."
    );
    assert_eq!(
        told("system/*.s", "", "", "Observation"),
        "subject may not read Observation through app: no scope of the token lets it read that."
    );
    assert!(told("user/*.r", "", "", "Observation").contains("fhirUser"));
    assert!(told("patient/*.r", "Patient/alice", "alice", "Bundle").contains("do not reach that type"));
}

#[test]
fn a_binary_follows_its_security_context() {
    let reach = extent(&principal("patient/*.rs", "Practitioner/p", "alice"), READ, "Binary");
    assert!(reach.contains("security-context") && reach.contains("target: DocumentReference"), "{reach}");
    assert_eq!(extent(&principal("patient/*.rs", "Practitioner/p", ""), READ, "Binary"), "none");
    assert_eq!(extent(&principal("user/*.rs", "Practitioner/p", ""), READ, "Binary"), "all");
}
