//! A root key in a key service that speaks Vault's transit API, over HTTPS only: the key never leaves it.
//!
//! <https://developer.hashicorp.com/vault/api-docs/secret/transit>
//!
//! The place of a wrapped key is its `associated_data`, so what was wrapped for one place unwraps nowhere else.
//! A version of the key is named in each ciphertext (`vault:v3:…`); `vesta keys rotate root` asks for a new one.
//! The token is read from its file for every request, so whoever renews it need not tell us.

use super::key_file;
use super::key_ring::{RootKeyError, UnwrapError};
use super::secret_key::SecretKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Client, Method, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// Where the key service is.
#[derive(Clone, Debug)]
pub struct TransitSettings {
    /// Its address: `https://vault.example:8200`.
    pub url: String,
    /// The name of the key.
    pub key: String,
    /// Under which path the transit engine is mounted, such as `transit`.
    pub mount: String,
    /// The file of the token.
    pub token_file: PathBuf,
    /// The authorities that may have signed its certificate, as PEM; the usual ones if there is none.
    pub authorities_file: Option<PathBuf>,
}

/// A root key in a key service.
#[derive(Debug)]
pub struct Transit {
    settings: TransitSettings,
    client: Client,
    /// The newest version of the key that we know of.
    newest: AtomicU64,
}

/// Begins a wrapped key; after it comes the ciphertext, as text.
const WRAPPED: u8 = 2;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Answer {
    data: Value,
}

impl Transit {
    /// Gets ready to ask; nothing is asked yet.
    ///
    /// # Errors
    /// The address is not HTTPS, or the authorities or the token cannot be read.
    pub fn new(settings: TransitSettings) -> Result<Transit, RootKeyError> {
        if !settings.url.starts_with("https://") {
            return Err(RootKeyError::Provider("the key service must be asked over https"));
        }
        key_file::read(&settings.token_file)?;
        let mut builder = Client::builder().timeout(PATIENCE).https_only(true);
        if let Some(file) = &settings.authorities_file {
            let pem = std::fs::read(file)?;
            let authorities = Certificate::from_pem_bundle(&pem);
            let authorities = authorities
                .map_err(|_| RootKeyError::Provider("the authorities of the key service are not PEM"))?;
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().map_err(|_| RootKeyError::Provider("TLS is not available"))?;
        Ok(Transit { settings, client, newest: AtomicU64::new(0) })
    }

    /// What to call it.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} at {}", self.settings.key, self.settings.url)
    }

    /// Whether it is wrapped under the newest version that we know of.
    #[must_use]
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        ciphertext(wrapped).and_then(version).is_some_and(|it| it >= self.newest.load(Ordering::Relaxed))
    }

    /// Asks which version is the newest.
    ///
    /// # Errors
    /// The service does not answer, or has no such key.
    pub async fn refresh(&self) -> Result<(), UnwrapError> {
        let path = format!("keys/{}", self.settings.key);
        let data = self.ask(Method::GET, &path, None).await?;
        let newest = data.get("latest_version").and_then(Value::as_u64).ok_or(UnwrapError::Unavailable)?;
        self.newest.store(newest, Ordering::Relaxed);
        Ok(())
    }

    /// Asks for a new version of the key.
    ///
    /// # Errors
    /// The service does not answer, or refuses.
    pub async fn rotate(&self) -> Result<(), UnwrapError> {
        self.ask(Method::POST, &format!("keys/{}/rotate", self.settings.key), Some(json!({}))).await?;
        self.refresh().await
    }

    /// Wraps a key for that place.
    ///
    /// # Errors
    /// The service does not answer, or refuses.
    pub async fn wrap(&self, place: &[u8], key: &SecretKey) -> Result<Vec<u8>, UnwrapError> {
        let body =
            json!({"plaintext": STANDARD.encode(key.expose()), "associated_data": STANDARD.encode(place)});
        let data = self.ask(Method::POST, &format!("encrypt/{}", self.settings.key), Some(body)).await?;
        let text = data.get("ciphertext").and_then(Value::as_str).ok_or(UnwrapError::Unavailable)?;
        let version = version(text).ok_or(UnwrapError::Unavailable)?;
        self.newest.fetch_max(version, Ordering::Relaxed);
        let mut wrapped = vec![WRAPPED];
        wrapped.extend_from_slice(text.as_bytes());
        Ok(wrapped)
    }

    /// Unwraps a key of that place.
    ///
    /// # Errors
    /// The service does not answer, or it was not wrapped there for that place.
    pub async fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretKey, UnwrapError> {
        let text = ciphertext(wrapped).ok_or(UnwrapError::OtherKey)?;
        let body = json!({"ciphertext": text, "associated_data": STANDARD.encode(place)});
        let data = self.ask(Method::POST, &format!("decrypt/{}", self.settings.key), Some(body)).await?;
        let plain = data.get("plaintext").and_then(Value::as_str).ok_or(UnwrapError::Unavailable)?;
        let plain = Zeroizing::new(STANDARD.decode(plain).map_err(|_| UnwrapError::Malformed)?);
        SecretKey::from_slice(&plain).ok_or(UnwrapError::Malformed)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, UnwrapError> {
        let url = format!("{}/v1/{}/{path}", self.settings.url.trim_end_matches('/'), self.settings.mount);
        let token = key_file::read(&self.settings.token_file).map_err(|error| {
            tracing::error!(%error, "the token of the key service cannot be read");
            UnwrapError::Unavailable
        })?;
        let mut request =
            self.client.request(method, url).header("x-vault-token", token.expose_secret().trim());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| {
            tracing::warn!(error = %error.without_url(), "the key service does not answer");
            UnwrapError::Unavailable
        })?;
        let status = answer.status();
        if status == StatusCode::BAD_REQUEST {
            return Err(UnwrapError::Broken(super::seal::BrokenSeal));
        }
        if !status.is_success() {
            tracing::error!(status = status.as_u16(), "the key service refuses");
            return Err(UnwrapError::Unavailable);
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let answer: Answer = answer.json().await.map_err(|_| UnwrapError::Unavailable)?;
        Ok(answer.data)
    }
}

fn ciphertext(wrapped: &[u8]) -> Option<&str> {
    let (&WRAPPED, text) = wrapped.split_first()? else { return None };
    std::str::from_utf8(text).ok()
}

/// The version in `vault:v3:…`.
fn version(ciphertext: &str) -> Option<u64> {
    let (version, _) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_names_its_version() {
        assert_eq!(version("vault:v12:abc="), Some(12));
        for text in ["", "vault:v:abc", "vault:v1", "v1:abc", "vault:v-1:abc"] {
            assert_eq!(version(text), None, "{text}");
        }
        assert_eq!(ciphertext(b"\x02vault:v1:a"), Some("vault:v1:a"));
        assert_eq!(ciphertext(b"\x01vault:v1:a"), None);
    }

    #[test]
    fn is_asked_over_https_only() {
        let settings = TransitSettings {
            url: "http://localhost".to_owned(),
            key: "k".to_owned(),
            mount: "transit".to_owned(),
            token_file: PathBuf::new(),
            authorities_file: None,
        };
        assert!(matches!(Transit::new(settings), Err(RootKeyError::Provider(_))));
    }
}
