//! A whole server for tests: in this process, on a port of its own, with a database of its own.
//!
//! See `tests/README.md` for how to use it.

use super::database::Database;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::task::JoinHandle;
use vesta::app::App;
use vesta::clock::Clock;
use vesta::config::Config;
use vesta::conformance::definitions::Definitions;
use vesta::crypto::jws::TokenKey;
use vesta::crypto::sign::CheckpointKey;
use vesta::fhir::id::TenantId;
use vesta::http::server::Server;
use vesta::http::tls::{Certificate, install_cryptography};
use vesta::jobs;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A running server. It ends when it is dropped.
pub struct TestServer {
    pub app: Arc<App>,
    pub clock: Clock,
    pub database: Database,
    /// Present where the server speaks TLS: see [`TestServer::start_with_tls`].
    pub certificate: Option<Arc<Certificate>>,
    pub address: SocketAddr,
    http: reqwest::Client,
    token_key: TokenKey,
    folder: PathBuf,
    server: Option<Server>,
    workers: Vec<JoinHandle<()>>,
}

/// A second server on the database of another.
pub struct Beside {
    address: SocketAddr,
    http: reqwest::Client,
    _server: Server,
}

impl Beside {
    /// Whoever bears this token, at this server.
    pub fn bearer(&self, token: String) -> Caller {
        Caller::new(self.http.clone(), format!("http://{}/fhir/", self.address), Some(token))
    }
}

/// Somebody who calls: with a token, or without.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl TestServer {
    /// On the system's clock, in plain HTTP on loopback.
    pub async fn start() -> TestServer {
        TestServer::start_with(|_| {}).await
    }

    /// The same, with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::begin(Clock::system(), false, change).await
    }

    /// Whose jobs wait: the test works on them, or lets others.
    pub async fn start_without_workers() -> TestServer {
        let mut server = TestServer::start().await;
        server.workers.drain(..).for_each(|it| it.abort());
        server
    }

    /// With a clock that stands still until the test steps it: `server.clock.step(microseconds)`.
    pub async fn start_at(time: &str) -> TestServer {
        TestServer::begin(Clock::stepped(time.parse().unwrap()), false, |_| {}).await
    }

    /// The same, with other settings.
    pub async fn start_at_with(time: &str, change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::begin(Clock::stepped(time.parse().unwrap()), false, change).await
    }

    /// With TLS and a certificate for `localhost`, which the callers trust.
    pub async fn start_with_tls() -> TestServer {
        TestServer::start_with_tls_and(|_| {}).await
    }

    /// The same, with other settings.
    pub async fn start_with_tls_and(change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::begin(Clock::system(), true, change).await
    }

    /// The same, with TLS and other settings.
    pub async fn start_at_with_tls(time: &str, change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::begin(Clock::stepped(time.parse().unwrap()), true, change).await
    }

    async fn begin(clock: Clock, is_tls: bool, change: impl FnOnce(&mut Config)) -> TestServer {
        install_cryptography();
        let database = Database::migrated().await;
        let name = format!("vesta-server-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let token_key = TokenKey::read_or_create(&folder.join("token-key.pem")).unwrap();
        CheckpointKey::read_or_create(&folder.join("checkpoint-key.pem")).unwrap();
        write(&folder.join("root.key"), database.root_key.expose_secret());
        write(&folder.join("token-keys.json"), &token_key.key_set().to_json());

        let mut config = Config::default();
        config.listener.listen = address;
        config.listener.plain_http = !is_tls;
        let scheme = if is_tls { "https" } else { "http" };
        config.listener.public_url = Some(format!("{scheme}://localhost:{}", address.port()));
        config.database.url = Some(database.settings.url.clone());
        config.database.connections = 4;
        config.bulk.files = Some(folder.join("files").display().to_string());
        config.keys.root_key_file = Some(folder.join("root.key"));
        config.keys.checkpoint_key_file = Some(folder.join("checkpoint-key.pem"));
        config.tokens.key_set_file = Some(folder.join("token-keys.json"));
        config.limits.user_requests_per_minute = 0;
        config.limits.sign_in_requests_per_minute = 0;
        config.limits.client_failures = 0;
        change(&mut config);

        let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let certificate = is_tls.then(|| {
            let pem = renew_certificate(&folder);
            let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
            http = std::mem::take(&mut http).tls_certs_only([trusted]);
            Certificate::read(&folder.join("server.pem"), &folder.join("server-key.pem")).unwrap()
        });
        let app = App::with_definitions(config, clock.clone(), definitions()).unwrap();
        let app = Arc::new(app);
        let server = Server::start(Arc::clone(&app), listener, certificate.as_ref(), None).unwrap();
        let workers = jobs::start(&app, &[TenantId::FIRST]);
        TestServer {
            app,
            clock,
            database,
            certificate,
            address,
            http: http.build().unwrap(),
            token_key,
            folder,
            server: Some(server),
            workers,
        }
    }

    /// A second server on the same database, with a memory of its own: to clients the same, as behind a balancer.
    pub fn beside(&self) -> Beside {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config::clone(&self.app.config);
        let app = Arc::new(App::with_definitions(config, self.clock.clone(), definitions()).unwrap());
        let server = Server::start(Arc::clone(&app), listener, None, None).unwrap();
        Beside { address, http: self.http.clone(), _server: server }
    }

    /// A command, as an operator runs it beside the servers: whether it succeeds, and what it prints.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> (bool, String) {
        let file = |file: &Option<PathBuf>| file.clone().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_vesta"))
            .args(arguments)
            .env("VESTA_DATABASE_URL", self.database.settings.url.expose_secret())
            .env("VESTA_ROOT_KEY_FILE", file(&self.app.config.keys.root_key_file))
            .env("VESTA_CHECKPOINT_KEY_FILE", file(&self.app.config.keys.checkpoint_key_file))
            .env("VESTA_TOKEN_KEY_SET", file(&self.app.config.tokens.key_set_file))
            .output()
            .expect("the command runs");
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// The address as clients know it, without the path.
    pub fn url(&self) -> String {
        self.app.config.public_url()
    }

    /// What speaks to the server, and trusts its certificate.
    pub fn client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// A token with that scope, of a user; with the patient in context, if there is one.
    pub fn token(&self, scope: &str, patient: Option<&str>) -> String {
        let mut claims = self.claims(scope);
        claims["sub"] = "a-user".into();
        claims["fhirUser"] = "Practitioner/a-user".into();
        if let Some(patient) = patient {
            claims["patient"] = patient.into();
        }
        self.sign(&claims)
    }

    /// The claims of a good token, to be changed.
    pub fn claims(&self, scope: &str) -> Value {
        let now = self.clock.now().as_second();
        json!({
            "iss": self.app.config.token_issuer(),
            "aud": self.app.config.token_audience(),
            "sub": "a-system",
            "client_id": "a-client",
            "scope": scope,
            "iat": now,
            "exp": now + 900,
            "jti": self.app.new_id().to_string(),
        })
    }

    /// Signs claims as an access token.
    pub fn sign(&self, claims: &Value) -> String {
        self.token_key.sign("at+jwt", claims).unwrap().expose_secret().to_owned()
    }

    /// A system that may do everything.
    pub fn system(&self) -> Caller {
        self.bearer(self.sign(&self.claims("system/*.cruds")))
    }

    /// A clinician with that scope.
    pub fn user(&self, scope: &str) -> Caller {
        self.bearer(self.token(scope, None))
    }

    /// A patient who may see what is theirs.
    pub fn patient(&self, id: &str) -> Caller {
        let mut claims = self.claims("patient/*.rs");
        claims["sub"] = id.into();
        claims["patient"] = id.into();
        claims["fhirUser"] = format!("Patient/{id}").into();
        self.bearer(self.sign(&claims))
    }

    /// Somebody without a token.
    pub fn stranger(&self) -> Caller {
        Caller { http: self.http.clone(), base: format!("{}/fhir/", self.url()), token: None }
    }

    /// Somebody with that token.
    pub fn bearer(&self, token: String) -> Caller {
        Caller { token: Some(token), ..self.stranger() }
    }

    /// Where the authority is that signed the certificate, PEM: for programs that shall trust it.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// No job is worked on any more: the test does that itself.
    pub fn stop_workers(&mut self) {
        self.workers.drain(..).for_each(|it| it.abort());
    }

    /// A new certificate in the place of the old one; the PEM of its authority.
    pub fn renew_certificate(&self) -> String {
        renew_certificate(&self.folder)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.workers.iter().for_each(JoinHandle::abort);
        if let Some(server) = self.server.take() {
            server.abandon();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Caller {
    /// Somebody who calls a FHIR base, which ends with a slash.
    pub fn new(http: reqwest::Client, base: String, token: Option<String>) -> Caller {
        Caller { http, base, token }
    }

    /// A request to a path under the FHIR base; a path that begins with `/` is under the root.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = match path.strip_prefix('/') {
            Some(path) => format!("{}/{path}", self.base.trim_end_matches("/fhir/")),
            None if path.is_empty() => self.base.trim_end_matches('/').to_owned(),
            None => format!("{}{path}", self.base),
        };
        let request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request("DELETE", path)).await
    }

    pub async fn post(&self, path: &str, resource: &Value) -> Answer {
        send(fhir(self.request("POST", path), resource)).await
    }

    pub async fn put(&self, path: &str, resource: &Value) -> Answer {
        send(fhir(self.request("PUT", path), resource)).await
    }

    /// JSON Patch.
    pub async fn patch(&self, path: &str, patch: &Value) -> Answer {
        let request = self.request("PATCH", path).header("content-type", "application/json-patch+json");
        send(request.body(patch.to_string())).await
    }
}

