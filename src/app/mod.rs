//! What is built once and shared by every request.

pub mod facts;
pub mod rules;
pub mod untold;

use crate::access::principal::Principal;
use crate::clock::Clock;
use crate::config::{Config, Database, Keys, SealingLevel};
use crate::conformance::definitions::Definitions;
use crate::conformance::sealing::{Level, SealingPolicy};
use crate::crypto::hardware::HardwareSettings;
use crate::crypto::jwks::KeySet;
use crate::crypto::key_file;
use crate::crypto::key_ring::{KeyRing, RootKeyProvider};
use crate::crypto::random;
use crate::crypto::root_key::RootKey;
use crate::crypto::sign::{CheckpointKey, CheckpointPublicKey};
use crate::crypto::transit::TransitSettings;
use crate::fhir::id::TenantId;
use crate::fhir::outcome::Outcome;
use crate::store::Store;
use crate::store::connection::Settings;
use crate::store::files::{FilePlace, Files};
use anyhow::{Context as _, Result, bail};
use facts::FactsOfTenants;
use moka::sync::Cache;
use rules::RulesOfTenants;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use untold::UntoldSets;
use uuid::Uuid;

/// How many patients' keys are kept unwrapped at most.
const SUBJECTS: u64 = 100_000;
/// How long an unwrapped key is kept: after that the key provider is asked again.
pub const KEY_LEASE: Duration = Duration::from_secs(600);
/// How many tokens that were found good are remembered.
const TOKENS: u64 = 50_000;

/// The server without its edge.
pub struct App {
    /// Whose server this is.
    pub tenant: TenantId,
    /// Every setting, with the addresses of the tenant.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// What is sealed.
    pub sealing: Arc<SealingPolicy>,
    /// The database and the keys.
    pub store: Store,
    /// Exports and uploads, sealed.
    pub files: Files,
    /// The key that signs checkpoints of the trail.
    pub checkpoint_key: Arc<CheckpointKey>,
    /// The keys that access tokens are checked against.
    pub token_keys: KeySet,
    /// Access tokens whose signature was found good, by their SHA-256.
    pub good_tokens: Cache<[u8; 32], Arc<GoodToken>>,
    /// Value sets that nobody keeps.
    pub untold_sets: UntoldSets,
    rules: RulesOfTenants,
    /// The tenants whose trail is not what was signed.
    tampered: Arc<RwLock<HashSet<TenantId>>>,
    facts: FactsOfTenants,
}

/// An access token whose signature was found good.
#[derive(Clone, Debug)]
pub struct GoodToken {
    /// Who bears it.
    pub principal: Principal,
    /// When it was issued, in seconds since 1970.
    pub issued_seconds: i64,
    /// When it ends, in seconds since 1970.
    pub expires_seconds: i64,
    /// The grant that it came of.
    pub family: Option<String>,
    /// The thumbprint of the key that its bearer must prove to hold, where it is bound to one.
    pub key: Option<String>,
    /// The encounter that it ends with.
    pub visit: Option<String>,
    /// How often a minute its bearer may ask, where the client has a limit of its own; 0 for any number.
    pub requests_per_minute: Option<u32>,
}

impl App {
    /// Builds the server that the settings describe. To be called within tokio's multi-thread runtime.
    ///
    /// # Errors
    /// A key or key set is missing or cannot be used, or our own definitions are broken.
    pub fn start(config: Config, clock: Clock) -> Result<App> {
        let definitions = Definitions::embedded().context("the definitions are broken")?;
        App::with_definitions(config, clock, Arc::new(definitions))
    }

    /// The same, with definitions that were loaded before.
    ///
    /// # Errors
    /// As for [`App::start`].
    pub fn with_definitions(config: Config, clock: Clock, definitions: Arc<Definitions>) -> Result<App> {
        let root = RootKey::open(root_key_provider(&config.keys)?).context("the root key cannot be used")?;
        let checkpoint = required(&config.keys.checkpoint_key_file, "VESTA_CHECKPOINT_KEY_FILE")?;
        let checkpoint = key_file::read(&checkpoint).context("the checkpoint key cannot be read")?;
        let token_keys = required(&config.tokens.key_set_file, "VESTA_TOKEN_KEY_SET")?;
        let token_keys = key_file::read_public(&token_keys).context("the token key set cannot be read")?;
        let level = match config.keys.sealing_level {
            SealingLevel::Identity => Level::Identity,
            SealingLevel::Clinical => Level::Clinical,
            SealingLevel::Everything => Level::Everything,
        };
        let ring = Arc::new(KeyRing::with_root(root, SUBJECTS, KEY_LEASE));
        let rules = RulesOfTenants::new(Arc::clone(&definitions), config.fhir_base());
        let store = Store::new(database_settings(&config.database)?, ring, clock.clone());
        Ok(App {
            tenant: TenantId::FIRST,
            files: Files::new(store.clone(), file_place(&config)?),
            sealing: Arc::new(SealingPolicy::embedded(&definitions.types, level)?),
            store,
            checkpoint_key: Arc::new(CheckpointKey::from_pem(&checkpoint)?),
            token_keys: KeySet::parse(&token_keys).context("the token key set cannot be used")?,
            good_tokens: Cache::new(TOKENS),
            tampered: Arc::default(),
            config: Arc::new(config),
            clock,
            untold_sets: UntoldSets::default(),
            rules,
            facts: FactsOfTenants::default(),
        })
    }

