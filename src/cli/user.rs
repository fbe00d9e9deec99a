//! `vesta user`: accounts, one at a time.

use super::operator::{self, told};
use crate::config::Config;
use crate::crypto::random;
use crate::smart::accounts::{self, User};
use crate::smart::revoke;
use anyhow::{Result, bail};
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};
use std::io::{BufRead as _, IsTerminal as _};

/// What to do about accounts.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Makes an account, or changes the one of that name. The password is the first line of the input, or
    /// made up and printed where that is a terminal; the second factor is enrolled at the first sign-in
    Put {
        /// The name to sign in with
        username: String,
        /// The resource that stands for the user, such as Practitioner/17
        #[arg(long, value_name = "REFERENCE")]
        fhir_user: Option<String>,
        /// The role
        #[arg(long)]
        role: Option<String>,
        /// How the user is addressed
        #[arg(long)]
        name: Option<String>,
    },
    /// Lets nobody sign in with an account any more, and ends everything that it began
    Disable {
        /// The name to sign in with
        username: String,
    },
    /// Forgets the second factor, for a user who has lost it: it is enrolled anew at the next sign-in
    ResetSecondFactor {
        /// The name to sign in with
        username: String,
    },
}

pub(super) async fn run(config: &Config, command: Command) -> Result<()> {
    let request = operator::request(config).await?;
    match command {
        Command::Put { username, fhir_user, role, name } => {
            let (password, is_made_up) = password()?;
            let shown = is_made_up.then(|| password.expose_secret().to_owned());
            let user = User { username, password: Some(password), totp_secret: None, fhir_user, name, role };
            let id = accounts::put_user(&request, &user).await.map_err(told)?;
            println!("user {id}");
            if let Some(password) = shown {
                println!("password {password}");
            }
        }
        Command::Disable { username } => {
            let Some(account) = request.app.store.account_named(request.tenant, &username).await? else {
                bail!("there is no such user");
            };
            revoke::disable_user(&request, account.id).await.map_err(told)?;
            println!("disabled {}", account.id);
        }
        Command::ResetSecondFactor { username } => {
            let id = accounts::reset_second_factor(&request, &username).await.map_err(told)?;
            println!("reset {id}");
        }
    }
    Ok(())
}

/// The first line of the input; where a person sits there, one that is made up.
fn password() -> Result<(SecretString, bool)> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok((random::token_urlsafe(15), true));
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok((SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()), false))
}
