//! The command line: one file per command. The only room that prints.

#![expect(clippy::print_stdout, reason = "the command line is what prints")]

mod audit;
mod backup;
mod client;
mod compliance;
mod definitions;
mod demo;
mod dev;
mod dictionaries;
mod ending;
mod export;
mod fhirpath;
mod import;
mod key_rotation;
mod keys;
mod launch;
mod leak_test;
mod load;
mod migrate;
mod officer;
mod operator;
mod packages;
mod seed;
mod serve;
mod tenant;
mod terminology;
mod token;
mod user;
mod view;

use crate::config::Config;
use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A FHIR R4 data server and SMART authorization server with HIPAA's controls built in.
///
/// Without a command: dev mode, which brings its own database, keys and certificate; with
/// VESTA_DATABASE_URL set: serve.
#[derive(Parser, Debug)]
#[command(version, name = "vesta")]
pub struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Dev mode only: fill an empty store with made-up patients
    #[arg(long = "demo", global = true)]
    with_demo: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs everything on this machine for trying out: database, keys, certificate, demo clients
    Dev,
    /// Serves with the database, keys and certificate that the settings name
    Serve,
    /// Brings the database up to date, as the role that owns the schema
    Migrate,
    /// Makes, shows and changes keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Proves that the trail is whole, and exports it
    #[command(subcommand)]
    Audit(audit::Command),
    /// Makes backups, puts one back, and proves that one can be put back
    #[command(subcommand)]
    Backup(backup::Command),
    /// Holds the HIPAA control map against the running system
    #[command(subcommand)]
    Compliance(compliance::Command),
    /// Adds guides to those that come with the program, while servers run
    #[command(subcommand)]
    Packages(packages::Command),
    /// Makes the facts that come with the program, from official packages
    #[command(subcommand, hide = true)]
    Definitions(definitions::Command),
    /// Trains and measures the compression dictionaries that come with the program
    #[command(subcommand, hide = true)]
    Dictionaries(dictionaries::Command),
    /// Writes made-up patients, the same for the same seed
    Demo(demo::Arguments),
    /// Loads bundles and NDJSON into a running server
    Load(load::Arguments),
    /// Exports in bulk from a running server into a folder
    Export(export::Arguments),
    /// Makes rows for analysts: views of what is on a running server
    #[command(subcommand)]
    View(view::Command),
    /// Imports NDJSON in bulk into a running server
    Import(import::Arguments),
    /// Puts the users, clients and launches of a file
    Seed(seed::Arguments),
    /// Imports big code systems: LOINC, RxNorm, SNOMED CT, ICD-10-CM
    #[command(subcommand)]
    Terminology(terminology::Command),
    /// Adds and lists tenants
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Makes and disables accounts
    #[command(subcommand)]
    User(user::Command),
    /// Lists and disables clients, and gives leave to register them
    #[command(subcommand)]
    Client(client::Command),
    /// Opens an app for a user, as an EHR would
    Launch(launch::Arguments),
    /// Lets everybody who may not know ask a running server by every surface
    LeakTest(leak_test::Arguments),
    /// Prints an access token for scripts, in dev mode only
    Token(token::Arguments),
    /// Evaluates a FHIRPath expression on a resource
    Fhirpath(fhirpath::Arguments),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(execute(arguments)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vesta: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(arguments: Arguments) -> Result<()> {
    let Arguments { config, with_demo, command } = arguments;
    crate::http::tls::install_cryptography();
    crate::telemetry::hush_panics();
    let command = command.unwrap_or(match config.database.url {
        None => Command::Dev,
        Some(_) => Command::Serve,
    });
    if with_demo && !matches!(command, Command::Dev) {
        bail!("--demo is for dev mode only");
    }
    match command {
        Command::Dev => dev::run(config, with_demo).await,
        Command::Serve => serve::run(config).await,
        Command::Migrate => migrate::run(&config).await,
        Command::Keys(command) => keys::run(&config, &command).await,
        Command::Audit(command) => audit::run(&config, &command).await,
        Command::Backup(command) => backup::run(&config, &command).await,
        Command::Compliance(command) => compliance::run(&config, &command).await,
        Command::Packages(command) => packages::run(&config, &command).await,
        Command::Definitions(command) => definitions::run(&command),
        Command::Dictionaries(command) => dictionaries::run(&command),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::LeakTest(arguments) => leak_test::run(arguments).await,
        Command::Load(arguments) => load::run(&config, arguments).await,
        Command::Export(arguments) => export::run(&config, arguments).await,
        Command::View(command) => view::run(&config, command).await,
        Command::Import(arguments) => import::run(&config, arguments).await,
        Command::Seed(arguments) => seed::run(&config, &arguments).await,
        Command::Terminology(command) => terminology::run(&config, &command).await,
        Command::Tenant(command) => tenant::run(&config, &command).await,
        Command::User(command) => user::run(&config, command).await,
        Command::Client(command) => client::run(&config, command).await,
        Command::Launch(arguments) => launch::run(&config, arguments).await,
        Command::Token(arguments) => token::run(&config, &arguments),
        Command::Fhirpath(arguments) => fhirpath::run(&arguments),
    }
}

/// Refuses settings, with all that is wrong about them.
fn refuse(complaints: Vec<String>) -> Result<()> {
    match complaints.as_slice() {
        [] => Ok(()),
        [one] => bail!("{one}"),
        many => bail!("these settings are not safe to start with:\n  {}", many.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
        let arguments = Arguments::parse_from(["vesta", "serve", "--listen", "127.0.0.1:1"]);
        assert_eq!(arguments.config.listener.listen.port(), 1);
        assert!(matches!(arguments.command, Some(Command::Serve)));
        let arguments = Arguments::parse_from(["vesta", "--demo"]);
        assert!(arguments.with_demo && arguments.command.is_none());
    }

    /// clap takes two arguments of one id for one, and gives each the other's value.
    #[test]
    fn no_argument_of_a_command_has_the_id_of_a_setting() {
        fn ids(command: &clap::Command, is_global: bool) -> Vec<String> {
            let arguments = command.get_arguments().filter(|it| it.is_global_set() == is_global);
            arguments.map(|it| it.get_id().to_string()).collect()
        }
        fn shared(command: &clap::Command, settings: &[String]) -> Vec<String> {
            let own = ids(command, false).into_iter().filter(|it| settings.contains(it));
            let own = own.map(|it| format!("{} {it}", command.get_name()));
            own.chain(command.get_subcommands().flat_map(|it| shared(it, settings))).collect()
        }
        let command = Arguments::command();
        let settings = ids(&command, true);
        assert!(settings.len() > 40, "{settings:?}");
        let shared: Vec<_> = command.get_subcommands().flat_map(|it| shared(it, &settings)).collect();
        assert_eq!(shared, Vec::<String>::new());
    }

    #[test]
    fn commands_and_settings_do_not_share_a_name() {
        for line in [
            "vesta demo --patients 3 --form bundles --out x",
            "vesta load a b --url https://h/fhir --token t",
            "vesta audit verify --tenant clinic --file x",
            "vesta audit export x",
            "vesta audit report --from 2026-11-01 --format html",
            "vesta audit archive 2020-01 folder",
            "vesta backup make folder --keep-keys 7",
            "vesta backup restore folder --backup 2026-11-25T00-00-00.000000Z --key file",
            "vesta backup drill",
            "vesta keys shred --patient alice --reason asked --token-file file",
            "vesta keys lift-hold --everybody --reason over --token-file file --url https://h/fhir",
            "vesta compliance report --tenant clinic --format json",
        ] {
            assert!(Arguments::parse_from(line.split(' ')).command.is_some());
        }
    }
}
