//! The root key in a security module and in a key service: it never leaves them, and without them nothing starts.

use super::{TENANT, patient};
use crate::support::database::Database;
use crate::support::server::TestServer;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vesta::clock::Clock;
use vesta::crypto::key_ring::{KeyRing, RootKeyProvider};
use vesta::crypto::root_key::RootKey;
use vesta::crypto::transit::TransitSettings;
use vesta::fhir::id::TenantId;
use vesta::store::Store;
use vesta::store::error::StoreError;

/// Where Debian puts it; `.ci/run` installs it.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("vesta-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("tokens")).unwrap();
        Folder(folder)
    }

    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A command of the program on the database of that server, whose own root key it does not get.
fn command(server: &TestServer, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let file = |file: &Option<PathBuf>| file.as_deref().map(Path::to_owned).unwrap();
    let keys = &server.app.config.keys;
    let url = secrecy::ExposeSecret::expose_secret(&server.database.settings.url).to_owned();
    Command::new(env!("CARGO_BIN_EXE_vesta"))
        .args(arguments)
        .env("VESTA_DATABASE_URL", url)
        .env("VESTA_CHECKPOINT_KEY_FILE", file(&keys.checkpoint_key_file))
        .env("VESTA_TOKEN_KEY_SET", file(&server.app.config.tokens.key_set_file))
        .env("VESTA_PLAIN_HTTP", "true")
        .env("VESTA_LISTEN", "127.0.0.1:0")
        .env("VESTA_PUBLIC_URL", "http://localhost:1")
        .envs(settings.iter().copied())
        .output()
        .expect("the command runs")
}

#[track_caller]
fn said(output: &Output, is_success: bool) -> String {
    let said = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    assert_eq!(output.status.success(), is_success, "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_security_module_wraps_what_it_never_shows() {
    let server = TestServer::start().await;
    let folder = Folder::new("softhsm");
    let conf = folder.0.join("softhsm2.conf");
    fs::write(
        &conf,
        format!("directories.tokendir = {}\nobjectstore.backend = file\n", folder.0.join("tokens").display()),
    )
    .unwrap();
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", &conf)
        .args([
            "--init-token",
            "--free",
            "--label",
            "vesta test",
            "--so-pin",
            "12345678",
            "--pin",
            "87654321",
        ])
        .output()
        .expect("softhsm2 is installed: see .ci/run");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pin = folder.secret("pin", "87654321\n");
    let wrong = folder.secret("wrong", "11111111\n");
    let with = |arguments: &[&str], token: &str, pin: &Path| {
        let settings = [
            ("SOFTHSM2_CONF", conf.to_str().unwrap()),
            ("VESTA_PKCS11_MODULE", SOFTHSM),
            ("VESTA_PKCS11_TOKEN", token),
            ("VESTA_PKCS11_PIN_FILE", pin.to_str().unwrap()),
        ];
        command(&server, arguments, &settings)
    };
    // What is not there, or does not let us in, is said, and nothing starts.
    for (token, pin, words) in [("another", &pin, "no token"), ("vesta test", &wrong, "refuses the PIN")] {
        let refused = said(&with(&["serve"], token, pin), false);
        assert!(refused.contains(words), "{refused}");
    }
    let with = |arguments: &[&str]| said(&with(arguments, "vesta test", &pin), true);
    with(&["keys", "rotate", "token"]);
    let client = server.database.superuser().await;
    let wrapped = "select count(*) from keys where purpose in (1, 2, 3) and get_byte(wrapped, 0) = 3 and \
                   get_byte(wrapped, 8) = $1";
    let under = async |id: i32| -> i64 { client.query_one(wrapped, &[&id]).await.unwrap().get(0) };
    assert_eq!(under(1).await, 3, "by the module's first key");
    assert!(with(&["keys", "status"]).contains("0000000000000001 (vesta-root) in the token vesta test"));
    assert!(with(&["keys", "rotate", "root"]).contains("wrapped 3 keys anew"));
    assert_eq!((under(1).await, under(2).await), (0, 3));
    // What was sealed before still opens: the keys that sign are read back.
    with(&["keys", "rotate", "token"]);
    // For another purpose it does not unwrap.
    client
        .batch_execute(
            "update keys as k set wrapped = o.wrapped from keys as o where k.purpose = 1 and o.purpose = 2",
        )
        .await
        .unwrap();
    let refused = with_failure(&server, &conf, &pin);
    assert!(refused.contains("a seal is broken"), "{refused}");
}

fn with_failure(server: &TestServer, conf: &Path, pin: &Path) -> String {
    let settings = [
        ("SOFTHSM2_CONF", conf.to_str().unwrap()),
        ("VESTA_PKCS11_MODULE", SOFTHSM),
        ("VESTA_PKCS11_TOKEN", "vesta test"),
        ("VESTA_PKCS11_PIN_FILE", pin.to_str().unwrap()),
    ];
    said(&command(server, &["keys", "rotate", "token"], &settings), false)
}

/// A key service as strict as Vault, which remembers what it encrypted instead of encrypting.
#[derive(Default)]
struct Service {
    is_down: AtomicBool,
    version: AtomicU64,
    kept: Mutex<Vec<(u64, String, String)>>,
}

async fn serve(service: web::Data<Service>, request: HttpRequest, body: String) -> HttpResponse {
    let error = |status: u16| {
        HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap())
            .json(json!({"errors": ["no"]}))
    };
    if service.is_down.load(Ordering::Relaxed) {
        return error(503);
    }
    if request.headers().get("x-vault-token").is_none_or(|it| it != "a-token") {
        return error(403);
    }
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let version = service.version.load(Ordering::Relaxed);
    let mut kept = service.kept.lock().unwrap();
    match (request.method().as_str(), request.path()) {
        ("GET", "/v1/transit/keys/root") => {
            HttpResponse::Ok().json(json!({"data": {"latest_version": version}}))
        }
        ("POST", "/v1/transit/keys/root/rotate") => {
            service.version.fetch_add(1, Ordering::Relaxed);
            HttpResponse::NoContent().finish()
        }
        ("POST", "/v1/transit/encrypt/root") => {
            assert_eq!(STANDARD.decode(text("plaintext")).unwrap().len(), 32);
            kept.push((version, text("associated_data"), text("plaintext")));
            let ciphertext = format!("vault:v{version}:{}", kept.len() - 1);
            HttpResponse::Ok().json(json!({"data": {"ciphertext": ciphertext, "key_version": version}}))
        }
        ("POST", "/v1/transit/decrypt/root") => {
            let ciphertext = text("ciphertext");
            let at = ciphertext.rsplit(':').next().and_then(|it| it.parse::<usize>().ok());
            match at.and_then(|at| kept.get(at)) {
                Some((_, place, plain)) if *place == text("associated_data") => {
                    HttpResponse::Ok().json(json!({"data": {"plaintext": plain}}))
                }
                _ => error(400),
            }
        }
        _ => error(404),
    }
}

