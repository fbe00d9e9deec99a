//! A root key in a hardware security module, through PKCS#11: the key never leaves it.
//!
//! <https://docs.oasis-open.org/pkcs11/pkcs11-base/v2.40/os/pkcs11-base-v2.40-os.html>
//!
//! The keys are AES-256 keys with one label, each with an id of eight bytes; the greatest id is the newest. The
//! module does AES-GCM with them, the place of a wrapped key as associated data. `vesta keys rotate root` makes a
//! new one in the module, not extractable, as it makes the first if there is none.
//!
//! A module that went away is looked for again with the next request: then there is a new session.

use super::key_file;
use super::key_ring::{RootKeyError, UnwrapError};
use super::random;
use super::seal::BrokenSeal;
use super::secret_key::SecretKey;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Where the module is.
#[derive(Clone, Debug)]
pub struct HardwareSettings {
    /// Its library, such as `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The file of the user's PIN.
    pub pin_file: PathBuf,
    /// The label of the keys.
    pub key: String,
}

/// A root key in a module.
pub struct Hardware {
    settings: HardwareSettings,
    module: Pkcs11,
    open: Mutex<Option<Open>>,
}

/// A session, and the keys that it found: the newest first.
struct Open {
    session: Session,
    keys: Vec<([u8; ID], ObjectHandle)>,
}

/// Begins a wrapped key; after it come the id of the key, the nonce, and what the module made.
const WRAPPED: u8 = 3;
const ID: usize = 8;
const NONCE: usize = 12;

