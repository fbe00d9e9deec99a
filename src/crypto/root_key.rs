//! The root key in use, wherever it is kept: what wraps the tenants' own keys.
//!
//! A key that is *kept* here was read from a file or a setting, and wraps in memory. A root key in a security
//! module (`hardware.rs`) or a key service (`transit.rs`) stays there, and is asked to wrap and unwrap; it is
//! asked only for the keys of a tenant that the ring does not hold. So when it goes away, requests are answered
//! until the lease of those ends, and then refused; nothing is ever stored without a seal.
//!
//! Whatever the provider, a wrapped key is bound to its place: tenant, purpose and epoch.

use super::hardware::Hardware;
use super::key_file;
use super::key_ring::{
    KeyRing, Purpose, RootKeyError, RootKeyProvider, RootKeys, TenantKeys, UnwrapError, WrappedKey,
    new_root_key, place,
};
use super::secret_key::SecretKey;
use super::transit::Transit;
use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// What wraps the tenants' own keys.
#[derive(Debug)]
pub enum RootKey {
    /// Keys in memory, and where they were read.
    Kept {
        /// Where to look for newer ones; none for keys that were given.
        provider: Option<RootKeyProvider>,
        /// The keys.
        keys: ArcSwap<RootKeys>,
    },
    /// A key in a security module.
    Hardware(Arc<Hardware>),
    /// A key in a key service.
    Transit(Transit),
}

impl RootKey {
    /// The root key that the provider has. A key service is not asked yet.
    ///
    /// # Errors
    /// The provider cannot be reached, or has none that can be used.
    pub fn open(provider: RootKeyProvider) -> Result<RootKey, RootKeyError> {
        match provider {
            RootKeyProvider::Hardware(settings) => Ok(RootKey::Hardware(Arc::new(Hardware::new(settings)?))),
            RootKeyProvider::Transit(settings) => Ok(RootKey::Transit(Transit::new(settings)?)),
            provider => {
                let keys = provider.root_keys()?;
                Ok(RootKey::Kept { provider: Some(provider), keys: ArcSwap::from_pointee(keys) })
            }
        }
    }

    /// A root key that was given.
    #[must_use]
    pub fn given(keys: RootKeys) -> RootKey {
        RootKey::Kept { provider: None, keys: ArcSwap::from_pointee(keys) }
    }

    /// Its name, and where it is kept.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            RootKey::Kept { provider, keys } => {
                let place = match provider {
                    Some(RootKeyProvider::File(path)) => format!(" in {}", path.display()),
                    Some(_) => " in VESTA_ROOT_KEY".to_owned(),
                    None => String::new(),
                };
                format!("{}{place}", keys.load().current_id())
            }
            RootKey::Hardware(hardware) => hardware.describe(),
            RootKey::Transit(transit) => transit.describe(),
        }
    }

    /// Finds out what is the newest root key.
    ///
    /// # Errors
    /// The provider cannot be reached.
    pub async fn refresh(&self) -> Result<(), UnwrapError> {
        match self {
            RootKey::Kept { .. } | RootKey::Hardware(_) => Ok(()),
            RootKey::Transit(transit) => transit.refresh().await,
        }
    }

    /// Puts a new root key beside the one in use, which from now on only unwraps. False where that is done
    /// elsewhere, and has been: then what is left is to wrap anew.
    ///
    /// # Errors
    /// The provider cannot be reached, or the file cannot be written.
    pub async fn rotate(&self) -> Result<bool, RootKeyError> {
        match self {
            RootKey::Kept { provider: Some(RootKeyProvider::File(path)), keys } => {
                let older = key_file::read(path)?;
                let both = format!("{}\n{}\n", new_root_key().expose_secret(), older.expose_secret().trim());
                key_file::replace(path, &SecretString::from(both))?;
                keys.store(Arc::new(RootKeys::parse(&key_file::read(path)?)?));
                Ok(true)
            }
            RootKey::Kept { .. } => Ok(false),
            RootKey::Hardware(hardware) => {
                let made = hardware.rotate().await;
                made.map_err(|_| RootKeyError::Provider("the security module makes no key"))?;
                Ok(true)
            }
            RootKey::Transit(transit) => {
                let made = transit.rotate().await;
                made.map_err(|_| RootKeyError::Provider("the key service makes no key"))?;
                Ok(true)
            }
        }
    }

    /// Forgets the older root keys, which nothing may need any more: how many there were. Those in a module
    /// or a service are left to whoever runs it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn drop_older(&self) -> Result<usize, RootKeyError> {
        match self {
            RootKey::Kept { provider: Some(RootKeyProvider::File(path)), keys } => {
                let text = key_file::read(path)?;
                let mut words = text.expose_secret().split(|c: char| c == ',' || c.is_whitespace());
                let newest = words.find(|word| !word.is_empty()).ok_or(RootKeyError::Malformed)?;
                key_file::replace(path, &SecretString::from(newest.to_owned()))?;
                let older = keys.load().older();
                keys.store(Arc::new(RootKeys::parse(&key_file::read(path)?)?));
                Ok(older)
            }
            RootKey::Kept { .. } | RootKey::Hardware(_) | RootKey::Transit(_) => Ok(0),
        }
    }

    /// How many older root keys are kept to unwrap what the newest did not wrap.
    #[must_use]
    pub fn older(&self) -> usize {
        match self {
            RootKey::Kept { keys, .. } => keys.load().older(),
            RootKey::Hardware(hardware) => hardware.older(),
            RootKey::Transit(_) => 0,
        }
    }

    /// Whether that wrapped key is wrapped under the newest root key that we know of.
    #[must_use]
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        match self {
            RootKey::Kept { keys, .. } => keys.load().is_current(wrapped),
            RootKey::Hardware(hardware) => hardware.is_current(wrapped),
            RootKey::Transit(transit) => transit.is_current(wrapped),
        }
    }

    async fn wrap(&self, place: &[u8], key: &SecretKey) -> Result<Vec<u8>, UnwrapError> {
        match self {
            RootKey::Kept { keys, .. } => Ok(keys.load().wrap(place, key)),
            RootKey::Hardware(hardware) => hardware.wrap(place, key).await,
            RootKey::Transit(transit) => transit.wrap(place, key).await,
        }
    }

    async fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretKey, UnwrapError> {
        match self {
            RootKey::Kept { provider, keys } => match keys.load().unwrap(place, wrapped) {
                // Wrapped under a root key that came after this server started.
                Err(UnwrapError::OtherKey) => {
                    let newer = provider.as_ref().and_then(|it| it.root_keys().ok());
                    let newer = Arc::new(newer.ok_or(UnwrapError::OtherKey)?);
                    keys.store(Arc::clone(&newer));
                    newer.unwrap(place, wrapped)
                }
                unwrapped => unwrapped,
            },
            RootKey::Hardware(hardware) => hardware.unwrap(place, wrapped).await,
            RootKey::Transit(transit) => transit.unwrap(place, wrapped).await,
        }
    }
}

