//! `vesta migrate`: brings the database up to date, as the role that owns the schema.

use crate::app::database_settings;
use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::store::connection::Settings;
use crate::store::migrate::migrate;
use anyhow::{Context as _, Result, bail};

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
    let settings = Settings { url: url.clone(), ..database_settings(database)? };
    let applied = migrate(&settings, Clock::system().now_microseconds()).await;
    applied.context("the database cannot be brought up to date")
}
