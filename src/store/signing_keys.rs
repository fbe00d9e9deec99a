//! The keys that sign tokens: made when first needed, sealed in the database, shared by all servers.
//!
//! One key of each algorithm signs. A new one takes its place by rotation; the one before checks for as long
//! as tokens may live that it signed, and is published until then. Keys are read again every half minute,
//! so a server may sign with the one before for that long.
//!
//! # Decision 2026-11-24
//! In the database, not in files: several servers, and several tenants, need the same ones, and a backup holds
//! them sealed. The road not taken, a file for each, would make rotation a matter of copying files about.

use crate::crypto::jwks::KeySet;
use crate::crypto::jws::TokenKey;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// ECDSA with P-256: access tokens.
    Es256,
    /// ECDSA with P-384: id_tokens for clients that ask for it.
    Es384,
    /// RSA with 2048 bits: id_tokens for everybody else.
    Rs256,
}

/// The keys of a tenant.
pub struct SigningKeys {
    active: HashMap<SigningAlgorithm, Arc<TokenKey>>,
    public: KeySet,
}

/// The keys of each tenant, while they are fresh.
#[derive(Default)]
pub(super) struct SigningKeyCache {
    tenants: Mutex<HashMap<TenantId, (Instant, Arc<SigningKeys>)>>,
    making: tokio::sync::Mutex<()>,
}

const FRESH: Duration = Duration::from_secs(30);
const LABEL: &str = "signing key";

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [SigningAlgorithm; 3] =
        [SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::Rs256];

    /// Its name in JOSE.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SigningAlgorithm::Es256 => "ES256",
            SigningAlgorithm::Es384 => "ES384",
            SigningAlgorithm::Rs256 => "RS256",
        }
    }

    /// The algorithm with that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<SigningAlgorithm> {
        SigningAlgorithm::ALL.into_iter().find(|it| it.name() == name)
    }

    fn new_pem(self) -> Result<SecretString, StoreError> {
        let pem = match self {
            SigningAlgorithm::Es256 => TokenKey::new_pem(),
            SigningAlgorithm::Es384 => TokenKey::new_p384_pem(),
            SigningAlgorithm::Rs256 => TokenKey::new_rsa_pem(),
        };
        pem.map_err(|error| StoreError::Broken(Box::new(error)))
    }
}

impl SigningKeys {
    /// The key that signs with that algorithm.
    #[must_use]
    pub fn active(&self, algorithm: SigningAlgorithm) -> Option<&TokenKey> {
        self.active.get(&algorithm).map(Arc::as_ref)
    }

    /// The keys to check with, those too that sign no more.
    #[must_use]
    pub fn public(&self) -> &KeySet {
        &self.public
    }
}

impl Store {
    /// The keys of the tenant, made where there are none.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be opened.
    pub async fn signing_keys(&self, tenant: TenantId) -> Result<Arc<SigningKeys>, StoreError> {
        if let Some(keys) = self.fresh_signing_keys(tenant) {
            return Ok(keys);
        }
        // Making an RSA key takes a while: one does it, the others wait.
        let _turn = self.shared.signing_keys.making.lock().await;
        if let Some(keys) = self.fresh_signing_keys(tenant) {
            return Ok(keys);
        }
        let mut keys = self.read_signing_keys(tenant).await?;
        let missing: Vec<_> =
            SigningAlgorithm::ALL.into_iter().filter(|it| keys.active(*it).is_none()).collect();
        if !missing.is_empty() {
            for algorithm in missing {
                self.make_signing_key(tenant, algorithm).await?;
            }
            keys = self.read_signing_keys(tenant).await?;
        }
        let keys = Arc::new(keys);
        let mut tenants = self.shared.signing_keys.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.insert(tenant, (Instant::now(), keys.clone()));
        Ok(keys)
    }

    /// Makes new keys that sign from now on; those before check until then, in microseconds since 1970.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rotate_signing_keys(&self, tenant: TenantId, until: i64) -> Result<(), StoreError> {
        let sql = Sql::new(
            "update signing_keys set retired = $2, expires = $3 where tenant = $1 and retired is null",
        );
        let sql = sql.with(tenant.0).with(self.now()).with(until);
        self.act(tenant, &sql).await?;
        self.shared.signing_keys.tenants.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        self.signing_keys(tenant).await?;
        Ok(())
    }

    fn fresh_signing_keys(&self, tenant: TenantId) -> Option<Arc<SigningKeys>> {
        let tenants = self.shared.signing_keys.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).filter(|(read, _)| read.elapsed() < FRESH).map(|(_, keys)| keys.clone())
    }

    async fn read_signing_keys(&self, tenant: TenantId) -> Result<SigningKeys, StoreError> {
        type Row = (String, String, Option<i64>, Vec<u8>);
        type RowTypes = (Text, Text, Nullable<BigInt>, Binary);
        let sql = Sql::new(
            "select algorithm, kid, retired, sealed from signing_keys \
             where tenant = $1 and (expires is null or expires > $2) order by created desc",
        );
        let sql = sql.with(tenant.0).with(self.now());
        let mut keys = SigningKeys { active: HashMap::new(), public: KeySet::default() };
        for (algorithm, kid, retired, sealed) in self.ask::<RowTypes, Row>(tenant, &[], &sql).await? {
            let pem = self.open_private(tenant, (LABEL, kid.as_bytes()), &sealed).await?;
            let pem = SecretString::from(String::from_utf8_lossy(&pem).into_owned());
            let key = TokenKey::from_pem(&pem).map_err(|error| StoreError::Broken(Box::new(error)))?;
            keys.public = keys.public.and(key.key_set().clone());
            if let Some(algorithm) = SigningAlgorithm::parse(&algorithm)
                && retired.is_none()
            {
                keys.active.insert(algorithm, Arc::new(key));
            }
        }
        Ok(keys)
    }

    async fn make_signing_key(
        &self,
        tenant: TenantId,
        algorithm: SigningAlgorithm,
    ) -> Result<(), StoreError> {
        let made = tokio::task::spawn_blocking(move || {
            let pem = algorithm.new_pem()?;
            let key = TokenKey::from_pem(&pem).map_err(|error| StoreError::Broken(Box::new(error)))?;
            Ok::<_, StoreError>((pem, key.kid().to_owned()))
        });
        let (pem, kid) = made.await.map_err(|error| StoreError::Broken(Box::new(error)))??;
        let sealed =
            self.seal_private(tenant, (LABEL, kid.as_bytes()), pem.expose_secret().as_bytes()).await?;
        let sql = Sql::new(
            "insert into signing_keys (tenant, kid, created, algorithm, sealed) \
             values ($1, $2, $3, $4, $5) on conflict do nothing",
        );
        let sql = sql.with(tenant.0).with(kid).with(self.now()).with(algorithm.name()).with(sealed);
        self.act(tenant, &sql).await?;
        Ok(())
    }
}
