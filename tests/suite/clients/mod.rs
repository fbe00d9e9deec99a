//! Clients that other people wrote, against a running server with TLS: they must simply work.
//!
//! Each test is a program in this folder, in the client's own language, that signs users in by posting forms,
//! as a browser without scripts would. It gets what it needs to know as JSON in `VESTA_SETUP`, and fails by
//! its exit status. `./install` puts the clients into `target/clients`; `.ci/run` calls it.

use crate::support::server::TestServer;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use vesta::config::Config;
use vesta::crypto::jws::TokenKey;
use vesta::crypto::totp::TotpSecret;
use vesta::fhir::id::TenantId;
use vesta::smart::request::Request;
use vesta::smart::seed::{self, Seed};

/// One program may take that long.
const PATIENCE: Duration = Duration::from_secs(120);

const PASSWORD: &str = "seven quiet otters paddle";
const SECRET: &str = "a-secret-that-nobody-guesses";

#[tokio::test(flavor = "multi_thread")]
async fn the_smart_client_for_javascript() {
    World::begin(|_| {}).await.node("smart_js.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fhir_kit_client() {
    World::begin(|_| {}).await.node("fhir_kit.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smart_client_for_python() {
    World::begin(|_| {}).await.python("smart_py.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fhirpy() {
    World::begin(|_| {}).await.python("fhir_py.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_opens_the_parquet_of_a_view() {
    let mut world = World::begin(|_| {}).await;
    let folder = std::env::temp_dir().join(format!("vesta-views-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for view in ["us_core_patients", "us_core_observations"] {
        let path = format!("ViewDefinition/{view}/$viewdefinition-run?_format=parquet");
        let answer = world.server.system().get(&path).await.assert_status(200);
        let file = folder.join(format!("{view}.parquet"));
        std::fs::write(&file, &answer.body).unwrap();
        world.setup[view] = file.to_str().unwrap().into();
    }
    world.python("views.py").await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_app_in_a_browser() {
    World::begin(|_| {}).await.node("chart.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passkeys_in_a_browser() {
    World::begin(|_| {}).await.node("passkey.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_identities_upstream() {
    let mut world = World::begin(|_| {}).await;
    let issuer = free_origin();
    plant(&world.server, &providers(&issuer)).await;
    world.setup["provider"] = issuer.into();
    world.node("federation.mjs").await;
}

/// A server with users, clients and a record, and what a program needs to know of it.
pub struct World {
    pub server: TestServer,
    pub setup: Value,
}

impl World {
    /// Six users who are each Patient/pat and four clinicians, so that no program waits for the next one-time
    /// password; the apps `app`, `web`, `signed` and `ehr`, at a port of the program's own.
    pub async fn begin(change: impl FnOnce(&mut Config)) -> World {
        let server = TestServer::start_with_tls_and(change).await;
        let origin = free_origin();
        let totp = TotpSecret::random().expose().to_owned();
        let key = TokenKey::new_p384_pem().unwrap();
        let private: Value =
            serde_json::from_str(TokenKey::private_jwk(&key).unwrap().expose_secret()).unwrap();
        plant(&server, &seed(&origin, &totp, &private)).await;
        record(&server).await;
        let setup = json!({
            "root": server.url(), "fhir": server.app.fhir_base(), "origin": origin,
            "certificate": server.authority().with_file_name("server.pem"), "password": PASSWORD, "totp": totp, "secret": SECRET, "key": private,
        });
        World { server, setup }
    }

    pub async fn node(&self, program: &str) {
        let node = installed("venv/bin/node");
        self.run(if node.exists() { node } else { "node".into() }, program).await;
    }

    pub async fn python(&self, program: &str) {
        self.run(installed("venv/bin/python"), program).await;
    }

    /// Runs a program to its end, and fails with all that it says.
    async fn run(&self, interpreter: PathBuf, program: &str) {
        assert!(
            installed("installed").is_file(),
            "{} is missing: run tests/suite/clients/install, or name another folder in VESTA_CLIENTS",
            installed("installed").display()
        );
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/clients").join(program);
        let authority = self.server.authority();
        let mut command = tokio::process::Command::new(interpreter);
        command.arg(&program).kill_on_drop(true).stdin(Stdio::null());
        command.env("VESTA_SETUP", self.setup.to_string());
        command.env("VESTA_CLIENTS", installed(""));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        // What Node, Python's requests and Python's own TLS trust.
        for variable in ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            command.env(variable, &authority);
        }
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(proxy);
        }
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.expect("the program ends in time").expect("the program starts");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{said}", program.display());
    }
}

/// An address that a program may listen on.
fn free_origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://localhost:{}", listener.local_addr().unwrap().port())
}

/// The same provider twice: once as one whose second factor is believed.
fn providers(issuer: &str) -> String {
    let mut seed = String::new();
    for (id, name, trusts) in [("hospital", "Example Hospital", false), ("clinic", "Trusted Clinic", true)] {
        seed.push_str(&format!(
            "[[identity_providers]]\nid = \"{id}\"\nname = \"{name}\"\nissuer = \"{issuer}\"\nclient_id = \"vesta\"\n\
             client_secret = \"{SECRET}\"\ntrusts_second_factor = {trusts}\n"
        ));
    }
    for (user, provider) in [("pat1", "hospital"), ("pat3", "clinic")] {
        seed.push_str(&format!(
            "[[users]]\nusername = \"{user}\"\nidentities = {{ {provider} = \"upstream-{user}\" }}\n"
        ));
    }
    seed
}

/// Where `./install` put a file.
fn installed(name: &str) -> PathBuf {
    let root = std::env::var_os("VESTA_CLIENTS").map(PathBuf::from);
    root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients")).join(name)
}

/// Plants a seed.
pub async fn plant(server: &TestServer, seed: &str) {
    let request = Request {
        app: Arc::clone(&server.app),
        tenant: TenantId(1),
        id: server.app.new_id(),
        network: None,
        now: server.clock.now_microseconds(),
        actor: None,
    };
    seed::plant(&request, Seed::parse(seed).unwrap()).await.unwrap();
}

fn seed(origin: &str, totp: &str, key: &Value) -> String {
    let mut seed = String::new();
    let patients = (1..=6).map(|number| (format!("pat{number}"), "Patient/pat".to_owned()));
    let clinicians = (1..=4).map(|number| (format!("ada{number}"), "Practitioner/ada".to_owned()));
    for (name, reference) in patients.chain(clinicians) {
        seed.push_str(&format!(
            "[[users]]\nusername = \"{name}\"\npassword = \"{PASSWORD}\"\ntotp_secret = \"{totp}\"\n\
             fhir_user = \"{reference}\"\n"
        ));
    }
    let public = |name: &str| key[name].as_str().unwrap();
    let jwks = format!(
        "jwks = {{ keys = [{{ kty = \"EC\", crv = \"P-384\", alg = \"ES384\", kid = \"{}\", x = \"{}\", y = \"{}\" }}] }}",
        public("kid"),
        public("x"),
        public("y")
    );
    let secret = format!("token_endpoint_auth_method = \"client_secret_basic\"\nsecret = \"{SECRET}\"");
    let signed = format!("token_endpoint_auth_method = \"private_key_jwt\"\n{jwks}");
    for (id, more) in [
        ("app", ""),
        ("web", secret.as_str()),
        ("signed", signed.as_str()),
        ("ehr", &format!("{secret}\nmay_launch = true")),
        ("demo-app", ""),
        ("backend", &format!("{signed}\ngrant_types = [\"client_credentials\"]\nscope = \"system/*.rs\"")),
    ] {
        seed.push_str(&format!(
            "[[clients]]\nid = \"{id}\"\nclient_name = \"Chart\"\nredirect_uris = [\"{origin}/app\", \"{origin}/\"]\n\
             post_logout_redirect_uris = [\"{origin}/\"]\nlaunch_uri = \"{origin}/launch.html\"\n{more}\n"
        ));
    }
    seed
}

/// Patient/pat with two dozen measurements and a problem, and Patient/sam.
async fn record(server: &TestServer) {
    let system = server.system();
    let ada = json!({
        "resourceType": "Practitioner", "id": "ada", "active": true, "name": [{ "family": "Example", "given": ["Ada"] }]
    });
    system.put("Practitioner/ada", &ada).await.assert_status(201);
    for (id, sex) in [("pat", "female"), ("sam", "male")] {
        let patient = json!({
            "resourceType": "Patient", "id": id, "birthDate": "1980-02-03", "gender": sex,
            "name": [{ "family": "Example", "given": [id] }],
            "generalPractitioner": [{ "reference": "Practitioner/ada" }]
        });
        system.put(&format!("Patient/{id}"), &patient).await.assert_status(201);
    }
    for number in 0..24 {
        let weight = json!({
            "resourceType": "Observation", "id": format!("weight-{number}"), "status": "final",
            "category": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"
            }] }],
            "code": { "coding": [{ "system": "http://loinc.org", "code": "29463-7" }], "text": "Body weight" },
            "subject": { "reference": "Patient/pat" }, "performer": [{ "reference": "Practitioner/ada" }],
            "effectiveDateTime": format!("20{:02}-03-01", number),
            "valueQuantity": {
                "value": 60.5 + f64::from(number) / 4.0, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"
            }
        });
        system.put(&format!("Observation/weight-{number}"), &weight).await.assert_status(201);
    }
    for (id, category) in [("asthma", "problem-list-item"), ("visit", "encounter-diagnosis")] {
        let problem = condition(id, category);
        system.put(&format!("Condition/{id}"), &problem).await.assert_status(201);
    }
}

fn condition(id: &str, category: &str) -> Value {
    json!({
        "resourceType": "Condition", "id": id, "subject": { "reference": "Patient/pat" },
        "clinicalStatus": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"
        }] },
        "category": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": category
        }] }],
        "code": { "text": if id == "asthma" { "Asthma" } else { "Sprained ankle" } }
    })
}
