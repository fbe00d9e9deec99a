//! HL7's FHIRPath cases for R4: every one passes, or stands in the list with its reason.

use crate::support::data;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::HashMap;
use vesta::conformance::definitions::Definitions;
use vesta::fhir::json::{Json, Limits};
use vesta::fhir::xml;
use vesta::fhirpath::value::Item;
use vesta::fhirpath::{Environment, Expression};

const KNOWN_FAILURES: &str = include_str!("../../official/fhirpath_known_failures.txt");

#[derive(Default, Debug)]
struct Case {
    name: String,
    input: String,
    expression: String,
    is_strict: bool,
    is_invalid: bool,
    outputs: Vec<(String, String)>,
}

#[test]
fn the_fhirpath_cases_of_r4_pass() {
    let definitions = Definitions::embedded().unwrap();
    let folder = data::folder("test-suites-dev").join("fhir-test-cases/r4");
    let cases = cases(&std::fs::read_to_string(folder.join("fhirpath/tests-fhir-r4.xml")).unwrap());
    assert!(cases.len() > 600, "only {} cases were found", cases.len());
    let mut inputs = HashMap::new();
    let mut failures = Vec::new();
    for case in &cases {
        let input = inputs.entry(case.input.clone()).or_insert_with(|| {
            let text = match case.input.as_str() {
                "" => r#"{"resourceType":"Basic"}"#.to_owned(),
                name => std::fs::read_to_string(folder.join(name)).unwrap(),
            };
            let text = if case.input.ends_with(".xml") {
                xml::to_json(&definitions.types, &text).unwrap()
            } else {
                text
            };
            Json::parse(text, &Limits::default()).unwrap()
        });
        if let Err(reason) = run(&definitions, case, input) {
            failures.push((case.name.clone(), format!("{}: {} {reason}", case.name, case.expression)));
        }
    }
    let known: Vec<&str> = KNOWN_FAILURES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next())
        .collect();
    let new: Vec<&String> =
        failures.iter().filter(|(name, _)| !known.contains(&name.as_str())).map(|(_, text)| text).collect();
    assert!(new.is_empty(), "{} of {} fail:\n{new:#?}", new.len(), cases.len());
    assert_eq!(failures.len(), known.len(), "the list of known failures can shrink");
}

fn run(definitions: &Definitions, case: &Case, input: &Json) -> Result<(), String> {
    let types = &definitions.types;
    let focus = Item::of_resource(types, input.root()).unwrap();
    let env = Environment {
        now: Some("2026-11-24T12:00:00Z".parse().unwrap()),
        ..Environment::of(types, focus.clone())
    };
    let result =
        Expression::parse(&case.expression).map_err(|error| error.to_string()).and_then(|expression| {
            if case.is_strict {
                expression
                    .check(types, &input.root().string("resourceType").unwrap())
                    .map_err(|error| error.to_string())?;
            }
            expression.evaluate(&env, focus).map_err(|error| error.to_string())
        });
    let items = match (result, case.is_invalid) {
        (Err(_), true) => return Ok(()),
        (Ok(items), true) => return Err(format!("gives {} items, an error is expected", items.len())),
        (Err(error), false) => return Err(error),
        (Ok(items), false) => items,
    };
    let shown: Vec<String> = items.iter().map(|item| show(definitions, item)).collect();
    let expected: Vec<String> =
        case.outputs.iter().map(|(_, text)| text.strip_prefix('@').unwrap_or(text).to_owned()).collect();
    let is_same = shown.len() == expected.len()
        && shown.iter().zip(&expected).all(|(one, other)| {
            let (one, other) = (one.trim_start_matches('T'), other.trim_start_matches('T'));
            one == other || number(one).is_some_and(|it| number(other) == Some(it))
        });
    let is_same_type = items.iter().zip(&case.outputs).all(|(item, (kind, _))| {
        let name = item.type_name(types);
        let name = name.split_once('.').unwrap().1.to_owned();
        kind.is_empty() || kind.eq_ignore_ascii_case(&name) || (kind == "dateTime" && name == "DateTime")
    });
    if !is_same || !is_same_type {
        return Err(format!("gives {shown:?}, expected is {expected:?}"));
    }
    Ok(())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn show(definitions: &Definitions, item: &Item<'_>) -> String {
    match item.value(&definitions.types) {
        Some(value) => value.to_text(),
        None => "(an element)".to_owned(),
    }
}

fn cases(text: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut cases = Vec::new();
    let mut case = Case::default();
    let mut content = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                content.clear();
                let attribute = |name: &str| {
                    let found = tag.try_get_attribute(name).unwrap();
                    found.map(|it| {
                        it.normalized_value(quick_xml::XmlVersion::Explicit1_0).unwrap().into_owned()
                    })
                };
                match tag.name().as_ref() {
                    "test" => {
                        case = Case {
                            name: attribute("name").unwrap_or_default(),
                            input: attribute("inputfile").unwrap_or_default(),
                            is_strict: attribute("mode").as_deref() == Some("strict"),
                            ..Case::default()
                        };
                    }
                    "expression" => {
                        let invalid = attribute("invalid");
                        case.is_invalid |= invalid.is_some();
                        case.is_strict |= attribute("mode").as_deref() == Some("strict")
                            || invalid.as_deref() == Some("semantic");
                    }
                    "output" => case.outputs.push((attribute("type").unwrap_or_default(), String::new())),
                    _ => {}
                }
            }
            Event::Text(text) => content.push_str(&text.xml10_content()),
            Event::CData(text) => content.push_str(&text),
            Event::GeneralRef(entity) => match entity.resolve_char_ref().unwrap() {
                Some(letter) => content.push(letter),
                None => content.push_str(quick_xml::escape::resolve_predefined_entity(&entity).unwrap()),
            },
            Event::End(tag) => match tag.name().as_ref() {
                "expression" => case.expression = std::mem::take(&mut content),
                "output" => case.outputs.last_mut().unwrap().1 = std::mem::take(&mut content),
                "test" => {
                    if case.expression.is_empty() {
                        continue;
                    }
                    cases.push(std::mem::take(&mut case));
                }
                _ => {}
            },
            Event::Eof => return cases,
            _ => {}
        }
    }
}

