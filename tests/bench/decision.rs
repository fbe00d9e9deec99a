//! What a decision costs: CPU of this process alone, with no server and no database. `--decisions`.
//!
//! *Cached* is what a request pays whose token was seen before; *uncached* what it pays the first time, when the scopes,
//! the role and the facts are compiled into a filter for every type. Checking the signature is not in it.

use super::accounting::Account;
use std::hint::black_box;
use std::sync::Arc;
use vesta::access::decide::{Action, decide};
use vesta::access::facts::Facts;
use vesta::access::principal::Principal;
use vesta::access::role::Role;
use vesta::access::scope::Scopes;
use vesta::conformance::definitions::Definitions;
use vesta::fhir::id::{ResourceId, ResourceType, TenantId};

const BASE: &str = "https://vesta.example/fhir";
/// So many ticks of the system's accounting make a good figure.
const LEAST_SECONDS: f64 = 1.0;

/// Prints a line for each kind of token.
pub fn run() {
    let definitions = Definitions::embedded().unwrap();
    let action = Action::search([ResourceType::parse("Observation").unwrap()]);
    let roles = Role::embedded();
    println!("{:<52}{:>14}{:>16}", "a decision, in CPU microseconds", "cached", "uncached");
    for (scope, user, role) in [
        ("system/*.rs", None, "system"),
        ("patient/*.rs", Some("Patient/p"), "patient"),
        ("patient/Observation.rs?category=laboratory", Some("Patient/p"), "patient"),
        ("user/*.cruds", Some("Practitioner/p"), "provider"),
        ("user/*.cruds", Some("Practitioner/p"), "nurse"),
        ("user/*.rs", Some("Practitioner/p"), "billing"),
    ] {
        let facts = |number| Facts {
            number,
            identities: user.into_iter().map(str::to_owned).collect(),
            ..Facts::of_role(Arc::clone(&roles[role]))
        };
        let principal = principal(scope, user);
        let known = facts(1);
        let cached = microseconds(1_000, |_| {
            black_box(decide(&definitions, BASE, &principal, &known, &action));
        });
        // Facts that nobody has seen make a question that nobody has asked.
        let mut number = 1;
        let uncached = microseconds(20, |_| {
            number += 1;
            black_box(decide(&definitions, BASE, &principal, &facts(number), &action));
        });
        println!("{:<52}{cached:>14.2}{uncached:>16.1}", format!("{scope}, {role}"));
    }
}

fn principal(scope: &str, user: Option<&str>) -> Principal {
    Principal {
        tenant: TenantId::FIRST,
        subject: "somebody".to_owned(),
        client_id: "app".to_owned(),
        fhir_user: user.map(str::to_owned),
        patient: ResourceId::parse("p"),
        scopes: Scopes::parse(scope),
        role: None,
        strong_since: None,
        purpose: None,
        token_id: "t".to_owned(),
    }
}

/// CPU of one repetition.
fn microseconds(together: u32, mut deed: impl FnMut(u32)) -> f64 {
    let account = Account::Process(std::process::id());
    deed(0);
    let start = account.cpu_seconds();
    let mut count = 0_u32;
    loop {
        (0..together).for_each(&mut deed);
        count += together;
        let took = account.cpu_seconds() - start;
        if took >= LEAST_SECONDS {
            return took * 1e6 / f64::from(count);
        }
    }
}
