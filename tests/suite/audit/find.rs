//! Events are found by AuditEvent's parameters, by those who may, page by page.

use super::{NOW, TENANT, Trail};
use vesta::access::decide::{Action, Decision, decide};
use vesta::access::facts::Facts;
use vesta::access::permit::Permit;
use vesta::access::principal::Principal;
use vesta::access::scope::Scopes;
use vesta::audit::event::{self, Kind};
use vesta::audit::find::{self, Page, Paging};
use vesta::conformance::definitions::Definitions;
use vesta::fhir::id::{ResourceId, ResourceType};
use vesta::fhir::issue_type::IssueType;
use vesta::store::audit_log::Entity;

const BASE: &str = "https://vesta.example/fhir";

fn permit(scopes: &str, fhir_user: Option<&str>) -> Permit {
    let principal = Principal {
        tenant: TENANT,
        subject: "subject".into(),
        client_id: "app".into(),
        fhir_user: fhir_user.map(Into::into),
        patient: None,
        scopes: Scopes::parse(scopes),
        role: None,
        strong_since: None,
        purpose: None,
        token_id: "t".into(),
    };
    let audit_event = ResourceType::parse("AuditEvent").unwrap();
    match decide(
        &Definitions::embedded().unwrap(),
        BASE,
        &principal,
        &Facts::of_a_system(),
        &Action::search([audit_event]),
    ) {
        Decision::Permit(permit) => permit,
        Decision::Deny { rule } => panic!("{rule}"),
    }
}

/// Thirty events: of three kinds, about two patients and none, by two people and a system.
async fn trail() -> Trail {
    let trail = Trail::new().await;
    let id = |id: &str| ResourceId::parse(id).unwrap();
    for number in 0..30_i64 {
        let (agent, patient) = match number % 3 {
            0 => ("Practitioner/nurse", Some("alice")),
            1 => ("Practitioner/doctor", Some("bob")),
            _ => ("system", None),
        };
        let kind = [Kind::Read, Kind::Search, Kind::Login][usize::try_from(number % 3).unwrap()];
        let result = if number < 3 { event::Result::MinorFailure } else { event::Result::Success };
        let mut row = event::row_of(agent, kind, result, "rule", NOW + number * 1_000_000);
        row.client = Some("app".into());
        row.network = Some(format!("10.0.0.{number}"));
        row.patients = patient.map(id).into_iter().collect();
        row.detail = (kind == Kind::Search).then(|| "Patient?name=b\u{f6}b".into());
        if kind == Kind::Read {
            let resource_type = ResourceType::parse("Observation").unwrap();
            row.entities = vec![Entity { resource_type, id: id(&format!("o{number}")), version: Some(2) }];
        }
        trail.store.append_audit(TENANT, vec![row]).await.unwrap();
    }
    trail
}

async fn ask(trail: &Trail, permit: &Permit, query: &[(&str, &str)], paging: Paging) -> Page {
    let parameters: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let at = find::Trail { store: &trail.store, base: BASE, tenant: TENANT };
    find::search(at, permit, &parameters, paging).await.unwrap()
}

const ALL: Paging = Paging { count: 100, after: None, is_lenient: false };

#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_narrows() {
    let trail = trail().await;
    let officer = permit("user/AuditEvent.rs", Some("Practitioner/officer"));
    for (query, count) in [
        (&[][..], 30),
        (&[("patient", "Patient/alice")], 10),
        (&[("patient", "nobody")], 0),
        (&[("agent", "Practitioner/doctor")], 10),
        (&[("agent", "Practitioner/doctor,Practitioner/nurse")], 20),
        (&[("agent", "|app")], 30),
        (&[("action", "R")], 10),
        (&[("action", "R,E")], 30),
        (&[("outcome", "4")], 3),
        (&[("outcome", "4"), ("patient", "alice")], 1),
        (&[("type", "rest")], 20),
        (&[("type", "http://dicom.nema.org/resources/ontology/DCM|110114")], 10),
        (&[("subtype", "search,110122")], 20),
        (&[("entity", "Observation/o3")], 1),
        (&[("entity", "Observation/o3/_history/2")], 1),
        (&[("entity", "Observation/o3/_history/1")], 0),
        (&[("entity", "Observation/o3,Observation/o6")], 2),
        (&[("date", "2026-11-23")], 30),
        (&[("date", "lt2026")], 0),
        (&[("address", "10.0.0.2")], 11),
        (&[("policy", "rule")], 30),
    ] {
        assert_eq!(ask(&trail, &officer, query, ALL).await.events.len(), count, "{query:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_skip_nor_repeat() {
    let trail = trail().await;
    let officer = permit("user/AuditEvent.rs", Some("Practitioner/officer"));
    for (query, expected) in [(&[][..], 30), (&[("agent", "Practitioner/doctor,Practitioner/nurse")], 20)] {
        let mut ids = Vec::new();
        let mut paging = Paging { count: 7, ..ALL };
        loop {
            let page = ask(&trail, &officer, query, paging).await;
            assert!(page.events.len() <= 7);
            ids.extend(page.events.iter().map(|it| it.id.as_str().parse::<i64>().unwrap()));
            paging.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(ids.len(), expected);
        assert!(ids.windows(2).all(|pair| pair[0] > pair[1]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_see_who_looked_at_them_and_nobody_else() {
    let trail = trail().await;
    let alice = permit("patient/*.rs user/*.rs", Some("Patient/alice"));
    assert_eq!(ask(&trail, &alice, &[], ALL).await.events.len(), 10);
    assert_eq!(ask(&trail, &alice, &[("patient", "Patient/bob")], ALL).await.events.len(), 0);
    assert_eq!(ask(&trail, &alice, &[("agent", "Practitioner/doctor")], ALL).await.events.len(), 0);

    let officer = permit("user/AuditEvent.rs", Some("Practitioner/officer"));
    let at = find::Trail { store: &trail.store, base: BASE, tenant: TENANT };
    let of_alice = ask(&trail, &officer, &[("patient", "alice")], ALL).await.events.remove(0);
    let of_bob = ask(&trail, &officer, &[("patient", "bob")], ALL).await.events.remove(0);
    assert_eq!(find::read(at, &alice, &of_alice.id).await.unwrap(), of_alice);
    for hidden in [&of_bob.id, &ResourceId::parse("1").unwrap(), &ResourceId::parse("no").unwrap()] {
        let outcome = find::read(at, &alice, hidden).await.unwrap_err();
        assert_eq!(outcome.worst().unwrap().code, IssueType::NotFound);
    }
    assert_eq!(find::read(at, &officer, &of_bob.id).await.unwrap(), of_bob);
}
