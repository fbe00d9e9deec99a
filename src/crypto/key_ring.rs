//! Keys that wrap keys, and the unwrapped ones kept for a while.
//!
//! A *root key* comes from its provider and never leaves this room. It wraps the *tenant's keys*: one
//! that wraps subject keys, one for blind indexes, one that names things. The tenant's wrapping key
//! wraps the *subject keys*: one per patient, and one (subject 0) for what belongs to no single
//! patient. Elements are sealed under section keys derived from a subject key, so destroying the one
//! wrapped subject key makes everything of that patient unreadable, wherever a copy of it lies.
//!
//! Each kind of key has epochs: an older one still opens what was sealed under it. Changing the root
//! or the tenant's wrapping key only wraps the keys below anew.
//!
//! Where the root key is kept, and how it wraps, is `root_key.rs`.

use super::blind::BlindKeys;
use super::hardware::HardwareSettings;
use super::pseudonym::Pseudonyms;
use super::root_key::RootKey;
use super::seal::{BrokenSeal, SectionKey, open, seal};
use super::secret_key::SecretKey;
use super::transit::TransitSettings;
use super::{key_file, random};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Where the root key comes from.
#[derive(Clone, Debug)]
pub enum RootKeyProvider {
    /// A file that its owner alone may read; made with a new key when there is none.
    File(PathBuf),
    /// A setting: 32 bytes in base64, and after a comma the keys before it, newest first.
    Setting(SecretString),
    /// A hardware security module, through PKCS#11.
    Hardware(HardwareSettings),
    /// A key service that speaks Vault's transit API.
    Transit(TransitSettings),
}

/// The root key, and those before it: they still unwrap, until every row is wrapped anew.
#[derive(Debug)]
pub struct RootKeys {
    current: WrappingKey,
    previous: Vec<WrappingKey>,
}

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file cannot be used.
    #[error("the root key file cannot be used")]
    File(#[from] std::io::Error),
    /// The text is not a root key.
    #[error("a root key is 32 bytes in base64")]
    Malformed,
    /// The provider cannot be used: why, in one clause.
    #[error("{0}")]
    Provider(&'static str),
}

/// A key that wraps other keys, and its name.
#[derive(Debug)]
pub struct WrappingKey {
    id: [u8; 8],
    key: SectionKey,
}

/// Why a wrapped key does not unwrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// It was wrapped under a key that we do not have.
    #[error("the key that wraps this one is not here")]
    OtherKey,
    /// What keeps the root key does not answer, or refuses.
    #[error("the provider of the root key does not answer")]
    Unavailable,
    /// It was changed, or belongs to another tenant, purpose, subject or epoch.
    #[error(transparent)]
    Broken(#[from] BrokenSeal),
    /// It is not a wrapped key.
    #[error("this is not a wrapped key")]
    Malformed,
}

/// What a key in the store is for. Its number is stored and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The tenant's key that wraps the subject keys; wrapped by the root key.
    Wrapping,
    /// The tenant's key for blind indexes; wrapped by the root key.
    Blind,
    /// The tenant's key that names things for ever; wrapped by the root key. It has one epoch.
    Names,
    /// A subject's key; wrapped by the tenant's wrapping key.
    Subject,
}

/// A key as it lies in the store: which one it is, and its wrapped bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is; 0 is the tenant's own.
    pub subject: i64,
    /// Its number among the keys of this purpose and subject, from 1.
    pub epoch: u16,
    /// Whether new things are sealed with it.
    pub is_active: bool,
    /// The wrapped bytes; none once it was destroyed.
    pub wrapped: Option<Vec<u8>>,
}

/// The keys of one tenant.
#[derive(Debug)]
pub struct TenantKeys {
    tenant: i32,
    wrapping: Vec<WrappingKey>,
    blind: Vec<Arc<BlindKeys>>,
    names: SecretKey,
}

/// A key of one subject: the elements of one patient are sealed under it.
#[derive(Clone)]
pub struct SubjectKey {
    subject: i64,
    epoch: u16,
    key: SecretKey,
}

/// The keys of one subject: the active one, and older ones that still open.
#[derive(Clone, Debug, Default)]
pub struct SubjectKeys {
    active: Option<SubjectKey>,
    older: Vec<SubjectKey>,
    last_epoch: u16,
}

/// The unwrapped keys, bounded in number and in time.
#[derive(Debug)]
pub struct KeyRing {
    root: RootKey,
    tenants: Cache<i32, Arc<TenantKeys>>,
    subjects: Cache<(i32, i64), Arc<SubjectKeys>>,
}

