//! `vesta load`: files into a running server.

use crate::config::Config;
use crate::load::journal::Journal;
use crate::load::wire::{Minter, Server};
use crate::load::{self, Event, Options, Refusal, source};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is loaded, and where it goes.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Files and folders: bundles and resources (.json), NDJSON (.ndjson, .jsonl), also .gz and .zst
    #[arg(required = true, value_name = "FOLDER|FILE")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// How many requests are under way at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// Load again what a journal says was loaded
    #[arg(long)]
    again: bool,
    /// Where it is written down what the server acknowledged. Default: in the data folder
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// A running server, and how to be let in.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// The FHIR base of the server. Default: that of dev mode
    #[arg(long = "url", value_name = "BASE")]
    base: Option<String>,
    /// The access token. Default: one of dev mode's demo-backend, renewed as it ages
    #[arg(long = "token", value_name = "TOKEN", value_parser = secret)]
    bearer: Option<SecretString>,
    /// The authorities that may have signed the server's certificate. Default: dev mode's own
    #[arg(long = "authorities", value_name = "FILE")]
    authorities: Option<PathBuf>,
}

impl Target {
    /// A server, with the token of whoever asks.
    pub(super) fn of(base: Option<String>, token: SecretString, authorities: Option<PathBuf>) -> Target {
        Target { base, bearer: Some(token), authorities }
    }
}

/// So many refusals are shown one by one.
const SHOWN: u64 = 50;

/// What came of it.
#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    skipped: AtomicU64,
    refused: AtomicU64,
    shown: AtomicU64,
    reasons: Mutex<std::collections::BTreeMap<String, u64>>,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    let sources = source::find(&arguments.paths)?;
    if sources.is_empty() {
        bail!("nothing in there looks like resources: .json, .ndjson, .jsonl, also .gz and .zst");
    }
    let server = Arc::new(server(config, &arguments.target)?);
    let base = server.base().to_owned();
    let journal = journal(config, &arguments, &base)?;
    let total: u64 = sources.iter().map(|it| it.size_bytes).sum();
    let progress = ProgressBar::new(total);
    progress.set_style(ProgressStyle::with_template(
        "{bar:40} {percent:>3}% {msg} {elapsed_precise}, {eta} left",
    )?);
    let tally = Arc::new(Tally::default());
    let tell = Arc::new({
        let (progress, tally) = (progress.clone(), Arc::clone(&tally));
        move |event: Event| tally.note(event, &progress)
    });
    let begun = Instant::now();
    let options = Options { parallel: usize::from(arguments.parallel), journal };
    load::load(&server, sources, options, tell)
        .await
        .with_context(|| format!("{base} cannot be loaded into"))?;
    progress.finish_and_clear();
    tally.report(begun.elapsed())
}

impl Tally {
    fn note(&self, event: Event, progress: &ProgressBar) {
        match event {
            Event::Read(bytes) => progress.inc(bytes),
            Event::Acknowledged(count) => {
                let sum = self.acknowledged.fetch_add(count, Ordering::Relaxed) + count;
                progress.set_message(format!("{sum} resources"));
            }
            Event::Skipped(count) => {
                self.skipped.fetch_add(count, Ordering::Relaxed);
            }
            Event::Refused(refusal) => self.note_refusal(refusal, progress),
        }
    }

    fn note_refusal(&self, refusal: Refusal, progress: &ProgressBar) {
        let Refusal { place, resources, diagnostics, expression } = refusal;
        self.refused.fetch_add(resources, Ordering::Relaxed);
        if let Ok(mut reasons) = self.reasons.lock() {
            // Reasons are counted without their places; a server that invents new ones has no end of them.
            let is_known = reasons.contains_key(&diagnostics);
            if is_known || reasons.len() < 1000 {
                *reasons.entry(diagnostics.clone()).or_default() += resources.max(1);
            }
        }
        if self.shown.fetch_add(1, Ordering::Relaxed) < SHOWN {
            let about =
                if expression.is_empty() { String::new() } else { format!(" ({})", expression.join(", ")) };
            progress.suspend(|| eprintln!("{place}: {diagnostics}{about}"));
        }
    }

    fn report(&self, took: Duration) -> Result<()> {
        let count = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let (acknowledged, skipped, refused) =
            (count(&self.acknowledged), count(&self.skipped), count(&self.refused));
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = acknowledged.saturating_mul(1000) / milliseconds;
        println!("loaded {acknowledged} resources in {:.1} s, {rate} a second", took.as_secs_f64());
        if skipped > 0 {
            println!("skipped {skipped} that were loaded before (--again loads them again)");
        }
        let shown = count(&self.shown);
        if shown == 0 {
            return Ok(());
        }
        let reasons = self.reasons.lock().map(|it| it.clone()).unwrap_or_default();
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        println!("refused {refused}, for these reasons first:");
        for (reason, count) in reasons.iter().take(10) {
            println!("  {count:>7}  {reason}");
        }
        bail!("{refused} resources were refused")
    }
}

/// The server that the arguments name, or that of dev mode.
pub(super) fn server(config: &Config, target: &Target) -> Result<Server> {
    let base = target.base.clone().unwrap_or_else(|| config.fhir_base());
    let minter = match target.bearer.clone() {
        Some(token) => Box::new(move || Ok((token.clone(), u64::MAX))) as Minter,
        None => dev_tokens(config)?,
    };
    let authorities = target.authorities.clone().or_else(|| dev_authorities(config));
    Ok(Server::new(&base, authorities.as_deref(), minter)?)
}

/// The dev server of these settings, as `demo-backend`.
pub(super) fn dev_server(config: &Config) -> Result<Server> {
    Ok(Server::new(&config.fhir_base(), dev_authorities(config).as_deref(), tokens(config.clone()))?)
}

fn dev_tokens(config: &Config) -> Result<Minter> {
    if config.database.url.is_some() {
        bail!("--token is missing: only dev mode makes tokens by itself");
    }
    super::token::backend(config)?;
    Ok(tokens(config.clone()))
}

fn tokens(config: Config) -> Minter {
    let seconds = u64::from(config.tokens.lifetime_seconds);
    Box::new(move || {
        let token = super::token::backend(&config).map_err(|error| io::Error::other(format!("{error:#}")))?;
        Ok((token, seconds))
    })
}

fn dev_authorities(config: &Config) -> Option<PathBuf> {
    config.data_folder().ok().map(|data| data.join("ca.pem")).filter(|it| it.exists())
}

/// The journal of loading these files into that server.
fn journal(config: &Config, arguments: &Arguments, base: &str) -> Result<Journal> {
    let path = match &arguments.journal {
        Some(path) => path.clone(),
        None => {
            let folder = config.data_folder().map_err(|error| anyhow!(error))?.join("load");
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            folder.join(format!("{}.journal", name_of(base, &arguments.paths)))
        }
    };
    if arguments.again && path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Journal::open(&path).with_context(|| format!("cannot use {}", path.display()))
}

/// The same for the same server and paths.
fn name_of(base: &str, paths: &[PathBuf]) -> String {
    let mut hash = Sha256::new();
    hash.update(base);
    for path in paths {
        let path = std::path::absolute(path).unwrap_or_else(|_| Path::new(path).to_owned());
        hash.update(path.display().to_string());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}
