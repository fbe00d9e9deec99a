//! `vesta terminology`: big code systems, from the files in which they are released.

use super::operator;
use crate::app::App;
use crate::config::Config;
use crate::store::concepts::StoredConcept;
use crate::terminology::release::{BigSystem, Line, Release};
use crate::terminology::tabular;
use anyhow::{Context as _, Result, anyhow};
use clap::{Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

/// What to do about code systems.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Replaces a code system by what its release files say
    Import {
        /// Which one
        system: System,
        /// loinc: Loinc.csv, ComponentHierarchyBySystem.csv; rxnorm: RXNCONSO.RRF, RXNREL.RRF; snomed: the
        /// snapshot files of concepts, descriptions and relationships; icd10cm: the order file, or the tabular list
        /// as XML
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The version of the release, as codings state it
        #[arg(long, default_value = "")]
        release: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum System {
    Loinc,
    Rxnorm,
    Snomed,
    Icd10cm,
}

/// Lines that are sent together.
const TOGETHER: usize = 5_000;
/// Lines between two words of progress.
const PROGRESS: usize = 100_000;

pub(super) async fn run(config: &Config, command: &Command) -> Result<()> {
    let Command::Import { system, files, release } = command;
    let system = match system {
        System::Loinc => BigSystem::Loinc,
        System::Rxnorm => BigSystem::RxNorm,
        System::Snomed => BigSystem::Snomed,
        System::Icd10cm => BigSystem::Icd10Cm,
    };
    let app = operator::request(config).await?.app;
    // Told before it is done: a release that breaks off leaves the system without what it had.
    let told =
        operator::changed(&app, &format!("code system {} is replaced by release {release}", system.url()));
    app.store.append_audit(app.tenant, vec![told]).await.context("the trail cannot be written")?;
    app.store.forget_system(app.tenant, system.number()).await?;
    for file in files {
        let count = import(&app, system, file).await?;
        println!("{}: {count} lines", file.display());
    }
    app.store.complete_system(app.tenant, system.number(), release).await?;
    println!("imported {}", system.url());
    Ok(())
}

async fn import(app: &App, system: BigSystem, path: &PathBuf) -> Result<usize> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut file = BufReader::new(file);
    if system == BigSystem::Icd10Cm && file.fill_buf()?.trim_ascii_start().starts_with(b"<") {
        return import_tabular(app, system, path).await;
    }
    let mut release = Release::new(system);
    let mut parcel = Parcel::default();
    let mut count = 0;
    for line in file.lines() {
        let line = line.with_context(|| format!("{} line {}", path.display(), count + 1))?;
        for said in release.line(&line).map_err(|it| anyhow!("{}: {it}", path.display()))? {
            parcel.add(said);
        }
        count += 1;
        if parcel.len() >= TOGETHER {
            std::mem::take(&mut parcel).send(app, system).await?;
        }
        if count % PROGRESS == 0 {
            println!("{}: {count} lines", path.display());
        }
    }
    parcel.send(app, system).await?;
    Ok(count)
}

/// The tabular list of ICD-10-CM, which is read whole: it has some ten megabytes.
async fn import_tabular(app: &App, system: BigSystem, path: &PathBuf) -> Result<usize> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = tabular::read(&text).map_err(|it| anyhow!("{}: {it}", path.display()))?;
    let count = lines.len();
    let mut parcel = Parcel::default();
    for line in lines {
        parcel.add(line);
        if parcel.len() >= TOGETHER {
            std::mem::take(&mut parcel).send(app, system).await?;
        }
    }
    parcel.send(app, system).await?;
    Ok(count)
}

/// What is sent together: no code comes twice in it.
#[derive(Default)]
struct Parcel {
    concepts: BTreeMap<String, StoredConcept>,
    steps: Vec<(String, String)>,
}

impl Parcel {
    fn len(&self) -> usize {
        self.concepts.len() + self.steps.len()
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Parent { child, parent } => self.steps.push((child, parent)),
            Line::Concept { code, display, is_active, properties } => {
                let new = || StoredConcept { code: code.clone(), active: -1, ..StoredConcept::default() };
                let concept = self.concepts.entry(code.clone()).or_insert_with(new);
                concept.display = display.or(concept.display.take());
                concept.active = is_active.map_or(concept.active, i16::from);
                for (name, value) in properties {
                    concept.properties.push_str(&format!("{name}\t{value}\n"));
                }
            }
        }
    }

    async fn send(self, app: &App, system: BigSystem) -> Result<()> {
        if !self.concepts.is_empty() {
            let concepts = self.concepts.into_values().collect();
            app.store.put_concepts(app.tenant, system.number(), concepts).await?;
        }
        if !self.steps.is_empty() {
            app.store.put_steps(app.tenant, system.number(), self.steps).await?;
        }
        Ok(())
    }
}