impl RootKeyProvider {
    /// The root key, and those before it.
    ///
    /// # Errors
    /// The provider has none that can be used.
    pub fn root_keys(&self) -> Result<RootKeys, RootKeyError> {
        match self {
            RootKeyProvider::File(path) => {
                let text = key_file::read_or_create(path, || Ok(new_root_key()))?;
                RootKeys::parse(&text)
            }
            RootKeyProvider::Setting(text) => RootKeys::parse(text),
            RootKeyProvider::Hardware(_) | RootKeyProvider::Transit(_) => {
                Err(RootKeyError::Provider("this root key does not leave its provider"))
            }
        }
    }
}

/// A new root key, as a provider keeps it.
#[must_use]
pub fn new_root_key() -> SecretString {
    SecretString::from(STANDARD.encode(SecretKey::random().expose()))
}

impl RootKeys {
    /// Reads keys in base64, the current one first, with commas or white space between them.
    ///
    /// # Errors
    /// There is none, or one is not 32 bytes in base64.
    pub fn parse(text: &SecretString) -> Result<RootKeys, RootKeyError> {
        let words = text.expose_secret().split(|c: char| c == ',' || c.is_whitespace());
        let mut keys = words.filter(|word| !word.is_empty()).map(|word| {
            let bytes = Zeroizing::new(STANDARD.decode(word).map_err(|_| RootKeyError::Malformed)?);
            SecretKey::from_slice(&bytes).map(|key| WrappingKey::new(&key)).ok_or(RootKeyError::Malformed)
        });
        let current = keys.next().ok_or(RootKeyError::Malformed)??;
        Ok(RootKeys { current, previous: keys.collect::<Result<_, _>>()? })
    }

    /// The name of the current root key, for `vesta keys status`.
    #[must_use]
    pub fn current_id(&self) -> String {
        self.current.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether that wrapped key is wrapped under the current root key.
    #[must_use]
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        wrapped_under(wrapped) == Ok(self.current.id)
    }

    /// How many stand beside the current one, to unwrap what it did not wrap.
    #[must_use]
    pub fn older(&self) -> usize {
        self.previous.len()
    }

    pub(super) fn wrap(&self, place: &[u8], key: &SecretKey) -> Vec<u8> {
        self.current.wrap(place, key)
    }

    pub(super) fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretKey, UnwrapError> {
        unwrap_with(std::iter::once(&self.current).chain(&self.previous), place, wrapped)
    }
}

impl WrappingKey {
    fn new(key: &SecretKey) -> WrappingKey {
        WrappingKey { id: key.fingerprint(), key: SectionKey::new(&key.derive(&[b"vesta wrap"])) }
    }

    /// `version ‖ id of this key ‖ sealed key`
    fn wrap(&self, place: &[u8], key: &SecretKey) -> Vec<u8> {
        let mut wrapped = vec![WRAPPED];
        wrapped.extend_from_slice(&self.id);
        wrapped.extend(seal(&self.key, place, key.expose()));
        wrapped
    }
}

const WRAPPED: u8 = 1;

fn wrapped_under(wrapped: &[u8]) -> Result<[u8; 8], UnwrapError> {
    let (&version, rest) = wrapped.split_first().ok_or(UnwrapError::Malformed)?;
    if version != WRAPPED {
        return Err(UnwrapError::Malformed);
    }
    rest.first_chunk::<8>().copied().ok_or(UnwrapError::Malformed)
}

fn unwrap_with<'k>(
    mut keys: impl Iterator<Item = &'k WrappingKey>,
    place: &[u8],
    wrapped: &[u8],
) -> Result<SecretKey, UnwrapError> {
    let id = wrapped_under(wrapped)?;
    let wrapping = keys.find(|key| key.id == id).ok_or(UnwrapError::OtherKey)?;
    let sealed = wrapped.get(1 + id.len()..).ok_or(UnwrapError::Malformed)?;
    SecretKey::from_slice(&open(&wrapping.key, place, sealed)?).ok_or(UnwrapError::Malformed)
}

/// Where a wrapped key belongs: it unwraps nowhere else.
pub(super) fn place(tenant: i32, purpose: Purpose, subject: i64, epoch: u16) -> Vec<u8> {
    let mut place = b"vesta key".to_vec();
    place.extend_from_slice(&tenant.to_be_bytes());
    place.push(purpose.code());
    place.extend_from_slice(&subject.to_be_bytes());
    place.extend_from_slice(&epoch.to_be_bytes());
    place
}

impl Purpose {
    /// The number to store.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Purpose::Wrapping => 1,
            Purpose::Blind => 2,
            Purpose::Names => 3,
            Purpose::Subject => 4,
        }
    }

    /// The purpose with that stored number.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Purpose> {
        match code {
            1 => Some(Purpose::Wrapping),
            2 => Some(Purpose::Blind),
            3 => Some(Purpose::Names),
            4 => Some(Purpose::Subject),
            _ => None,
        }
    }
}

impl TenantKeys {
    /// The purposes that a tenant needs a key for before anything can be sealed.
    pub const PURPOSES: [Purpose; 3] = [Purpose::Wrapping, Purpose::Blind, Purpose::Names];

