//! Public keys that a client keeps at an address of its own.
//!
//! Read when needed, kept for five minutes, and read again at most every fifteen seconds when a key is not
//! known. Short, without redirects, and never more than 64 KiB: the address is the client's word.

use crate::crypto::jwks::KeySet;
use crate::smart::request::Request;
use futures_util::StreamExt as _;
use moka::sync::Cache;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const LARGEST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);
const KEPT: Duration = Duration::from_secs(300);
const SPACING: Duration = Duration::from_secs(15);

static KNOWN: LazyLock<Cache<String, (Instant, KeySet)>> =
    LazyLock::new(|| Cache::builder().max_capacity(1000).time_to_live(KEPT).build());

/// The keys at that address; none if there are none to be had.
pub(super) async fn keys(request: &Request, uri: &str) -> KeySet {
    match KNOWN.get(uri) {
        Some((_, keys)) => keys,
        None => fetch(request, uri).await,
    }
}

/// The same, read again unless that was just done.
pub(super) async fn keys_again(request: &Request, uri: &str) -> KeySet {
    match KNOWN.get(uri) {
        Some((read, keys)) if read.elapsed() < SPACING => keys,
        _ => fetch(request, uri).await,
    }
}

async fn fetch(request: &Request, uri: &str) -> KeySet {
    let keys = match get(uri).await.and_then(|text| KeySet::parse(&text).map_err(|error| error.to_string())) {
        Ok(keys) => keys,
        Err(reason) => {
            tracing::warn!(request.id = %request.id, reason, "the keys of a client cannot be read from its address");
            KeySet::default()
        }
    };
    KNOWN.insert(uri.to_owned(), (Instant::now(), keys.clone()));
    keys
}

/// What is at an address: at most 64 KiB.
pub(super) async fn get(uri: &str) -> Result<String, String> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(|error| error.to_string())?;
    let answer = client.get(uri).header("accept", "application/json").send().await;
    let answer = answer.map_err(|error| error.without_url().to_string())?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("status {}", answer.status()));
    }
    let mut body = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|error| error.without_url().to_string())?);
        if body.len() > LARGEST {
            return Err("too large".to_owned());
        }
    }
    String::from_utf8(body).map_err(|_| "not text".to_owned())
}
