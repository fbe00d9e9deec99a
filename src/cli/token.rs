//! `vesta token`: an access token for scripts, in dev mode only.
//!
//! Signed by the key that dev mode made for itself under its data folder: whoever can read that key
//! is the person who started dev mode.

use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::jws::TokenKey;
use crate::crypto::{key_file, random};
use crate::fhir::id::ResourceId;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

/// What kind of token, and for whom.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The client that the token is for
    #[arg(long, value_enum)]
    client: Client,
    /// The patient in context. For demo-patient: who the patient is
    #[arg(long, value_name = "ID", value_parser = resource_id)]
    patient: Option<ResourceId>,
    /// The scopes, instead of the client's own
    #[arg(long)]
    scope: Option<String>,
    /// Why the data is asked for: a code such as TREAT
    #[arg(long, value_name = "CODE")]
    purpose: Option<String>,
}

/// The clients of dev mode.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Client {
    /// A system without a user: everything
    #[value(name = "demo-backend")]
    Backend,
    /// An app of a clinician that only reads
    #[value(name = "demo-app")]
    App,
    /// A clinician at work
    #[value(name = "demo-clinician")]
    Clinician,
    /// A patient, who reads their own record
    #[value(name = "demo-patient")]
    Patient,
}

/// Whose record the demo patient reads, where nobody says otherwise.
const PATIENT: &str = "demo-patient";

impl Client {
    fn id(self) -> &'static str {
        match self {
            Client::Backend => "demo-backend",
            Client::App => "demo-app",
            Client::Clinician => "demo-clinician",
            Client::Patient => "demo-patient",
        }
    }

    fn scope(self) -> &'static str {
        match self {
            Client::Backend => "system/*.cruds",
            Client::App => "user/*.rs",
            Client::Clinician => "user/*.cruds",
            Client::Patient => "patient/*.rs",
        }
    }

    /// The resource that stands for the user.
    fn user(self, patient: Option<&str>) -> Option<String> {
        match self {
            Client::Backend => None,
            Client::App | Client::Clinician => Some("Practitioner/demo-clinician".to_owned()),
            Client::Patient => patient.map(|id| format!("Patient/{id}")),
        }
    }
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<()> {
    if config.database.url.is_some() {
        bail!("vesta token is for dev mode only, and VESTA_DATABASE_URL is set");
    }
    println!("{}", sign(config, arguments)?.expose_secret());
    Ok(())
}

/// A token of the client `demo-backend`, which may do everything in dev mode.
pub(super) fn backend(config: &Config) -> Result<SecretString> {
    sign(config, &Arguments { client: Client::Backend, patient: None, scope: None, purpose: None })
}

fn sign(config: &Config, arguments: &Arguments) -> Result<SecretString> {
    let data = config.data_folder().map_err(|error| anyhow!(error))?;
    let path = data.join(super::dev::TOKEN_KEY);
    let key = key_file::read(&path)
        .with_context(|| format!("there is no key at {}: start dev mode first", path.display()))?;
    let key = TokenKey::from_pem(&key)?;
    let now = Clock::system().now().as_second();
    Ok(key.sign("at+jwt", &claims(config, arguments, now))?)
}

fn claims(config: &Config, arguments: &Arguments, now_seconds: i64) -> serde_json::Value {
    let Arguments { client, patient, scope, purpose } = arguments;
    let patient = patient.as_ref().map(ResourceId::as_str);
    let patient = patient.or(matches!(client, Client::Patient).then_some(PATIENT));
    let mut claims = json!({
        "iss": config.token_issuer(),
        "aud": config.token_audience(),
        "sub": client.id(),
        "client_id": client.id(),
        "scope": scope.as_deref().unwrap_or(client.scope()),
        "iat": now_seconds,
        "exp": now_seconds + i64::from(config.tokens.lifetime_seconds),
        "jti": random::token_urlsafe(16).expose_secret(),
    });
    let optional = [
        ("patient", patient.map(str::to_owned)),
        ("fhirUser", client.user(patient)),
        ("purpose_of_use", purpose.clone()),
    ];
    if let Some(object) = claims.as_object_mut() {
        for (name, value) in optional {
            object.extend(value.map(|value| (name.to_owned(), value.into())));
        }
    }
    claims
}

fn resource_id(text: &str) -> Result<ResourceId, String> {
    ResourceId::parse(text).ok_or_else(|| "this is not an id".to_owned())
}
