//! From official definitions to compact facts: what `vesta definitions compile` does.
//!
//! Facts are lines of tab-separated values that diff well: paths, cardinalities, types, codes,
//! expressions; never texts. The input is a folder of NDJSON files, one per resource type.

#![expect(clippy::indexing_slicing, reason = "indexing a serde_json value gives null, it does not panic")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Types and their elements, from StructureDefinitions as NDJSON.
#[must_use]
pub fn types(structure_definitions: &str) -> String {
    let mut blocks: BTreeMap<String, String> = BTreeMap::new();
    for definition in records(structure_definitions) {
        let is_type = definition["derivation"] != "constraint" && definition["kind"] != "logical";
        if is_type {
            type_blocks(&definition, &mut blocks);
        }
    }
    blocks.into_values().collect()
}

fn type_blocks(definition: &Value, blocks: &mut BTreeMap<String, String>) {
    let name = text(&definition["type"]);
    let kind = match text(&definition["kind"]) {
        "primitive-type" => "primitive",
        "resource" => "resource",
        _ => "complex",
    };
    let base = text(&definition["baseDefinition"]).rsplit('/').next().unwrap_or_default();
    let elements = definition["snapshot"]["element"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_parent = |path: &str| elements.iter().any(|it| text(&it["path"]).starts_with(&format!("{path}.")));
    blocks.entry(name.to_owned()).or_insert_with(|| format!("{name}\t{kind}\t{base}\n"));
    for element in elements.iter().skip(1) {
        let path = text(&element["path"]);
        let Some((parent, last)) = path.rsplit_once('.') else { continue };
        let types: Vec<String> = match element["contentReference"].as_str() {
            Some(reference) => vec![reference.trim_start_matches('#').to_owned()],
            None if is_parent(path) => vec![path.to_owned()],
            None => {
                element["type"].as_array().into_iter().flatten().map(|it| type_name(it, name, last)).collect()
            }
        };
        let of = text(&element["type"][0]["code"]);
        if is_parent(path) {
            blocks.entry(path.to_owned()).or_insert_with(|| format!("{path}\tbackbone\t{of}\n"));
        }
        let flag = |name: &str, letter| if element[name] == true { letter } else { "" };
        let Some(block) = blocks.get_mut(parent) else { continue };
        let (min, max) = (&element["min"], text(&element["max"]));
        let flags = format!("{}{}", flag("isSummary", "s"), flag("isModifier", "m"));
        let _ = writeln!(block, "\t{last}\t{min}\t{max}\t{flags}\t{}", types.join(" "));
    }
}

/// The FHIR type of an element: `id` and primitive values are said with FHIRPath's own types.
fn type_name(of: &Value, owner: &str, element: &str) -> String {
    let code = text(&of["code"]);
    match code.strip_prefix("http://hl7.org/fhirpath/System.") {
        None => code.to_owned(),
        Some(_) if element == "id" => "string".to_owned(),
        Some(_) if element == "url" && owner == "Extension" => "uri".to_owned(),
        Some(system) => format!("System.{system}"),
    }
}

/// Search parameters, from SearchParameters as NDJSON.
#[must_use]
pub fn search_parameters(search_parameters: &str) -> String {
    let mut lines: Vec<String> = records(search_parameters).map(|it| search_parameter(&it)).collect();
    lines.sort();
    lines.concat()
}

fn search_parameter(definition: &Value) -> String {
    let list = |name: &str| {
        let values = definition[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        values.collect::<Vec<_>>().join(" ")
    };
    let expression = one_line(text(&definition["expression"]));
    let mut out = format!(
        "{}\t{}\t{}\t{}\t{}\t{expression}\n",
        text(&definition["url"]),
        text(&definition["code"]),
        text(&definition["type"]),
        list("base"),
        list("target"),
    );
    for component in definition["component"].as_array().into_iter().flatten() {
        let expression = one_line(text(&component["expression"]));
        let _ = writeln!(out, "\t{}\t{expression}", text(&component["definition"]));
    }
    out
}

/// Compartments: type, then the parameters that put it inside.
#[must_use]
pub fn compartments(compartment_definitions: &str) -> String {
    let mut lines = Vec::new();
    for definition in records(compartment_definitions) {
        let compartment = text(&definition["code"]);
        for resource in definition["resource"].as_array().into_iter().flatten() {
            let parameters: Vec<&str> =
                resource["param"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !parameters.is_empty() {
                lines.push(format!("{compartment}\t{}\t{}\n", text(&resource["code"]), parameters.join(" ")));
            }
        }
    }
    lines.sort();
    lines.concat()
}

fn records(ndjson: &str) -> impl Iterator<Item = Value> {
    ndjson.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
