//! Consents: what a patient forbids is absent for whom it is forbidden, by every way and at the next request.

use super::{assert_absent, assert_there, claims, condition, found, of_role, patient, put};
use crate::support::server::{TestServer, send};
use serde_json::{Value, json};

/// An active Consent with that root provision.
fn consent(id: &str, patient: &str, provision: &Value) -> Value {
    json!({
        "resourceType": "Consent", "id": id, "status": "active",
        "scope": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"
        }] },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": format!("Patient/{patient}") },
        "policyRule": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"
        }] },
        "provision": provision
    })
}

fn actor(reference: &str) -> Value {
    let role = json!({ "coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"
    }] });
    json!([{ "role": role, "reference": { "reference": reference } }])
}

fn class(name: &str) -> Value {
    json!({ "system": "http://hl7.org/fhir/resource-types", "code": name })
}

async fn a_ward() -> TestServer {
    let server = TestServer::start().await;
    put(
        &server.system(),
        &[patient("a"), patient("b"), condition("a1", "a", "J10.1"), condition("b1", "b", "J10.1")],
    )
    .await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_to_somebody_is_absent_for_them_alone() {
    let server = a_ward().await;
    let system = server.system();
    let dr = of_role(&server, "provider", "dr", "user/*.cruds");
    let other = of_role(&server, "provider", "other", "user/*.cruds");
    assert_there(&dr, "Condition", "a1", "a").await;
    let forbids = json!({ "type": "deny", "actor": actor("Practitioner/dr") });
    put(&system, &[consent("c", "a", &forbids)]).await;
    assert_absent(&dr, "Condition", "a1", "a").await;
    dr.get("Patient/a").await.assert_status(404);
    assert_eq!(found(&dr, "Patient").await, ["b"]);
    assert_eq!(found(&dr, "Condition?code=J10.1").await, ["b1"]);
    let page = dr.get("Condition?_total=accurate&_count=1").await.json();
    assert_eq!((page["total"].clone(), page["link"].as_array().unwrap().len()), (json!(1), 1), "{page}");
    // By conditional writes, in bundles, and by PUT.
    let again = dr.request("POST", "Condition").header("if-none-exist", "patient=Patient/a&code=J10.1");
    let made = send(crate::support::server::fhir(again, &condition("x", "b", "J10.1"))).await;
    assert_eq!(made.status, 201, "{}", made.text());
    dr.put("Condition/a1", &condition("a1", "a", "J11.1")).await.assert_status(404);
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "GET", "url": "Condition/a1" } },
        { "request": { "method": "GET", "url": "Condition?patient=Patient/a" } }
    ] });
    let answer = dr.post("", &batch).await.assert_status(200).text();
    assert!(answer.contains("404") && !answer.contains("\"a1\""), "{answer}");
    // The twin: somebody else, the patient, the system, who sees to privacy.
    assert_there(&other, "Condition", "a1", "a").await;
    assert_there(&server.patient("a"), "Condition", "a1", "a").await;
    assert_there(&system, "Condition", "a1", "a").await;
    assert_there(&of_role(&server, "privacy-officer", "dr", "user/*.rs user/*.cud"), "Condition", "a1", "a")
        .await;
    // It is withdrawn.
    let mut over = consent("c", "a", &forbids);
    over["status"] = json!("inactive");
    put(&system, &[over]).await;
    assert_there(&dr, "Condition", "a1", "a").await;
    put(&system, &[consent("c", "a", &forbids)]).await;
    dr.get("Condition/a1").await.assert_status(404);
    system.delete("Consent/c").await.assert_status(204);
    dr.get("Condition/a1").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_of_a_consent_is_in_the_trail() {
    let server = a_ward().await;
    let forbids = json!({ "type": "deny", "actor": actor("Practitioner/dr") });
    put(&server.system(), &[consent("c", "a", &forbids)]).await;
    of_role(&server, "provider", "dr", "user/*.rs").get("Condition/a1").await.assert_status(404);
    let events = server.system().get("AuditEvent?patient=Patient/a&_count=1").await.text();
    assert!(events.contains("Consent/c\"") && events.contains("a Consent forbids it"), "{events}");
    // Nothing of the kind for what is not there.
    of_role(&server, "provider", "dr", "user/*.rs").get("Condition/none").await.assert_status(404);
    let newest = server.system().get("AuditEvent?_count=1&entity=Condition/none").await.text();
    assert!(!newest.contains("Consent/c"), "{newest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_provisions_are_exceptions_and_deny_wins() {
    let server = a_ward().await;
    let system = server.system();
    put(&system, &[condition("a2", "a", "B20")]).await;
    let dr = of_role(&server, "provider", "dr", "user/*.cruds");
    // Nothing but the patient's demographics and influenza.
    let only = json!({ "type": "deny", "provision": [
        { "type": "permit", "class": [class("Patient")] },
        { "type": "permit", "code": [{ "coding": [{
            "system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J10.1" }] }] }
    ] });
    put(&system, &[consent("c", "a", &only)]).await;
    assert_eq!(found(&dr, "Condition").await, ["a1", "b1"]);
    assert_eq!(found(&dr, "Patient").await, ["a", "b"]);
    assert_absent(&dr, "Condition", "a2", "a").await;
    // Everything but what carries a label.
    let but = json!({ "type": "permit", "provision": [{ "type": "deny", "securityLabel": [{
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV" }] }] });
    put(&system, &[consent("c", "a", &but)]).await;
    assert_eq!(found(&dr, "Condition").await, ["a1", "b1"]);
    assert_there(&server.patient("a"), "Condition", "a2", "a").await;
    // A second Consent that permits does not undo a denial.
    put(&system, &[consent("c2", "a", &json!({ "type": "permit" }))]).await;
    assert_eq!(found(&dr, "Condition").await, ["a1", "b1"]);
    // A whole type, whoever asks; also for systems.
    put(&system, &[consent("c", "a", &json!({ "type": "deny", "class": [class("Condition")] }))]).await;
    assert_eq!(found(&dr, "Condition").await, ["b1"]);
    let reader = server.bearer(server.sign(&server.claims("system/*.rs")));
    assert_eq!(found(&reader, "Condition").await, ["b1"]);
    assert_eq!(found(&reader, "Patient").await, ["a", "b"]);
    // Keeping the record goes on.
    system.put("Condition/a1", &condition("a1", "a", "J11.1")).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn purpose_time_dates_and_named_data_bound_a_provision() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    let system = server.system();
    let mut old = condition("old", "a", "J10.1");
    old["recordedDate"] = json!("2020-03-01");
    let mut new = condition("new", "a", "J10.1");
    new["recordedDate"] = json!("2026-03-01");
    put(&system, &[patient("a"), old, new]).await;
    let ask = |purpose: &'static str| {
        let mut it = claims(&server, "provider", "dr", "user/*.rs");
        it["purpose_of_use"] = json!(purpose);
        server.bearer(server.sign(&it))
    };
    let research = json!({ "type": "deny", "purpose": [{
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH" }] });
    put(&system, &[consent("c", "a", &research)]).await;
    assert_eq!(found(&ask("HRESCH"), "Condition").await, Vec::<String>::new());
    assert_eq!(found(&ask("TREAT"), "Condition").await, ["new", "old"]);
    // What is old is kept back.
    let dates = json!({ "type": "deny", "dataPeriod": { "start": "2019-01-01", "end": "2021-01-01" },
        "class": [class("Condition")] });
    put(&system, &[consent("c", "a", &dates)]).await;
    assert_eq!(found(&ask("TREAT"), "Condition").await, ["new"]);
    // This one alone.
    let data = json!({ "type": "deny", "data": [{
        "meaning": "instance", "reference": { "reference": "Condition/new" } }] });
    put(&system, &[consent("c", "a", &data)]).await;
    assert_eq!(found(&ask("TREAT"), "Condition").await, ["old"]);
    // For a while: it begins and ends by itself.
    let period = json!({ "type": "deny", "period": {
        "start": "2026-06-01T12:10:00Z", "end": "2026-06-01T12:20:00Z" } });
    put(&system, &[consent("c", "a", &period)]).await;
    for (minutes, expected) in [(0, 2), (11, 0), (10, 2)] {
        server.clock.step(minutes * 60 * 1_000_000);
        assert_eq!(found(&ask("TREAT"), "Condition").await.len(), expected, "{minutes}");
    }
    // To change, not to look.
    let writing = json!({ "type": "deny", "action": [{ "coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "correct" }] }] });
    put(&server.system(), &[consent("c", "a", &writing)]).await;
    let writer = of_role(&server, "provider", "dr", "user/*.cruds");
    writer.get("Condition/new").await.assert_status(200);
    writer.put("Condition/new", &condition("new", "a", "J11.1")).await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_opens_what_a_label_closes() {
    let server = a_ward().await;
    let system = server.system();
    put(&system, &[condition("drink", "a", "F10.20"), condition("drink-b", "b", "F10.20")]).await;
    let dr = of_role(&server, "provider", "dr", "user/*.cruds");
    assert_absent(&dr, "Condition", "drink", "a").await;
    // 42 CFR 2.31: a written consent that says what, and to whom.
    let opens = json!({ "type": "permit", "actor": actor("Practitioner/dr"), "securityLabel": [{
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETHUD" }] });
    put(&system, &[consent("c", "a", &opens)]).await;
    assert_there(&dr, "Condition", "drink", "a").await;
    assert_absent(&dr, "Condition", "drink-b", "b").await;
    let other = of_role(&server, "provider", "other", "user/*.cruds");
    assert_absent(&other, "Condition", "drink", "a").await;
    system.delete("Consent/c").await.assert_status(204);
    assert_absent(&dr, "Condition", "drink", "a").await;
}
