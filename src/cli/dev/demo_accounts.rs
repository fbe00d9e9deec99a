//! The users and clients of dev mode: made up once, kept in a file that nobody else can read, and put at every
//! start. The file is a seed: whoever wants other passwords writes them there.

use crate::config::Config;
use crate::crypto::jws::TokenKey;
use crate::crypto::totp::TotpSecret;
use crate::crypto::{key_file, random};
use crate::smart::seed::Seed;
use anyhow::{Context as _, Result, anyhow};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::Path;

/// Passwords and secrets, under the data folder.
const CREDENTIALS: &str = "demo-credentials.txt";
/// The private key of demo-backend, PEM.
const BACKEND_KEY: &str = "keys/demo-backend-key.pem";
/// The same, as a JWK.
const BACKEND_JWK: &str = "demo-backend-jwk.json";

/// What is put at every start.
pub(super) fn seed(config: &Config, data: &Path) -> Result<Seed> {
    let key = key_file::read_or_create(&data.join(BACKEND_KEY), || {
        TokenKey::new_p384_pem().map_err(std::io::Error::other)
    })
    .context("the key of demo-backend cannot be used")?;
    let jwk = TokenKey::private_jwk(&key)?;
    key_file::read_or_create(&data.join(BACKEND_JWK), || Ok(jwk))
        .context("the JWK of demo-backend cannot be written")?;
    let file = data.join(CREDENTIALS);
    let text = key_file::read_or_create(&file, || Ok(credentials(config)))
        .with_context(|| format!("{} cannot be used", file.display()))?;
    let mut all = text.expose_secret().to_owned();
    all.push_str(&backend(&TokenKey::from_pem(&key)?.key_set().to_json()));
    let seed = Seed::parse(&all).map_err(|error| anyhow!("{}: {}", file.display(), error.description))?;
    println!("users clinician@demo, patient@demo: {}", file.display());
    Ok(seed)
}

fn credentials(config: &Config) -> SecretString {
    let secret = || random::token_urlsafe(18).expose_secret().to_owned();
    let totp = || TotpSecret::random().expose().to_owned();
    let uris: Vec<String> = [8000, 3000, 8080, 5173, 9000]
        .iter()
        .flat_map(|port| ["localhost", "127.0.0.1"].map(|host| format!("\"http://{host}:{port}/\"")))
        .collect();
    let uris = uris.join(", ");
    SecretString::from(format!(
        r#"# The users and clients of dev mode at {base}.
# This file is put at every start: change what you like. The totp_secret goes into an authenticator app, or:
# oathtool --totp --base32 SECRET

[[users]]
username = "clinician@demo"
password = "{clinician}"
totp_secret = "{clinician_totp}"
fhir_user = "Practitioner/demo-clinician"
role = "provider"
name = "Demo Clinician"

[[users]]
username = "patient@demo"
password = "{patient}"
totp_secret = "{patient_totp}"
fhir_user = "Patient/demo-patient"
role = "patient"
name = "Demo Patient"

[[clients]]
id = "demo-app"
client_name = "Demo App"
redirect_uris = [{uris}]
post_logout_redirect_uris = [{uris}]
launch_uri = "http://localhost:8000/launch.html"

[[clients]]
id = "demo-confidential"
client_name = "Demo App with a secret"
redirect_uris = [{uris}]
post_logout_redirect_uris = [{uris}]
launch_uri = "http://localhost:8000/launch.html"
token_endpoint_auth_method = "client_secret_basic"
secret = "{client}"

[[clients]]
id = "demo-ehr"
client_name = "Demo EHR"
token_endpoint_auth_method = "client_secret_basic"
secret = "{ehr}"
may_launch = true

# demo-backend signs with demo-backend-jwk.json, ES384, for system/*.cruds
"#,
        base = config.fhir_base(),
        clinician = secret(),
        clinician_totp = totp(),
        patient = secret(),
        patient_totp = totp(),
        client = secret(),
        ehr = secret(),
    ))
}

fn backend(key_set: &str) -> String {
    // JSON strings are TOML strings, and the keys of a JWK are bare ones.
    let set: serde_json::Value = serde_json::from_str(key_set).unwrap_or_default();
    let keys: Vec<String> = set
        .get("keys")
        .and_then(serde_json::Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(serde_json::Value::as_object)
        .map(|key| {
            let fields: Vec<String> = key.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("{{ {} }}", fields.join(", "))
        })
        .collect();
    format!(
        r#"
[[clients]]
id = "demo-backend"
client_name = "Demo backend service"
token_endpoint_auth_method = "private_key_jwt"
grant_types = ["client_credentials"]
scope = "system/*.cruds"
jwks = {{ keys = [{}] }}
"#,
        keys.join(", ")
    )
}
