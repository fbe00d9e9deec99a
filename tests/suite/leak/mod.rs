//! The leak matrix over the whole server, with a token for every attempt.

use crate::support::server::TestServer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vesta::fhir::id::TenantId;
use vesta::leak_test::attempts::ATTEMPTS;
use vesta::leak_test::world::{FORBIDDEN, NURSE, OWN};
use vesta::leak_test::{self, Target};
use vesta::store::clients::ClientRow;
use vesta::store::revocations::RevocationKind;

const LABORATORY: &str =
    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";

fn patients_own(server: &TestServer, scope: &str) -> Value {
    let mut claims = server.claims(scope);
    claims["sub"] = OWN.into();
    claims["patient"] = OWN.into();
    claims["fhirUser"] = format!("Patient/{OWN}").into();
    claims
}

fn of_role(server: &TestServer, role: &str, id: &str, scope: &str) -> Value {
    let mut claims = server.claims(scope);
    claims["sub"] = id.into();
    claims["fhirUser"] = format!("Practitioner/{id}").into();
    claims["role"] = role.into();
    claims
}

async fn tokens(server: &TestServer) -> BTreeMap<String, String> {
    const ALL: &str = "user/*.cruds";
    let store = &server.app.store;
    let far = i64::MAX / 2;
    let mut tokens = BTreeMap::new();
    let mut keep = |name: &str, token: String| drop(tokens.insert(name.to_owned(), token));
    let good = server.claims("system/*.cruds");
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        server.sign(&claims)
    };
    let now = good["iat"].as_i64().unwrap();
    let mut old = good.clone();
    (old["iat"], old["exp"]) = (json!(now - 1200), json!(now - 600));
    keep("expired", server.sign(&old));
    keep("wrong-audience", changed("aud", json!("https://elsewhere.example/fhir")));
    keep("wrong-issuer", changed("iss", json!("https://elsewhere.example")));
    let signed = server.sign(&good);
    let (head, last) = signed.split_at(signed.len() - 20);
    let flipped: String = last.chars().map(|it| if it == 'A' { 'B' } else { 'A' }).collect();
    keep("wrong-signature", format!("{head}{flipped}"));
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "at+jwt" }).to_string());
    keep("alg-none", format!("{header}.{}.", URL_SAFE_NO_PAD.encode(good.to_string())));
    keep("other-tenant", changed("iss", json!(format!("{}/t/elsewhere", server.url()))));
    for (name, kind, claim, subject) in [
        ("revoked", RevocationKind::Token, "jti", "a-revoked-token"),
        ("disabled-user", RevocationKind::User, "sub", "a-disabled-user"),
        ("disabled-client", RevocationKind::Client, "client_id", "a-disabled-client"),
    ] {
        keep(name, changed(claim, json!(subject)));
        store.revoke(TenantId::FIRST, (kind, subject), far).await.unwrap();
    }
    keep("no-patient", server.sign(&server.claims("patient/*.cruds")));
    keep("other-patient", server.sign(&patients_own(server, "patient/*.cruds")));
    keep("other-type", server.sign(&patients_own(server, "patient/Immunization.rs")));
    keep("granular", server.sign(&patients_own(server, LABORATORY)));
    keep("no-care", server.sign(&of_role(server, "nurse", NURSE, ALL)));
    keep("forbidden", server.sign(&of_role(server, "provider", FORBIDDEN, ALL)));
    keep("labelled", server.sign(&of_role(server, "provider", "a-provider", ALL)));
    keep("role", server.sign(&of_role(server, "billing", "a-clerk", "user/*.rs")));
    let row = ClientRow {
        id: "a-client-without-agreement".to_owned(),
        secret_hash: None,
        disabled: None,
        pending: None,
        document: json!({ "organization": "Organization/elsewhere" }).to_string(),
    };
    store.put_client(TenantId::FIRST, &row).await.unwrap();
    server.app.facts_changed(TenantId::FIRST);
    let mut outside = of_role(server, "provider", "an-outsider", ALL);
    outside["client_id"] = json!(row.id);
    keep("agreement", server.sign(&outside));
    tokens
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_of_the_matrix_leaks() {
    let server = TestServer::start_with_tls().await;
    let target = Target {
        base: format!("{}/fhir", server.url()),
        client: server.client(),
        writer: server.sign(&server.claims("system/*.cruds")),
        tokens: tokens(&server).await,
    };
    leak_test::prepare(&target).await.unwrap();
    let report = leak_test::run(&target, |_| {}).await.unwrap();
    println!("{}", report.to_text());
    assert!(report.not_tried.is_empty(), "every attempt has a token here");
    assert_eq!(report.failures().count(), 0, "{}", report.to_text());
    assert!(report.cells.len() >= ATTEMPTS.len() * 30);
}
