//! `vesta demo`: made-up patients as files.

use crate::clock::Clock;
use crate::demo::Demo;
use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use jiff::civil::Date;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How many patients, and where they go.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// How many patients
    #[arg(long, default_value_t = 20, value_name = "N")]
    patients: u32,
    /// What the dice are thrown with: the same seed makes the same patients
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// The day on which the charts end, today if not given
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<Date>,
    /// How they are written
    #[arg(long, value_enum, default_value_t)]
    form: Form,
    /// The folder to write into, or - for standard output
    #[arg(long, default_value = "-", value_name = "FOLDER")]
    out: PathBuf,
}

/// How patients are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A resource in a line, in a folder a file for every type
    #[default]
    Ndjson,
    /// A transaction for every chart, in a folder each a file of its own
    Bundles,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let today = arguments.date.unwrap_or_else(|| today(&Clock::system()));
    let demo = Demo { patients: arguments.patients, seed: arguments.seed, today };
    let written = if arguments.out == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        match arguments.form {
            Form::Ndjson => lines(&mut out, demo.resources()),
            Form::Bundles => lines(&mut out, demo.bundles()),
        }
    } else {
        fs::create_dir_all(&arguments.out)
            .with_context(|| format!("cannot create {}", arguments.out.display()))?;
        match arguments.form {
            Form::Ndjson => by_type(&arguments.out, demo.resources()),
            Form::Bundles => one_by_one(&arguments.out, demo.bundles()),
        }
    };
    match written {
        // Whoever read has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.with_context(|| format!("cannot write to {}", arguments.out.display())),
    }
}

/// The day in UTC.
pub(super) fn today(clock: &Clock) -> Date {
    clock.now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn lines(out: &mut impl Write, values: impl Iterator<Item = Value>) -> io::Result<()> {
    for value in values {
        writeln!(out, "{value}")?;
    }
    out.flush()
}

fn by_type(folder: &Path, resources: impl Iterator<Item = Value>) -> io::Result<()> {
    let mut files: HashMap<String, BufWriter<File>> = HashMap::new();
    for resource in resources {
        let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        if !files.contains_key(name) {
            let file = File::create(folder.join(format!("{name}.ndjson")))?;
            files.insert(name.to_owned(), BufWriter::new(file));
        }
        if let Some(file) = files.get_mut(name) {
            writeln!(file, "{resource}")?;
        }
    }
    files.values_mut().try_for_each(Write::flush)
}

fn one_by_one(folder: &Path, bundles: impl Iterator<Item = Value>) -> io::Result<()> {
    for (number, bundle) in bundles.enumerate() {
        // The practice is the first, and sorts before the charts.
        let name =
            if number == 0 { "hospitalInformation.json".to_owned() } else { format!("{number:07}.json") };
        fs::write(folder.join(name), bundle.to_string())?;
    }
    Ok(())
}
