//! `vesta definitions`: turns official packages into the compact facts of `fhir-profiles/`.
//!
//! For whoever maintains Vesta: the facts come with the program.

use crate::conformance::compile::{self, Source};
use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// What to do with definitions.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Turns unpacked official packages into facts
    Compile {
        /// The folder of R4's own definitions, one NDJSON file for each type
        core: PathBuf,
        /// Where the facts of R4 go: fhir-profiles/r4-core
        #[arg(long)]
        out: PathBuf,
    },
    /// Turns an unpacked guide into facts
    Guide {
        /// The folder of R4's own definitions
        core: PathBuf,
        /// The folder of the guide's resources
        guide: PathBuf,
        /// The name of the package, such as hl7.fhir.us.core
        #[arg(long)]
        name: String,
        /// The version of the package
        #[arg(long)]
        package_version: String,
        /// Where its facts go
        #[arg(long)]
        out: PathBuf,
    },
}

pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Compile { core, out } => {
            let source = source(core)?;
            let files = [
                ("types.tsv", compile::types(&source)),
                ("search-parameters.tsv", compile::search_parameters(&source)),
                ("compartments.tsv", compile::compartments(&source)),
                ("rules.tsv", compile::rules(&source)),
                ("package.tsv", compile::core_package(&source)),
            ];
            for (name, facts) in files {
                write(&out.join(name), &facts)?;
            }
        }
        Command::Guide { core, guide, name, package_version, out } => {
            let facts = compile::package(name, package_version, &source(guide)?, &source(core)?);
            write(out, &facts)?;
        }
    }
    Ok(())
}

/// Every conformance resource of a folder; its subfolders hold examples.
fn source(folder: &Path) -> Result<Source> {
    let mut source = Source::default();
    let listing = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "json" || it == "ndjson"))
    {
        source
            .add(&std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    ensure!(source.count() > 0, "{} holds no resources", folder.display());
    Ok(source)
}

fn write(path: &Path, facts: &str) -> Result<()> {
    std::fs::write(path, facts).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{} ({} bytes)", path.display(), facts.len());
    Ok(())
}
