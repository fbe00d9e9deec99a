//! `vesta client`: clients, and leave to register them. A file with clients is put by `vesta seed`.

use super::operator::{self, told};
use crate::config::Config;
use crate::smart::{register, revoke};
use anyhow::{Result, bail};
use clap::Subcommand;
use secrecy::ExposeSecret as _;

/// What to do about clients.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Prints the ids of all clients
    List,
    /// Gives a client no more tokens, and ends those that it has
    Disable {
        /// The id of the client
        id: String,
    },
    /// Prints an initial access token, with which one client may be registered
    Leave {
        /// How long it is good
        #[arg(long, default_value_t = 24, value_name = "N")]
        hours: u32,
    },
    /// Makes new keys that sign tokens; those before check for another day
    RotateKeys,
}

pub(super) async fn run(config: &Config, command: Command) -> Result<()> {
    let request = operator::request(config).await?;
    let store = &request.app.store;
    match command {
        Command::List => {
            for id in store.client_ids(request.tenant).await? {
                println!("{id}");
            }
        }
        Command::Disable { id } => {
            if store.client(request.tenant, &id).await?.is_none() {
                bail!("there is no such client");
            }
            revoke::disable_client(&request, &id).await.map_err(told)?;
            println!("disabled {id}");
        }
        Command::Leave { hours } => {
            let leave = register::give_leave(&request, i64::from(hours) * 3600).await.map_err(told)?;
            println!("{}", leave.expose_secret());
        }
        Command::RotateKeys => {
            crate::smart::discovery::rotate_keys(&request).await.map_err(told)?;
            println!("new keys sign from now on, on other servers within half a minute");
        }
    }
    Ok(())
}
