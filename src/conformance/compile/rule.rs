//! The rules of R4's own types: invariants, bindings, targets of references, by type and element.

use super::types::is_type;
use super::{Source, element, list, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A block for each type that has rules; `.` is the type itself.
#[must_use]
pub fn rules(source: &Source) -> String {
    let mut blocks: BTreeMap<String, String> = BTreeMap::new();
    for definition in source.of("StructureDefinition").iter().filter(|it| is_type(it)) {
        let elements: Vec<&Value> = list(&definition["snapshot"]["element"]).collect();
        for element in &elements {
            let path = text(&element["path"]);
            let is_parent = elements.iter().any(|it| text(&it["path"]).starts_with(&format!("{path}.")));
            let mut at_type = Vec::new();
            let mut at_element = element::bindings(element);
            if element::has_profiled_types(element) {
                at_element.extend(element::types(element));
            }
            // The rules of a backbone element hold wherever that type comes again.
            if is_parent { &mut at_type } else { &mut at_element }.extend(element::rules(element));
            add(&mut blocks, path, ".", &at_type);
            if let Some((parent, last)) = path.rsplit_once('.') {
                add(&mut blocks, parent, last, &at_element);
            }
        }
    }
    blocks.into_iter().map(|(name, lines)| format!("{name}\n{lines}")).collect()
}

fn add(blocks: &mut BTreeMap<String, String>, of: &str, element: &str, fields: &[String]) {
    if !fields.is_empty() {
        let _ = writeln!(blocks.entry(of.to_owned()).or_default(), "\t{element}\t{}", fields.join("\t"));
    }
}