    /// The same server for another tenant: at addresses of its own, as an issuer of its own. Tokens are checked
    /// against the tenant's own keys alone, for the key set of the settings belongs to the first tenant.
    #[must_use]
    pub fn for_tenant(&self, tenant: TenantId, slug: &str) -> App {
        let mut config = Config::clone(&self.config);
        config.listener.public_url = Some(format!("{}/t/{slug}", self.config.public_url()));
        config.tokens.issuer = None;
        config.tokens.audience = None;
        App {
            tenant,
            rules: self.rules.at(config.fhir_base()),
            config: Arc::new(config),
            clock: self.clock.clone(),
            sealing: Arc::clone(&self.sealing),
            store: self.store.clone(),
            files: self.files.clone(),
            checkpoint_key: Arc::clone(&self.checkpoint_key),
            token_keys: KeySet::default(),
            good_tokens: Cache::new(TOKENS),
            tampered: Arc::clone(&self.tampered),
            untold_sets: UntoldSets::default(),
            facts: FactsOfTenants::default(),
        }
    }

    /// The keys that check checkpoints: of the one that signs now, and of those before it.
    ///
    /// # Errors
    /// The file of those before cannot be read.
    pub fn checkpoint_keys(&self) -> Result<Vec<CheckpointPublicKey>> {
        let file = required(&self.config.keys.checkpoint_key_file, "VESTA_CHECKPOINT_KEY_FILE")?;
        let before = CheckpointPublicKey::before(&file).context("older checkpoint keys cannot be read")?;
        Ok([vec![self.checkpoint_key.public().clone()], before].concat())
    }

    /// The FHIR base, without a closing slash.
    #[must_use]
    pub fn fhir_base(&self) -> String {
        self.config.fhir_base()
    }

    /// A new id, ordered by time.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        random::id(self.clock.now_microseconds())
    }

    /// Whether the trail of that tenant was found to be other than what was signed.
    #[must_use]
    pub fn is_tampered(&self, tenant: TenantId) -> bool {
        self.tampered.read().unwrap_or_else(PoisonError::into_inner).contains(&tenant)
    }

    /// Remembers that the trail of that tenant is not what was signed.
    pub fn found_tampered(&self, tenant: TenantId) {
        self.tampered.write().unwrap_or_else(PoisonError::into_inner).insert(tenant);
    }

    /// Remembers that the trail of that tenant is again what was signed.
    pub fn found_whole(&self, tenant: TenantId) {
        self.tampered.write().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    /// Whether requests can be answered now: the database is there.
    ///
    /// # Errors
    /// They cannot.
    pub async fn ready(&self) -> Result<(), Outcome> {
        Ok(self.store.ping(self.tenant).await?)
    }
}

/// How the store connects to that database.
///
/// # Errors
/// No database is named, or the certificate authorities cannot be read.
pub fn database_settings(database: &Database) -> Result<Settings> {
    let Some(url) = database.url.as_ref().or(database.migration_url.as_ref()) else {
        bail!("VESTA_DATABASE_URL is missing: the PostgreSQL database to use");
    };
    let mut settings = Settings::new(url.clone());
    settings.max_connections = usize::try_from(database.connections)?;
    settings.wait = Duration::from_secs(database.timeout_seconds.into());
    if let Some(file) = &database.certificate_authorities {
        let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        settings.certificate_authorities = Some(pem);
    }
    Ok(settings)
}

/// Where the root key is.
fn root_key_provider(keys: &Keys) -> Result<RootKeyProvider> {
    let place = &keys.root;
    if let Some(module) = &place.pkcs11_module {
        let token = place.pkcs11_token.clone().context("VESTA_PKCS11_TOKEN is missing")?;
        let pin_file = required(&place.pkcs11_pin_file, "VESTA_PKCS11_PIN_FILE")?;
        let (module, key) = (module.clone(), place.root_key_name.clone());
        return Ok(RootKeyProvider::Hardware(HardwareSettings { module, token, pin_file, key }));
    }
    if let Some(url) = &place.transit_url {
        return Ok(RootKeyProvider::Transit(TransitSettings {
            url: url.clone(),
            key: place.root_key_name.clone(),
            mount: place.transit_mount.clone(),
            token_file: required(&place.transit_token_file, "VESTA_TRANSIT_TOKEN_FILE")?,
            authorities_file: place.transit_authorities.clone(),
        }));
    }
    if let Some(value) = &place.value {
        return Ok(RootKeyProvider::Setting(value.clone()));
    }
    Ok(RootKeyProvider::File(required(&keys.root_key_file, "VESTA_ROOT_KEY_FILE")?))
}

fn file_place(config: &Config) -> Result<FilePlace> {
    Ok(match &config.bulk.files {
        Some(url) if url.starts_with("s3://") => FilePlace::Bucket(url.clone()),
        Some(folder) => FilePlace::Folder(std::path::absolute(folder)?),
        None => FilePlace::Folder(config.data_folder().map_err(anyhow::Error::msg)?.join("files")),
    })
}

fn required(file: &Option<PathBuf>, variable: &str) -> Result<PathBuf> {
    file.clone().with_context(|| format!("{variable} is missing"))
}
