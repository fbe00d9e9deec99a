//! `vesta audit`: proves that the trail is whole, here or in an export.
//!
//! It needs to read the trail and nothing more: no key that seals. An export is checked without a database.
//! What is wrong ends with a failure, so that a script notices.

use super::operator;
use crate::app::database_settings;
use crate::audit::archive::Archiving;
use crate::audit::event::{self, Kind};
use crate::audit::verify::Report as Verified;
use crate::audit::{checkpoint, export, live, report};
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::key_file;
use crate::crypto::key_ring::{KeyRing, RootKeys, new_root_key};
use crate::crypto::sign::{CheckpointKey, CheckpointPublicKey};
use crate::embedded_postgres;
use crate::fhir::date_time::DateTime;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_chain::Checkpoint;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use secrecy::SecretString;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to do about the trail.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Checks that no event was altered, deleted, reordered, inserted or cut off
    Verify(Verify),
    /// Writes the trail to a file that can be checked anywhere
    Export {
        /// The file, which must not exist yet
        file: PathBuf,
    },
    /// Counts what happened in a period: by event, user, patient and day
    Report(Report),
    /// Writes a month that is more than six years old to files, proves them, and drops it from the database
    Archive {
        /// The month, such as 2020-01; the oldest that is there
        month: String,
        /// The folder for the files, one for each tenant
        #[arg(id = "archive_folder", value_name = "FOLDER")]
        folder: PathBuf,
        /// The public keys of the checkpoints, PEM, where the key was changed
        #[arg(long = "key", value_name = "FILE")]
        keys: Vec<PathBuf>,
    },
}

/// Which period is counted, and how it is written.
#[derive(Args, Debug)]
pub(super) struct Report {
    /// The first day, such as 2026-11-01. Default: a week ago
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The day after the last. Default: tomorrow
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// How it is written
    #[arg(id = "report_format", long = "format", value_enum, default_value_t)]
    format: Format,
    /// A file to write to, instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Format {
    /// For programs
    #[default]
    Json,
    /// For spreadsheets
    Csv,
    /// One page with charts, to read and to print
    Html,
}

/// What to check, and against what.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// An export to check, instead of the database
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The public key of the checkpoints, PEM; more than one where it was changed. Default: that of
    /// VESTA_CHECKPOINT_KEY_FILE, and those before it that stand beside it
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Checkpoints that were kept elsewhere, such as an older export
    #[arg(long = "witness", value_name = "FILE")]
    witnesses: Vec<PathBuf>,
}

pub(super) async fn run(config: &Config, command: &Command) -> Result<()> {
    match command {
        Command::Verify(arguments) => verify(config, arguments).await,
        Command::Export { file } => write(config, file).await,
        Command::Report(arguments) => count(config, arguments).await,
        Command::Archive { month, folder, keys } => archive(config, month, folder, keys).await,
    }
}

async fn verify(config: &Config, arguments: &Verify) -> Result<()> {
    let keys = public_keys(config, &arguments.keys)?;
    let mut witnesses: Vec<Checkpoint> = Vec::new();
    for file in &arguments.witnesses {
        witnesses.extend(export::checkpoints(open(file)?)?);
    }
    let started = Instant::now();
    let report = match &arguments.file {
        Some(file) => export::verify(|| open(file).map_err(std::io::Error::other), &keys, witnesses)?,
        None => {
            let now = Clock::system().now_microseconds();
            let store = store(config)?;
            let tenant = tenant(config, &store).await?;
            live::verify(&store, tenant, &keys, witnesses, now).await?
        }
    };
    print(&report, started.elapsed());
    match report.faults.first() {
        None => Ok(()),
        Some(first) => bail!("the trail is not whole, {} faults; the first: {first}", report.fault_count),
    }
}

fn print(report: &Verified, took: Duration) {
    let head = report.head;
    println!("events       {} chained, {} waiting for the chain", head.count, report.waiting);
    if report.archived > 0 {
        println!("archived     {} events are in archives: verify those too (--file)", report.archived);
    }
    println!("head         {}", checkpoint::hex(&head.hash));
    println!("checkpoints  {} agree; they cover {} events", report.checkpoints, report.signed);
    println!("took         {:.1} s", took.as_secs_f64());
    for fault in &report.faults {
        println!("fault        {fault}");
    }
    let unsigned = head.count - report.signed + report.waiting;
    if report.is_sound() && unsigned > 0 {
        println!("not proved   the last {unsigned} events are not signed yet: they could be cut off unseen");
    }
    if report.is_sound() {
        println!(
            "not proved   that no newer checkpoint was taken away together with what it covers: compare with one \
             that was kept elsewhere (--witness)"
        );
        println!("sound");
    }
}

async fn write(config: &Config, file: &Path) -> Result<()> {
    let store = store(config)?;
    let tenant = tenant(config, &store).await?;
    let out = File::create_new(file).with_context(|| format!("cannot create {}", file.display()))?;
    let now = Clock::system().now_microseconds();
    let events = export::export(&store, tenant, now, &mut BufWriter::new(out)).await?;
    println!("wrote {events} events to {}", file.display());
    Ok(())
}