    /// Puts the unwrapped keys of a tenant together.
    ///
    /// # Errors
    /// One of [`TenantKeys::PURPOSES`] has no key.
    pub(super) fn assemble(
        tenant: i32,
        mut keys: Vec<(&WrappedKey, SecretKey)>,
    ) -> Result<TenantKeys, UnwrapError> {
        let mut unwrapped =
            TenantKeys { tenant, wrapping: vec![], blind: vec![], names: SecretKey::random() };
        let mut has_names = false;
        keys.sort_by_key(|(key, _)| (!key.is_active, std::cmp::Reverse(key.epoch)));
        for (key, secret) in keys {
            match key.purpose {
                Purpose::Wrapping => unwrapped.wrapping.push(WrappingKey::new(&secret)),
                Purpose::Blind => unwrapped.blind.push(Arc::new(BlindKeys::new(key.epoch, secret))),
                Purpose::Names if !has_names => (unwrapped.names, has_names) = (secret, true),
                Purpose::Names | Purpose::Subject => {}
            }
        }
        let is_whole = has_names && !unwrapped.wrapping.is_empty() && !unwrapped.blind.is_empty();
        if is_whole { Ok(unwrapped) } else { Err(UnwrapError::Malformed) }
    }

    /// The tenant whose keys these are.
    #[must_use]
    pub fn tenant(&self) -> i32 {
        self.tenant
    }

    /// The index keys in use: the active ones first, then those that rows may still be keyed with.
    #[must_use]
    pub fn blind(&self) -> &[Arc<BlindKeys>] {
        &self.blind
    }

    /// The number under which a patient's keys are stored; never 0.
    #[must_use]
    pub fn subject_of_patient(&self, patient_id: &str) -> i64 {
        let name = self.name("patient", patient_id.as_bytes());
        let subject = name.first_chunk().map_or(1, |first| i64::from_be_bytes(*first));
        if subject == 0 { 1 } else { subject }
    }

    /// A keyed hash that stays the same for ever, whatever key is changed: to name things by.
    #[must_use]
    pub fn name(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        let mut hash = self.names.hmac();
        hash.update(kind.as_bytes());
        hash.update(&[0]);
        hash.update(value);
        hash.finalize().into_bytes().into()
    }

    /// What stands for the ids of this tenant in data for that recipient.
    #[must_use]
    pub fn pseudonyms(&self, recipient: &str) -> Pseudonyms {
        Pseudonyms::new(&self.names.derive(&[b"vesta pseudonyms", recipient.as_bytes()]))
    }

    /// A new key of a subject: wrapped, to be stored.
    #[must_use]
    pub fn new_subject_key(&self, subject: i64, epoch: u16) -> WrappedKey {
        let place = place(self.tenant, Purpose::Subject, subject, epoch);
        let wrapped = self.wrapping.first().map(|key| key.wrap(&place, &SecretKey::random()));
        WrappedKey { purpose: Purpose::Subject, subject, epoch, is_active: true, wrapped }
    }

    /// Wraps a subject's key again, under the active wrapping key.
    ///
    /// # Errors
    /// It does not unwrap.
    pub fn rewrap(&self, key: &WrappedKey) -> Result<Vec<u8>, UnwrapError> {
        let secret = self.unwrap_subject_key(key)?.ok_or(UnwrapError::Malformed)?;
        let place = place(self.tenant, Purpose::Subject, key.subject, key.epoch);
        Ok(self.wrapping.first().ok_or(UnwrapError::OtherKey)?.wrap(&place, &secret.key))
    }

    /// Whether that subject key is wrapped under the active wrapping key.
    #[must_use]
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        self.wrapping.first().is_some_and(|key| wrapped_under(wrapped) == Ok(key.id))
    }

    /// Unwraps the keys of one subject. Destroyed ones are left out.
    ///
    /// # Errors
    /// One does not unwrap.
    pub fn unwrap_subject(&self, keys: &[WrappedKey]) -> Result<SubjectKeys, UnwrapError> {
        let mut unwrapped = SubjectKeys::default();
        for key in keys {
            unwrapped.last_epoch = unwrapped.last_epoch.max(key.epoch);
            let Some(secret) = self.unwrap_subject_key(key)? else { continue };
            if key.is_active {
                unwrapped.active = Some(secret);
            } else {
                unwrapped.older.push(secret);
            }
        }
        Ok(unwrapped)
    }

    fn unwrap_subject_key(&self, key: &WrappedKey) -> Result<Option<SubjectKey>, UnwrapError> {
        let Some(wrapped) = key.wrapped.as_deref() else { return Ok(None) };
        let place = place(self.tenant, Purpose::Subject, key.subject, key.epoch);
        let secret = unwrap_with(self.wrapping.iter(), &place, wrapped)?;
        Ok(Some(SubjectKey { subject: key.subject, epoch: key.epoch, key: secret }))
    }
}

