//! What an import is asked for: where the lines are, and what becomes of a resource that is there already.

use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// An import, understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRequest {
    /// The URL that was asked.
    pub url: String,
    /// Where the lines are, in the order in which they are read.
    pub sources: Vec<Source>,
    /// Whose version stands.
    pub conflict: Conflict,
}

/// Lines to import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The type of all its resources, where one is named.
    pub of: Option<String>,
    /// Where it is.
    pub place: Place,
}

/// Where lines are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// They were sent with the request: the name of the file.
    Upload(String),
    /// At that address.
    Url(String),
}

/// Whose version stands, where there is one already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conflict {
    /// `overwrite`: that of the line.
    #[default]
    Overwrite,
    /// `skip`: the one that is there.
    Skip,
    /// `version`: that of the line, if its `meta.versionId` is the one that stands.
    Version,
    /// `last-updated`: that of the line, if its `meta.lastUpdated` is later.
    LastUpdated,
}

/// As many sources may be named.
const MOST_SOURCES: usize = 10_000;

impl ImportRequest {
    /// Reads a manifest: that of an export, or one of `input`s.
    ///
    /// # Errors
    /// It is none.
    pub fn read(url: String, manifest: &[u8], conflict: Conflict) -> Result<ImportRequest, Outcome> {
        let manifest: Value =
            serde_json::from_slice(manifest).map_err(|_| Outcome::structure("the manifest is not JSON"))?;
        if let Some(format) = manifest.get("inputFormat").and_then(Value::as_str)
            && !matches!(format, "application/fhir+ndjson" | "application/ndjson" | "ndjson")
        {
            return Err(Outcome::not_supported("lines are read as application/fhir+ndjson").at("inputFormat"));
        }
        let (name, list) = match (manifest.get("input"), manifest.get("output")) {
            (Some(Value::Array(list)), _) => ("input", list),
            (None, Some(Value::Array(list))) => ("output", list),
            _ => return Err(Outcome::required("the manifest has a list input, or output").at("input")),
        };
        if list.len() > MOST_SOURCES {
            return Err(Outcome::too_costly("the manifest names too many files").at(name));
        }
        let sources = list.iter().enumerate().map(|(place, entry)| {
            let at = format!("{name}[{place}]");
            let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            let of = text("type");
            if of.as_deref().is_some_and(|it| ResourceType::parse(it).is_none()) {
                return Err(Outcome::value("R4 has no such type").at(format!("{at}.type")));
            }
            let url = text("url").ok_or_else(|| Outcome::required("where it is").at(format!("{at}.url")))?;
            Ok(Source { of, place: Place::Url(url) })
        });
        Ok(ImportRequest { url, sources: sources.collect::<Result<_, Outcome>>()?, conflict })
    }

    /// The files that were sent with it.
    pub(super) fn uploads(&self) -> Vec<String> {
        let upload = |it: &Source| match &it.place {
            Place::Upload(id) => Some(id.clone()),
            Place::Url(_) => None,
        };
        self.sources.iter().filter_map(upload).collect()
    }
}

impl Conflict {
    /// Reads the parameter `conflict`.
    ///
    /// # Errors
    /// It names no such policy.
    pub fn parse(text: &str) -> Result<Conflict, Outcome> {
        match text {
            "overwrite" => Ok(Conflict::Overwrite),
            "skip" => Ok(Conflict::Skip),
            "version" => Ok(Conflict::Version),
            "last-updated" => Ok(Conflict::LastUpdated),
            _ => Err(Outcome::value("conflict is overwrite, skip, version or last-updated").at("conflict")),
        }
    }
}

impl Source {
    /// Its address, as its owner knows it.
    #[must_use]
    pub fn url(&self) -> &str {
        match &self.place {
            Place::Url(url) => url,
            Place::Upload(_) => "",
        }
    }

    /// Whether it may be read from.
    ///
    /// # Errors
    /// It lies below none of these.
    pub fn check(&self, allowed: &[String]) -> Result<(), Outcome> {
        let Place::Url(url) = &self.place else { return Ok(()) };
        let refused =
            || Outcome::forbidden("files may not be imported from there: VESTA_BULK_IMPORT_SOURCES");
        let url = Url::parse(url).map_err(|_| Outcome::value("not a URL").at("input.url"))?;
        // As it is once parsed: without dots in its path, and with nobody's name before its host.
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_below = |it: &String| Url::parse(it).is_ok_and(|it| url.as_str().starts_with(it.as_str()));
        if is_plain && allowed.iter().any(is_below) { Ok(()) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_from_where_it_is_allowed() {
        let allowed = ["https://files.example.org/out/".to_owned()];
        let check = |url: &str| Source { of: None, place: Place::Url(url.to_owned()) }.check(&allowed);
        check("https://files.example.org/out/a.ndjson").unwrap();
        check("https://FILES.example.org:443/out/b/../a.ndjson").unwrap();
        for bad in [
            "https://files.example.org/out/../secret",
            "https://files.example.org/outside",
            "http://files.example.org/out/a",
            "https://files.example.org.evil.org/out/a",
            "https://files.example.org@evil.org/out/a",
            "https://me@files.example.org/out/a",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_manifests() {
        let read = |text: &str| ImportRequest::read(String::new(), text.as_bytes(), Conflict::Skip);
        let request = read(r#"{"input":[{"type":"Patient","url":"https://h/p"}]}"#).unwrap();
        assert_eq!(
            (request.sources[0].of.as_deref(), request.sources[0].url()),
            (Some("Patient"), "https://h/p")
        );
        assert_eq!(read(r#"{"output":[{"url":"https://h/p"}],"error":[]}"#).unwrap().sources.len(), 1);
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"input":[{}]}"#,
            r#"{"input":[{"type":"X","url":"u"}]}"#,
            r#"{"inputFormat":"csv","input":[]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
