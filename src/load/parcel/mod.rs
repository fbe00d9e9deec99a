//! What is sent in one request: a bundle, and where each of its resources came from.
//!
//! Bundles that say what to do go as they are, byte for byte. Bundles that only hold resources
//! (collections, search results) become transactions that put what has an id and post what has none.
//! Lines of NDJSON are gathered into batches that put: a bad one does not take the others with it.

use super::Refusal;
use super::source::{Form, Source};
use crate::fhir::json::{Json, Limits, Node, quote};
use crate::fhir::resource::Resource;
use std::io::{self, BufRead as _, BufReader, Read as _};

/// One request.
#[derive(Debug)]
pub struct Parcel {
    /// The bundle, as JSON.
    pub body: String,
    /// Where each of its resources stands: `file:line`, `file entry 3`.
    pub places: Vec<String>,
    /// May be sent again without making anything twice.
    pub is_idempotent: bool,
    /// What names it in the journal.
    pub key: String,
    /// How much of the file it took, decompressed.
    pub bytes_read: u64,
    /// What stood between its resources and cannot be sent.
    pub unsent: Vec<Refusal>,
}

/// So many lines in one batch.
const LINES: usize = 100;
/// Or so many bytes.
const BYTES: usize = 4 << 20;
/// No line and no document is longer.
const LONGEST: usize = 256 << 20;

/// Cuts a file into parcels, in order, until `take` has enough.
///
/// # Errors
/// The file cannot be read, or is longer than can be sent.
pub fn cut(source: &Source, take: &mut dyn FnMut(Parcel) -> bool) -> io::Result<()> {
    match source.form {
        Form::Lines => lines(source, take),
        Form::Document => {
            let mut text = Vec::new();
            source.open()?.take(LONGEST as u64 + 1).read_to_end(&mut text)?;
            if text.len() > LONGEST {
                return Err(io::Error::other("longer than can be sent"));
            }
            take(document(&source.path.display().to_string(), key(source, "whole"), text));
            Ok(())
        }
    }
}

fn limits() -> Limits {
    Limits { size_bytes: LONGEST, ..Limits::default() }
}

/// The name of a part of a file in the journal: of this very file, as it is now.
fn key(source: &Source, part: &str) -> String {
    let path = std::path::absolute(&source.path).unwrap_or_else(|_| source.path.clone());
    format!("{}\t{}\t{}\t{part}", source.size_bytes, source.changed_seconds, path.display())
}

fn lines(source: &Source, take: &mut dyn FnMut(Parcel) -> bool) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, source.open()?);
    let mut number = 0_u64;
    loop {
        let first = number + 1;
        let mut parcel = Parcel {
            body: String::from("{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":["),
            places: Vec::new(),
            is_idempotent: true,
            key: String::new(),
            bytes_read: 0,
            unsent: Vec::new(),
        };
        let mut is_end = false;
        while parcel.places.len() < LINES && parcel.body.len() < BYTES {
            let mut line = Vec::new();
            let length = reader.by_ref().take(LONGEST as u64).read_until(b'\n', &mut line)?;
            if length == 0 {
                is_end = true;
                break;
            }
            if length == LONGEST {
                return Err(io::Error::other(format!("line {} is longer than can be sent", number + 1)));
            }
            number += 1;
            parcel.bytes_read += length as u64;
            if !line.trim_ascii().is_empty() {
                parcel.add_line(format!("{}:{number}", source.path.display()), line.trim_ascii());
            }
        }
        parcel.body.push_str("]}");
        parcel.key = key(source, &format!("{first}-{number}"));
        if (parcel.bytes_read > 0 && !take(parcel)) || is_end {
            return Ok(());
        }
    }
}

impl Parcel {
    fn add_line(&mut self, place: String, line: &[u8]) {
        let resource = match Resource::parse(line, &limits()) {
            Ok(resource) => resource,
            Err(outcome) => {
                let issue = outcome.worst();
                self.unsent.push(Refusal {
                    place,
                    resources: 1,
                    diagnostics: issue.map(|it| it.diagnostics.clone()).unwrap_or_default(),
                    expression: issue.map(|it| it.expression.clone()).unwrap_or_default(),
                });
                return;
            }
        };
        if !self.places.is_empty() {
            self.body.push(',');
        }
        self.is_idempotent &= resource.id().is_some();
        push_entry(&mut self.body, None, resource.root());
        self.places.push(place);
    }
}

/// An entry that puts a resource where its id says, or posts one without an id.
fn push_entry(body: &mut String, full_url: Option<&str>, resource: Node<'_>) {
    let kind = resource.string("resourceType").unwrap_or_default();
    let (method, url) = match resource.string("id") {
        Some(id) => ("PUT", format!("{kind}/{id}")),
        None => ("POST", kind.into_owned()),
    };
    body.push('{');
    if let Some(full_url) = full_url {
        body.push_str(&format!("\"fullUrl\":{},", quote(full_url)));
    }
    body.push_str("\"resource\":");
    body.push_str(resource.raw());
    body.push_str(&format!(",\"request\":{{\"method\":\"{method}\",\"url\":{}}}}}", quote(&url)));
}

/// The parcel of a bundle, or of a single resource, that is in no file.
#[must_use]
pub fn of(place: &str, text: String) -> Parcel {
    document(place, String::new(), text.into_bytes())
}

fn document(place: &str, key: String, text: Vec<u8>) -> Parcel {
    let mut parcel = Parcel {
        body: String::new(),
        places: Vec::new(),
        is_idempotent: false,
        key,
        bytes_read: text.len() as u64,
        unsent: Vec::new(),
    };
    let json = match Json::parse(text, &limits()) {
        Ok(json) => json,
        Err(error) => {
            let diagnostics = error.to_string();
            let place = place.to_owned();
            parcel.unsent.push(Refusal { place, resources: 1, diagnostics, expression: Vec::new() });
            return parcel;
        }
    };
    let root = json.root();
    if root.string("resourceType").is_none_or(|it| it != "Bundle") {
        parcel.is_idempotent = root.get("id").is_some();
        parcel.body.push_str("{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[");
        push_entry(&mut parcel.body, None, root);
        parcel.body.push_str("]}");
        parcel.places.push(place.to_owned());
        return parcel;
    }
    let entries = || root.get("entry").into_iter().flat_map(Node::items);
    let kind = root.string("type").unwrap_or_default();
    if matches!(&*kind, "transaction" | "batch") {
        parcel.is_idempotent = entries().filter_map(|it| it.get("request")).all(may_be_repeated);
        parcel.places.extend((0..entries().count()).map(|at| format!("{place} entry {at}")));
        parcel.body = json.into_text();
        return parcel;
    }
    parcel.is_idempotent = true;
    parcel.body.push_str("{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[");
    for (at, entry) in entries().enumerate() {
        let Some(resource) = entry.get("resource") else { continue };
        if !parcel.places.is_empty() {
            parcel.body.push(',');
        }
        parcel.is_idempotent &= resource.get("id").is_some();
        push_entry(&mut parcel.body, entry.string("fullUrl").as_deref(), resource);
        parcel.places.push(format!("{place} entry {at}"));
    }
    parcel.body.push_str("]}");
    parcel
}

/// Doing it twice is doing it once.
fn may_be_repeated(request: Node<'_>) -> bool {
    let method = request.string("method").unwrap_or_default();
    method != "PATCH" && (method != "POST" || request.get("ifNoneExist").is_some())
}

#[cfg(test)]
mod tests;