impl SubjectKeys {
    /// The key to seal with; none once all were destroyed.
    #[must_use]
    pub fn active(&self) -> Option<&SubjectKey> {
        self.active.as_ref()
    }

    /// The key of that epoch; none once it was destroyed.
    #[must_use]
    pub fn of_epoch(&self, epoch: u16) -> Option<&SubjectKey> {
        self.active.iter().chain(&self.older).find(|key| key.epoch == epoch)
    }

    /// The highest epoch there ever was; 0 when the subject never had a key.
    #[must_use]
    pub fn last_epoch(&self) -> u16 {
        self.last_epoch
    }
}

impl SubjectKey {
    /// A key that no store knows: for tests and for sealing what does not outlive the process.
    #[must_use]
    pub fn ephemeral(subject: i64, epoch: u16) -> SubjectKey {
        SubjectKey { subject, epoch, key: SecretKey::random() }
    }

    /// Whose it is.
    #[must_use]
    pub fn subject(&self) -> i64 {
        self.subject
    }

    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> u16 {
        self.epoch
    }

    /// The key that seals what bears this label, such as the elements of one class.
    #[must_use]
    pub fn section_key(&self, label: &str) -> SectionKey {
        SectionKey::new(&self.key.derive(&[b"vesta section", label.as_bytes()]))
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubjectKey(epoch {})", self.epoch)
    }
}

impl KeyRing {
    /// A ring under root keys that were given, as [`KeyRing::with_root`].
    #[must_use]
    pub fn new(roots: RootKeys, subjects: u64, lease: Duration) -> KeyRing {
        KeyRing::with_root(RootKey::given(roots), subjects, lease)
    }

    /// A ring that keeps the keys of at most so many subjects, each for the length of the lease.
    #[must_use]
    pub fn with_root(root: RootKey, subjects: u64, lease: Duration) -> KeyRing {
        KeyRing {
            root,
            tenants: Cache::builder().max_capacity(10_000).time_to_live(lease).build(),
            subjects: Cache::builder().max_capacity(subjects).time_to_live(lease).build(),
        }
    }

    /// The root key.
    #[must_use]
    pub fn root(&self) -> &RootKey {
        &self.root
    }

    /// The keys of the tenant, while they are kept.
    #[must_use]
    pub fn tenant(&self, tenant: i32) -> Option<Arc<TenantKeys>> {
        self.tenants.get(&tenant)
    }

    /// Keeps the keys of a tenant.
    pub fn keep_tenant(&self, keys: Arc<TenantKeys>) {
        self.tenants.insert(keys.tenant, keys);
    }

    /// The keys of the subject, while they are kept.
    #[must_use]
    pub fn subject(&self, tenant: i32, subject: i64) -> Option<Arc<SubjectKeys>> {
        self.subjects.get(&(tenant, subject))
    }

    /// Keeps the keys of a subject.
    pub fn keep_subject(&self, tenant: i32, subject: i64, keys: Arc<SubjectKeys>) {
        self.subjects.insert((tenant, subject), keys);
    }

    /// Drops the keys of a subject: they were changed or destroyed.
    pub fn forget_subject(&self, tenant: i32, subject: i64) {
        self.subjects.invalidate(&(tenant, subject));
    }

    /// Drops the keys of a tenant, its subjects' too: they were changed.
    pub fn forget_tenant(&self, tenant: i32) {
        self.tenants.invalidate(&tenant);
        // Few hold more than one tenant's keys, and those fetch them again.
        self.subjects.invalidate_all();
    }

    /// Drops every key but the root keys.
    pub fn forget_all(&self) {
        self.tenants.invalidate_all();
        self.subjects.invalidate_all();
    }
}

/// A fresh tenant, for tests and for what does not outlive the process.
#[must_use]
pub fn ephemeral_tenant(tenant: i32) -> Option<TenantKeys> {
    let root = SecretKey::from_slice(&random::bytes::<32>())?;
    let roots = RootKeys { current: WrappingKey::new(&root), previous: vec![] };
    let keys = TenantKeys::PURPOSES.map(|purpose| {
        let wrapped = roots.wrap(&place(tenant, purpose, 0, 1), &SecretKey::random());
        WrappedKey { purpose, subject: 0, epoch: 1, is_active: true, wrapped: Some(wrapped) }
    });
    let opened = keys.iter().map(|key| {
        let wrapped = key.wrapped.as_deref()?;
        Some((key, roots.unwrap(&place(tenant, key.purpose, 0, 1), wrapped).ok()?))
    });
    TenantKeys::assemble(tenant, opened.collect::<Option<Vec<_>>>()?).ok()
}

#[cfg(test)]
mod tests;
