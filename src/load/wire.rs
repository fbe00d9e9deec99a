//! Talking to the server: a token that is renewed, and patience where it helps.

use super::parcel::Parcel;
use secrecy::{ExposeSecret as _, SecretString};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Makes a token, and says for how many seconds it will do.
pub type Minter = Box<dyn Fn() -> io::Result<(SecretString, u64)> + Send + Sync>;

/// A server to send to.
pub struct Server {
    base: String,
    client: reqwest::Client,
    minter: Minter,
    token: Mutex<Option<(SecretString, Instant)>>,
    patience: Duration,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status; nothing where nothing came back.
    pub status: Option<u16>,
    /// The body, or why there is none.
    pub body: String,
}

/// How often a request is sent at most.
const ATTEMPTS: u32 = 6;
/// A bundle of thousands may take its time.
const TIMEOUT: Duration = Duration::from_secs(300);
/// No program runs longer with one token.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// A token is renewed when it has less than that left.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

impl Server {
    /// The server at that base address, whose certificate the authorities in the file may have signed.
    ///
    /// # Errors
    /// The file cannot be read, or a connection cannot be set up.
    pub fn new(base: &str, authorities: Option<&Path>, minter: Minter) -> io::Result<Server> {
        let mut builder =
            reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(10));
        if let Some(path) = authorities {
            let pem = std::fs::read(path)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(io::Error::other)?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(io::Error::other)?;
        let patience = Duration::from_millis(500);
        let base = base.trim_end_matches('/').to_owned();
        Ok(Server { base, client, minter, token: Mutex::new(None), patience })
    }

    /// The base address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks for something small; what came back, at the first attempt.
    ///
    /// # Errors
    /// No token can be had, or the server cannot be reached.
    pub async fn get(&self, path: &str) -> io::Result<Answer> {
        let request = self.client.get(format!("{}/{path}", self.base));
        let request = request.bearer_auth(self.token()?.expose_secret());
        let response = request.send().await.map_err(io::Error::other)?;
        let status = Some(response.status().as_u16());
        Ok(Answer { status, body: response.text().await.map_err(io::Error::other)? })
    }

    /// Asks for anything that may be asked twice: again where that may help. The answer has not been read yet.
    ///
    /// # Errors
    /// No token can be had, or the server cannot be reached.
    pub async fn send(
        &self,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> io::Result<reqwest::Response> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent = request(&self.client).bearer_auth(self.token()?.expose_secret()).send().await;
            let wait = match sent {
                Err(error) if attempt >= ATTEMPTS => return Err(io::Error::other(error)),
                Err(_) => None,
                Ok(answer) => match answer.status().as_u16() {
                    401 if attempt == 1 => {
                        self.forget_token();
                        continue;
                    }
                    429 | 502..=504 if attempt < ATTEMPTS => {
                        answer.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok())
                    }
                    _ => return Ok(answer),
                },
            };
            tokio::time::sleep(self.pause(attempt, wait)).await;
        }
    }

    /// Posts a parcel; again where that may help and does no harm.
    ///
    /// # Errors
    /// No token can be had, or nobody answers at that address.
    pub async fn post(&self, parcel: &Parcel) -> io::Result<Answer> {
        let mut attempt = 0;
        let mut was_refused_token = false;
        let body = bytes::Bytes::copy_from_slice(parcel.body.as_bytes());
        loop {
            attempt += 1;
            let sent = self
                .client
                .post(&self.base)
                .bearer_auth(self.token()?.expose_secret())
                .header("content-type", "application/fhir+json")
                .header("accept", "application/fhir+json")
                .header("prefer", "return=minimal")
                .body(body.clone())
                .send()
                .await;
            let (answer, wait) = match sent {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let wait =
                        response.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
                    let text = response.text().await;
                    if text.is_err() && parcel.is_idempotent && attempt < ATTEMPTS {
                        tokio::time::sleep(self.pause(attempt, None)).await;
                        continue;
                    }
                    let body = text.unwrap_or_else(|error| format!("the answer broke off: {error}"));
                    (Answer { status: Some(status), body }, wait)
                }
                Err(error) if error.is_connect() && attempt >= ATTEMPTS => {
                    return Err(io::Error::other(error));
                }
                Err(error) if error.is_connect() || (parcel.is_idempotent && attempt < ATTEMPTS) => {
                    tokio::time::sleep(self.pause(attempt, None)).await;
                    continue;
                }
                Err(error) => (Answer { status: None, body: format!("no answer: {error}") }, None),
            };
            match answer.status {
                Some(401) if !was_refused_token => {
                    was_refused_token = true;
                    self.forget_token();
                }
                Some(429 | 503) if attempt < ATTEMPTS => {
                    tokio::time::sleep(self.pause(attempt, wait)).await;
                }
                Some(409 | 502 | 504) if attempt < ATTEMPTS && parcel.is_idempotent => {
                    tokio::time::sleep(self.pause(attempt, wait)).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Twice as long each time, or as long as the server says.
    fn pause(&self, attempt: u32, wait_seconds: Option<u64>) -> Duration {
        match wait_seconds {
            Some(seconds) => Duration::from_secs(seconds.min(60)),
            None => self.patience * 2_u32.pow(attempt.min(6) - 1),
        }
    }

    fn token(&self) -> io::Result<SecretString> {
        let mut kept = self.token.lock().map_err(|_| io::Error::other("a token was left half made"))?;
        if let Some((token, renew_at)) = &*kept
            && Instant::now() < *renew_at
        {
            return Ok(token.clone());
        }
        let (token, seconds) = (self.minter)()?;
        let lasts = Duration::from_secs(seconds).saturating_sub(RENEW_BEFORE).max(Duration::from_secs(1));
        // A token that was given is good for as long as anybody asks.
        let now = Instant::now();
        let renew_at = now.checked_add(lasts).unwrap_or(now + LONGEST);
        *kept = Some((token.clone(), renew_at));
        Ok(token)
    }

    fn forget_token(&self) {
        if let Ok(mut kept) = self.token.lock() {
            *kept = None;
        }
    }

    /// The first pause before a request is sent again; each further one is twice as long.
    #[must_use]
    pub fn patient_for(mut self, first_pause: Duration) -> Server {
        self.patience = first_pause;
        self
    }
}
