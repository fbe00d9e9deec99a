//! `vesta packages`: guides beside those that come with the program, added while servers run.
//!
//! A package is turned into facts here and stored for one tenant; every running server holds to it within half
//! a second. What cannot be used of it is told, and nothing of it is passed over in silence.

use super::operator;
use crate::app::App;
use crate::app::rules::Rules;
use crate::config::Config;
use crate::conformance::archive::{self, Archive};
use crate::conformance::compile;
use crate::conformance::definitions::Definitions;
use crate::store::packages::{LONGEST_FACTS, NewPackage};
use crate::store::reindex::{self, Walked};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Subcommand;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to do about packages.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Adds a guide: profiles, value sets and search parameters, from its published archive
    Add {
        /// The archive: package.tgz
        file: PathBuf,
    },
    /// Lists the guides, and how its search parameters stand
    List,
    /// Removes a guide: nothing is held to it from then on
    Remove {
        /// Its name
        name: String,
        /// Its version
        version: String,
    },
}

pub(super) async fn run(config: &Config, command: &Command) -> Result<()> {
    let app = operator::request(config).await?.app;
    match command {
        Command::Add { file } => add(&app, file).await,
        Command::List => list(&app).await,
        Command::Remove { name, version } => {
            let row = operator::changed(&app, &format!("package {name} {version} removed"));
            if !app.store.remove_package(app.tenant, (name, version), row).await? {
                bail!("there is no package {name} {version}");
            }
            println!("removed {name} {version}");
            Ok(())
        }
    }
}

async fn add(app: &App, file: &Path) -> Result<()> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut hashing = Hashing { inner: BufReader::new(opened), hash: Sha256::new() };
    let archive = archive::read(&mut hashing)?;
    // What follows the end of the archive belongs to the file, too.
    io::copy(&mut hashing, &mut io::sink())?;
    let rules = rules(app).await?;
    let (facts, mut warnings) = compiled(&archive, &rules.definitions);
    ensure!(facts.len() <= LONGEST_FACTS, "the package says more than {LONGEST_FACTS} bytes of facts");
    let with = rules.definitions.with_packages(std::slice::from_ref(&facts));
    let with = with.context("the package cannot be used")?;
    warnings.extend(with.problems().iter().filter(|it| !rules.definitions.problems().contains(it)).cloned());
    let digest = hashing.hash.finalize();
    let package =
        NewPackage { name: &archive.name, version: &archive.version, digest: &digest, facts: &facts };
    let row = operator::changed(app, &format!("package {} {} added", archive.name, archive.version));
    app.store.add_package(app.tenant, package, row).await?;
    for warning in &warnings {
        println!("warning  {warning}");
    }
    let count = |word: &str| facts.lines().filter(|it| it.starts_with(word)).count();
    println!(
        "added {} {}: {} profiles, {} value sets, {} search parameters",
        archive.name,
        archive.version,
        count("profile\t"),
        count("values\t"),
        count("parameter\t")
    );
    Ok(())
}

/// The facts of a package, and what of it cannot be held to.
fn compiled(archive: &Archive, definitions: &Definitions) -> (String, Vec<String>) {
    let compiled = compile::guide(&archive.name, &archive.version, &archive.source, definitions);
    let mut warnings = archive.left_out.clone();
    for (name, version) in &archive.dependencies {
        let is_core = name.starts_with("hl7.fhir.r4.") || name == "hl7.terminology.r4";
        if !is_core && !definitions.guides().iter().any(|it| *it.name == **name) {
            warnings.push(format!("it builds upon {name} {version}, which is not here: add that, too"));
        }
    }
    warnings.extend(compiled.warnings);
    (compiled.facts, warnings)
}

async fn list(app: &App) -> Result<()> {
    let rules = rules(app).await?;
    let added = app.store.packages(app.tenant).await?;
    for guide in rules.definitions.guides() {
        let is_added = added.iter().any(|it| *it.name == *guide.name && *it.version == *guide.version);
        println!("{}  {} {}", if is_added { "added   " } else { "built in" }, guide.name, guide.version);
    }
    for it in rules.definitions.added_parameters() {
        let state = if it.is_building { "building" } else { "active" };
        println!("{state:8}  search parameter {}.{} {}", it.resource_type, it.code, it.url);
    }
    for problem in rules.definitions.problems() {
        println!("not used  {problem}");
    }
    for job in app.store.jobs(app.tenant, reindex::KIND, 5).await? {
        let walked: Walked = serde_json::from_slice(&job.progress).unwrap_or_default();
        let problem = job.problem.unwrap_or_default();
        println!("reindex   {} {:?}: {} resources done {problem}", job.id, job.state, walked.done);
    }
    Ok(())
}

async fn rules(app: &App) -> Result<Arc<Rules>> {
    app.rules(app.tenant).await.map_err(|outcome| match outcome.cause() {
        Some(cause) => anyhow!("what is there already cannot be read: {cause}"),
        None => anyhow!("what is there already cannot be read"),
    })
}

/// A reader that hashes what it reads.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
