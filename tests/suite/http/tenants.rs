//! Tenants: each at its own address, with its own issuer and keys; what is of one is nobody's at another.

use crate::support::server::{Caller, TestServer, send};
use serde_json::{Value, json};
use std::sync::Arc;
use vesta::app::App;
use vesta::fhir::id::TenantId;
use vesta::http::routes::{ENDPOINTS, Guard};
use vesta::store::signing_keys::SigningAlgorithm;
use vesta::store::tenants;

/// A tenant of a server, added while it runs.
struct North {
    app: Arc<App>,
}

impl North {
    async fn of(server: &TestServer) -> North {
        assert!(tenants::add(&server.database.settings, "north").await.unwrap());
        assert!(!tenants::add(&server.database.settings, "north").await.unwrap());
        let id = server.app.store.tenant_named("north").await.unwrap().unwrap();
        assert_ne!(id, TenantId::FIRST);
        North { app: Arc::new(server.app.for_tenant(id, "north")) }
    }

    /// A token that the tenant issued.
    async fn token(&self, server: &TestServer, scope: &str) -> String {
        let mut claims = server.claims(scope);
        claims["iss"] = self.app.config.token_issuer().into();
        claims["aud"] = self.app.config.token_audience().into();
        self.sign(&claims).await
    }

    async fn sign(&self, claims: &Value) -> String {
        use secrecy::ExposeSecret;
        let keys = self.app.store.signing_keys(self.app.tenant).await.unwrap();
        let key = keys.active(SigningAlgorithm::Es256).expect("a tenant has keys");
        key.sign("at+jwt", claims).unwrap().expose_secret().to_owned()
    }
}

