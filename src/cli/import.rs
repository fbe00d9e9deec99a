//! `vesta import`: NDJSON files into a running server, in bulk.
//!
//! Files are cut into pieces of whole lines, each of which the server takes as one import. What is there already as
//! it stands is left alone, so a command that was interrupted is simply given again.

use super::export::location;
use super::load::{self, Target};
use crate::config::Config;
use crate::load::source::{self, Form, Source};
use crate::load::wire::Server;
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is imported, and where it goes.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// NDJSON files, also .gz and .zst, and folders of them
    #[arg(required = true, value_name = "FOLDER|FILE")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Whose version stands, where there is one already
    #[arg(long, value_enum, default_value_t)]
    conflict: Conflict,
}

/// Whose version stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Conflict {
    /// That of the file
    #[default]
    Overwrite,
    /// The one that is there
    Skip,
    /// That of the file, if it is based on the one that stands
    Version,
    /// That of the file, if it is later
    LastUpdated,
}

/// A piece ends with the line that reaches so many bytes.
const PIECE: usize = 8 * 1024 * 1024;
/// So many pieces are under way at once.
const PARALLEL: usize = 3;
/// So many refusals are shown one by one.
const SHOWN: u64 = 50;

/// Whole lines of a file.
struct Piece {
    file: String,
    /// How many lines stand before it.
    before: u64,
    lines: Vec<u8>,
}

/// What came of a piece.
#[derive(Default)]
struct Told {
    stored: u64,
    unchanged: u64,
    refused: Vec<String>,
    bytes: u64,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    let mut sources = source::find(&arguments.paths)?;
    sources.retain(|it| it.form == Form::Lines);
    if sources.is_empty() {
        bail!("nothing in there is NDJSON: .ndjson, .jsonl, also .gz and .zst");
    }
    let server = Arc::new(load::server(config, &arguments.target)?);
    let conflict =
        arguments.conflict.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default();
    let url = format!("{}/$import?conflict={conflict}", server.base());
    let progress = ProgressBar::new(sources.iter().map(|it| it.size_bytes).sum());
    progress.set_style(ProgressStyle::with_template("{bar:40} {msg} {elapsed_precise}")?);
    let begun = Instant::now();
    let (mut stored, mut unchanged, mut refused) = (0_u64, 0_u64, 0_u64);
    for of_stage in source::stages(sources) {
        let pieces = stream::iter(of_stage).flat_map(|it| stream::iter(pieces(&it)));
        let work = pieces.map(|piece| {
            let (server, url) = (Arc::clone(&server), url.clone());
            async move { import(&server, &url, piece?).await }
        });
        let mut work = std::pin::pin!(work.buffered(PARALLEL));
        while let Some(told) = work.next().await {
            let told = told?;
            (stored, unchanged) = (stored + told.stored, unchanged + told.unchanged);
            progress.inc(told.bytes);
            progress.set_message(format!("{} resources", stored + unchanged));
            for line in told.refused {
                refused += 1;
                if refused <= SHOWN {
                    progress.suspend(|| eprintln!("{line}"));
                }
            }
        }
    }
    progress.finish_and_clear();
    let rate =
        stored.saturating_mul(1000) / u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    println!("imported {stored} resources in {:.1} s, {rate} a second", begun.elapsed().as_secs_f64());
    if unchanged > 0 {
        println!("{unchanged} were there already");
    }
    if refused > 0 {
        bail!("{refused} lines were refused");
    }
    Ok(())
}

/// The pieces of a file, read as they are needed.
fn pieces(source: &Source) -> Box<dyn Iterator<Item = Result<Piece>> + Send> {
    let file = source.path.display().to_string();
    let mut reader = match source.open() {
        Ok(reader) => BufReader::new(reader),
        Err(error) => return Box::new(std::iter::once(Err(error).with_context(|| file.clone()))),
    };
    let mut before = 0;
    Box::new(std::iter::from_fn(move || {
        let mut piece = Piece { file: file.clone(), before, lines: Vec::new() };
        while piece.lines.len() < PIECE {
            match reader.read_until(b'\n', &mut piece.lines) {
                Ok(0) => break,
                Ok(_) => before += 1,
                Err(error) => return Some(Err(error).with_context(|| file.clone())),
            }
        }
        (!piece.lines.is_empty()).then_some(Ok(piece))
    }))
}

async fn import(server: &Server, url: &str, piece: Piece) -> Result<Told> {
    let Piece { file, before, lines } = piece;
    let bytes = lines.len() as u64;
    let lines = bytes::Bytes::from(lines);
    let post = |client: &reqwest::Client| {
        client.post(url).header("content-type", "application/fhir+ndjson").body(lines.clone())
    };
    let status = location(server.send(post).await?).await?;
    let result: Value = loop {
        let answer = server.send(|client| client.get(&status)).await?;
        match answer.status().as_u16() {
            200 => break answer.json().await?,
            202 => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => bail!("{file}: the import failed: {}", answer.text().await?),
        }
    };
    let mut told = Told { bytes, ..Told::default() };
    let list = |name: &str| result.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for source in list("output") {
        let count = |name: &str| source.get(name).and_then(Value::as_u64).unwrap_or(0);
        told.stored += count("created") + count("updated");
        told.unchanged += count("unchanged");
    }
    for errors in list("error") {
        let Some(url) = errors.get("url").and_then(Value::as_str) else { continue };
        let text = server.send(|client| client.get(url)).await?.text().await?;
        told.refused.extend(text.lines().map(|line| refusal(&file, before, line)));
    }
    server.send(|client| client.delete(&status)).await?;
    Ok(told)
}

/// A line of errors, for people: with the place in the file, not in the piece.
fn refusal(file: &str, before: u64, line: &str) -> String {
    let outcome: Value = serde_json::from_str(line).unwrap_or_default();
    let issue = outcome.pointer("/issue/0");
    let text = |name: &str| issue.and_then(|it| it.get(name)).and_then(Value::as_str).unwrap_or_default();
    let told = text("diagnostics").strip_prefix("line ").and_then(|it| it.split_once(": "));
    let (line, reason) = told.unwrap_or(("0", "refused"));
    let line = line.parse::<u64>().unwrap_or(0) + before;
    let at = issue.and_then(|it| it.pointer("/expression/0")).and_then(Value::as_str);
    match at {
        Some(at) => format!("{file}:{line}: {reason} ({at})"),
        None => format!("{file}:{line}: {reason}"),
    }
}
