//! Agreements: a client of another organization gets no personal data without one that is in force.

use super::{found, patient, put, put_client_of};
use crate::support::server::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_organization_needs_an_agreement_that_is_in_force() {
    let server = TestServer::start_at("2026-06-01T12:00:00Z").await;
    let own = server.system();
    put(&own, &[patient("a"), json!({ "resourceType": "Organization", "id": "acme", "name": "Acme" })]).await;
    put_client_of(&server, "acme-app", "Organization/acme").await;
    let mut claims = server.claims("system/*.cruds");
    claims["client_id"] = json!("acme-app");
    let acme = server.bearer(server.sign(&claims));
    let refused = || async {
        acme.get("Patient/a").await.assert_status(403);
        acme.get("Patient").await.assert_status(403);
        acme.get("Patient/a/$everything").await.assert_status(403);
        assert!(!acme.get("_history").await.text().contains("Patient/a"));
        assert!(!acme.get("?_type=Patient,Organization").await.text().contains("Family-a"));
        assert_eq!(found(&acme, "Organization").await, ["acme"], "a directory is no personal data");
    };
    refused().await;
    let contract = |status: &str| {
        json!({
            "resourceType": "Contract", "id": "baa", "status": status,
            "type": { "coding": [{ "system": "https://vesta.example/fhir/CodeSystem/policy", "code": "baa" }] },
            "applies": { "start": "2026-01-01", "end": "2026-06-01T12:30:00Z" },
            "authority": [{ "reference": "Organization/acme" }]
        })
    };
    put(&own, &[contract("negotiable")]).await;
    refused().await;
    put(&own, &[contract("executed")]).await;
    acme.get("Patient/a").await.assert_status(200);
    assert_eq!(found(&acme, "Patient").await, ["a"]);
    // It ends by itself, and at once; nobody has to do anything.
    server.clock.step(29 * 60 * 1_000_000);
    let mut claims = server.claims("system/*.cruds");
    claims["client_id"] = json!("acme-app");
    let acme = server.bearer(server.sign(&claims));
    acme.get("Patient/a").await.assert_status(200);
    server.clock.step(2 * 60 * 1_000_000);
    acme.get("Patient/a").await.assert_status(403);
    server.bearer(server.sign(&server.claims("system/*.rs"))).get("Patient/a").await.assert_status(200);
}
