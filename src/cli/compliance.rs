//! `vesta compliance`: what the law asks, held against what is running.
//!
//! The report reads the database, the trail and the settings; it is itself an event of the trail, since somebody
//! looked. What fails ends the command with a failure, so that a script notices.

use super::operator;
use crate::audit::event::{self, Kind};
use crate::compliance::{facts, html, report};
use crate::config::Config;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use std::fs;
use std::path::PathBuf;

/// What to do about compliance.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Evaluates every control against the running system, with the evidence beside it
    Report(Report),
}

/// What is written, and where.
#[derive(Args, Debug)]
pub(super) struct Report {
    /// How it is written
    #[arg(id = "report_format", long = "format", value_enum, default_value_t)]
    format: Format,
    /// A file to write to, instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A file of values, one a line, that are known to be stored and must lie nowhere in the clear
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For programs
    Json,
    /// One page, to read and to print
    Html,
}

pub(super) async fn run(config: &Config, command: &Command) -> Result<()> {
    let Command::Report(arguments) = command;
    let app = operator::request(config).await?.app;
    let tenant = app.tenant;
    let known: Vec<String> = match &arguments.known {
        None => Vec::new(),
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            text.lines().filter(|it| !it.trim().is_empty()).map(str::to_owned).collect()
        }
    };
    let keys = app.checkpoint_keys()?;
    let facts = facts::gather(&app, tenant, &keys, &known).await;
    let row =
        event::row_of("operator", Kind::TrailRead, event::Result::Success, "compliance report", facts.now);
    app.store.append_audit(tenant, vec![row]).await.context("the report could not be recorded")?;
    let report = report::report(&facts)?;
    let text = match arguments.format {
        Format::Text => report.text(),
        Format::Json => serde_json::to_string_pretty(&report.json())? + "\n",
        Format::Html => html::page(&report)?,
    };
    match &arguments.out {
        None => print!("{text}"),
        Some(file) => {
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
            println!("{}: {}", file.display(), report.summary());
        }
    }
    match report.count(report::Status::Failing) {
        0 => Ok(()),
        failing => bail!("{failing} controls are failing"),
    }
}