/// Starts it, and says where it is and who vouches for it.
fn start(folder: &Folder) -> (web::Data<Service>, String, PathBuf) {
    let key = rcgen::KeyPair::generate().unwrap();
    let pem =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private).unwrap();
    let service = web::Data::new(Service { version: AtomicU64::new(1), ..Service::default() });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let shared = service.clone();
    let server = HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::to(serve)));
    let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, tls).unwrap().run();
    tokio::spawn(server);
    (service, url, folder.secret("authorities.pem", &pem))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_service_is_asked_and_missed_only_when_the_lease_ends() {
    vesta::http::tls::install_cryptography();
    let folder = Folder::new("transit");
    let (service, url, authorities) = start(&folder);
    let settings = TransitSettings {
        url,
        key: "root".to_owned(),
        mount: "transit".to_owned(),
        token_file: folder.secret("token", "a-token\n"),
        authorities_file: Some(authorities),
    };
    let database = Database::migrated().await;
    let store = |settings: &TransitSettings, lease| {
        let root = RootKey::open(RootKeyProvider::Transit(settings.clone())).unwrap();
        let ring = KeyRing::with_root(root, 100, lease);
        Store::new(database.settings.clone(), Arc::new(ring), Clock::system())
    };
    let lease = Duration::from_millis(400);
    let one = store(&settings, lease);
    one.tenant_keys(TENANT).await.unwrap();
    assert_eq!(service.kept.lock().unwrap().len(), 3);
    // What the service goes without, nobody else has: with a wrong token, or through whom nobody vouches for.
    let wrong = TransitSettings { token_file: folder.secret("wrong", "another"), ..settings.clone() };
    let strangers = TransitSettings { authorities_file: None, ..settings.clone() };
    for settings in [&wrong, &strangers] {
        let refused = store(settings, lease).tenant_keys(TENANT).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    // Rotated there, and wrapped anew here.
    assert!(one.rotate_root_key().await.unwrap());
    assert_eq!(one.keys_under_older_root(TENANT).await.unwrap(), 3);
    assert_eq!(one.rewrap_tenant_keys(TENANT).await.unwrap(), 3);
    assert_eq!(one.keys_under_older_root(TENANT).await.unwrap(), 0);
    store(&settings, lease).tenant_keys(TENANT).await.unwrap();
    // A tenant's keys are no other's.
    assert!(store(&settings, lease).tenant_keys(TenantId(1)).await.is_ok());

    one.tenant_keys(TENANT).await.unwrap();
    service.is_down.store(true, Ordering::Relaxed);
    assert!(one.tenant_keys(TENANT).await.is_ok(), "within the lease");
    tokio::time::timeout(Duration::from_secs(5), async {
        while one.tenant_keys(TENANT).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the lease ends");
    let missed = one.tenant_keys(TENANT).await;
    let outcome = vesta::fhir::outcome::Outcome::from(missed.expect_err("nobody wraps"));
    assert_eq!(outcome.status(), 503);
    service.is_down.store(false, Ordering::Relaxed);
    one.tenant_keys(TENANT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_without_its_root_key() {
    let server = TestServer::start().await;
    let folder = Folder::new("no-root");
    let token = folder.secret("token", "a-token");
    let nowhere =
        [("VESTA_TRANSIT_URL", "https://127.0.0.1:9"), ("VESTA_TRANSIT_TOKEN_FILE", token.to_str().unwrap())];
    let refused = said(&command(&server, &["serve"], &nowhere), false);
    assert!(refused.contains("the provider of the root key does not answer"), "{refused}");
    server.system().put("Patient/alice", &patient("alice", "A")).await.assert_status(201);
    let other = STANDARD.encode([7; 32]);
    let refused = said(&command(&server, &["serve"], &[("VESTA_ROOT_KEY", &other)]), false);
    assert!(refused.contains("the key that wraps this one is not here"), "{refused}");
    let refused = said(&command(&server, &["serve"], &[("VESTA_ROOT_KEY", &other), nowhere[0]]), false);
    assert!(refused.contains("in one place"), "{refused}");
    let own = secrecy::ExposeSecret::expose_secret(&server.database.root_key).to_owned();
    let status = said(&command(&server, &["keys", "status"], &[("VESTA_ROOT_KEY", &own)]), true);
    assert!(status.contains("in VESTA_ROOT_KEY") && !status.contains(&own), "{status}");
}
