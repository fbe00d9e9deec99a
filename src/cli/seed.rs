//! `vesta seed`: puts the users, clients and launches of a file, again and again with the same result.

use super::operator::{self, told};
use crate::config::Config;
use crate::smart::seed::{self, Seed};
use anyhow::{Context as _, Result};
use clap::Args;
use std::path::PathBuf;

/// Which file.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The file, TOML: tables of users, clients and launches, as src/smart/seed.rs shows
    file: PathBuf,
}

pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<()> {
    let file = &arguments.file;
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let seed = Seed::parse(&text).map_err(told).with_context(|| file.display().to_string())?;
    let request = operator::request(config)?;
    let planted = seed::plant(&request, seed).await.map_err(told)?;
    println!("{} users, {} clients", planted.users, planted.clients);
    for launch in planted.launches {
        println!("launch {launch}");
    }
    Ok(())
}