/// Sends what was built.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.expect("the answer is whole").to_vec();
    Answer { status, headers, body }
}

/// With a resource as its body.
pub fn fhir(request: RequestBuilder, resource: &Value) -> RequestBuilder {
    fhir_text(request, &resource.to_string())
}

/// The same, letter by letter.
pub fn fhir_text(request: RequestBuilder, resource: &str) -> RequestBuilder {
    request.header("content-type", "application/fhir+json").body(resource.to_owned())
}

impl Answer {
    #[track_caller]
    pub fn assert_status(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The text of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// The code of the first issue of an OperationOutcome.
    #[track_caller]
    pub fn issue(&self) -> String {
        let json = self.json();
        assert_eq!(json["resourceType"], "OperationOutcome", "{json}");
        json["issue"][0]["code"].as_str().unwrap().to_owned()
    }
}

/// Loaded once for all tests.
fn definitions() -> Arc<Definitions> {
    static DEFINITIONS: OnceLock<Arc<Definitions>> = OnceLock::new();
    Arc::clone(DEFINITIONS.get_or_init(|| Arc::new(Definitions::embedded().unwrap())))
}

fn write(path: &Path, text: &str) {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A certificate for this host, signed by an authority of its own; the PEM of that.
fn renew_certificate(folder: &Path) -> String {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Vesta tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(params, authority_key);

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let pem = params.signed_by(&key, &issuer).unwrap().pem();
    write(&folder.join("ca.pem"), &authority);
    write(&folder.join("server.pem"), &pem);
    write(&folder.join("server-key.pem"), &key.serialize_pem());
    authority
}
