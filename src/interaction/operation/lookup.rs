//! `$lookup`: what is known of a code.
//!
//! <https://hl7.org/fhir/R4/codesystem-operation-lookup.html>

use super::given::{self, Given, part};
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::interaction::context::Context;
use crate::interaction::record::Done;
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::terminology::Shelf;
use crate::terminology::code_system::{CodeSystem, Concept, is_language_of};
use crate::terminology::expand::unknown_system;
use crate::terminology::is_code_of;
use crate::terminology::library::canonical;
use serde_json::{Value, json};

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$lookup is asked on CodeSystem"));
    };
    let mut shelf = Shelf::open(ctx, resource_type)?;
    let given = Given::of(operation);
    let coding = given.codings("system")?.into_iter().next().unwrap_or_default();
    let system = coding.system.ok_or_else(|| Outcome::required("the system is required").at("system"))?;
    let version = coding.version.or_else(|| given.text("version"));
    let wanted = canonical(&system, version.as_deref());
    let language = given.text("displayLanguage");
    let properties = given.texts("property");
    shelf.asked.push(coding.code.clone());
    let body = match shelf.code_system(&wanted).await? {
        Some(system) => {
            let concept =
                system.concept(&coding.code).ok_or_else(|| unknown_code(&coding.code, &system.url))?;
            described(&system, concept, language.as_deref(), &properties)
        }
        None => match is_code_of(&system, &coding.code) {
            Some(true) => vec![part("name", "String", &*system), part("display", "String", &*coding.code)],
            Some(false) => return Err(unknown_code(&coding.code, &system)),
            None => return Err(unknown_system(&wanted)),
        },
    };
    Ok(Done { response: Response::ok(given::parameters(&body)), trail: Some(shelf.trail) })
}

fn unknown_code(code: &str, system: &str) -> Outcome {
    Issue::error(IssueType::NotFound, format!("there is no code {code} in {system}")).at("code").into()
}

fn described(system: &CodeSystem, concept: &Concept, language: Option<&str>, asked: &[String]) -> Vec<Value> {
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|it| it == name || it == "*");
    let mut out = vec![part("name", "String", system.name.as_deref().unwrap_or(&system.url))];
    out.extend(system.version.as_deref().map(|it| part("version", "String", it)));
    out.push(part("display", "String", concept.display_in(language).unwrap_or(&concept.code)));
    if is_asked("definition") {
        out.extend(concept.definition.as_deref().map(|it| part("definition", "String", it)));
    }
    if is_asked("designation") {
        let speaks =
            |it: Option<&str>| language.is_none_or(|asked| it.is_some_and(|it| is_language_of(it, asked)));
        for it in concept.designations.iter().filter(|it| speaks(it.language.as_deref())) {
            let mut parts = Vec::new();
            parts.extend(it.language.as_deref().map(|it| part("language", "Code", it)));
            let usage = it.usage.as_deref().and_then(|it| serde_json::from_str::<Value>(it).ok());
            parts.extend(usage.map(|it| part("use", "Coding", it)));
            parts.push(part("value", "String", &*it.value));
            out.push(json!({ "name": "designation", "part": parts }));
        }
    }
    let mut property = |code: &str, value: Value, description: Option<&str>| {
        let mut parts = vec![part("code", "Code", code), value];
        parts.extend(description.map(|it| part("description", "String", it)));
        out.push(json!({ "name": "property", "part": parts }));
    };
    for it in concept
        .properties
        .iter()
        .filter(|it| is_asked(&it.code) && !matches!(it.code.as_str(), "parent" | "child"))
    {
        // R4 allows code, Coding, string, integer, boolean, dateTime and decimal: as they are in the system.
        let value = serde_json::from_str::<Value>(&it.json).unwrap_or_default();
        property(&it.code, part("value", it.kind.trim_start_matches("value"), value), None);
    }
    for (name, places) in [("parent", &concept.parents), ("child", &concept.children)] {
        for near in places.iter().filter(|_| is_asked(name)).filter_map(|it| system.concepts.get(*it)) {
            property(name, part("value", "Code", &*near.code), near.display.as_deref());
        }
    }
    if concept.is_abstract() {
        out.push(part("abstract", "Boolean", true));
    }
    out
}
