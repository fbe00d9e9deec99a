//! The leak matrix over the whole server, with a token for every attempt.

use crate::access::put_client_of;
use crate::support::server::TestServer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use vesta::app::App;
use vesta::fhir::id::{ResourceId, TenantId};
use vesta::leak_test::attempts::ATTEMPTS;
use vesta::leak_test::world::{FORBIDDEN, FORMER, NURSE, OTHER, OWN, RESTRICTED};
use vesta::leak_test::{self, Target};
use vesta::store::policy_news::EmergencyAccess;
use vesta::store::revocations::RevocationKind;
use vesta::store::signing_keys::SigningAlgorithm;
use vesta::store::tenants;

const LABORATORY: &str =
    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
const MINUTE: i64 = 60_000_000;

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
        ("revoked-family", RevocationKind::Family, "family", "a-revoked-family"),
        ("disabled-user", RevocationKind::User, "sub", "a-disabled-user"),
        ("disabled-client", RevocationKind::Client, "client_id", "a-disabled-client"),
    ] {
        keep(name, changed(claim, json!(subject)));
        store.revoke(TenantId::FIRST, (kind, subject), far).await.unwrap();
    }
    keep("visit-over", changed("visit", json!("leak-never-was")));
    let mut selling = of_role(server, "provider", "a-seller", ALL);
    selling["purpose_of_use"] = json!("HMARKT");
    keep("wrong-purpose", server.sign(&selling));
    keep("no-patient", server.sign(&server.claims("patient/*.cruds")));
    keep("other-patient", server.sign(&patients_own(server, "patient/*.cruds")));
    keep("other-type", server.sign(&patients_own(server, "patient/Immunization.rs")));
    keep("granular", server.sign(&patients_own(server, LABORATORY)));
    keep("create-only", server.sign(&server.claims("system/*.c")));
    let mut narrow = server.claims(&LABORATORY.replace("patient/", "system/"));
    narrow["client_id"] = json!("a-narrow-client");
    keep("granular-system", server.sign(&narrow));
    keep("restricted", server.sign(&of_role(server, "provider", RESTRICTED, ALL)));
    keep("emergency-over", server.sign(&of_role(server, "nurse", FORMER, ALL)));
    keep("no-care", server.sign(&of_role(server, "nurse", NURSE, ALL)));
    keep("forbidden", server.sign(&of_role(server, "provider", FORBIDDEN, ALL)));
    keep("labelled", server.sign(&of_role(server, "provider", "a-provider", ALL)));
    keep("role", server.sign(&of_role(server, "billing", "a-clerk", "user/*.rs")));
    let outsider = "a-client-without-agreement";
    put_client_of(server, outsider, "Organization/elsewhere").await;
    let mut outside = of_role(server, "provider", "an-outsider", ALL);
    outside["client_id"] = json!(outsider);
    keep("agreement", server.sign(&outside));
    tokens
}

/// A neighbour with a token of their own tenant, and emergencies that open nothing here: one that is over, one of
/// somebody else, one of the neighbour's.
async fn neighbour(server: &TestServer, tokens: &mut BTreeMap<String, String>) -> String {
    use secrecy::ExposeSecret;
    assert!(tenants::add(&server.database.settings, "north").await.unwrap());
    let id = server.app.store.tenant_named("north").await.unwrap().unwrap();
    let north: Arc<App> = Arc::new(server.app.for_tenant(id, "north"));
    let mut claims = of_role(server, "provider", "a-neighbour", "user/*.rs");
    claims["iss"] = north.config.token_issuer().into();
    claims["aud"] = north.config.token_audience().into();
    let keys = north.store.signing_keys(id).await.unwrap();
    let key = keys.active(SigningAlgorithm::Es256).unwrap();
    let token = key.sign("at+jwt", &claims).unwrap().expose_secret().to_owned();
    tokens.insert("neighbour".to_owned(), token);
    let now = server.app.clock.now_microseconds();
    for (tenant, subject, from, to) in [
        (TenantId::FIRST, FORMER, -50 * MINUTE, -MINUTE),
        (TenantId::FIRST, "somebody-else", -MINUTE, 50 * MINUTE),
        (id, NURSE, -MINUTE, 50 * MINUTE),
    ] {
        let access = EmergencyAccess {
            id: server.app.new_id(),
            subject: subject.to_owned(),
            patient: ResourceId::parse(OTHER).unwrap(),
            opened: now + from,
            ends: now + to,
        };
        server.app.store.open_emergency_access(tenant, &access, "a reason").await.unwrap();
    }
    north.fhir_base()
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn chosen_attempts() -> Option<String> {
    std::env::var("VESTA_LEAK_ATTEMPTS").ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_of_the_matrix_leaks() {
    let server = TestServer::start_with_tls().await;
    let mut tokens = tokens(&server).await;
    let neighbour = neighbour(&server, &mut tokens).await;
    let mut writer = server.claims("system/*.cruds");
    writer["client_id"] = json!("a-writer");
    // Which attempts are made: where a narrowing is taken out, those that must notice.
    let chosen = chosen_attempts();
    let is_chosen = |it: &str| chosen.as_ref().is_none_or(|all| all.split(',').any(|of| of == it));
    tokens.retain(|it, _| is_chosen(it));
    let target = Target {
        base: format!("{}/fhir", server.url()),
        client: server.client(),
        writer: server.sign(&writer),
        tokens,
        neighbour: Some(neighbour),
    };
    leak_test::prepare(&target).await.unwrap();
    let report = leak_test::run(&target, |_| {}).await.unwrap();
    println!("{}", report.to_text());
    assert_eq!(report.failures().count(), 0, "{}", report.to_text());
    if chosen.is_none() {
        assert!(report.not_tried.is_empty(), "every attempt has a token here");
        assert!(report.cells.len() >= ATTEMPTS.len() * 50);
    }
}
