//! What an ElementDefinition demands, as tagged fields of one line.

use super::{canonical, list, one_line, text, texts};
use serde_json::Value;

const MAX_VALUE_SET: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";
const BEST_PRACTICE: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice";

/// Rules that every element or resource has: the program knows them.
const UNIVERSAL: &[&str] = &["ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6"];

/// `rule KEY SEVERITY EXPRESSION` for each invariant of its own; severity `e`, `w` or, for best practice, `b`.
pub(super) fn rules(element: &Value) -> Vec<String> {
    let own = list(&element["constraint"]).filter(|it| !UNIVERSAL.contains(&text(&it["key"])));
    own.filter_map(|constraint| {
        let expression = one_line(text(&constraint["expression"]));
        let is_best_practice =
            list(&constraint["extension"]).any(|it| it["url"] == BEST_PRACTICE && it["valueBoolean"] == true);
        let severity = match text(&constraint["severity"]) {
            _ if is_best_practice => "b",
            "error" => "e",
            _ => "w",
        };
        (!expression.is_empty()).then(|| format!("rule {} {severity} {expression}", text(&constraint["key"])))
    })
    .collect()
}

/// `bind STRENGTH URL`, and `bind max URL` where one is named.
pub(super) fn bindings(element: &Value) -> Vec<String> {
    let binding = &element["binding"];
    let mut fields = Vec::new();
    if let Some(url) = binding["valueSet"].as_str() {
        fields.push(format!("bind {} {}", text(&binding["strength"]), value_set(url)));
    }
    if let Some(url) = max_value_set(binding) {
        fields.push(format!("bind max {}", value_set(url)));
    }
    fields
}

/// The value sets that a code must come from.
pub(super) fn required_value_sets(binding: &Value) -> impl Iterator<Item = &str> {
    let required = binding["valueSet"].as_str().filter(|_| binding["strength"] == "required");
    required.into_iter().chain(max_value_set(binding)).map(value_set)
}

fn max_value_set(binding: &Value) -> Option<&str> {
    let extension = list(&binding["extension"]).find(|it| it["url"] == MAX_VALUE_SET)?;
    extension["valueCanonical"].as_str().or_else(|| extension["valueUri"].as_str())
}

fn value_set(url: &str) -> &str {
    url.strip_suffix("|4.0.1").unwrap_or(url)
}

/// `types Reference>Patient,Group Quantity=SimpleQuantity`: types with profiles and targets.
pub(super) fn types(element: &Value) -> Option<String> {
    let types: Vec<String> = list(&element["type"]).map(type_of).collect();
    (!types.is_empty()).then(|| format!("types {}", types.join(" ")))
}

fn type_of(of: &Value) -> String {
    let code = match text(&of["code"]) {
        "http://hl7.org/fhirpath/System.String" => "string",
        code => code,
    };
    let named = |name: &str, sign: &str| {
        let urls: Vec<&str> = texts(&of[name]).into_iter().map(canonical).collect();
        if urls.is_empty() { String::new() } else { format!("{sign}{}", urls.join(",")) }
    };
    format!("{code}{}{}", named("profile", "="), named("targetProfile", ">"))
}

/// Whether a base element's types say more than its shape does.
pub(super) fn has_profiled_types(element: &Value) -> bool {
    list(&element["type"]).any(|it| it["profile"].is_array() || it["targetProfile"].is_array())
}

/// Everything that a profile's element demands.
pub(super) fn constraints(element: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    if element["min"].is_u64() || element["max"].is_string() {
        let min = element["min"].as_u64().map(|it| it.to_string()).unwrap_or_default();
        fields.push(format!("card {min}..{}", text(&element["max"])));
    }
    fields.extend(types(element));
    fields.extend(bindings(element));
    for (name, value) in element.as_object().into_iter().flatten() {
        let plain = ["fixed", "pattern", "minValue", "maxValue"].into_iter().find(|tag| {
            name.strip_prefix(tag).is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_uppercase()))
        });
        if let Some(tag) = plain {
            fields.push(format!("{tag} {value}"));
        }
    }
    if let Some(length) = element["maxLength"].as_u64() {
        fields.push(format!("maxLength {length}"));
    }
    if element["slicing"].is_object() {
        fields.push(slicing(&element["slicing"]));
    }
    fields.extend(rules(element));
    fields
}

/// `slice open unordered value:code pattern:$this`
fn slicing(slicing: &Value) -> String {
    let mut field = format!(
        "slice {} {}",
        text(&slicing["rules"]),
        if slicing["ordered"] == true { "ordered" } else { "unordered" }
    );
    for discriminator in list(&slicing["discriminator"]) {
        field.push_str(&format!(" {}:{}", text(&discriminator["type"]), text(&discriminator["path"])));
    }
    field
}
