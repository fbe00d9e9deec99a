//! `vesta dictionaries`: trains the compression dictionaries of stored bodies, and measures them.
//!
//! A tool of ours, not of operators: see `store/dictionary/README.md`.

use crate::conformance::definitions::Definitions;
use crate::conformance::sealing::{Level, SealingPolicy, sealed_spans};
use crate::demo::Demo;
use crate::fhir::id::ResourceId;
use crate::fhir::json::Limits;
use crate::fhir::resource::Resource;
use crate::load::{parcel, source};
use crate::store::sealed_body;
use anyhow::{Context as _, Result, anyhow};
use clap::Subcommand;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to do with dictionaries.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Trains one dictionary for each type, from made-up patients only
    Train {
        /// Where the dictionaries are written, as `Patient.zdict`
        folder: PathBuf,
        /// How long a dictionary may be, in bytes
        #[arg(long, default_value_t = 8192, value_name = "N")]
        bytes: usize,
    },
    /// Tells how long resources are as they come and as they are stored
    Measure {
        /// Bundles, resources or NDJSON
        paths: Vec<PathBuf>,
    },
}

/// How many patients it takes, and the dice for them.
const PATIENTS: u32 = 400;
const SEED: u64 = 20_261_124;
/// Fewer samples make no dictionary.
const ENOUGH: usize = 100;

pub(super) fn run(command: &Command) -> Result<()> {
    let definitions = Definitions::embedded()?;
    let policy = SealingPolicy::embedded(&definitions.types, Level::Clinical)?;
    match command {
        Command::Train { folder, bytes } => train(&definitions, &policy, folder, *bytes),
        Command::Measure { paths } => measure(&definitions, &policy, paths),
    }
}

/// What of a resource is compressed: the skeleton, and each section.
fn parts(definitions: &Definitions, policy: &SealingPolicy, text: &str) -> Result<(String, Vec<Vec<u8>>)> {
    let resource = Resource::parse(text, &Limits::default()).map_err(|_| anyhow!("not a resource"))?;
    let id = resource.id().cloned().or_else(|| ResourceId::parse("x")).context("an id")?;
    let text = resource.stamped(&id, 1, "2026-11-24T09:30:12.345678Z");
    let stamped =
        Resource::parse(text.as_str(), &Limits::default()).map_err(|_| anyhow!("not a resource"))?;
    let spans = sealed_spans(definitions, policy, &stamped);
    let parts = sealed_body::compressed_parts(&text, &spans)?;
    Ok((resource.resource_type().name().to_owned(), parts))
}

fn train(definitions: &Definitions, policy: &SealingPolicy, folder: &PathBuf, bytes: usize) -> Result<()> {
    let today = jiff::civil::date(2026, 11, 24);
    let demo = Demo { patients: PATIENTS, seed: SEED, today };
    let mut samples: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (number, resource) in demo.resources().enumerate() {
        // People write JSON in more than one way; most write it without spaces.
        let text = match number % 8 {
            0 => serde_json::to_string_pretty(&resource)?,
            1 | 2 => airy(&resource, 2),
            _ => resource.to_string(),
        };
        let (name, parts) = parts(definitions, policy, &text)?;
        samples.entry(name).or_default().extend(parts);
    }
    std::fs::create_dir_all(folder)?;
    for (name, samples) in samples.iter().filter(|(_, samples)| samples.len() >= ENOUGH) {
        let dictionary = zstd::dict::from_samples(samples, bytes)
            .with_context(|| format!("no dictionary can be made for {name}"))?;
        std::fs::write(folder.join(format!("{name}.zdict")), &dictionary)?;
        println!("{name} {} samples, {} bytes", samples.len(), dictionary.len());
    }
    Ok(())
}

/// JSON as HAPI writes it: two spaces deep, arrays open on the line of their first item.
fn airy(value: &Value, depth: usize) -> String {
    let inner = "  ".repeat(depth + 1);
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| {
                    format!("{inner}{}: {}", Value::from(name.as_str()), airy(value, depth + 1))
                })
                .collect();
            format!("{{\n{}\n{}}}", members.join(",\n"), "  ".repeat(depth))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| airy(item, depth)).collect();
            format!("[ {} ]", items.join(", "))
        }
        leaf => leaf.to_string(),
    }
}

/// How many, how long as they came, how long with the general dictionary, how long as they are stored.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: u64,
    plain: usize,
    general: usize,
    stored: usize,
}

fn measure(definitions: &Definitions, policy: &SealingPolicy, paths: &[PathBuf]) -> Result<()> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    let mut note = |text: &str| -> Result<()> {
        let (name, parts) = parts(definitions, policy, text)?;
        let sum = sums.entry(name.clone()).or_default();
        sum.count += 1;
        sum.plain += text.len();
        for part in &parts {
            let [general, stored] = sealed_body::lengths(&name, part);
            sum.general += general;
            sum.stored += stored;
        }
        Ok(())
    };
    for source in source::find(paths)? {
        let mut failed = None;
        parcel::cut(&source, &mut |parcel| {
            let bundle = crate::fhir::json::Json::parse(
                parcel.body,
                &Limits { size_bytes: 1 << 28, ..Limits::default() },
            );
            let Ok(bundle) = bundle else { return true };
            let entries = bundle.root().get("entry");
            for entry in entries.into_iter().flat_map(crate::fhir::json::Node::items) {
                if let Some(resource) = entry.get("resource")
                    && let Err(error) = note(resource.raw())
                {
                    failed = Some(error);
                }
            }
            true
        })?;
        if let Some(error) = failed {
            eprintln!("{}: {error:#}", source.path.display());
        }
    }
    let mut total = Sum::default();
    println!("{:<24} {:>8} {:>8} {:>8} {:>8} {:>6}", "type", "count", "plain", "general", "stored", "ratio");
    for (name, sum) in sums {
        show(&name, sum);
        total.count += sum.count;
        total.plain += sum.plain;
        total.general += sum.general;
        total.stored += sum.stored;
    }
    show("all", total);
    Ok(())
}

fn show(name: &str, sum: Sum) {
    let each = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX) / sum.count.max(1);
    let ratio = 10 * sum.plain / sum.stored.max(1);
    println!(
        "{name:<24} {:>8} {:>8} {:>8} {:>8} {:>4}.{}",
        sum.count,
        each(sum.plain),
        each(sum.general),
        each(sum.stored),
        ratio / 10,
        ratio % 10
    );
}
