//! `vesta leak-test`: everybody who may not know asks a running server by every surface.

use crate::leak_test::{self, Target};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Which server, and with which tokens.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The FHIR base of the server
    #[arg(value_name = "URL")]
    base: String,
    /// A TOML file: writer = "a token that may do everything", a token for each attempt by its name, and
    /// neighbour-base = "the FHIR base of another tenant"
    #[arg(long = "tokens", value_name = "FILE")]
    tokens: PathBuf,
    /// The authorities that may have signed the server's certificate
    #[arg(long = "authorities", value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// How the table is shown
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Store what there is to leak and stop, so that tokens for it can be made
    #[arg(long)]
    prepare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let text = std::fs::read_to_string(&arguments.tokens).context("the file of tokens cannot be read")?;
    let mut tokens: BTreeMap<String, String> =
        toml::from_str(&text).ok().context("the file of tokens is not TOML: name = \"token\"")?;
    let Some(writer) = tokens.remove("writer") else { bail!("the file of tokens names no writer") };
    let neighbour = tokens.remove("neighbour-base").map(|it| it.trim_end_matches('/').to_owned());
    let mut client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    if let Some(path) = &arguments.authorities {
        let pem = std::fs::read(path).context("the authorities cannot be read")?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).context("the authorities are not PEM")?;
        client = client.tls_certs_merge(certificates);
    }
    let base = arguments.base.trim_end_matches('/').to_owned();
    let target = Target { base, client: client.build()?, writer, tokens, neighbour };
    leak_test::prepare(&target).await.context("what there is to leak could not be stored")?;
    if arguments.prepare {
        println!("two patients, leak-own and leak-other, are there: make the tokens, then run this again");
        return Ok(());
    }
    let report = leak_test::run(&target, |attempt| eprintln!("trying {attempt}")).await?;
    match arguments.format {
        Format::Text => print!("{}", report.to_text()),
        Format::Json => println!("{:#}", report.to_json()),
    }
    match report.failures().count() {
        0 => Ok(()),
        failed => bail!("{failed} cells leak or prove nothing"),
    }
}
