//! `vesta migrate`: brings the database up to date, as the role that owns the schema.

use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::store::connection::Settings;
use crate::store::migrate::migrate;
use anyhow::{Context as _, Result, bail};
use std::time::Duration;

pub(super) async fn run(config: &Config) -> Result<()> {
    let applied = bring_up_to_date(&config.database).await?;
    println!("applied {applied} steps");
    Ok(())
}

/// Applies the steps that are missing.
pub(super) async fn bring_up_to_date(database: &Database) -> Result<usize> {
    let Some(url) = database.migration_url.as_ref().or(database.url.as_ref()) else {
        bail!("VESTA_DATABASE_MIGRATION_URL is missing: the database, as the role that owns the schema");
    };
    let settings = Settings { url: url.clone(), ..settings(database)? };
    let applied = migrate(&settings, Clock::system().now_microseconds()).await;
    applied.context("the database cannot be brought up to date")
}

/// How the store connects.
pub(super) fn settings(database: &Database) -> Result<Settings> {
    let url = database.url.as_ref().or(database.migration_url.as_ref()).cloned().unwrap_or_default();
    let mut settings = Settings::new(url);
    settings.max_connections = usize::try_from(database.connections)?;
    settings.wait = Duration::from_secs(database.timeout_seconds.into());
    if let Some(file) = &database.certificate_authorities {
        let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        settings.certificate_authorities = Some(pem);
    }
    Ok(settings)
}
