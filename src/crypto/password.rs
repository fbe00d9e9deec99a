//! Passwords: argon2id, <https://www.rfc-editor.org/rfc/rfc9106>, with the parameters that OWASP names
//! (19 MiB, two passes, one lane), and a check that a new one is not easy to guess.
//!
//! A check takes tens of milliseconds on purpose; callers run it where it holds up nobody else, and run
//! it against [`Password::nobody`] when there is no such account, so that both take as long.

use super::random;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::LazyLock;

/// A password as it is stored: a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// The longest password that is looked at: longer ones would only cost time.
pub const LONGEST: usize = 1024;
const SHORTEST: usize = 10;

static NOBODY: LazyLock<Password> = LazyLock::new(|| {
    // Only an impossible set of parameters fails here; then no password fits, which is right too.
    Password::hash(&random::token_urlsafe(32)).unwrap_or_else(|_| Password(String::new()))
});

/// Why a password is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("a password has from {SHORTEST} to {LONGEST} characters")]
    Length,
    /// It is one of those that are tried first, or made of such.
    #[error("this password is easy to guess: take a longer one, or several unrelated words")]
    Weak,
    /// The hash could not be made.
    #[error("the password could not be hashed")]
    Unhashable,
}

impl Password {
    /// Hashes a password with a new salt.
    ///
    /// # Errors
    /// It is too long.
    pub fn hash(password: &SecretString) -> Result<Password, PasswordError> {
        let password = password.expose_secret().as_bytes();
        if password.len() > LONGEST {
            return Err(PasswordError::Length);
        }
        let salt: [u8; 16] = random::bytes();
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_salt(password, &salt)
            .map_err(|_| PasswordError::Unhashable)?;
        Ok(Password(hash.to_string()))
    }

    /// The password of nobody: nothing fits it, and finding that out takes as long as for any other.
    #[must_use]
    pub fn nobody() -> &'static Password {
        &NOBODY
    }

    /// A password as it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Password {
        Password(text)
    }

    /// How it is stored.
    #[must_use]
    pub fn to_stored(&self) -> &str {
        &self.0
    }

    /// Whether this is the password.
    #[must_use]
    pub fn fits(&self, password: &SecretString) -> bool {
        let password = password.expose_secret().as_bytes();
        let Ok(hash) = PasswordHash::new(&self.0) else { return false };
        password.len() <= LONGEST && Argon2::default().verify_password(password, &hash).is_ok()
    }
}

/// Whether a new password is hard enough to guess by somebody who knows these words about its owner.
///
/// # Errors
/// It is not.
pub fn check(password: &SecretString, known: &[&str]) -> Result<(), PasswordError> {
    let password = password.expose_secret();
    if !(SHORTEST..=LONGEST).contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    // The estimate takes the square of the length, and a hundred characters say enough.
    let start: String = password.chars().take(100).collect();
    if zxcvbn::zxcvbn(&start, known).score() < zxcvbn::Score::Three {
        return Err(PasswordError::Weak);
    }
    Ok(())
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn fits_itself_alone() {
        let password = Password::hash(&secret("correct horse")).unwrap();
        assert!(password.to_stored().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let again = Password::from_stored(password.to_stored().to_owned());
        assert!(again.fits(&secret("correct horse")));
        assert!(!again.fits(&secret("correct horsE")));
        assert!(!again.fits(&secret("")));
        assert!(!Password::nobody().fits(&secret("")));
        assert!(!Password::from_stored("nonsense".into()).fits(&secret("nonsense")));
        assert_ne!(password, Password::hash(&secret("correct horse")).unwrap());
    }

    #[test]
    fn what_is_easy_to_guess_is_refused() {
        assert_eq!(check(&secret("short"), &[]), Err(PasswordError::Length));
        assert_eq!(check(&secret("password1234"), &[]), Err(PasswordError::Weak));
        assert_eq!(check(&secret("ada.lovelace1815"), &["ada.lovelace"]), Err(PasswordError::Weak));
        assert_eq!(check(&secret("seven quiet otters paddle"), &[]), Ok(()));
        assert_eq!(check(&secret(&"x9".repeat(600)), &[]), Err(PasswordError::Length));
    }
}
