//! The second factor: time-based one-time passwords, <https://www.rfc-editor.org/rfc/rfc6238>, as all
//! authenticator apps speak them (SHA-1, six digits, thirty seconds), and recovery codes for the day the
//! telephone is lost.
//!
//! A code is good for its step and the one before and after; that none is used twice is the caller's to
//! see to, by the number of the step. A recovery code has 80 random bits, so a plain hash keeps it.

use super::{random, token_hash};
use secrecy::{ExposeSecret as _, SecretString};
use totp_rs::{Builder, Secret, Totp};

/// The secret that an authenticator app shares with us.
#[derive(Clone)]
pub struct TotpSecret(SecretString);

/// It is not base32, or too short to be a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a TOTP secret is base32 of at least 16 bytes")]
pub struct MalformedSecret;

/// How many recovery codes are made at once.
pub const RECOVERY_CODES: usize = 8;

impl TotpSecret {
    /// A new secret of 160 bits.
    #[must_use]
    pub fn random() -> TotpSecret {
        let bytes: [u8; 20] = random::bytes();
        TotpSecret(SecretString::from(Secret::from(bytes).to_base32()))
    }

    /// Reads a secret in base32, as apps show it: spaces and case do not matter.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(text: &str) -> Result<TotpSecret, MalformedSecret> {
        let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '=').collect();
        let secret = TotpSecret(SecretString::from(text.to_ascii_uppercase()));
        secret.totp("check").map(|_| secret.clone()).ok_or(MalformedSecret)
    }

    /// The secret in base32, for the enrolment page and for storing it sealed.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The step whose code this is, if it is a code of now.
    #[must_use]
    pub fn step_of(&self, code: &str, now_seconds: i64) -> Option<i64> {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if code.len() != 6 || !code.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let step = self.totp("vesta")?.check(&code, u64::try_from(now_seconds).ok()?)?;
        i64::try_from(step).ok()
    }

    /// The code at that time.
    #[must_use]
    pub fn code_at(&self, now_seconds: i64) -> Option<String> {
        Some(self.totp("vesta")?.generate(u64::try_from(now_seconds).ok()?).to_string())
    }

    /// What an authenticator app reads from a QR code: `otpauth://totp/…`.
    #[must_use]
    pub fn enrolment_url(&self, account: &str) -> Option<String> {
        self.totp(account)?.to_url().ok()
    }

    /// That QR code, as an SVG picture.
    #[must_use]
    pub fn qr_code(&self, account: &str) -> Option<String> {
        let code = qrcode::QrCode::new(self.enrolment_url(account)?).ok()?;
        Some(code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(220, 220).build())
    }

    fn totp(&self, account: &str) -> Option<Totp> {
        let secret = Secret::try_from_base32(self.0.expose_secret()).ok()?;
        // A colon would end the account's name in the URL.
        let account = account.replace(':', " ");
        let builder = Builder::new().with_secret(secret).with_skew(1).with_account_name(account);
        builder.with_issuer(Some("Vesta")).build().ok()
    }
}

/// New recovery codes, to be shown once.
#[must_use]
pub fn recovery_codes() -> Vec<SecretString> {
    let code = || {
        let bytes: [u8; 10] = random::bytes();
        let text = Secret::from(bytes.to_vec()).to_base32().to_ascii_lowercase();
        let (one, other) = text.split_at_checked(8).unwrap_or((&text, ""));
        SecretString::from(format!("{one}-{other}"))
    };
    (0..RECOVERY_CODES).map(|_| code()).collect()
}

/// How a recovery code is stored: spaces, hyphens and case do not matter.
#[must_use]
pub fn recovery_hash(code: &str) -> String {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    token_hash::derive(&code.to_ascii_lowercase(), "recovery code")
}

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_6238() {
        // Appendix B, SHA-1, the last six of the eight digits.
        let secret = TotpSecret::parse("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(secret.code_at(time).as_deref(), Some(code));
            assert_eq!(secret.step_of(code, time), Some(time / 30));
            assert_eq!(secret.step_of(code, time + 30), Some(time / 30));
            assert_eq!(secret.step_of(code, time + 90), None);
        }
        assert_eq!(secret.step_of("28708", 59), None);
        assert_eq!(secret.step_of("२८७०८२", 59), None);
    }

    #[test]
    fn secrets_go_to_base32_and_back() {
        let secret = TotpSecret::random();
        let again = TotpSecret::parse(&secret.expose().to_lowercase()).unwrap();
        assert_eq!(again.code_at(1_000_000), secret.code_at(1_000_000));
        assert_eq!(TotpSecret::parse("JBSW").unwrap_err(), MalformedSecret);
        assert_eq!(TotpSecret::parse("not base32!").unwrap_err(), MalformedSecret);
        assert!(secret.enrolment_url("a:b").unwrap().starts_with("otpauth://totp/Vesta:"));
        assert!(secret.qr_code("ada").unwrap().contains("<svg"));
    }

    #[test]
    fn recovery_codes_are_read_however_they_are_written() {
        let codes = recovery_codes();
        let code = codes[0].expose_secret();
        assert_eq!(
            recovery_hash(code),
            recovery_hash(&format!(" {} ", code.replace('-', " ").to_uppercase()))
        );
        assert_ne!(recovery_hash(code), recovery_hash(codes[1].expose_secret()));
    }
}
