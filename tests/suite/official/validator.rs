//! The R4 part of the published validator cases: whether we agree that a resource is valid or not.
//!
//! Cases in XML or other forms than JSON, for other versions, and those whose expected outcome is not published are
//! left out.

use super::cases;
use crate::support::data;
use serde_json::Value;
use std::path::{Path, PathBuf};
use vesta::conformance::archive;
use vesta::conformance::compile::{self, Source};
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::beside::Beside;
use vesta::conformance::validate::refusal::Refusal;
use vesta::conformance::validate::{Mode, Options};
use vesta::fhir::json::Limits;
use vesta::fhir::resource::Resource;
use vesta::terminology::library::Library;

#[test]
fn the_published_cases_are_judged_alike() {
    let folder = data::folder("test-suites-dev").join("fhir-test-cases/validator");
    let manifest = json(&folder.join("manifest.json"));
    let core = core();
    let at_hand = library();
    let embedded = Definitions::embedded().unwrap();
    let mut disagreements = Vec::new();
    let mut count = 0;
    for case in manifest["test-cases"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap_or_default();
        let is_r4 = case["version"].as_str().is_some_and(|it| it.starts_with("4.0"));
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else { continue };
        if !is_r4 || !file.ends_with(".json") || case["use-test"] == false {
            continue;
        }
        let name = case["name"].as_str().unwrap_or(file);
        let mut source = Source::default();
        add_all(&mut source, &folder, &case["supporting"]);
        add_all(&mut source, &folder, &case["profiles"]);
        add_all(&mut source, &folder, &case["profile"]["supporting"]);
        let profile =
            case["profile"]["source"].as_str().and_then(|it| std::fs::read_to_string(folder.join(it)).ok());
        source.add(profile.as_deref().unwrap_or_default());
        let mut definitions = packages(&folder, case, &embedded);
        if source.count() > 0 {
            let base = definitions.as_ref().unwrap_or(&embedded);
            let facts = compile::package("case", "1", &source, &core);
            definitions = Some(base.with_packages(&[facts]).unwrap());
        }
        let definitions = definitions.as_ref().unwrap_or(&embedded);
        let beside = beside(&folder, case, &at_hand);
        let refusals = refusals(case, &text);
        let mut judge = |name: String, expected: Option<bool>, profiles: &[&str]| {
            let Some(is_valid) = expected else { return };
            count += 1;
            let options = Options { profiles, mode: Mode::Full, beside: Some(&beside), refusals: &refusals };
            let errors = cases::errors(definitions, text.clone(), &options);
            if errors.is_empty() != is_valid {
                let why =
                    errors.first().map_or("it is not valid, and no error is found".to_owned(), |first| {
                        format!("it is valid, and {} errors are found: {first}", errors.len())
                    });
                disagreements.push((name, why));
            }
        };
        judge(name.to_owned(), expected(&folder, &case["java"]), &[]);
        if let Some(profile) = profile.and_then(|it| serde_json::from_str::<Value>(&it).ok()) {
            let url = profile["url"].as_str().unwrap_or_default();
            judge(format!("{name} by profile"), expected(&folder, &case["profile"]["java"]), &[url]);
        }
    }
    assert!(count > 150, "only {count} cases were found");
    cases::check_list(&disagreements, include_str!("../../official/validator_disagreements.txt"), count);
}

/// R4's own code systems and value sets, as a tenant would store them.
fn library() -> Library {
    let mut library = Library::default();
    let folder: PathBuf = data::folder("r4-core").join("r4-core");
    for name in ["CodeSystem", "ValueSet-expansions", "ValueSet"] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.ndjson"))).unwrap();
        for line in text.lines() {
            let mut resource: Value = serde_json::from_str(line).unwrap();
            // What a value set was expanded to is at hand where the code systems themselves are not.
            if !resource["expansion"].is_null() {
                resource.as_object_mut().unwrap().remove("compose");
            }
            if let Ok(resource) = Resource::parse(resource.to_string(), &Limits::default()) {
                library.add(&resource);
            }
        }
    }
    library
}

/// What the published validator is told to refuse: extensions that it does not know, unless their domain is
/// allowed, and what the case says.
fn refusals(case: &Value, text: &str) -> Vec<Refusal> {
    // It always has the guide of its own tools, which is not among the data.
    let has_tools = text.contains("http://hl7.org/fhir/tools/StructureDefinition/");
    // The packages that a case takes from a registry are not either.
    let has_packages = !case["packages"].is_null();
    let is_closed = case["allowed-extension-domain"].is_null() && !has_tools && !has_packages;
    let asked = [
        (is_closed, Refusal::UnknownExtensions),
        (case["examples"] == false, Refusal::ExampleUrls),
        (case["noHtmlInMarkdown"] == true, Refusal::HtmlInMarkdown),
        (case["validateReference"] == "CHECK_EXISTS_AND_TYPE", Refusal::UnresolvedReferences),
    ];
    asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, refusal)| refusal).collect()
}

/// What comes with a case: its questionnaires, code systems and value sets.
fn beside(folder: &Path, case: &Value, at_hand: &Library) -> Beside {
    let mut beside = Beside { library: at_hand.clone(), ..Beside::default() };
    let named = case["supporting"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for text in named.filter_map(|it| std::fs::read_to_string(folder.join(it)).ok()) {
        let Ok(resource) = Resource::parse(text, &Limits::default()) else { continue };
        match resource.resource_type().name() {
            "Questionnaire" => beside.questionnaires.push(resource),
            _ => beside.library.add(&resource),
        }
    }
    beside
}

/// The published packages of a case that are at hand, added as `vesta packages add` does it: first what others
/// build upon.
fn packages(folder: &Path, case: &Value, embedded: &Definitions) -> Option<Definitions> {
    let mapped = case["package-map"].as_object().into_iter().flatten().map(|(_, file)| file);
    let named = mapped.chain(case["packages"].as_array().into_iter().flatten()).filter_map(Value::as_str);
    let mut definitions = None;
    for file in named.filter(|it| it.ends_with(".tgz")) {
        let archive = archive::read(std::fs::File::open(folder.join(file)).unwrap()).unwrap();
        let base = definitions.as_ref().unwrap_or(embedded);
        let compiled = compile::guide(&archive.name, &archive.version, &archive.source, base);
        definitions = Some(base.with_packages(&[compiled.facts]).unwrap());
    }
    definitions
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn core() -> Source {
    let mut core = Source::default();
    let folder: PathBuf = data::folder("r4-core").join("r4-core");
    for name in ["CodeSystem", "ValueSet", "ValueSet-expansions"] {
        core.add(&std::fs::read_to_string(folder.join(format!("{name}.ndjson"))).unwrap());
    }
    core
}

fn add_all(source: &mut Source, folder: &Path, files: &Value) {
    for file in files.as_array().into_iter().flatten().filter_map(Value::as_str) {
        source.add(&std::fs::read_to_string(folder.join(file)).unwrap_or_default());
    }
}

/// Whether the reference implementation finds no error; nothing where its outcome is not at hand.
fn expected(folder: &Path, outcome: &Value) -> Option<bool> {
    let path = folder.join("outcomes").join(outcome.as_str()?);
    let outcome: Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    let issues = outcome["issue"].as_array().or_else(|| outcome["outcome"]["issue"].as_array())?;
    Some(!issues.iter().any(|it| it["severity"] == "error" || it["severity"] == "fatal"))
}
