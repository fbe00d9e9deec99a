//! `vesta export`: a bulk export into a folder.

use super::load::{self, Target};
use crate::config::Config;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use url::form_urlencoded;

/// What is exported, and where it goes.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The folder for the files
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Only every patient's record, not the whole system
    #[arg(long, conflicts_with = "group")]
    patients: bool,
    /// Only the records of the members of that Group
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Only these types, separated by commas
    #[arg(long = "type", value_name = "TYPES")]
    types: Option<String>,
    /// Only what changed after that instant
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Only what satisfies one of these: Type?query
    #[arg(long = "filter", value_name = "TYPE?QUERY")]
    filters: Vec<String>,
    /// Without what says who they are: safe-harbor, or limited for a limited data set
    #[arg(long, value_name = "METHOD")]
    deidentify: Option<String>,
    /// Move each patient's dates by as many days, in a limited data set
    #[arg(long, requires = "deidentify")]
    shift_dates: bool,
    /// For whom the pseudonyms are, where it is not the client itself
    #[arg(long, value_name = "NAME", requires = "deidentify")]
    recipient: Option<String>,
    /// Leave the export on the server
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    let folder = &arguments.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let server = load::server(config, &arguments.target)?;
    let base = server.base().to_owned();
    let place = match &arguments.group {
        Some(id) => format!("{base}/Group/{id}/$export"),
        None if arguments.patients => format!("{base}/Patient/$export"),
        None => format!("{base}/$export"),
    };
    let url = format!("{place}?{}", arguments.query());
    let kicked_off = server
        .send(|client| {
            client.get(&url).header("prefer", "respond-async").header("accept", "application/fhir+json")
        })
        .await?;
    let status = location(kicked_off).await?;
    let progress = ProgressBar::new(100);
    progress.set_style(ProgressStyle::with_template("{bar:40} {percent:>3}% {msg} {elapsed_precise}")?);
    let manifest: Value = loop {
        let answer = server.send(|client| client.get(&status)).await?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        match answer.status().as_u16() {
            200 => break answer.json().await?,
            202 => {
                let told = header("x-progress").unwrap_or_default();
                let percent = told.split('%').next().and_then(|it| it.trim().parse().ok()).unwrap_or(0);
                let wait = header("retry-after").and_then(|it| it.parse().ok()).unwrap_or(1_u64);
                progress.set_position(percent);
                progress.set_message(told);
                tokio::time::sleep(Duration::from_secs(wait.clamp(1, 60))).await;
            }
            _ => bail!("the export failed: {}", answer.text().await?),
        }
    };
    progress.set_position(100);
    let (mut files, mut resources) = (0, 0);
    for list in ["output", "deleted", "error"] {
        for file in manifest.get(list).and_then(Value::as_array).into_iter().flatten() {
            let url = file.get("url").and_then(Value::as_str).context("a file has no URL")?;
            let name = url.rsplit('/').next().filter(|it| is_name(it)).context("a file has no name")?;
            let count = file.get("count").and_then(Value::as_u64).unwrap_or(0);
            progress.set_message(name.to_owned());
            fetch(&server, url, &folder.join(name)).await?;
            files += 1;
            resources += if list == "output" { count } else { 0 };
        }
    }
    let text = serde_json::to_string_pretty(&manifest)?;
    fs::write(folder.join("manifest.json"), text).context("cannot write manifest.json")?;
    if !arguments.keep {
        server.send(|client| client.delete(&status)).await?;
    }
    progress.finish_and_clear();
    println!("exported {resources} resources in {files} files into {}", folder.display());
    if let Some(time) = manifest.get("transactionTime").and_then(Value::as_str) {
        println!("what changes later: --since {time}");
    }
    Ok(())
}

impl Arguments {
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let shift = self.shift_dates.then(|| "true".to_owned());
        let named = [
            ("_type", &self.types),
            ("_since", &self.since),
            ("_deidentify", &self.deidentify),
            ("_shiftDates", &shift),
            ("_recipient", &self.recipient),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        for filter in &self.filters {
            query.append_pair("_typeFilter", filter);
        }
        query.finish()
    }
}

/// Where the answer says that the status is.
pub(super) async fn location(answer: reqwest::Response) -> Result<String> {
    let location =
        answer.headers().get("content-location").and_then(|it| it.to_str().ok()).map(str::to_owned);
    match (answer.status().as_u16(), location) {
        (202, Some(location)) => Ok(location),
        (status, _) => Err(anyhow!("the server refused with {status}: {}", answer.text().await?)),
    }
}

/// A file as it comes; under its own name once it is whole.
async fn fetch(server: &crate::load::wire::Server, url: &str, path: &Path) -> Result<()> {
    let answer = server.send(|client| client.get(url)).await?;
    if !answer.status().is_success() {
        bail!("a file cannot be fetched: {}", answer.status());
    }
    let part = path.with_extension("part");
    let mut file =
        tokio::fs::File::create(&part).await.with_context(|| format!("cannot write {}", part.display()))?;
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece?).await?;
    }
    file.flush().await?;
    Ok(fs::rename(&part, path)?)
}

/// A name, and no way to another folder.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_'))
        && !text.starts_with('.')
}
