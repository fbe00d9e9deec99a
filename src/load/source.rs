//! The files, and the order in which they are loaded.
//!
//! A reference should lead to something that is there. Within a bundle the server sees to that; between
//! files it is the order: Synthea's hospitals and practitioners before its patients, NDJSON by type.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// A file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub form: Form,
    /// How long it is, as it lies there.
    pub size_bytes: u64,
    /// When it was changed, in seconds since 1970.
    pub changed_seconds: i64,
    stage: usize,
}

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON document: a bundle, or a resource.
    Document,
    /// A resource in every line.
    Lines,
}

/// NDJSON files of these types come in this order, and before all others.
const FIRST: [&str; 14] = [
    "Organization",
    "Endpoint",
    "Location",
    "Practitioner",
    "PractitionerRole",
    "HealthcareService",
    "Medication",
    "Questionnaire",
    "Patient",
    "RelatedPerson",
    "Coverage",
    "CareTeam",
    "Encounter",
    "Condition",
];
/// And these after all others.
const LAST: [&str; 4] = ["DiagnosticReport", "Provenance", "List", "Group"];

/// The files that the paths name; in folders, those that look like resources.
///
/// # Errors
/// One of them is not there.
pub fn find(paths: &[PathBuf]) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    for path in paths {
        let seen = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if fs::metadata(path).map_err(seen)?.is_dir() {
            within(path, &mut found).map_err(seen)?;
        } else {
            found.push(source(path).map_err(seen)?);
        }
    }
    Ok(found)
}

fn within(folder: &Path, found: &mut Vec<Source>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        entries.push(entry?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            within(&path, found)?;
        } else if form(&path).is_some() {
            found.push(source(&path)?);
        }
    }
    Ok(())
}

fn source(path: &Path) -> io::Result<Source> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    Ok(Source {
        path: path.to_owned(),
        form: form(path).unwrap_or(Form::Lines),
        size_bytes: metadata.len(),
        changed_seconds: metadata.mtime(),
        stage: stage(path),
    })
}

/// What the name says is in a file.
fn form(path: &Path) -> Option<Form> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    match name.rsplit_once('.')?.1 {
        "json" => Some(Form::Document),
        "ndjson" | "jsonl" => Some(Form::Lines),
        _ => None,
    }
}

/// A small number is loaded earlier.
fn stage(path: &Path) -> usize {
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    if name.contains("hospitalInformation") {
        return 0;
    }
    if name.contains("practitionerInformation") {
        return 1;
    }
    // `Patient.ndjson`, `Patient.000.ndjson.gz`, `1.Patient.ndjson`
    let is_of = |kind: &&str| name.split(['.', '-', '_']).any(|part| part == *kind);
    let at = |kinds: &[&str]| kinds.iter().position(is_of);
    let middle = FIRST.len() + 2;
    match (at(&FIRST), at(&LAST)) {
        (Some(at), _) => at + 2,
        (None, Some(at)) => middle + 1 + at,
        (None, None) if name.contains("groupInformation") => middle + LAST.len(),
        (None, None) => middle,
    }
}

/// The sources, those that may go side by side together.
#[must_use]
pub fn stages(mut sources: Vec<Source>) -> Vec<Vec<Source>> {
    sources.sort_by_key(|it| it.stage);
    sources.chunk_by(|one, other| one.stage == other.stage).map(<[Source]>::to_vec).collect()
}

impl Source {
    /// What is in it, decompressed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = BufReader::with_capacity(256 << 10, File::open(&self.path)?);
        Ok(match self.path.extension().and_then(|it| it.to_str()) {
            Some("gz") => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Some("zst") => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
            _ => Box::new(file),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_and_when() {
        let mut names = vec![
            "Provenance.ndjson",
            "b.json",
            "Patient.000.ndjson.gz",
            "0-hospitalInformation17.json",
            "a.json",
            "practitionerInformation17.json",
            "Observation.ndjson.zst",
            "Organization.ndjson",
            "groupInformation1.json",
        ];
        names.sort_by_key(|name| stage(Path::new(name)));
        assert_eq!(
            names,
            [
                "0-hospitalInformation17.json",
                "practitionerInformation17.json",
                "Organization.ndjson",
                "Patient.000.ndjson.gz",
                "b.json",
                "a.json",
                "Observation.ndjson.zst",
                "Provenance.ndjson",
                "groupInformation1.json",
            ]
        );
        assert_eq!(form(Path::new("x/Patient.ndjson.gz")), Some(Form::Lines));
        assert_eq!(form(Path::new("x/a.json")), Some(Form::Document));
        assert_eq!(form(Path::new("x/README.md")), None);
    }
}
