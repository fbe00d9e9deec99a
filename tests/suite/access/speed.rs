//! What a decision costs: printed, and held to a generous bound so that a mistake of an order is noticed.

use super::{patient, put};
use crate::support::server::TestServer;
use std::time::Instant;
use vesta::access::decide::{Action, decide};
use vesta::access::principal::Principal;
use vesta::access::scope::Scopes;
use vesta::fhir::id::{ResourceType, TenantId};

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_cheap_and_needs_no_question_of_its_own() {
    let server = TestServer::start().await;
    put(&server.system(), &[patient("a")]).await;
    let principal = |subject: String, user: Option<&str>, scopes: &str| Principal {
        tenant: TenantId::FIRST,
        subject,
        client_id: "app".into(),
        fhir_user: user.map(str::to_owned),
        patient: None,
        scopes: Scopes::parse(scopes),
        role: user.map(|_| "nurse".to_owned()),
        strong_since: None,
        purpose: None,
        token_id: "t".into(),
    };
    let rules = server.app.rules(TenantId::FIRST).await.unwrap();
    let base = server.app.fhir_base();
    let action = Action::search([ResourceType::parse("Observation").unwrap()]);
    let nurse = principal("nan".into(), Some("Practitioner/nan"), "user/*.rs");
    let cpu = |rounds: u32, start: Instant| start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
    let facts = server.app.facts(&nurse).await.unwrap();
    let _ = decide(&rules.definitions, &base, &nurse, &facts, &action);
    let start = Instant::now();
    for _ in 0..10_000 {
        let facts = server.app.facts(&nurse).await.unwrap();
        std::hint::black_box(decide(&rules.definitions, &base, &nurse, &facts, &action));
    }
    let cached = cpu(10_000, start);
    let start = Instant::now();
    for number in 0..50 {
        let nurse = principal(format!("nan-{number}"), Some("Practitioner/nan"), "user/*.rs");
        let facts = server.app.facts(&nurse).await.unwrap();
        std::hint::black_box(decide(&rules.definitions, &base, &nurse, &facts, &action));
    }
    let uncached = cpu(50, start);
    println!("a decision, in microseconds: {cached:.1} cached, {uncached:.0} uncached");
    assert!(cached < 2_000.0 && uncached < 200_000.0, "{cached} {uncached}");
}