impl Hardware {
    /// Opens the module, and a session in it.
    ///
    /// # Errors
    /// There is no such module or token, or the PIN is wrong.
    pub fn new(settings: HardwareSettings) -> Result<Hardware, RootKeyError> {
        let module = Pkcs11::new(&settings.module)
            .map_err(|_| RootKeyError::Provider("the PKCS#11 module cannot be loaded"))?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(_) => return Err(RootKeyError::Provider("the PKCS#11 module does not start")),
        }
        let hardware = Hardware { settings, module, open: Mutex::new(None) };
        let mut open = hardware.begin()?;
        if open.keys.is_empty() {
            hardware.generate(&open).map_err(|_| RootKeyError::Provider("the module makes no key"))?;
            open.keys = hardware
                .keys(&open.session)
                .map_err(|_| RootKeyError::Provider("the module finds no key"))?;
        }
        *hardware.lock() = Some(open);
        Ok(hardware)
    }

    /// What to call it.
    #[must_use]
    pub fn describe(&self) -> String {
        let newest = self.lock().as_ref().and_then(|it| Some(it.keys.first()?.0));
        let id: String = newest.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{id} ({}) in the token {}", self.settings.key, self.settings.token)
    }

    /// How many older keys there are.
    #[must_use]
    pub fn older(&self) -> usize {
        self.lock().as_ref().map_or(0, |it| it.keys.len().saturating_sub(1))
    }

    /// Whether it is wrapped under the newest key.
    #[must_use]
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        let open = self.lock();
        let newest = open.as_ref().and_then(|it| it.keys.first());
        parts(wrapped).zip(newest).is_some_and(|((id, ..), newest)| *id == newest.0)
    }

    /// Makes a new key in the module.
    ///
    /// # Errors
    /// The module is away, or refuses.
    pub async fn rotate(self: &Arc<Self>) -> Result<(), UnwrapError> {
        self.ask(|hardware, open| {
            hardware.generate(open)?;
            open.keys = hardware.keys(&open.session)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Wraps a key for that place.
    ///
    /// # Errors
    /// The module is away, or refuses.
    pub async fn wrap(self: &Arc<Self>, place: &[u8], key: &SecretKey) -> Result<Vec<u8>, UnwrapError> {
        let (place, key) = (place.to_vec(), key.clone());
        self.ask(move |_, open| {
            let Some((id, handle)) = open.keys.first() else { return Ok(Err(UnwrapError::OtherKey)) };
            let mut nonce: [u8; NONCE] = random::nonce();
            let parameters = GcmParams::new(&mut nonce, &place, 128.into())?;
            let sealed = open.session.encrypt(&Mechanism::AesGcm(parameters), *handle, key.expose())?;
            let mut wrapped = vec![WRAPPED];
            wrapped.extend_from_slice(id);
            wrapped.extend_from_slice(&nonce);
            wrapped.extend_from_slice(&sealed);
            Ok(Ok(wrapped))
        })
        .await
    }

    /// Unwraps a key of that place.
    ///
    /// # Errors
    /// The module is away, has no such key, or it was not wrapped for that place.
    pub async fn unwrap(self: &Arc<Self>, place: &[u8], wrapped: &[u8]) -> Result<SecretKey, UnwrapError> {
        let (place, wrapped) = (place.to_vec(), wrapped.to_vec());
        self.ask(move |hardware, open| {
            let Some((id, nonce, sealed)) = parts(&wrapped) else { return Ok(Err(UnwrapError::OtherKey)) };
            if !open.keys.iter().any(|it| it.0 == *id) {
                // Another server made it since we looked.
                open.keys = hardware.keys(&open.session)?;
            }
            let Some((_, handle)) = open.keys.iter().find(|it| it.0 == *id) else {
                return Ok(Err(UnwrapError::OtherKey));
            };
            let mut nonce = *nonce;
            let parameters = GcmParams::new(&mut nonce, &place, 128.into())?;
            let plain = match open.session.decrypt(&Mechanism::AesGcm(parameters), *handle, sealed) {
                Ok(plain) => Zeroizing::new(plain),
                Err(error) if is_refusal(&error) => return Ok(Err(UnwrapError::Broken(BrokenSeal))),
                Err(error) => return Err(error),
            };
            Ok(SecretKey::from_slice(&plain).ok_or(UnwrapError::Malformed))
        })
        .await
    }

    /// Does it in a session, on a thread that may wait; once more in a new session if this one is gone.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        mut deed: impl FnMut(&Hardware, &mut Open) -> Result<Result<T, UnwrapError>, Error> + Send + 'static,
    ) -> Result<T, UnwrapError> {
        let hardware = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            let mut place = hardware.lock();
            for _ in 0..2 {
                if place.is_none() {
                    *place = hardware.begin().ok();
                }
                let Some(open) = place.as_mut() else { break };
                match deed(&hardware, open) {
                    Ok(done) => return done,
                    Err(error) => {
                        tracing::warn!(%error, "the security module refuses");
                        *place = None;
                    }
                }
            }
            Err(UnwrapError::Unavailable)
        });
        asked.await.unwrap_or(Err(UnwrapError::Unavailable))
    }

    fn begin(&self) -> Result<Open, RootKeyError> {
        let none = RootKeyError::Provider("there is no token with this label");
        let slots = self.module.get_slots_with_token();
        let slots = slots.map_err(|_| RootKeyError::Provider("the module shows no tokens"))?;
        let is_ours = |info: cryptoki::slot::TokenInfo| info.label().trim_end() == self.settings.token;
        let slot =
            slots.into_iter().find(|it| self.module.get_token_info(*it).is_ok_and(is_ours)).ok_or(none)?;
        let session = self.module.open_rw_session(slot);
        let session = session.map_err(|_| RootKeyError::Provider("the token opens no session"))?;
        let pin = key_file::read(&self.settings.pin_file)?;
        let pin = SecretString::from(pin.expose_secret().trim().to_owned());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(_) => return Err(RootKeyError::Provider("the token refuses the PIN")),
        }
        let keys = self.keys(&session).map_err(|_| RootKeyError::Provider("the token shows no keys"))?;
        Ok(Open { session, keys })
    }

    fn keys(&self, session: &Session) -> Result<Vec<([u8; ID], ObjectHandle)>, Error> {
        let label = Attribute::Label(self.settings.key.as_bytes().to_vec());
        let mut keys = Vec::new();
        for handle in session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY), label])? {
            for attribute in session.get_attributes(handle, &[AttributeType::Id])? {
                if let Attribute::Id(id) = attribute
                    && let Ok(id) = <[u8; ID]>::try_from(id.as_slice())
                {
                    keys.push((id, handle));
                }
            }
        }
        keys.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        Ok(keys)
    }

    fn generate(&self, open: &Open) -> Result<(), Error> {
        let newest = open.keys.first().map_or(0, |(id, _)| u64::from_be_bytes(*id));
        let id = newest.saturating_add(1).to_be_bytes().to_vec();
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(32.into()),
            Attribute::Label(self.settings.key.as_bytes().to_vec()),
            Attribute::Id(id),
        ];
        open.session.generate_key(&Mechanism::AesKeyGen, &template)?;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The module says that the text is not what it made: SoftHSM with a general error, others by name.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError,
            _
        )
    )
}

type Parts<'a> = (&'a [u8; ID], &'a [u8; NONCE], &'a [u8]);

fn parts(wrapped: &[u8]) -> Option<Parts<'_>> {
    let (&WRAPPED, rest) = wrapped.split_first()? else { return None };
    let (id, rest) = rest.split_first_chunk::<ID>()?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
    Some((id, nonce, sealed))
}

impl fmt::Debug for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hardware({})", self.settings.token)
    }
}