impl KeyRing {
    /// A new key of a tenant: wrapped, to be stored.
    ///
    /// # Errors
    /// The provider of the root key cannot be reached.
    pub async fn new_key(
        &self,
        tenant: i32,
        purpose: Purpose,
        epoch: u16,
    ) -> Result<WrappedKey, UnwrapError> {
        let wrapped = self.root().wrap(&place(tenant, purpose, 0, epoch), &SecretKey::random()).await?;
        Ok(WrappedKey { purpose, subject: 0, epoch, is_active: true, wrapped: Some(wrapped) })
    }

    /// Unwraps the keys of a tenant.
    ///
    /// # Errors
    /// The provider cannot be reached, one does not unwrap, or one of [`TenantKeys::PURPOSES`] has no
    /// active key.
    pub async fn unwrap_tenant(&self, tenant: i32, keys: &[WrappedKey]) -> Result<TenantKeys, UnwrapError> {
        let mut unwrapped = Vec::with_capacity(keys.len());
        for key in keys.iter().filter(|key| key.subject == 0 && key.purpose != Purpose::Subject) {
            if let Some(wrapped) = key.wrapped.as_deref() {
                let place = place(tenant, key.purpose, 0, key.epoch);
                unwrapped.push((key, self.root().unwrap(&place, wrapped).await?));
            }
        }
        TenantKeys::assemble(tenant, unwrapped)
    }

    /// Wraps a key of a tenant again, under the newest root key.
    ///
    /// # Errors
    /// The provider cannot be reached, or it does not unwrap.
    pub async fn rewrap_tenant_key(&self, tenant: i32, key: &WrappedKey) -> Result<Vec<u8>, UnwrapError> {
        let wrapped = key.wrapped.as_deref().ok_or(UnwrapError::Malformed)?;
        let place = place(tenant, key.purpose, key.subject, key.epoch);
        let secret = self.root().unwrap(&place, wrapped).await?;
        self.root().wrap(&place, &secret).await
    }

    /// Wraps a key that belongs to no tenant, and is kept elsewhere, under the newest root key.
    ///
    /// # Errors
    /// The provider cannot be reached.
    pub async fn wrap_apart(&self, name: &[u8], key: &SecretKey) -> Result<Vec<u8>, UnwrapError> {
        self.root().refresh().await?;
        self.root().wrap(&apart(name), key).await
    }

    /// Unwraps such a key: under the name with which it was wrapped, and no other.
    ///
    /// # Errors
    /// The provider cannot be reached, or it does not unwrap.
    pub async fn unwrap_apart(&self, name: &[u8], wrapped: &[u8]) -> Result<SecretKey, UnwrapError> {
        self.root().unwrap(&apart(name), wrapped).await
    }
}

/// Where a key that belongs to no tenant belongs.
fn apart(name: &[u8]) -> Vec<u8> {
    let mut place = b"vesta key apart".to_vec();
    place.extend_from_slice(name);
    place
}
