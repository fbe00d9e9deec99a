//! HL7's examples in both spellings: one says what the other says, and nothing is lost on the way.

use crate::support::data;
use std::collections::BTreeMap;
use vesta::conformance::definitions::Definitions;
use vesta::fhir::json::{Json, Limits};
use vesta::fhir::tree::Tree;
use vesta::fhir::xml;

/// Examples whose two spellings differ, or that are wrong, and why.
const KNOWN_DIFFERENCES: &str = include_str!("../../official/xml_known_differences.txt");

#[test]
fn the_examples_say_the_same_in_xml() {
    let definitions = Definitions::embedded().unwrap();
    let types = &definitions.types;
    let mut twins: BTreeMap<String, Tree> = BTreeMap::new();
    for path in data::files("examples-r4", "json") {
        let json = Json::parse(std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let key = |it: &str| json.root().string(it).map(|it| it.into_owned()).unwrap_or_default();
        twins.insert(format!("{}/{}", key("resourceType"), key("id")), Tree::from(&json));
    }
    let (mut count, mut compared) = (0, 0);
    let mut differences = Vec::new();
    for path in data::files("examples-r4", "xml") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        count += 1;
        let json = match xml::to_json(types, &text) {
            Ok(json) => Json::parse(json, &Limits::default()).unwrap(),
            Err(outcome) => {
                differences.push((name, format!("{:?}", outcome.issues()[0])));
                continue;
            }
        };
        match xml::from_json(types, &json).and_then(|it| xml::to_json(types, &it)) {
            Ok(again) if again == json.text() => {}
            Ok(_) => differences.push((name.clone(), "another resource after a round trip".to_owned())),
            Err(outcome) => differences.push((name.clone(), format!("back: {:?}", outcome.issues()[0]))),
        }
        let key = |it: &str| json.root().string(it).map(|it| it.into_owned()).unwrap_or_default();
        let Some(twin) = twins.get(&format!("{}/{}", key("resourceType"), key("id"))) else { continue };
        compared += 1;
        if let Some(place) = difference(&Tree::from(&json), twin, "") {
            differences.push((name, format!("differs at {place}")));
        }
    }
    assert!(count > 800 && compared > 700, "{count} examples, {compared} twins");
    let known: Vec<&str> = KNOWN_DIFFERENCES
        .lines()
        .filter(|it| !it.starts_with('#'))
        .filter_map(|it| it.split('\t').next())
        .collect();
    let new: Vec<_> = differences.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
    let new_lines: Vec<String> = new.iter().map(|(name, why)| format!("{name}\t{why}")).collect();
    assert!(new.is_empty(), "{} of {count}:\n{}", new.len(), new_lines.join("\n"));
    let mut names: Vec<&str> = differences.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(names.len(), known.len(), "the list of known differences can shrink");
}

/// Where two resources first differ; narratives are compared without white space.
fn difference(one: &Tree, other: &Tree, path: &str) -> Option<String> {
    match (one, other) {
        (Tree::Object(members), Tree::Object(others)) => {
            // The publisher wrote a narrative for the JSON where the author of the XML had none.
            let is_published = |name: &str| path.is_empty() && name == "text";
            let missing = others.iter().find(|(name, _)| one.get(name).is_none() && !is_published(name));
            if let Some((name, _)) = missing {
                return Some(format!("{path}.{name} (missing)"));
            }
            members.iter().find_map(|(name, value)| match other.get(name) {
                // It also took the mark away that says that the data is made up.
                None if (path.is_empty() && name == "meta") || (path == ".meta" && name == "security") => {
                    None
                }
                None => Some(format!("{path}.{name} (added)")),
                Some(_) if name == "div" => None,
                Some(it) => difference(value, it, &format!("{path}.{name}")),
            })
        }
        (Tree::Array(items), Tree::Array(others)) if items.len() == others.len() => {
            let mut pairs = items.iter().zip(others).enumerate();
            pairs.find_map(|(place, (one, other))| difference(one, other, &format!("{path}[{place}]")))
        }
        _ if one.is_equal(other) => None,
        _ => Some(path.to_owned()),
    }
}

#[test]
fn synthea_survives_the_way_through_xml() {
    let definitions = Definitions::embedded().unwrap();
    let types = &definitions.types;
    let mut count = 0;
    for path in data::files("synthea-dev", "json").into_iter().step_by(12).take(6) {
        let json = Json::parse(std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let there = xml::from_json(types, &json).unwrap_or_else(|it| panic!("{}: {it:?}", path.display()));
        let back = xml::to_json(types, &there).unwrap();
        let back = Json::parse(back, &Limits::default()).unwrap();
        assert!(Tree::from(&back).is_equal(&Tree::from(&json)), "{}", path.display());
        count += 1;
    }
    assert!(count > 3);
}
