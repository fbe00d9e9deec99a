//! Why somebody may or may not, told to those who see to privacy; and to whom a patient's data went.

use super::{condition, of_role, patient, put};
use crate::support::server::{TestServer, send};
use serde_json::{Value, json};

fn explanation(answer: &Value) -> (bool, String) {
    let all = answer["parameter"].as_array().unwrap();
    let value = |name: &str| all.iter().find(|it| it["name"] == name).unwrap().clone();
    let permitted = value("permitted")["valueBoolean"].as_bool().unwrap();
    (permitted, value("explanation")["valueString"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_is_told_the_rule() {
    let server = TestServer::start().await;
    let system = server.system();
    let consent = json!({
        "resourceType": "Consent", "id": "c", "status": "active",
        "scope": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy" }] },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": "Patient/b" },
        "policyRule": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN" }] },
        "provision": { "type": "deny" }
    });
    put(
        &system,
        &[
            patient("a"),
            patient("b"),
            condition("drink", "a", "F10.20"),
            condition("flu", "a", "J10.1"),
            consent,
        ],
    )
    .await;
    let officer = of_role(&server, "privacy-officer", "po", "user/*.rs");
    let ask = async |query: &str| {
        explanation(&officer.get(&format!("$access-explain?{query}")).await.assert_status(200).json())
    };
    let cases = [
        ("user=Practitioner/dr&role=provider&resource=Condition/flu", true, "by scope"),
        ("user=Practitioner/dr&role=provider&resource=Condition/drink", false, "label"),
        (
            "user=Practitioner/dr&role=provider&purpose=HSYSADMIN&resource=Condition/flu",
            false,
            "purpose of use",
        ),
        ("user=Practitioner/nan&role=nurse&resource=Condition/flu", false, "nothing to do with the patient"),
        ("user=Practitioner/dr&role=provider&resource=Patient/b", false, "Consent/c"),
        ("user=Practitioner/bill&role=billing&resource=Observation", false, "role"),
        ("user=Practitioner/dr&scope=user/Patient.rs&resource=Condition/flu", false, "no scope"),
        ("user=Patient/b&patient=b&scope=patient/*.rs&resource=Condition/flu", false, "scopes"),
        ("resource=Condition/drink", true, "by scope"),
    ];
    for (query, may, word) in cases {
        let (permitted, sentence) = ask(query).await;
        assert_eq!(permitted, may, "{query}: {sentence}");
        assert!(sentence.contains(word), "{query}: {sentence}");
    }
    officer.get("$access-explain?resource=Condition/none").await.assert_status(404);
    officer.get("$access-explain?resource=Nonsense").await.assert_status(400);
    officer.get("$access-explain?resource=Patient&color=red").await.assert_status(400);
    let clinician = of_role(&server, "provider", "dr", "user/*.rs");
    clinician.get("$access-explain?resource=Condition/flu").await.assert_status(403);
    system.get("$access-explain?resource=Condition/flu").await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_accounted_for_is_classified_when_it_occurs() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    put(&server.system(), &[patient("a"), patient("b"), condition("a1", "a", "J10.1")]).await;
    let researcher = of_role(&server, "provider", "res", "user/*.rs");
    let ask = async |path: &str, purpose: &str| {
        let request = researcher.request("GET", path).header("x-purpose-of-use", purpose);
        send(request).await.assert_status(200);
    };
    ask("Condition/a1", "HRESCH").await;
    ask("Condition?patient=Patient/a", "PUBHLTH").await;
    ask("Patient/a/$everything", "HRESCH").await;
    // Treatment, payment and operations are not, nor what found nothing.
    ask("Condition/a1", "TREAT").await;
    ask("Condition?patient=Patient/b", "HRESCH").await;
    let account = async |caller: &crate::support::server::Caller, query: &str| {
        let answer = caller.get(&format!("Patient/a/$accounting-of-disclosures{query}")).await;
        let answer = answer.assert_status(200).json();
        let all = answer["parameter"].as_array().unwrap().clone();
        all.into_iter().filter(|it| it["name"] == "disclosure").collect::<Vec<_>>()
    };
    let alice = server.patient("a");
    let told = account(&alice, "").await;
    assert_eq!(told.len(), 3, "{told:?}");
    let text = told[0].to_string();
    assert!(
        text.contains("Practitioner/res") && text.contains("HRESCH") && text.contains("Condition/a1"),
        "{text}"
    );
    let officer = of_role(&server, "privacy-officer", "po", "user/*.rs");
    assert_eq!(account(&officer, "").await.len(), 3);
    assert_eq!(account(&officer, "?end=2026-05-31").await.len(), 0);
    assert_eq!(account(&officer, "?start=2026-06-01").await.len(), 3);
    // Nobody else asks, and a patient about themself alone.
    server.patient("b").get("Patient/a/$accounting-of-disclosures").await.assert_status(404);
    researcher.get("Patient/a/$accounting-of-disclosures").await.assert_status(403);
    officer.get("Patient/none/$accounting-of-disclosures").await.assert_status(404);
}
