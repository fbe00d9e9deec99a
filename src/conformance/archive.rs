//! Reads a guide from the archive that it is published as: gzip, tar, `package/package.json` and one file for
//! each resource.
//!
//! <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>
//!
//! Only what facts are made of is kept. An archive comes from elsewhere, so it is held to limits, names in it
//! lead nowhere (nothing is written), and a text that would become part of a line of facts holds no control
//! characters.

#![expect(clippy::indexing_slicing, reason = "indexing a serde_json value gives null, it does not panic")]

use super::compile::Source;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::{self, Read};

/// The most files in an archive.
const MOST_FILES: usize = 50_000;
/// The most bytes of an archive, unpacked.
const MOST_BYTES: u64 = 1 << 30;
/// The longest file that is read.
const LONGEST_FILE: u64 = 64 << 20;

/// The types that facts are made of.
const KEPT: [&str; 7] = [
    "StructureDefinition",
    "ValueSet",
    "CodeSystem",
    "SearchParameter",
    "OperationDefinition",
    "CapabilityStatement",
    "ImplementationGuide",
];

/// Members that hold words for people, or values that are written as JSON: these may span lines.
const FREE: [&str; 24] = [
    "text",
    "description",
    "purpose",
    "comment",
    "requirements",
    "copyright",
    "short",
    "display",
    "title",
    "meaningWhenMissing",
    "documentation",
    "publisher",
    "label",
    "orderMeaning",
    "usage",
    "human",
    "xpath",
    "expression",
    "valueMarkdown",
    "valueString",
    "example",
    "designation",
    "mapping",
    "contact",
];

/// A guide as it is published.
pub struct Archive {
    /// `hl7.fhir.us.core`
    pub name: String,
    /// `6.1.0`
    pub version: String,
    /// The packages that it builds upon, with their versions.
    pub dependencies: Vec<(String, String)>,
    /// Its definitions.
    pub source: Source,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be unpacked.
    #[error("this is not a gzipped tar archive, or it is broken")]
    Broken(#[from] io::Error),
    /// It is more than anybody would publish.
    #[error("the archive is too large: at most {MOST_FILES} files and {MOST_BYTES} bytes are read")]
    TooLarge,
    /// `package/package.json` is missing or says too little.
    #[error("{0}")]
    Manifest(&'static str),
    /// A text holds what facts cannot.
    #[error("{file}: {member} holds control characters")]
    Control {
        /// The file.
        file: String,
        /// The member of a resource in it.
        member: String,
    },
}

/// Reads an archive.
///
/// # Errors
/// It is broken, too large, not for R4, or holds control characters where none may be.
pub fn read(archive: impl Read) -> Result<Archive, ArchiveError> {
    let bounded = Bounded { inner: GzDecoder::new(archive), left: MOST_BYTES };
    let mut tar = tar::Archive::new(bounded);
    let mut manifest = None;
    let mut source = Source::default();
    let mut left_out = Vec::new();
    for (count, entry) in tar.entries().map_err(broken)?.enumerate() {
        if count >= MOST_FILES {
            return Err(ArchiveError::TooLarge);
        }
        let mut entry = entry.map_err(broken)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        // Folders below hold examples and other forms of the same.
        let file = path.trim_start_matches("./").strip_prefix("package/").unwrap_or_default();
        if file.contains('/') || !file.ends_with(".json") || !entry.header().entry_type().is_file() {
            continue;
        }
        if entry.size() > LONGEST_FILE {
            left_out.push(format!("{file}: longer than {LONGEST_FILE} bytes"));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        let Ok(json) = serde_json::from_slice::<Value>(&bytes) else {
            left_out.push(format!("{file}: not JSON"));
            continue;
        };
        if file == "package.json" {
            manifest = Some(json);
        } else if KEPT.contains(&json["resourceType"].as_str().unwrap_or_default()) {
            if let Some(member) = control_in(&json, "") {
                return Err(ArchiveError::Control { file: file.to_owned(), member });
            }
            source.push(json);
        }
    }
    let manifest = manifest.ok_or(ArchiveError::Manifest("the archive holds no package/package.json"))?;
    finish(&manifest, source, left_out)
}

fn finish(manifest: &Value, source: Source, left_out: Vec<String>) -> Result<Archive, ArchiveError> {
    let is_name = |it: &&str| {
        !it.is_empty()
            && it.len() <= 200
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._".contains(&it))
    };
    let named = |member: &str| manifest[member].as_str().filter(is_name).map(str::to_owned);
    let name = named("name").ok_or(ArchiveError::Manifest("package.json names no package"))?;
    let version = named("version").ok_or(ArchiveError::Manifest("package.json states no version"))?;
    let versions = ["fhirVersions", "fhir-version-list"].iter().find_map(|it| manifest[*it].as_array());
    let is_other = versions.is_some_and(|it| !it.is_empty() && !it.iter().any(is_r4));
    if is_other {
        return Err(ArchiveError::Manifest("the package is not for FHIR R4 (4.0)"));
    }
    if source.count() == 0 {
        return Err(ArchiveError::Manifest("the package holds no definitions"));
    }
    let dependencies = manifest["dependencies"].as_object().into_iter().flatten();
    let dependencies =
        dependencies.map(|(name, version)| (name.clone(), version.as_str().unwrap_or_default().to_owned()));
    Ok(Archive { name, version, dependencies: dependencies.collect(), source, left_out })
}

fn is_r4(version: &Value) -> bool {
    version.as_str().is_some_and(|it| it == "4.0" || it.starts_with("4.0."))
}

/// The first member that would break a line of facts.
fn control_in(value: &Value, member: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains(|it: char| it.is_control()).then(|| member.to_owned()),
        Value::Array(items) => items.iter().find_map(|it| control_in(it, member)),
        Value::Object(members) => members
            .iter()
            .filter(|(name, value)| !is_free(name, value))
            .find_map(|(name, value)| control_in(value, name)),
        _ => None,
    }
}

fn is_free(name: &str, value: &Value) -> bool {
    let is_json = ["fixed", "pattern", "minValue", "maxValue", "defaultValue", "example"];
    // `definition` is prose in an element, and a URL in a component of a search parameter.
    let is_prose = name == "definition" && !value.as_str().is_some_and(|it| it.starts_with("http"));
    FREE.contains(&name) || is_prose || is_json.iter().any(|it| name.starts_with(it))
}

fn broken(error: io::Error) -> ArchiveError {
    match error.get_ref().is_some_and(|it| it.is::<TooMuch>()) {
        true => ArchiveError::TooLarge,
        false => ArchiveError::Broken(error),
    }
}

/// More came out than may.
#[derive(Debug, thiserror::Error)]
#[error("too much")]
struct TooMuch;

/// A reader that gives up after so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooMuch)),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    const MANIFEST: (&str, &str) = (
        "package/package.json",
        r#"{"name":"x.y","version":"1.0.0","fhirVersions":["4.0.1"],"dependencies":{"a":"1"}}"#,
    );

