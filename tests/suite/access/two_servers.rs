//! Two servers on one database: what is changed by one bites at the other within the age of its news, a fifth of a second.

use super::{claims, condition, patient, policy, put, put_client_of};
use crate::support::server::{Caller, TestServer};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use vesta::fhir::id::TenantId;
use vesta::store::revocations::RevocationKind;
use vesta::store::tenants;

/// Longer than any news is old, on a busy machine too.
const SOON: Duration = Duration::from_secs(3);

/// The answer becomes that one, soon.
async fn becomes(caller: &Caller, path: &str, status: u16) {
    let start = Instant::now();
    loop {
        let answer = caller.get(path).await;
        if answer.status == status {
            return;
        }
        assert!(start.elapsed() < SOON, "{path}: {} and not {status}", answer.status);
    }
}

fn coded(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code }] })
}

fn consent(status: &str) -> Value {
    json!({
        "resourceType": "Consent", "id": "no", "status": status,
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "patient": { "reference": "Patient/a" },
        "policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
        "provision": { "type": "deny", "actor": [{
            "role": coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
            "reference": { "reference": "Practitioner/doc" }
        }] }
    })
}

fn team(status: &str) -> Value {
    json!({
        "resourceType": "CareTeam", "id": "team", "status": status, "subject": { "reference": "Patient/a" },
        "participant": [{ "member": { "reference": "Practitioner/nan" } }]
    })
}

fn contract(status: &str) -> Value {
    json!({
        "resourceType": "Contract", "id": "baa", "status": status,
        "type": coded("https://vesta.example/fhir/CodeSystem/policy", "baa"),
        "applies": { "start": "2026-01-01", "end": "2026-06-01T12:10:00Z" },
        "authority": [{ "reference": "Organization/acme" }]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_right_away_bites_at_the_other_server() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    let system = server.system();
    put(&system, &[patient("a"), condition("flu", "a", "J10.1"), team("active")]).await;
    let beside = server.beside();
    let there = |role: &str, id: &str| beside.bearer(server.sign(&claims(&server, role, id, "user/*.cruds")));
    // A Consent, given and withdrawn.
    let doc = there("provider", "doc");
    doc.get("Condition/flu").await.assert_status(200);
    put(&system, &[consent("active")]).await;
    becomes(&doc, "Condition/flu", 404).await;
    put(&system, &[consent("inactive")]).await;
    becomes(&doc, "Condition/flu", 200).await;
    // The relation of care is asked of the database, so it bites at once.
    let nan = there("nurse", "nan");
    nan.get("Condition/flu").await.assert_status(200);
    put(&system, &[team("inactive")]).await;
    nan.get("Condition/flu").await.assert_status(404);
    // A role.
    let officer = super::of_role(&server, "privacy-officer", "po", "user/*.cruds");
    put(&officer, &[policy("provider", &["purpose TREAT", "may rs Patient"])]).await;
    becomes(&doc, "Condition/flu", 403).await;
    doc.get("Patient/a").await.assert_status(200);
    officer.delete("Basic/role-provider").await.assert_status(204);
    becomes(&doc, "Condition/flu", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_out_is_out_at_the_other_server() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    let system = server.system();
    put(&system, &[patient("a"), json!({ "resourceType": "Organization", "id": "acme", "name": "Acme" })])
        .await;
    put(&system, &[contract("executed")]).await;
    put_client_of(&server, "acme-app", "Organization/acme").await;
    let beside = server.beside();
    let of_client = || {
        let mut claims = server.claims("system/*.rs");
        claims["client_id"] = json!("acme-app");
        claims["family"] = json!("acme-family");
        beside.bearer(server.sign(&claims))
    };
    let acme = of_client();
    acme.get("Patient/a").await.assert_status(200);
    put(&system, &[contract("terminated")]).await;
    becomes(&acme, "Patient/a", 403).await;
    put(&system, &[contract("executed")]).await;
    becomes(&acme, "Patient/a", 200).await;
    // It ends by itself at that minute, on every server.
    server.clock.step(11 * 60 * 1_000_000);
    acme.get("Patient/a").await.assert_status(403);
    server.clock.step(-11 * 60 * 1_000_000);
    let far = i64::MAX / 2;
    for (kind, subject) in [
        (RevocationKind::User, "out"),
        (RevocationKind::Client, "out-app"),
        (RevocationKind::Family, "out-family"),
        (RevocationKind::Token, "out-token"),
    ] {
        let mut all = server.claims("system/*.rs");
        (all["sub"], all["client_id"]) = (json!("out"), json!("out-app"));
        (all["family"], all["jti"]) = (json!("out-family"), json!("out-token"));
        // The others were revoked before.
        for (of, claim) in [
            (RevocationKind::User, "sub"),
            (RevocationKind::Client, "client_id"),
            (RevocationKind::Family, "family"),
            (RevocationKind::Token, "jti"),
        ] {
            if of != kind {
                all[claim] = json!(format!("still-in-{subject}-{claim}"));
            }
        }
        let caller = beside.bearer(server.sign(&all));
        caller.get("Patient/a").await.assert_status(200);
        server.app.store.revoke(TenantId::FIRST, (kind, subject), far).await.unwrap();
        becomes(&caller, "Patient/a", 401).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_access_begins_and_ends_at_the_other_server_and_never_crosses_a_tenant() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    put(&server.system(), &[patient("a"), patient("b")]).await;
    let beside = server.beside();
    let mut claims = claims(&server, "nurse", "nan", "user/*.cruds");
    claims["auth_time"] = json!(server.clock.now().as_second() - 60);
    claims["acr"] = json!("urn:vesta:acr:two-factors");
    let token = server.sign(&claims);
    let (here, there) = (server.bearer(token.clone()), beside.bearer(token.clone()));
    there.get("Patient/a").await.assert_status(404);
    let parameters = |it: Value| json!({ "resourceType": "Parameters", "parameter": [it] });
    let reason =
        parameters(json!({ "name": "reason", "valueString": "unconscious in the emergency department" }));
    here.post("Patient/a/$break-glass", &reason).await.assert_status(200);
    here.get("Patient/a").await.assert_status(200);
    becomes(&there, "Patient/a", 200).await;
    there.get("Patient/b").await.assert_status(404);
    // The same person, the same words, at another tenant: nothing is open there, and the token is a stranger's.
    assert!(tenants::add(&server.database.settings, "north").await.unwrap());
    here.get("/t/north/fhir/Patient/a").await.assert_status(401);
    there.get("/t/north/fhir/Patient/a").await.assert_status(401);
    let close = parameters(json!({ "name": "close", "valueBoolean": true }));
    here.post("Patient/a/$break-glass", &close).await.assert_status(200);
    server.clock.step(1_000_000);
    becomes(&there, "Patient/a", 404).await;
}
