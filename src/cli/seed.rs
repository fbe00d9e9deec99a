//! `vesta seed`: puts the users, clients and launches of a file, again and again with the same result.

use super::operator::{self, told};
use super::tenant;
use crate::config::Config;
use crate::smart::seed::{self, Planted, Seed};
use anyhow::{Context as _, Result};
use clap::Args;
use std::path::PathBuf;

/// Which file.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The file, TOML: tables of users, clients and launches, as src/smart/seed/mod.rs shows
    file: PathBuf,
}

pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<()> {
    let file = &arguments.file;
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut seed = Seed::parse(&text).map_err(told).with_context(|| file.display().to_string())?;
    let request = operator::request(config).await?;
    let tenants = seed.take_tenants();
    tell("", seed::plant(&request, seed).await.map_err(told)?);
    for (slug, seed) in tenants {
        tenant::add(&operator::complete(config)?, &slug).await.context("a tenant cannot be added")?;
        let request = operator::of_tenant(&request.app, &slug).await?;
        tell(&format!("{slug}: "), seed::plant(&request, seed).await.map_err(told)?);
    }
    Ok(())
}

fn tell(tenant: &str, planted: Planted) {
    println!("{tenant}{} users, {} clients, {} resources", planted.users, planted.clients, planted.resources);
    for launch in planted.launches {
        println!("{tenant}launch {launch}");
    }
}