/// Every invariant of R4's resources, on every example of HL7's own.
#[test]
fn the_invariants_of_r4_hold_for_its_examples() {
    let definitions = Definitions::embedded().unwrap();
    let types = &definitions.types;
    let path = data::files("r4-core", "ndjson")
        .into_iter()
        .find(|it| it.file_stem().is_some_and(|it| it == "StructureDefinition"))
        .unwrap();
    let mut rules: HashMap<String, Vec<(Expression, Expression, String)>> = HashMap::new();
    let mut count = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let definition: serde_json::Value = serde_json::from_str(line).unwrap();
        if definition["derivation"] == "constraint" || definition["kind"] == "logical" {
            continue;
        }
        for element in definition["snapshot"]["element"].as_array().into_iter().flatten() {
            for constraint in element["constraint"].as_array().into_iter().flatten() {
                let Some(text) = constraint["expression"].as_str() else { continue };
                let rule = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
                count += 1;
                // A rule of a datatype is repeated at each element of the type: once is enough.
                let is_own = constraint["source"] == definition["url"] || constraint["source"].is_null();
                if definition["kind"] == "resource" && constraint["severity"] == "error" && is_own {
                    let path = element["path"].as_str().unwrap().trim_end_matches("[x]").to_owned();
                    let of = definition["type"].as_str().unwrap().to_owned();
                    let path = Expression::parse(&path).unwrap();
                    rules.entry(of).or_default().push((
                        path,
                        rule,
                        constraint["key"].as_str().unwrap().to_owned(),
                    ));
                }
            }
        }
    }
    assert!(count > 5_000 && rules.len() > 40, "{count} invariants of {} types", rules.len());
    let (mut evaluated, mut failures) = (0, Vec::new());
    for path in data::files("examples-r4", "json") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(json) = Json::parse(std::fs::read(&path).unwrap(), &Limits::default()) else { continue };
        let Some(focus) = Item::of_resource(types, json.root()) else { continue };
        let env = Environment::of(types, focus.clone());
        let of = json.root().string("resourceType").unwrap().into_owned();
        for (path, rule, key) in rules.get(&of).into_iter().flatten() {
            for item in path.evaluate(&env, focus.clone()).unwrap() {
                evaluated += 1;
                match rule.evaluate_to_bool(&env, item) {
                    Ok(Some(true) | None) => {}
                    other => failures.push(format!("{name} {key} {other:?} {}", rule.text())),
                }
            }
        }
    }
    assert!(evaluated > 5_000, "only {evaluated} were evaluated");
    // Four definitions of logical models have no base, as the rule wants it; all else holds.
    let others: Vec<&String> = failures.iter().filter(|it| !it.contains(" sdf-4 Ok")).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(failures.len(), 4, "{failures:#?}");
}
