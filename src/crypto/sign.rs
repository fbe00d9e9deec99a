//! Signatures that outlive the server: Ed25519, <https://www.rfc-editor.org/rfc/rfc8032>.
//!
//! They stand under the checkpoints of the trail. The public key is handed out, so that anybody can
//! check an export without asking us.

use super::{key_file, random};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// The key that signs checkpoints.
pub struct CheckpointKey {
    key: SigningKey,
    public: CheckpointPublicKey,
}

/// The key that checks what a [`CheckpointKey`] signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointPublicKey {
    id: String,
    key: VerifyingKey,
}

/// Why a signature or its key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The text is not an Ed25519 key in PEM.
    #[error("this is not an Ed25519 key in PEM")]
    MalformedKey,
    /// The signature is not of this key over this message.
    #[error("the signature is wrong")]
    Wrong,
}

impl CheckpointKey {
    /// A new key.
    #[must_use]
    pub fn random() -> CheckpointKey {
        CheckpointKey::of(SigningKey::from_bytes(&random::bytes()))
    }

    /// Reads the key from its file, PEM (PKCS #8), making it when there is none.
    ///
    /// # Errors
    /// The file cannot be used, or holds something else.
    pub fn read_or_create(path: &Path) -> io::Result<CheckpointKey> {
        let text =
            key_file::read_or_create(path, || CheckpointKey::random().to_pem().map_err(io::Error::other))?;
        CheckpointKey::from_pem(&text).map_err(io::Error::other)
    }

    /// Puts a new key in the place of the one in the file. The public key of the one before stands beside it from
    /// then on, for what it signed: see [`CheckpointPublicKey::before`].
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn rotate(path: &Path) -> io::Result<CheckpointKey> {
        let old = CheckpointKey::from_pem(&key_file::read(path)?).map_err(io::Error::other)?;
        let mut older = old.public.to_pem().map_err(io::Error::other)?;
        for key in CheckpointPublicKey::before(path)?.iter().filter(|it| **it != old.public) {
            older.push_str(&key.to_pem().map_err(io::Error::other)?);
        }
        // The public keys first: whoever is killed in between has one twice, and none is lost.
        key_file::replace(&older_of(path), &SecretString::from(older))?;
        let new = CheckpointKey::random();
        key_file::replace(path, &new.to_pem().map_err(io::Error::other)?)?;
        Ok(new)
    }

    /// Reads a key, PEM (PKCS #8).
    ///
    /// # Errors
    /// The text is something else.
    pub fn from_pem(text: &SecretString) -> Result<CheckpointKey, SignatureError> {
        let key =
            SigningKey::from_pkcs8_pem(text.expose_secret()).map_err(|_| SignatureError::MalformedKey)?;
        Ok(CheckpointKey::of(key))
    }

    /// The key in PEM (PKCS #8).
    ///
    /// # Errors
    /// Never for a key that was made or read here.
    pub fn to_pem(&self) -> Result<SecretString, SignatureError> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| SignatureError::MalformedKey)?;
        Ok(SecretString::from(pem.as_str()))
    }

    /// The key to check with.
    #[must_use]
    pub fn public(&self) -> &CheckpointPublicKey {
        &self.public
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn of(key: SigningKey) -> CheckpointKey {
        let public = CheckpointPublicKey::of(key.verifying_key());
        CheckpointKey { key, public }
    }
}

/// Where the public keys of those before stand.
fn older_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".older");
    PathBuf::from(name)
}

impl CheckpointPublicKey {
    /// The keys that check what was signed before the key in that file came, newest first.
    ///
    /// # Errors
    /// The file beside it cannot be read, or holds something else.
    pub fn before(path: &Path) -> io::Result<Vec<CheckpointPublicKey>> {
        const END: &str = "-----END PUBLIC KEY-----\n";
        let text = match key_file::read_public(&older_of(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let keys = text.split_inclusive(END).map(CheckpointPublicKey::from_pem);
        keys.collect::<Result<_, _>>().map_err(io::Error::other)
    }

    /// Reads a public key, PEM.
    ///
    /// # Errors
    /// The text is something else.
    pub fn from_pem(text: &str) -> Result<CheckpointPublicKey, SignatureError> {
        let key = VerifyingKey::from_public_key_pem(text).map_err(|_| SignatureError::MalformedKey)?;
        Ok(CheckpointPublicKey::of(key))
    }

    /// The key in PEM.
    ///
    /// # Errors
    /// Never for a key that was made or read here.
    pub fn to_pem(&self) -> Result<String, SignatureError> {
        self.key.to_public_key_pem(LineEnding::LF).map_err(|_| SignatureError::MalformedKey)
    }

    /// The name of the key: the start of its SHA-256, in hexadecimal.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Checks a signature.
    ///
    /// # Errors
    /// It is not of this key over this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Wrong)?;
        self.key.verify_strict(message, &signature).map_err(|_| SignatureError::Wrong)
    }

    fn of(key: VerifyingKey) -> CheckpointPublicKey {
        let id = Sha256::digest(key.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        CheckpointPublicKey { id, key }
    }
}

impl std::fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckpointKey({})", self.public.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_what_it_signed_and_nothing_else() {
        let key = CheckpointKey::random();
        let mut signature = key.sign(b"head");
        assert_eq!(key.public().verify(b"head", &signature), Ok(()));
        assert_eq!(key.public().verify(b"heap", &signature), Err(SignatureError::Wrong));
        assert_eq!(CheckpointKey::random().public().verify(b"head", &signature), Err(SignatureError::Wrong));
        signature[3] ^= 1;
        assert_eq!(key.public().verify(b"head", &signature), Err(SignatureError::Wrong));
        assert_eq!(key.public().verify(b"head", &signature[1..]), Err(SignatureError::Wrong));
    }

    #[test]
    fn what_was_signed_before_is_checked_after() {
        let folder = std::env::temp_dir().join(format!("vesta-checkpoint-{}", random::id(0)));
        let file = folder.join("key.pem");
        let first = CheckpointKey::read_or_create(&file).unwrap();
        assert_eq!(CheckpointPublicKey::before(&file).unwrap(), []);
        let second = CheckpointKey::rotate(&file).unwrap();
        let third = CheckpointKey::rotate(&file).unwrap();
        let before = CheckpointPublicKey::before(&file).unwrap();
        assert_eq!(before, [second.public().clone(), first.public().clone()]);
        assert_eq!(CheckpointKey::read_or_create(&file).unwrap().public(), third.public());
        std::fs::write(folder.join("key.pem.older"), "no").unwrap();
        assert!(CheckpointPublicKey::before(&file).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn goes_to_pem_and_back() {
        let key = CheckpointKey::random();
        let again = CheckpointKey::from_pem(&key.to_pem().unwrap()).unwrap();
        let public = CheckpointPublicKey::from_pem(&key.public().to_pem().unwrap()).unwrap();
        assert_eq!(again.public(), &public);
        assert_eq!(public.verify(b"head", &again.sign(b"head")), Ok(()));
        assert_eq!(CheckpointPublicKey::from_pem("no"), Err(SignatureError::MalformedKey));
    }
}
