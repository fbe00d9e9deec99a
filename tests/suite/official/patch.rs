//! HL7's cases for FHIRPath Patch and JSON Patch: all pass but those in the list.

use crate::support::data;
use vesta::conformance::definitions::Definitions;
use vesta::fhir::json::{Json, Limits};
use vesta::fhir::resource::Resource;
use vesta::fhir::tree::Tree;
use vesta::fhir::{json_patch, xml};
use vesta::fhirpath::patch;

/// JSON Patch cases that do not pass, and why.
const KNOWN_FAILURES: &str = include_str!("../../official/json_patch_known_failures.txt");

fn folder() -> std::path::PathBuf {
    data::folder("test-suites-dev").join("fhir-test-cases/r4/patch")
}

#[test]
fn the_fhirpath_patch_cases_pass() {
    let definitions = Definitions::embedded().unwrap();
    let text = std::fs::read_to_string(folder().join("fhir-patch-tests.xml")).unwrap();
    let mut failures = Vec::new();
    let mut count = 0;
    for case in text.split("<case ").skip(1) {
        count += 1;
        let name = case.split('"').nth(1).unwrap();
        let resource = |tag| {
            inside(case, tag)
                .map(|it| Resource::parse(to_json(&definitions, it), &Limits::default()).unwrap())
        };
        let (input, diff) = (resource("input").unwrap(), resource("diff").unwrap());
        let result = patch::apply(&definitions.types, &input, &diff);
        let is_same = match (&result, resource("output")) {
            (Err(_), None) => true,
            (Ok(text), Some(expected)) => folded(text).is_equal(&folded(expected.text())),
            _ => false,
        };
        if !is_same {
            failures.push(format!("{name}: {result:?}"));
        }
    }
    assert_eq!(count, 27);
    assert!(failures.is_empty(), "{failures:#?}");
}

/// White space in a narrative that was an attribute is not what it was.
fn folded(text: &str) -> Tree {
    let text = text.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    Tree::from(&Json::parse(text, &Limits::default()).unwrap())
}

fn inside<'c>(case: &'c str, tag: &str) -> Option<&'c str> {
    let (_, rest) = case.split_once(&format!("<{tag}>"))?;
    rest.split(&format!("</{tag}>")).next()
}

/// The cases bind prefixes far outside of the resource.
fn to_json(definitions: &Definitions, fragment: &str) -> String {
    let text = fragment.trim().replace("ns0:", "").replace("html:", "");
    let text = text.replacen('>', " xmlns=\"http://hl7.org/fhir\">", 1);
    let text = text.replace("<div>", "<div xmlns=\"http://www.w3.org/1999/xhtml\">");
    xml::to_json(&definitions.types, &text).unwrap_or_else(|outcome| panic!("{outcome:?} {text}"))
}

#[test]
fn the_json_patch_cases_pass() {
    let text = std::fs::read_to_string(folder().join("json-patch-tests.json")).unwrap();
    let cases = Json::parse(text, &Limits::default()).unwrap();
    let mut failures = Vec::new();
    assert!(cases.root().items().count() >= 16);
    for case in cases.root().items() {
        let doc = Json::parse(case.get("doc").unwrap().raw(), &Limits::default()).unwrap();
        let result = json_patch::apply(&doc, case.get("patch").unwrap().raw());
        let is_same = match (&result, case.get("expected")) {
            (Ok(text), Some(expected)) => Tree::from(&Json::parse(text.clone(), &Limits::default()).unwrap())
                .is_equal(&Tree::of(expected)),
            (Err(_), None) => true,
            _ => false,
        };
        if !is_same {
            failures.push(case.string("comment").unwrap_or_default().into_owned());
        }
    }
    let known = KNOWN_FAILURES.lines().filter(|line| !line.starts_with('#'));
    let known: Vec<&str> = known.filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(failures, known);
}
