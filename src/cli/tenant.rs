//! `vesta tenant`: adds and lists tenants.
//!
//! Adding is for the role that owns the schema, like migrations; the server, which may not, finds the new tenant
//! at the first request for it.

use super::operator;
use crate::app::{App, database_settings};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::connection::Settings;
use crate::store::tenants;
use crate::tenancy::Tenancy;
use anyhow::{Result, anyhow, bail};
use clap::Subcommand;
use std::sync::Arc;

/// What to do with tenants.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Adds a tenant, served at /t/SLUG/fhir; one that is there already stays as it is
    Add {
        /// Its name in URLs: lower-case letters, digits and hyphens
        slug: String,
    },
    /// Lists the FHIR base of every tenant
    List,
}

pub(super) async fn run(config: &Config, command: &Command) -> Result<()> {
    let config = operator::complete(config)?;
    match command {
        Command::Add { slug } => {
            let is_new = add(&config, slug).await?;
            println!("{} {slug}", if is_new { "added" } else { "there is already" });
        }
        Command::List => {
            let tenancy = Tenancy::new(Arc::new(App::start(config, Clock::system())?));
            let apps = tenancy.all().await.map_err(|_| anyhow!("the database does not answer"))?;
            apps.iter().for_each(|app| println!("{}", app.fhir_base()));
        }
    }
    Ok(())
}

/// Adds a tenant: `false` if it is there already.
pub(super) async fn add(config: &Config, slug: &str) -> Result<bool> {
    if !tenants::is_slug(slug) {
        bail!("a tenant's name is of lower-case letters, digits and hyphens");
    }
    let database = &config.database;
    let mut settings = database_settings(database)?;
    if let Some(url) = &database.migration_url {
        settings = Settings { url: url.clone(), ..settings };
    }
    Ok(tenants::add(&settings, slug).await?)
}
