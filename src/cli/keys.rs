//! `vesta keys`: makes the keys that serving needs, each in a file that nobody else can read; says how the keys
//! of the store stand, and changes them while servers run.

use super::key_rotation;
use super::officer::{self, Asking, Deed};
use crate::config::Config;
use crate::crypto::jws::TokenKey;
use crate::crypto::key_file;
use crate::crypto::key_ring::new_root_key;
use crate::crypto::sign::CheckpointKey;
use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use secrecy::SecretString;
use std::io;
use std::path::{Path, PathBuf};

/// What to do about keys.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Makes a new key in a file that must not exist yet
    Create {
        /// What the key is for
        #[arg(value_enum)]
        kind: Kind,
        /// The file
        file: PathBuf,
    },
    /// Prints the public key set of a token key, as JWKS: what VESTA_TOKEN_KEY_SET holds
    TokenSet {
        /// The file of the token key
        file: PathBuf,
    },
    /// Prints the public key that checkpoints of the trail are checked against, as PEM
    CheckpointPublic {
        /// The file of the checkpoint key
        file: PathBuf,
    },
    /// Says which keys are in use, and whether any are being changed
    Status,
    /// Changes keys while servers run: what was begun goes on in them
    Rotate {
        /// Which keys
        #[arg(value_enum)]
        level: Level,
        /// Root only: forget the older root keys, once nothing needs them
        #[arg(long)]
        drop_older: bool,
    },
    /// Opens every sealed section, and says whether each is whole
    Verify {
        /// Look at so many rows of each kind only
        #[arg(long, value_name = "ROWS")]
        sample: Option<u64>,
    },
    /// Destroys a patient, or the tenant, for good: two officers have to ask for the same
    Shred(Asking),
    /// Forbids to destroy a patient, or anybody
    Hold(Asking),
    /// Allows it again
    LiftHold(Asking),
}

/// Which keys are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// What wraps the tenants' keys
    Root,
    /// What wraps the patients' keys
    Tenant,
    /// What patients' data are sealed with
    Patients,
    /// What sealed values are found by
    Index,
    /// What signs access tokens and id_tokens
    Token,
    /// What signs checkpoints of the trail, and backups
    Checkpoint,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Kind {
    /// Wraps all keys that seal
    Root,
    /// Signs the checkpoints of the trail
    Checkpoint,
    /// Signs access tokens
    Token,
}

pub(super) async fn run(config: &Config, command: &Command) -> Result<()> {
    match command {
        Command::Create { kind, file } => create(*kind, file),
        Command::TokenSet { file } => {
            println!("{}", TokenKey::from_pem(&read(file)?)?.key_set().to_json());
            Ok(())
        }
        Command::CheckpointPublic { file } => {
            print!("{}", CheckpointKey::from_pem(&read(file)?)?.public().to_pem()?);
            Ok(())
        }
        Command::Status => key_rotation::status(config).await,
        Command::Rotate { level, drop_older } => key_rotation::rotate(config, *level, *drop_older).await,
        Command::Verify { sample } => key_rotation::verify(config, *sample).await,
        Command::Shred(asking) => officer::run(config, Deed::Shred, asking).await,
        Command::Hold(asking) => officer::run(config, Deed::Hold, asking).await,
        Command::LiftHold(asking) => officer::run(config, Deed::LiftHold, asking).await,
    }
}

fn create(kind: Kind, file: &Path) -> Result<()> {
    if file.exists() {
        bail!("{} exists: a key is never written over", file.display());
    }
    let make = || -> io::Result<SecretString> {
        match kind {
            Kind::Root => Ok(new_root_key()),
            Kind::Checkpoint => CheckpointKey::random().to_pem().map_err(io::Error::other),
            Kind::Token => TokenKey::new_pem().map_err(io::Error::other),
        }
    };
    key_file::read_or_create(file, make).with_context(|| format!("cannot write {}", file.display()))?;
    println!("made {}", file.display());
    if matches!(kind, Kind::Root) {
        println!("keep a copy in a safe place: without it every sealed element is lost");
    }
    Ok(())
}

fn read(file: &Path) -> Result<SecretString> {
    key_file::read(file).with_context(|| format!("cannot read the key {}", file.display()))
}
