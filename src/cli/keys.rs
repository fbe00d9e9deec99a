//! `vesta keys`: makes the keys that serving needs, each in a file that nobody else can read.

use crate::config::Config;
use crate::crypto::jws::TokenKey;
use crate::crypto::key_file;
use crate::crypto::key_ring::{RootKeyProvider, RootKeys, new_root_key};
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
    /// Says which root key is in use
    Status,
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

pub(super) fn run(config: &Config, command: &Command) -> Result<()> {
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
        Command::Status => status(config),
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

fn status(config: &Config) -> Result<()> {
    let file = match &config.keys.root_key_file {
        Some(file) => file.clone(),
        None => config.data_folder().map_err(anyhow::Error::msg)?.join(super::dev::ROOT_KEY),
    };
    read(&file)?;
    let keys: RootKeys = RootKeyProvider::File(file.clone()).root_keys()?;
    println!("root key {} in {}", keys.current_id(), file.display());
    Ok(())
}

fn read(file: &Path) -> Result<SecretString> {
    key_file::read(file).with_context(|| format!("cannot read the key {}", file.display()))
}
