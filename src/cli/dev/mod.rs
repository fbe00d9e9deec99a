//! Dev mode: everything on this machine, for trying out.
//!
//! It brings its own PostgreSQL, keys and certificate, keeps them under one folder, and serves as
//! `vesta serve` would: nothing is switched off.

mod certificate;
mod demo_accounts;
mod patients;

use super::ending::Ending;
use super::migrate;
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::jws::TokenKey;
use crate::crypto::key_ring::RootKeyProvider;
use crate::crypto::sign::CheckpointKey;
use crate::embedded_postgres::{self, EmbeddedPostgres};
use crate::telemetry;
use anyhow::{Context as _, Result, anyhow};
use secrecy::SecretString;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The key that signs access tokens, under the data folder.
pub(super) const TOKEN_KEY: &str = "keys/token-key.pem";

/// The key set that they are checked against.
const TOKEN_KEY_SET: &str = "token-keys.json";

/// The address of the server, for commands that are run beside it.
const PUBLIC_URL: &str = "public-url";

/// The server's certificate.
const CERTIFICATE: &str = "keys/server.pem";

/// The key that wraps all others.
pub(super) const ROOT_KEY: &str = "keys/root.key";

/// The key that signs checkpoints of the trail.
pub(super) const CHECKPOINT_KEY: &str = "keys/checkpoint-key.pem";

pub(super) async fn run(mut config: Config, with_demo: bool) -> Result<()> {
    super::refuse(config.dev_complaints())?;
    telemetry::start(&config.log).map_err(|error| anyhow!(error))?;
    let mut ending = Ending::listen()?;
    let data = config.data_folder().map_err(|error| anyhow!(error))?;
    let postgres = tokio::select! {
        started = EmbeddedPostgres::start(&data) => started?,
        () = ending.asked() => return Ok(()),
    };
    let result = serve(&mut config, (&data, with_demo), &postgres, &mut ending).await;
    postgres.stop().await;
    result
}

async fn serve(
    config: &mut Config,
    (data, with_demo): (&Path, bool),
    postgres: &EmbeddedPostgres,
    ending: &mut Ending,
) -> Result<()> {
    prepare(config, data)?;
    let url = postgres.url(embedded_postgres::OWNER_ROLE, embedded_postgres::DATABASE);
    config.database.migration_url = Some(SecretString::from(url.clone()));
    config.database.url = Some(SecretString::from(url));
    migrate::bring_up_to_date(&config.database).await?;
    let seed = demo_accounts::seed(config, data)?;
    println!("certificate authority {}", data.join("ca.pem").display());
    println!("clients demo-backend, demo-app, demo-clinician, demo-patient: vesta token --client NAME");
    let loading = with_demo.then(|| tokio::spawn(patients::load(config.clone())));
    let result = super::serve::serve(config.clone(), Some(seed), ending).await;
    if let Some(loading) = loading {
        loading.abort();
    }
    result
}

/// Makes what is missing under the data folder, and points the settings at it.
fn prepare(config: &mut Config, data: &Path) -> Result<()> {
    let keys = keys_folder(data)?;
    if !config.listener.plain_http && config.listener.tls_certificate.is_none() {
        let names = host_names(config);
        let now = Clock::system().now();
        let certificate = certificate::prepare(data, &keys, &names, now)?;
        config.listener.tls_certificate = Some(certificate.chain);
        config.listener.tls_key = Some(certificate.key);
    }
    let root = data.join(ROOT_KEY);
    RootKeyProvider::File(root.clone()).root_keys().context("the root key cannot be used")?;
    config.keys.root_key_file = Some(root);
    let checkpoint = data.join(CHECKPOINT_KEY);
    CheckpointKey::read_or_create(&checkpoint).context("the checkpoint key cannot be used")?;
    config.keys.checkpoint_key_file = Some(checkpoint);
    let token = TokenKey::read_or_create(&data.join(TOKEN_KEY)).context("the token key cannot be used")?;
    let key_set = data.join(TOKEN_KEY_SET);
    fs::write(&key_set, token.key_set().to_json())
        .with_context(|| format!("cannot write {}", key_set.display()))?;
    config.tokens.key_set_file = Some(key_set);
    let url = data.join(PUBLIC_URL);
    fs::write(&url, config.public_url()).with_context(|| format!("cannot write {}", url.display()))?;
    Ok(())
}

/// Points the settings at the keys, and the address, of a dev mode that has run.
pub(super) fn use_keys(config: &mut Config, data: &Path) {
    config.keys.root_key_file = Some(data.join(ROOT_KEY));
    config.keys.checkpoint_key_file = Some(data.join(CHECKPOINT_KEY));
    config.tokens.key_set_file = Some(data.join(TOKEN_KEY_SET));
    let certificate = data.join(CERTIFICATE);
    if config.listener.tls_certificate.is_none() && certificate.exists() {
        config.listener.tls_certificate = Some(certificate);
    }
    if config.listener.public_url.is_none() {
        config.listener.public_url = fs::read_to_string(data.join(PUBLIC_URL)).ok();
    }
}

/// The folder of the keys: nobody else may enter it.
fn keys_folder(data: &Path) -> Result<PathBuf> {
    let keys = data.join("keys");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&keys)
        .with_context(|| format!("cannot create {}", keys.display()))?;
    Ok(keys)
}

/// The names by which clients may reach this machine.
fn host_names(config: &Config) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(config.listener.listen.ip().to_string());
    let url = config.public_url();
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    names.push(host.trim_matches(['[', ']']).to_owned());
    names.retain(|name| !name.is_empty() && name != "0.0.0.0" && name != "::");
    names.sort();
    names.dedup();
    names
}