    #[test]
    fn keeps_definitions_and_leaves_examples() {
        let bytes = archive(&[
            MANIFEST,
            ("package/a.json", r#"{"resourceType":"ValueSet","url":"http://v","description":"two\nlines"}"#),
            ("package/b.json", r#"{"resourceType":"Patient"}"#),
            ("package/example/c.json", r#"{"resourceType":"ValueSet","url":"http://w"}"#),
            ("package/d.json", "nonsense"),
        ]);
        let archive = read(&bytes[..]).unwrap();
        assert_eq!((archive.name.as_str(), archive.version.as_str()), ("x.y", "1.0.0"));
        assert_eq!(archive.dependencies, [("a".to_owned(), "1".to_owned())]);
        assert_eq!((archive.source.count(), archive.left_out.len()), (1, 1));
    }

    #[test]
    fn refuses_what_is_no_package() {
        let say = |files: &[(&str, &str)]| read(&archive(files)[..]).err().unwrap().to_string();
        assert!(read(&b"nonsense"[..]).err().unwrap().to_string().contains("gzipped"));
        assert!(say(&[("package/a.json", "{}")]).contains("package.json"));
        assert!(say(&[MANIFEST]).contains("no definitions"));
        let r5 = r#"{"name":"x","version":"1","fhirVersions":["5.0.0"]}"#;
        let value_set = ("package/a.json", r#"{"resourceType":"ValueSet","url":"http://v"}"#);
        assert!(say(&[("package/package.json", r5), value_set]).contains("R4"));
        let path = r#"{"name":"../x","version":"1"}"#;
        assert!(say(&[("package/package.json", path), value_set]).contains("names no package"));
        let line = r#"{"resourceType":"ValueSet","url":"http://v\nprofile\thttp://p"}"#;
        assert!(say(&[MANIFEST, ("package/a.json", line)]).contains("a.json: url"));
    }
}
