//! What a guide asks of a server: operations, profiles by type, and combinations of search parameters.

use super::{Source, list, text, texts, write_line};
use serde_json::Value;

const COMBINATION: &str =
    "http://hl7.org/fhir/StructureDefinition/capabilitystatement-search-parameter-combination";
const EXPECTATION: &str = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation";

/// `operation URL CODE PLACES TYPES`; places: `s`ystem, `t`ype, `i`nstance; `a` where it changes state.
pub(super) fn operations(source: &Source) -> String {
    let mut lines: Vec<String> = source.of("OperationDefinition").iter().map(operation).collect();
    lines.sort();
    lines.concat()
}

fn operation(definition: &Value) -> String {
    let mut out = String::new();
    let place = |name: &str, letter| if definition[name] == true { letter } else { "" };
    let places = format!(
        "{}{}{}{}",
        place("system", "s"),
        place("type", "t"),
        place("instance", "i"),
        place("affectsState", "a")
    );
    let types = texts(&definition["resource"]).join(" ");
    write_line(
        &mut out,
        &["operation", text(&definition["url"]), text(&definition["code"]), &places, &types],
    );
    out
}

/// A block for each CapabilityStatement of a server: its types, with profiles and combinations.
pub(super) fn capabilities(source: &Source) -> String {
    let mut blocks: Vec<String> = source.of("CapabilityStatement").iter().map(capability).collect();
    blocks.sort();
    blocks.concat()
}

fn capability(statement: &Value) -> String {
    let mut out = String::new();
    for rest in list(&statement["rest"]).filter(|it| it["mode"] == "server") {
        write_line(&mut out, &["capability", text(&statement["url"])]);
        for resource in list(&rest["resource"]) {
            let combinations: Vec<String> = list(&resource["extension"])
                .filter(|it| it["url"] == COMBINATION)
                .map(|combination| {
                    let parts = list(&combination["extension"]);
                    let required: Vec<&str> = parts
                        .filter(|it| it["url"] == "required")
                        .map(|it| text(&it["valueString"]))
                        .collect();
                    let expectation = list(&combination["extension"]).find(|it| it["url"] == EXPECTATION);
                    format!(
                        "{}:{}",
                        expectation.map_or("MAY", |it| text(&it["valueCode"])),
                        required.join("+")
                    )
                })
                .collect();
            let profiles = texts(&resource["supportedProfile"]).join(" ");
            write_line(&mut out, &["", text(&resource["type"]), &profiles, &combinations.join(" ")]);
        }
    }
    out
}
