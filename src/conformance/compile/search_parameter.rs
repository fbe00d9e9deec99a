//! Search parameters and compartments.

use super::{Source, list, one_line, text, texts};
use serde_json::Value;
use std::fmt::Write as _;

/// Search parameters.
#[must_use]
pub fn search_parameters(source: &Source) -> String {
    let mut lines: Vec<String> = source.of("SearchParameter").iter().map(search_parameter).collect();
    lines.sort();
    lines.concat()
}

/// The search parameters of a package, each behind the word that opens its block.
pub(super) fn indented(source: &Source) -> String {
    let mut lines: Vec<String> = source.of("SearchParameter").iter().map(block).collect();
    lines.sort();
    lines.concat()
}

pub(super) fn block(definition: &Value) -> String {
    format!("parameter\t{}", search_parameter(definition))
}

fn search_parameter(definition: &Value) -> String {
    let expression = one_line(text(&definition["expression"]));
    let mut out = format!(
        "{}\t{}\t{}\t{}\t{}\t{expression}\n",
        text(&definition["url"]),
        text(&definition["code"]),
        text(&definition["type"]),
        texts(&definition["base"]).join(" "),
        texts(&definition["target"]).join(" "),
    );
    for component in list(&definition["component"]) {
        let expression = one_line(text(&component["expression"]));
        let _ = writeln!(out, "\t{}\t{expression}", text(&component["definition"]));
    }
    out
}

/// Compartments: type, then the parameters that put it inside.
#[must_use]
pub fn compartments(source: &Source) -> String {
    let mut lines = Vec::new();
    for definition in source.of("CompartmentDefinition") {
        let compartment = text(&definition["code"]);
        for resource in list(&definition["resource"]) {
            let parameters = texts(&resource["param"]);
            if !parameters.is_empty() {
                lines.push(format!("{compartment}\t{}\t{}\n", text(&resource["code"]), parameters.join(" ")));
            }
        }
    }
    lines.sort();
    lines.concat()
}
