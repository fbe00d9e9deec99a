//! Emergency access: with a fresh second factor and a reason, for one patient and an hour, and accounted for.

use super::{assert_absent, assert_there, claims, condition, found, patient, put};
use crate::support::server::{Caller, TestServer};
use serde_json::{Value, json};

fn request(reason: &str, minutes: Option<i64>) -> Value {
    let mut parameters = vec![json!({ "name": "reason", "valueString": reason })];
    parameters.extend(minutes.map(|it| json!({ "name": "minutes", "valueInteger": it })));
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

const REASON: &str = "unconscious in the emergency department";

/// A nurse who proved who they are so many seconds ago.
fn nurse(server: &TestServer, seconds_ago: i64) -> Caller {
    let mut claims = claims(server, "nurse", "nan", "user/*.cruds");
    claims["auth_time"] = json!(server.clock.now().as_second() - seconds_ago);
    claims["acr"] = json!("urn:vesta:acr:two-factors");
    server.bearer(server.sign(&claims))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_glass_is_broken_for_one_patient_and_closes_by_itself() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    let system = server.system();
    put(
        &system,
        &[patient("a"), patient("b"), condition("drink", "a", "F10.20"), condition("b1", "b", "J10.1")],
    )
    .await;
    let nan = nurse(&server, 60);
    assert_absent(&nan, "Condition", "drink", "a").await;
    let opened =
        nan.post("Patient/a/$break-glass", &request(REASON, Some(30))).await.assert_status(200).json();
    assert_eq!(opened["parameter"][0]["valueInstant"], "2026-06-01T12:30:00.000000Z", "{opened}");
    // The relation of care and labels are lifted: for this patient, and for this user.
    assert_there(&nan, "Condition", "drink", "a").await;
    assert_absent(&nan, "Condition", "b1", "b").await;
    assert_eq!(found(&nan, "Patient").await, ["a"]);
    let ned = super::of_role(&server, "nurse", "ned", "user/*.rs user/*.cu");
    assert_eq!(found(&ned, "Patient").await, Vec::<String>::new());
    // The review is there, says why, and is not the user's to close.
    let task = opened["parameter"][1]["valueReference"]["reference"].as_str().unwrap();
    let mut review = system.get(task).await.assert_status(200).json();
    assert_eq!(review["input"][0]["valueString"], REASON);
    review["status"] = json!("completed");
    assert!(matches!(nan.put(task, &review).await.status, 403 | 404));
    let officer = super::of_role(&server, "privacy-officer", "po", "user/*.cruds");
    officer.put(task, &review).await.assert_status(200);
    // The trail says what it was.
    let events = system.get("AuditEvent?patient=Patient/a&_count=50").await.text();
    assert!(events.contains("\"BTG\"") && events.contains("emergency access"), "{events}");
    // It ends by itself.
    server.clock.step(31 * 60 * 1_000_000);
    assert_absent(&nurse(&server, 60), "Condition", "drink", "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_glass_holds_for_whoever_lacks_what_it_takes() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    let system = server.system();
    put(&system, &[patient("a")]).await;
    let good = request(REASON, None);
    let open = "Patient/a/$break-glass";
    nurse(&server, 600).post(open, &good).await.assert_status(403);
    let without = super::of_role(&server, "nurse", "nan", "user/*.cruds");
    without.post(open, &good).await.assert_status(403);
    let mut claims = claims(&server, "billing", "bill", "user/*.cruds");
    claims["auth_time"] = json!(server.clock.now().as_second());
    claims["acr"] = json!("urn:vesta:acr:two-factors");
    server.bearer(server.sign(&claims)).post(open, &good).await.assert_status(403);
    system.post(open, &good).await.assert_status(403);
    let nan = nurse(&server, 1);
    nan.post(open, &request("quick", None)).await.assert_status(400);
    nan.post(open, &request(REASON, Some(61))).await.assert_status(400);
    nan.post(open, &request(REASON, Some(0))).await.assert_status(400);
    nan.post(open, &json!({ "resourceType": "Parameters" })).await.assert_status(400);
    nan.get(open).await.assert_status(400);
    let absent = nan.post("Patient/none/$break-glass", &good).await.assert_status(404);
    // A patient who forbids this person by name is not opened, and looks like one who is not there.
    let deny = |reference: Value| {
        let mut provision = json!({ "type": "deny" });
        if !reference.is_null() {
            provision["actor"] = json!([{ "role": { "coding": [{ "code": "IRCP" }] },
                "reference": { "reference": reference } }]);
        }
        json!({
            "resourceType": "Consent", "id": "c", "status": "active",
            "scope": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy" }] },
            "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
            "patient": { "reference": "Patient/a" },
            "policyRule": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN" }] },
            "provision": provision
        })
    };
    put(&system, &[deny(json!("Practitioner/nan"))]).await;
    let named = nan.post(open, &good).await.assert_status(404);
    assert_eq!(named.body, absent.body);
    // One who forbids everybody is: that is what an emergency is for. Closed by hand, it is closed at once.
    put(&system, &[deny(Value::Null)]).await;
    nan.get("Patient/a").await.assert_status(404);
    nan.post(open, &good).await.assert_status(200);
    nan.get("Patient/a").await.assert_status(200);
    server.clock.step(1_000_000);
    let close =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "close", "valueBoolean": true }] });
    nan.post(open, &close).await.assert_status(200);
    nan.get("Patient/a").await.assert_status(404);
    nan.post(open, &close).await.assert_status(404);
}
