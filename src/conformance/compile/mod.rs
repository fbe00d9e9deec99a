//! From official definitions to compact facts: what `vesta definitions compile` does.
//!
//! Facts are lines of tab-separated values that diff well: paths, cardinalities, types, codes,
//! expressions; never descriptive texts. How they are spelled is said in `fhir-profiles/README.md`.

#![expect(clippy::indexing_slicing, reason = "indexing a serde_json value gives null, it does not panic")]

mod capability;
mod element;
mod profile;
mod rule;
mod search_parameter;
mod types;
mod value_set;

pub use rule::rules;
pub use search_parameter::{compartments, search_parameters};
pub use types::types;

use super::definitions::Definitions;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where HL7's own definitions live; names under it are written without it.
const HL7: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Conformance resources, as a package holds them.
#[derive(Default)]
pub struct Source {
    by_type: BTreeMap<String, Vec<Value>>,
}

impl Source {
    /// Adds a file: one resource, or one on each line. What is not a resource is left out.
    pub fn add(&mut self, text: &str) {
        match serde_json::from_str::<Value>(text) {
            Ok(resource) => self.push(resource),
            Err(_) => {
                text.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|it| self.push(it))
            }
        }
    }

    pub(super) fn push(&mut self, resource: Value) {
        if let Some(name) = resource["resourceType"].as_str() {
            self.by_type.entry(name.to_owned()).or_default().push(resource);
        }
    }

    /// The resources of a type.
    pub(super) fn of(&self, resource_type: &str) -> &[Value] {
        self.by_type.get(resource_type).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many conformance resources there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_type.values().map(Vec::len).sum()
    }

    /// The value sets that required bindings of these definitions name.
    fn required_value_sets(&self) -> Vec<String> {
        let mut urls: Vec<String> = Vec::new();
        for definition in self.of("StructureDefinition") {
            for part in ["snapshot", "differential"] {
                let elements = definition[part]["element"].as_array().into_iter().flatten();
                let bindings = elements.map(|it| &it["binding"]);
                urls.extend(bindings.flat_map(element::required_value_sets).map(ToOwned::to_owned));
            }
        }
        urls.sort();
        urls.dedup();
        urls
    }
}

/// A package as one text of facts: profiles and extensions, value sets of required bindings, search
/// parameters, operations, what its CapabilityStatements ask of a server. `core` gives the code systems that
/// value sets draw on.
#[must_use]
pub fn package(name: &str, version: &str, source: &Source, core: &Source) -> String {
    let guide = source.of("ImplementationGuide").first().map_or("", |it| text(&it["url"]));
    let mut out = format!("package\t{name}\t{version}\t{guide}\n");
    out.push_str(&profile::profiles(source));
    out.push_str(&value_set::value_sets(&source.required_value_sets(), source, core));
    out.push_str(&search_parameter::indented(source));
    out.push_str(&capability::operations(source));
    out.push_str(&capability::capabilities(source));
    out
}

/// A guide as facts, and what there is to say about them.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// The facts.
    pub facts: String,
    /// What cannot be held to.
    pub warnings: Vec<String>,
}

/// The same for a guide that is added to definitions at run time: its value sets draw on theirs, and what
/// cannot be decided with the code systems at hand is told.
#[must_use]
pub fn guide(name: &str, version: &str, source: &Source, definitions: &Definitions) -> Compiled {
    let guide = source.of("ImplementationGuide").first().map_or("", |it| text(&it["url"]));
    let mut facts = format!("package\t{name}\t{version}\t{guide}\n");
    let mut warnings = profile::problems(source, definitions);
    facts.push_str(&profile::profiles(source));
    let urls = source.required_value_sets();
    facts.push_str(&value_set::added(&urls, source, definitions, &mut warnings));
    facts.push_str(&search_parameter::indented(source));
    facts.push_str(&capability::operations(source));
    facts.push_str(&capability::capabilities(source));
    Compiled { facts, warnings }
}

/// The facts of one SearchParameter, for [`Definitions::with_additions`].
#[must_use]
pub fn parameter(definition: &Value) -> String {
    search_parameter::block(definition)
}

/// R4's own profiles and extensions, the value sets of its required bindings, and its operations.
#[must_use]
pub fn core_package(core: &Source) -> String {
    let mut out = String::from("package\thl7.fhir.r4.core\t4.0.1\t\n");
    out.push_str(&profile::profiles(core));
    out.push_str(&value_set::value_sets(&core.required_value_sets(), core, core));
    out.push_str(&capability::operations(core));
    out
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).filter_map(Value::as_str).collect()
}

/// White space outside of a string literal is a single space.
fn one_line(expression: &str) -> String {
    let mut out = String::new();
    let mut is_quoted = false;
    let mut is_escaped = false;
    for letter in expression.trim().chars() {
        match letter {
            '\'' if !is_escaped => is_quoted = !is_quoted,
            _ if !letter.is_whitespace() => {}
            _ if !is_quoted && out.ends_with(' ') => continue,
            _ => {
                out.push(' ');
                is_escaped = false;
                continue;
            }
        }
        is_escaped = letter == '\\' && !is_escaped;
        out.push(letter);
    }
    out
}

/// A canonical URL: R4's own version says nothing, and R4's own place is left out.
fn canonical(url: &str) -> &str {
    let url = url.strip_suffix("|4.0.1").unwrap_or(url);
    match url.strip_prefix(HL7) {
        Some(name) if !name.contains(['/', '|']) => name,
        _ => url,
    }
}

fn write_line(out: &mut String, fields: &[&str]) {
    let _ = writeln!(out, "{}", fields.join("\t"));
}

#[cfg(test)]
mod tests;