fn patient(family: &str) -> Value {
    json!({ "resourceType": "Patient", "id": "a", "name": [{ "family": family }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_has_its_own_data_addresses_and_trail() {
    let server = TestServer::start().await;
    let north = North::of(&server).await;
    let first = server.system();
    let other = server.bearer(north.token(&server, "system/*.cruds").await);
    first.put("Patient/a", &patient("South")).await.assert_status(201);
    let created = other.put("/t/north/fhir/Patient/a", &patient("North")).await.assert_status(201);
    assert!(created.header("location").contains("/t/north/fhir/Patient/a/_history/1"));
    let names = |answer: Value| answer["name"][0]["family"].as_str().unwrap().to_owned();
    assert_eq!(names(first.get("Patient/a").await.json()), "South");
    assert_eq!(names(other.get("/t/north/fhir/Patient/a").await.json()), "North");
    let found = other.get("/t/north/fhir/Patient?_count=1").await.assert_status(200);
    assert!(found.text().contains("/t/north/fhir/Patient/a") && !found.text().contains("South"));
    let events = other.get("/t/north/fhir/AuditEvent?patient=Patient/a").await.assert_status(200).json();
    // Made, read, found: what happened to the other Patient/a is in the other trail.
    assert_eq!(events["entry"].as_array().unwrap().len(), 3);
    // A reference by this tenant's own address is one to this tenant's resource.
    let observation = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": format!("{}/Patient/a", north.app.fhir_base()) } });
    other.post("/t/north/fhir/Observation", &observation).await.assert_status(201);
    let found = other.get("/t/north/fhir/Observation?patient=a").await.assert_status(200);
    assert!(found.text().contains("\"Observation\""), "{}", found.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_tenant_is_worthless_at_another() {
    let server = TestServer::start().await;
    let north = North::of(&server).await;
    let token = north.token(&server, "system/*.cruds").await;
    let (first, other) = (server.system(), server.bearer(token));
    first.put("Patient/a", &patient("South")).await.assert_status(201);
    other.put("/t/north/fhir/Patient/a", &patient("North")).await.assert_status(201);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction",
        "entry": [{ "request": { "method": "GET", "url": "Patient/a" } }] });
    let tried = |caller: Caller, base: &'static str| {
        let bundle = bundle.clone();
        async move {
            let mut answers = Vec::new();
            for path in ["Patient/a", "Patient", "Patient/a/_history", "Patient/a/_history/1", "_history"] {
                answers.push(caller.get(&format!("{base}{path}")).await);
            }
            answers.push(caller.get(&format!("{base}Patient/a/$everything")).await);
            answers.push(caller.get(&format!("{base}AuditEvent")).await);
            answers.push(caller.post(base.trim_end_matches('/'), &bundle).await);
            answers.push(caller.post(&format!("{base}Patient"), &patient("X")).await);
            answers.push(caller.delete(&format!("{base}Patient/a")).await);
            answers
        }
    };
    for (caller, base) in [(first.clone(), "/t/north/fhir/"), (other.clone(), "/fhir/")] {
        for answer in tried(caller, base).await {
            assert_eq!(answer.status, 401, "{base}: {}", answer.text());
        }
    }
    for (caller, base) in [(first.clone(), "/fhir/"), (other.clone(), "/t/north/fhir/")] {
        let answers = tried(caller, base).await;
        assert!(answers.iter().all(|it| it.status < 300), "{base}");
    }
    // Nor do the claims of one, signed by the other: not even by the key set of the settings.
    let mut claims = server.claims("system/*.cruds");
    let as_first = north.sign(&claims).await;
    server.bearer(as_first).get("Patient/a").await.assert_status(401);
    claims["iss"] = north.app.config.token_issuer().into();
    claims["aud"] = north.app.config.token_audience().into();
    server.bearer(server.sign(&claims)).get("/t/north/fhir/Patient/a").await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_links_do_not_open_elsewhere() {
    let server = TestServer::start().await;
    let north = North::of(&server).await;
    let first = server.system();
    let other = server.bearer(north.token(&server, "system/*.cruds").await);
    for id in ["b", "c"] {
        let mut it = patient("Adler");
        it["id"] = json!(id);
        first.put(&format!("Patient/{id}"), &it).await.assert_status(201);
        other.put(&format!("/t/north/fhir/Patient/{id}"), &it).await.assert_status(201);
    }
    let next = |page: Value| {
        let links = page["link"].as_array().unwrap().clone();
        let next = links.iter().find(|it| it["relation"] == "next").unwrap()["url"].clone();
        next.as_str().unwrap().split("/fhir/").nth(1).unwrap().to_owned()
    };
    let of_first = next(first.get("Patient?_count=1").await.assert_status(200).json());
    let of_other = next(other.get("/t/north/fhir/Patient?_count=1").await.assert_status(200).json());
    first.get(&of_first).await.assert_status(200);
    other.get(&format!("/t/north/fhir/{of_other}")).await.assert_status(200);
    first.get(&of_other).await.assert_status(400);
    other.get(&format!("/t/north/fhir/{of_first}")).await.assert_status(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_issuer_tells_its_own_addresses() {
    let server = TestServer::start().await;
    let north = North::of(&server).await;
    let stranger = server.stranger();
    let issuer = format!("{}/t/north", server.url());
    for path in [
        "/t/north/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/t/north",
        "/t/north/fhir/.well-known/smart-configuration",
    ] {
        let told = stranger.get(path).await.assert_status(200).json();
        assert_eq!(told["issuer"], issuer, "{path}");
        assert_eq!(told["token_endpoint"], format!("{issuer}/auth/token"), "{path}");
    }
    let keys = |told: Value| -> Vec<String> {
        told["keys"].as_array().unwrap().iter().map(|it| it["kid"].as_str().unwrap().to_owned()).collect()
    };
    let own = keys(stranger.get("/t/north/.well-known/jwks.json").await.assert_status(200).json());
    let first = keys(stranger.get("/.well-known/jwks.json").await.assert_status(200).json());
    assert!(!own.is_empty() && own.iter().all(|it| !first.contains(it)));
    let statement = stranger.get("/t/north/fhir/metadata").await.assert_status(200).json();
    assert_eq!(statement["implementation"]["url"], north.app.fhir_base());
    let page = stranger.get("/t/north/auth/authorize").await;
    assert_eq!(page.status, 400, "a request without a client is one of this tenant's, too");
    for path in
        ["/t/south/fhir/metadata", "/t/default/fhir/metadata", "/t/No..pe/fhir/metadata", "/t/north/metrics"]
    {
        assert_eq!(stranger.get(path).await.assert_status(404).issue(), "not-found", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guarded_endpoint_refuses_strangers_at_every_tenant() {
    let server = TestServer::start().await;
    North::of(&server).await;
    let first = server.system();
    for endpoint in ENDPOINTS.iter().filter(|it| it.guard == Guard::Bearer) {
        let path = endpoint.path.replace("{type}", "Patient").replace("{id}", "1").replace("{version}", "1");
        let path = path.replace("{operation}", "validate").replace("{member}", "Observation");
        let request = first.request(endpoint.method, &format!("/t/north{path}"));
        assert_eq!(send(request).await.status, 401, "{} {path}", endpoint.method);
    }
}
