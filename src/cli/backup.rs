//! `vesta backup`: makes backups, puts one back, and proves that one can be put back.

use super::{dev, operator};
use crate::app::{App, database_settings};
use crate::backup::drill::Drilling;
use crate::backup::make::{Made, Making};
use crate::backup::restore::{Putting, Restored};
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::random;
use crate::crypto::sign::CheckpointPublicKey;
use crate::embedded_postgres::{DATABASE, EmbeddedPostgres, OWNER_ROLE};
use crate::fhir::date_time::instant;
use crate::store::backup::BackupDeed;
use crate::store::connection::Settings;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to do about backups.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Writes everything that is stored into a folder, sealed and signed, while servers run
    Make(Make),
    /// Puts a backup back, into a database that has nothing in it
    Restore(Restore),
    /// Restores a backup where nobody needs it, proves it, and measures what would be lost
    Drill(Drill),
}

/// Where a backup goes.
#[derive(Args, Debug)]
pub(super) struct Make {
    /// The folder, made when there is none: data/ and keys/ in it each get a parcel
    #[arg(id = "backup_folder", value_name = "FOLDER")]
    folder: PathBuf,
    /// Key parcels in the folder are removed after so many days: who is destroyed is gone from backups by then
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    keep_keys: u32,
    /// The public keys of checkpoints, PEM, where the key was changed
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
}

/// Which backup.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// The name of the backup in the folder. Default: the last
    #[arg(long, value_name = "NAME")]
    backup: Option<String>,
    /// The public keys of checkpoints, PEM, where the key was changed
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Open so many bodies of each kind only
    #[arg(long, value_name = "ROWS")]
    sample: Option<u64>,
}

/// Where it is.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The folder that it was made in
    #[arg(id = "backup_folder", value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    which: Which,
}

/// Where it is, if it is not made now.
#[derive(Args, Debug)]
pub(super) struct Drill {
    /// The folder of the backup. Default: one is made now, and removed afterwards
    #[arg(id = "backup_folder", value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(config: &Config, command: &Command) -> Result<()> {
    match command {
        Command::Make(arguments) => {
            let app = operator::app(config)?;
            let keys = keys(&app, &arguments.keys)?;
            told(&make(&app, &arguments.folder, arguments.keep_keys, &keys).await?);
            Ok(())
        }
        Command::Restore(arguments) => restore(config, arguments).await,
        Command::Drill(arguments) => drill(config, arguments).await,
    }
}

async fn make(app: &App, folder: &Path, keep_keys: u32, keys: &[CheckpointPublicKey]) -> Result<Made> {
    Making { app, folder, keep_keys_days: keep_keys, keys, tell: &tell }.run().await
}

async fn restore(config: &Config, arguments: &Restore) -> Result<()> {
    if config.database.url.is_some() || config.database.migration_url.is_some() {
        return restore_into(config, arguments).await;
    }
    // Dev mode's own database, which must not run: the keys of the folder must be those of the backup.
    let data = config.data_folder().map_err(anyhow::Error::msg)?;
    if !data.join(dev::ROOT_KEY).exists() {
        bail!(
            "{} is missing: put the keys back first, they are in no backup",
            data.join(dev::ROOT_KEY).display()
        );
    }
    let postgres = EmbeddedPostgres::start(&data).await?;
    let mut config = config.clone();
    let url = SecretString::from(postgres.url(OWNER_ROLE, DATABASE));
    config.database.migration_url = Some(url.clone());
    config.database.url = Some(url);
    dev::use_keys(&mut config, &data);
    let restored = restore_into(&config, arguments).await;
    postgres.stop().await;
    restored
}

async fn restore_into(config: &Config, arguments: &Restore) -> Result<()> {
    let app = Arc::new(App::start(config.clone(), Clock::system())?);
    let owner = owner(config)?;
    let putting = Putting {
        app: &app,
        owner: &owner,
        folder: &arguments.folder,
        name: arguments.which.backup.as_deref(),
        keys: &keys(&app, &arguments.which.keys)?,
        sample: arguments.which.sample,
        deed: BackupDeed::Restored,
        tell: &tell,
    };
    show(&putting.run().await?)
}

async fn drill(config: &Config, arguments: &Drill) -> Result<()> {
    let app = operator::app(config)?;
    let keys = keys(&app, &arguments.which.keys)?;
    let apart = std::env::temp_dir().join(format!("vesta-drill-{}", random::id(0)));
    let made_here = apart.join("backup");
    let folder = match &arguments.folder {
        Some(folder) => folder,
        None => {
            told(&make(&app, &made_here, u32::MAX, &keys).await?);
            &made_here
        }
    };
    let drilling = Drilling {
        app: &app,
        folder,
        name: arguments.which.backup.as_deref(),
        scratch: &apart.join("data"),
        keys: &keys,
        sample: arguments.which.sample,
        tell: &tell,
    };
    let restored = drilling.run().await;
    if apart.exists() {
        std::fs::remove_dir_all(&apart).with_context(|| format!("cannot remove {}", apart.display()))?;
    }
    show(&restored?)
}

fn tell(line: &str) {
    println!("  {line}");
}

fn told(made: &Made) {
    println!(
        "made {}: {} rows, {} bytes, as of {}, in {}",
        made.name,
        made.rows,
        made.bytes,
        instant(made.taken),
        seconds(made.took)
    );
}

fn show(restored: &Restored) -> Result<()> {
    let Restored { record, name, proof } = restored;
    println!("restored {name}: {} rows, as of {}", record.rows, instant(record.taken));
    println!(
        "proved   {} events of the trail; {} bodies opened, {} of destroyed keys",
        proof.events,
        proof.bodies - proof.shredded,
        proof.shredded
    );
    println!("lost     what came in the {} before: the recovery point", seconds(record.behind));
    println!("took     {}: the recovery time", seconds(record.took));
    for fault in &proof.faults {
        println!("fault    {fault}");
    }
    if proof.is_whole() { Ok(()) } else { bail!("what was restored is not whole") }
}

fn seconds(microseconds: i64) -> String {
    let milliseconds = microseconds.max(0) / 1000;
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

fn owner(config: &Config) -> Result<Settings> {
    let mut database = config.database.clone();
    database.url = database.migration_url.take().or(database.url);
    database_settings(&database)
}

/// The public keys that are named, that of the key in use, and those of the keys before it.
fn keys(app: &App, files: &[PathBuf]) -> Result<Vec<CheckpointPublicKey>> {
    let read = |file: &PathBuf| -> Result<CheckpointPublicKey> {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read the key {}", file.display()))?;
        Ok(CheckpointPublicKey::from_pem(&text)?)
    };
    let own = app.checkpoint_keys()?.into_iter().map(Ok);
    files.iter().map(read).chain(own).collect()
}
