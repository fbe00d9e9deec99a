//! Profiles and extensions: the lines of their differentials that demand something.

use super::{Source, canonical, element, list, text, write_line};
use crate::conformance::definitions::Definitions;
use serde_json::Value;
use std::collections::HashSet;

/// A block for each profile and extension, in order of their URLs.
pub(super) fn profiles(source: &Source) -> String {
    let mut blocks: Vec<String> = source
        .of("StructureDefinition")
        .iter()
        .filter(|it| it["derivation"] == "constraint" && it["kind"] != "logical")
        .map(profile)
        .collect();
    blocks.sort();
    blocks.concat()
}

/// Profiles that cannot be held to: their type, or what they are derived from, is not known.
pub(super) fn problems(source: &Source, definitions: &Definitions) -> Vec<String> {
    let own: HashSet<&str> = source.of("StructureDefinition").iter().map(|it| text(&it["url"])).collect();
    let mut problems = Vec::new();
    for it in source.of("StructureDefinition").iter().filter(|it| it["derivation"] == "constraint") {
        let (url, base) = (text(&it["url"]), text(&it["baseDefinition"]));
        let plain = base.split('|').next().unwrap_or(base);
        let is_known = own.contains(plain)
            || definitions.types.id(canonical(plain)).is_some()
            || definitions.guides().iter().any(|guide| guide.profile(plain).is_some());
        if definitions.types.id(text(&it["type"])).is_none() {
            problems.push(format!("{url}: R4 has no type {}; nothing is held to it", text(&it["type"])));
        } else if !is_known {
            problems.push(format!("{url}: its base {base} is not here; nothing is held to it"));
        }
    }
    problems
}

fn profile(definition: &Value) -> String {
    let mut out = String::new();
    write_line(
        &mut out,
        &[
            "profile",
            text(&definition["url"]),
            text(&definition["version"]),
            text(&definition["type"]),
            canonical(text(&definition["baseDefinition"])),
        ],
    );
    for context in list(&definition["context"]) {
        let place = format!("{}:{}", text(&context["type"]), text(&context["expression"]));
        write_line(&mut out, &["", "@context", &place]);
    }
    let part = if definition["differential"].is_object() { "differential" } else { "snapshot" };
    for (position, element) in list(&definition[part]["element"]).enumerate() {
        let mut fields = element::constraints(element);
        let id = element["id"].as_str().unwrap_or_else(|| text(&element["path"]));
        // A type's own name before its elements says nothing.
        let path = id.split_once('.').map_or(".", |(_, path)| path);
        if position == 0 && element["isModifier"] == true {
            fields.push("modifier".to_owned());
        }
        if !fields.is_empty() || element["sliceName"].is_string() {
            write_line(&mut out, &["", path, &fields.join("\t")]);
        }
    }
    out
}
