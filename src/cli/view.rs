//! `vesta view`: analysts' views of what is on a running server.

use super::load::{self, Target};
use crate::config::Config;
use crate::views::standard::{self, STANDARD};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use url::form_urlencoded;

/// What about views.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Lists the views that come with the program
    List,
    /// Shows a view that comes with the program, to be copied and changed
    Show {
        /// Its name
        name: String,
    },
    /// Runs a view and writes its rows
    Run(Arguments),
}

/// Which view is run, and where its rows go.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A file with a ViewDefinition, or the name of a view that comes with the program
    #[arg(value_name = "FILE|NAME")]
    view: String,
    #[command(flatten)]
    target: Target,
    /// How rows are written
    #[arg(long, default_value = "csv", value_parser = ["csv", "ndjson", "json", "parquet"])]
    format: String,
    /// Where they are written. Default: to the terminal
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only so many rows
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Only of that patient; may be given several times
    #[arg(long = "patient", value_name = "ID")]
    patients: Vec<String>,
    /// Only of the members of that Group
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Only of what changed after that instant
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
}

pub(super) async fn run(config: &Config, command: Command) -> Result<()> {
    match command {
        Command::List => {
            for view in STANDARD {
                let told: Value = serde_json::from_str(view.text)?;
                let description = told.get("description").and_then(Value::as_str).unwrap_or_default();
                println!("{:24} {description}", view.name);
            }
            Ok(())
        }
        Command::Show { name } => {
            let view = standard::named(&name).context("there is no view of that name: vesta view list")?;
            print!("{}", view.text);
            Ok(())
        }
        Command::Run(arguments) => run_view(config, arguments).await,
    }
}

async fn run_view(config: &Config, arguments: Arguments) -> Result<()> {
    let text = match standard::named(&arguments.view) {
        Some(view) => view.text.to_owned(),
        None => fs::read_to_string(&arguments.view)
            .with_context(|| format!("{} is no file, and no name of a view", arguments.view))?,
    };
    let server = load::server(config, &arguments.target)?;
    let url = format!("{}/ViewDefinition/$viewdefinition-run?{}", server.base(), arguments.query());
    let answer = server
        .send(|client| client.post(&url).header("content-type", "application/json").body(text.clone()))
        .await?;
    if !answer.status().is_success() {
        bail!("the server refused with {}: {}", answer.status(), answer.text().await?);
    }
    let mut pieces = answer.bytes_stream();
    let Some(path) = &arguments.out else {
        while let Some(piece) = pieces.next().await {
            io::stdout().write_all(&piece?)?;
        }
        return Ok(io::stdout().flush()?);
    };
    // Under its own name once it is whole.
    let part = path.with_extension("part");
    let mut file = fs::File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let mut size = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        size += piece.len();
        file.write_all(&piece)?;
    }
    fs::rename(&part, path)?;
    println!("{size} bytes in {}", path.display());
    Ok(())
}

impl Arguments {
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("_format", &self.format);
        for patient in &self.patients {
            query.append_pair("patient", patient);
        }
        let limit = self.limit.map(|it| it.to_string());
        for (name, value) in [("_limit", &limit), ("group", &self.group), ("_since", &self.since)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}
