//! `--demo`: made-up patients for a store without any, through the same door as everybody's.
//!
//! # Decision 2026-11-24
//! They are loaded after the server is ready, by its own address: a server that is ready in seconds and
//! fills up is worth more than one that lets wait, and what is loaded by a shorter way would prove
//! nothing.

use crate::cli::{demo, load};
use crate::clock::Clock;
use crate::config::Config;
use crate::demo::Demo;
use crate::load::{answer, parcel};
use anyhow::{Result, bail};
use std::time::Duration;
use tracing::{info, warn};

/// How many patients.
const PATIENTS: u32 = 20;

/// Whether there ever was a patient. What the server itself publishes when it starts does not count.
const EVER: &str = "Patient/_history?_count=1";

/// Loads them, unless somebody is there already.
pub(super) async fn load(config: Config) {
    match fill(&config).await {
        Ok(Some(resources)) => {
            println!("demo {PATIENTS} patients, {resources} resources: Patient/demo-patient")
        }
        Ok(None) => info!("there are patients already, so none were made up"),
        Err(error) => warn!("the demo patients were not loaded: {error:#}"),
    }
}

async fn fill(config: &Config) -> Result<Option<usize>> {
    let server = load::dev_server(config)?;
    let mut found = server.get(EVER).await;
    // The server is only just starting.
    for _ in 0..100 {
        if found.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        found = server.get(EVER).await;
    }
    let found = found?;
    if found.status != Some(200) {
        bail!("the server answered {:?} when asked whether there are patients", found.status);
    }
    if found.body.contains("\"entry\"") {
        return Ok(None);
    }
    let demo = Demo { patients: PATIENTS, seed: 1, today: demo::today(&Clock::system()) };
    let mut resources = 0;
    for (number, bundle) in demo.bundles().enumerate() {
        let parcel = parcel::of(&format!("demo patient {number}"), bundle.to_string());
        let said = server.post(&parcel).await?;
        if let Some(refusal) = answer::refusals(&parcel, &said).into_iter().next() {
            bail!("{}: {} {:?}", refusal.place, refusal.diagnostics, refusal.expression);
        }
        resources += parcel.places.len();
    }
    Ok(Some(resources))
}
