//! Binaries: as readable as what their security context says they belong to.

use super::{of_role, patient, put};
use crate::support::server::TestServer;
use serde_json::{Value, json};

fn binary(id: &str, context: Option<&str>) -> Value {
    let mut it = json!({
        "resourceType": "Binary", "id": id, "contentType": "text/plain", "data": "aGVsbG8="
    });
    if let Some(context) = context {
        it["securityContext"] = json!({ "reference": context });
    }
    it
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_is_as_readable_as_what_it_belongs_to() {
    let server = TestServer::start().await;
    let system = server.system();
    let document = json!({
        "resourceType": "DocumentReference", "id": "d", "status": "current",
        "subject": { "reference": "Patient/a" },
        "content": [{ "attachment": { "url": "Binary/of-document" } }]
    });
    put(
        &system,
        &[
            patient("a"),
            patient("b"),
            document,
            binary("own", Some("Patient/a")),
            binary("of-document", Some("DocumentReference/d")),
            binary("nobodys", None),
        ],
    )
    .await;
    let (alice, bob) = (server.patient("a"), server.patient("b"));
    let clinician = of_role(&server, "provider", "dr", "user/*.rs");
    for id in ["own", "of-document"] {
        let path = format!("Binary/{id}");
        alice.get(&path).await.assert_status(200);
        bob.get(&path).await.assert_status(404);
        bob.get(&format!("{path}/_history/1")).await.assert_status(404);
        clinician.get(&path).await.assert_status(200);
        of_role(&server, "nurse", "nan", "user/*.rs").get(&path).await.assert_status(404);
    }
    alice.get("Binary/nobodys").await.assert_status(404);
    clinician.get("Binary/nobodys").await.assert_status(200);
    // What hides the document hides its content.
    let consent = json!({
        "resourceType": "Consent", "id": "c", "status": "active",
        "scope": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy" }] },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": "Patient/a" },
        "policyRule": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN" }] },
        "provision": { "type": "deny", "actor": [{
            "role": { "coding": [{ "code": "IRCP" }] }, "reference": { "reference": "Practitioner/dr" } }] }
    });
    put(&system, &[consent]).await;
    for id in ["own", "of-document"] {
        clinician.get(&format!("Binary/{id}")).await.assert_status(404);
        alice.get(&format!("Binary/{id}")).await.assert_status(200);
    }
    clinician.get("Binary/nobodys").await.assert_status(200);
}
