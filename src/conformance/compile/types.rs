//! Types and their elements.

use super::{Source, list, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Types and their elements, from StructureDefinitions.
#[must_use]
pub fn types(source: &Source) -> String {
    let mut blocks: BTreeMap<String, String> = BTreeMap::new();
    for definition in source.of("StructureDefinition").iter().filter(|it| is_type(it)) {
        type_blocks(definition, &mut blocks);
    }
    blocks.into_values().collect()
}

/// Whether it defines a type, and not a profile or a logical model.
pub(super) fn is_type(definition: &Value) -> bool {
    definition["derivation"] != "constraint" && definition["kind"] != "logical"
}

fn type_blocks(definition: &Value, blocks: &mut BTreeMap<String, String>) {
    let name = text(&definition["type"]);
    let kind = match text(&definition["kind"]) {
        "primitive-type" => "primitive",
        "resource" => "resource",
        _ => "complex",
    };
    let base = text(&definition["baseDefinition"]).rsplit('/').next().unwrap_or_default();
    let elements: Vec<&Value> = list(&definition["snapshot"]["element"]).collect();
    let is_parent = |path: &str| elements.iter().any(|it| text(&it["path"]).starts_with(&format!("{path}.")));
    blocks.entry(name.to_owned()).or_insert_with(|| format!("{name}\t{kind}\t{base}\n"));
    for element in elements.iter().skip(1) {
        let path = text(&element["path"]);
        let Some((parent, last)) = path.rsplit_once('.') else { continue };
        let types: Vec<String> = match element["contentReference"].as_str() {
            Some(reference) => vec![reference.trim_start_matches('#').to_owned()],
            None if is_parent(path) => vec![path.to_owned()],
            None => list(&element["type"]).map(|it| type_name(it, name, last)).collect(),
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