/// The report is itself an event of the trail: somebody looked.
async fn count(config: &Config, arguments: &Report) -> Result<()> {
    const DAY: i64 = 86_400_000_000;
    let app = operator::request(config).await?.app;
    let tenant = app.tenant;
    let now = app.clock.now_microseconds();
    let tomorrow = (now.div_euclid(DAY) + 1) * DAY;
    let day = |text: &Option<String>, otherwise: i64| match text {
        None => Ok(otherwise),
        Some(text) => DateTime::parse_date(text)
            .map(|it| it.interval().low)
            .with_context(|| format!("{text} is not a day, such as 2026-11-01")),
    };
    let to = day(&arguments.to, tomorrow)?;
    let from = day(&arguments.from, to - 7 * DAY)?;
    let usage = report::usage(&app.store, tenant, from, to).await?;
    let row = event::row_of("operator", Kind::TrailRead, event::Result::Success, "audit report", now);
    app.store.append_audit(tenant, vec![row]).await.context("the report could not be recorded")?;
    let text = match arguments.format {
        Format::Json => serde_json::to_string_pretty(&usage.json())? + "\n",
        Format::Csv => report::csv::csv(&usage),
        Format::Html => report::html::page(&usage, &app.fhir_base())?,
    };
    match &arguments.out {
        None => print!("{text}"),
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
            println!("{}: {} events", file.display(), usage.events());
        }
    }
    Ok(())
}

async fn archive(config: &Config, month: &str, folder: &Path, keys: &[PathBuf]) -> Result<()> {
    let store = store(config)?;
    let mut database = config.database.clone();
    database.url = database.migration_url.take().or_else(|| owner_of_dev_mode(config));
    let owner = database_settings(&database)
        .context("VESTA_DATABASE_MIGRATION_URL is missing: dropping needs the owner")?;
    let mut keys = if keys.is_empty() { Vec::new() } else { public_keys(config, keys)? };
    let key = CheckpointKey::from_pem(&own_key(config)?)?;
    keys.extend(public_keys(config, &[])?);
    let now = Clock::system().now_microseconds();
    let archiving = Archiving { store: &store, owner: &owner, key: &key, keys: &keys, folder, now };
    let files = archiving.run(month).await?;
    for (file, archive) in &files {
        println!("{}: places {} to {}, proved", file.display(), archive.first, archive.last);
    }
    println!("dropped {month}");
    Ok(())
}

fn owner_of_dev_mode(config: &Config) -> Option<SecretString> {
    let data = config.data_folder().ok().filter(|_| config.database.url.is_none())?;
    embedded_postgres::running(&data).map(SecretString::from)
}

/// Whose trail the settings mean.
async fn tenant(config: &Config, store: &Store) -> Result<TenantId> {
    let Some(slug) = config.data.tenant.as_deref() else { return Ok(TenantId::FIRST) };
    store.tenant_named(slug).await?.with_context(|| format!("there is no tenant {slug}"))
}

fn public_keys(config: &Config, files: &[PathBuf]) -> Result<Vec<CheckpointPublicKey>> {
    let read = |file: &PathBuf| -> Result<CheckpointPublicKey> {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read the key {}", file.display()))?;
        Ok(CheckpointPublicKey::from_pem(&text)?)
    };
    if !files.is_empty() {
        return files.iter().map(read).collect();
    }
    let own = CheckpointKey::from_pem(&own_key(config)?)?.public().clone();
    let before = CheckpointPublicKey::before(&own_key_file(config)?)
        .context("older checkpoint keys cannot be read")?;
    Ok([vec![own], before].concat())
}

/// The file of the key that this server signs with.
fn own_key_file(config: &Config) -> Result<PathBuf> {
    Ok(match &config.keys.checkpoint_key_file {
        Some(file) => file.clone(),
        None => config.data_folder().map_err(anyhow::Error::msg)?.join(super::dev::CHECKPOINT_KEY),
    })
}

/// The key that this server signs with, PEM.
fn own_key(config: &Config) -> Result<SecretString> {
    let own = own_key_file(config)?;
    key_file::read(&own)
        .with_context(|| format!("cannot read the key {}: name the public key with --key", own.display()))
}

fn open(file: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?))
}

/// The database that the settings name, or that of a dev mode that runs. Its ring holds no key of ours: the
/// trail is checked as it is stored.
fn store(config: &Config) -> Result<Store> {
    let mut database = config.database.clone();
    if database.url.is_none() {
        let data = config.data_folder().map_err(anyhow::Error::msg)?;
        let Some(url) = embedded_postgres::running(&data) else {
            bail!("VESTA_DATABASE_URL is missing, and no dev mode runs in {}", data.display());
        };
        database.url = Some(url.into());
    }
    let mut settings = database_settings(&database)?;
    settings.statement_timeout = Duration::from_secs(300);
    let ring = KeyRing::new(RootKeys::parse(&new_root_key())?, 1, Duration::from_secs(1));
    Ok(Store::new(settings, Arc::new(ring), Clock::system()))
}
