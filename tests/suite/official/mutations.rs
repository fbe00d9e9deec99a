//! Valid resources, each broken in one place by a script: every copy must be refused, with the right path.

use crate::support::data;
use serde_json::{Value, json};
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::{Options, validate};
use vesta::fhir::json::Limits;
use vesta::fhir::outcome::Severity;
use vesta::fhir::resource::Resource;

/// A way to break an object: its new content, and where the error must be told below it (a member, or itself).
type Break = fn(&mut Value) -> Option<String>;

const BREAKS: &[(&str, Break)] = &[
    ("an unknown element", |it| {
        it.as_object_mut()?.insert("notAnElement".to_owned(), json!("x"));
        Some(".notAnElement".to_owned())
    }),
    ("an empty object", |it| {
        *it = json!({});
        Some(String::new())
    }),
    ("an array in place of one", |it| change(it, |value| value.is_string(), |value| json!([value]))),
    ("a number in place of a string", |it| change(it, |value| value.is_string(), |_| json!(7))),
    ("a code that is none", |it| replace(it, &["status", "use", "gender", "intent"], json!("no-such-code"))),
    ("a date that is none", |it| {
        replace(it, &["effectiveDateTime", "birthDate", "start", "authoredOn"], json!("2020-13-45"))
    }),
    ("a system without a code's form", |it| replace(it, &["system"], json!("two words"))),
    ("a reference of a wrong type", |it| {
        let subject = it.as_object_mut()?.get_mut("subject")?;
        *subject = json!({"reference": "Binary/1"});
        Some(".subject".to_owned())
    }),
    ("a period that ends before it starts", |it| {
        let of = it.as_object_mut()?.get_mut("period")?;
        *of = json!({"start": "2020-02-02", "end": "2020-01-01"});
        Some(".period".to_owned())
    }),
    ("an extension with nothing in it", |it| {
        it.as_object_mut()?.insert("extension".to_owned(), json!([{"url": "http://example.org/x"}]));
        Some(".extension[0]".to_owned())
    }),
    ("a code without its system", |it| {
        let quantity = it.as_object_mut()?.get_mut("valueQuantity")?;
        *quantity = json!({"value": 1, "code": "mg"});
        Some(".valueQuantity".to_owned())
    }),
    ("a required element that is missing", |it| {
        let of = it["resourceType"].as_str()?.to_owned();
        let name = match of.as_str() {
            "Observation" | "Encounter" | "MedicationRequest" | "Immunization" => "status",
            "Condition" => "subject",
            _ => return None,
        };
        it.as_object_mut()?.remove(name)?;
        Some(String::new())
    }),
    ("two values of one choice", |it| {
        let members = it.as_object_mut()?;
        members.get("valueQuantity").or_else(|| members.get("valueCodeableConcept"))?;
        members.insert("valueString".to_owned(), json!("x"));
        Some(String::new())
    }),
    ("a value, and a reason why there is none: obs-6", |it| {
        let members =
            it.as_object_mut().filter(|it| it.get("resourceType") == Some(&json!("Observation")))?;
        members.keys().find(|it| it.starts_with("value"))?;
        members.insert("dataAbsentReason".to_owned(), json!({"text": "x"}));
        Some(String::new())
    }),
    ("a concept outside of a required value set", |it| {
        let members = it.as_object_mut()?;
        let names = ["clinicalStatus", "verificationStatus"];
        let (name, value) = members.iter_mut().find(|(name, _)| names.contains(&name.as_str()))?;
        *value = json!({"coding": [{"system": "http://example.org", "code": "x"}]});
        Some(format!(".{name}"))
    }),
    ("a slice that lacks what it must hold", |it| {
        let extensions = it.get_mut("extension")?.as_array_mut()?;
        let is_it = |it: &Value| it["url"].as_str().is_some_and(|it| it.ends_with("/us-core-race"));
        let place = extensions.iter().position(is_it)?;
        extensions[place]["extension"].as_array_mut()?.retain(|it| it["url"] != "text");
        Some(format!(".extension[{place}]"))
    }),
    ("a slice that comes too often", |it| {
        let extensions = it.get_mut("extension")?.as_array_mut()?;
        let is_it = |it: &&Value| it["url"].as_str().is_some_and(|it| it.ends_with("/us-core-race"));
        let again = extensions.iter().find(is_it)?.clone();
        extensions.push(again);
        Some(format!(".extension[{}]", extensions.len() - 1))
    }),
];

fn change(it: &mut Value, wanted: fn(&Value) -> bool, with: fn(&Value) -> Value) -> Option<String> {
    let names = ["code", "family", "display", "status", "value", "url"];
    let members = it.as_object_mut()?;
    let (name, value) =
        members.iter_mut().find(|(name, value)| names.contains(&name.as_str()) && wanted(value))?;
    *value = with(value);
    Some(format!(".{name}"))
}

fn replace(it: &mut Value, names: &[&str], with: Value) -> Option<String> {
    let members = it.as_object_mut()?;
    let (name, value) =
        members.iter_mut().find(|(name, value)| names.contains(&name.as_str()) && value.is_string())?;
    *value = with;
    Some(format!(".{name}"))
}

/// Every object inside that is an element, by JSON pointer and FHIRPath location.
fn objects(of: &Value, pointer: &str, location: &str, into: &mut Vec<(String, String)>) {
    match of {
        Value::Object(members) => {
            into.push((pointer.to_owned(), location.to_owned()));
            for (name, value) in
                members.iter().filter(|(name, _)| !matches!(name.as_str(), "contained" | "extension"))
            {
                objects(value, &format!("{pointer}/{name}"), &format!("{location}.{name}"), into);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                objects(value, &format!("{pointer}/{place}"), &format!("{location}[{place}]"), into);
            }
        }
        _ => {}
    }
}

/// The places of the errors, the rules that say so, and whether any says just that place.
fn errors(definitions: &Definitions, value: &Value) -> Vec<String> {
    match Resource::parse(value.to_string(), &Limits::default()) {
        Ok(resource) => validate(definitions, &resource, &Options::default())
            .into_iter()
            .filter(|it| it.severity >= Severity::Error)
            .flat_map(|it| it.expression)
            .collect(),
        Err(outcome) => outcome.issues().iter().flat_map(|it| it.expression.clone()).collect(),
    }
}

#[test]
fn every_broken_copy_is_refused_where_it_is_broken() {
    let definitions = Definitions::embedded().unwrap();
    let mut count = 0;
    let mut missed = Vec::new();
    let mut tried = std::collections::BTreeSet::new();
    let kinds = [
        "Patient-",
        "Observation-",
        "Condition-",
        "Encounter-",
        "MedicationRequest-",
        "Immunization-",
        "CareTeam-",
    ];
    for path in data::files("us-core-plain", "json") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_wanted = path.to_string_lossy().contains("/700/package/example/")
            && kinds.iter().any(|kind| name.starts_with(kind));
        if !is_wanted {
            continue;
        }
        let valid: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(errors(&definitions, &valid), Vec::<String>::new(), "{name}");
        let mut places = Vec::new();
        objects(&valid, "", valid["resourceType"].as_str().unwrap(), &mut places);
        for (what, breaks) in BREAKS {
            let before = count;
            for (pointer, location) in &places {
                let mut broken = valid.clone();
                if pointer.is_empty() && *what == "an empty object" {
                    continue;
                }
                let Some(below) = breaks(broken.pointer_mut(pointer).unwrap()) else { continue };
                count += 1;
                let expected = format!("{location}{below}");
                if !errors(&definitions, &broken).contains(&expected) {
                    missed.push(format!("{what}: {name} at {expected}"));
                }
            }
            if count > before {
                tried.insert(*what);
            }
        }
    }
    assert_eq!(tried.len(), BREAKS.len(), "only these were tried: {tried:?}");
    assert!(count > 1000, "only {count} copies were made");
    assert!(missed.is_empty(), "{} of {count}:\n{}", missed.len(), missed.join("\n"));
}

/// What a profile demands, broken: told at the place that breaks it, with the profile as the rule.
#[test]
fn broken_profiles_are_told_with_their_rule() {
    let definitions = Definitions::embedded().unwrap();
    let pressure = json!({
        "resourceType": "Observation", "status": "final",
        "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2020-01-01",
        "component": [
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
             "valueQuantity": {"value": 109, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}},
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]},
             "valueQuantity": {"value": 44, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}},
        ],
    });
    assert_eq!(errors(&definitions, &pressure), Vec::<String>::new());
    for (pointer, with, expected) in [
        ("/component/1/code/coding/0/code", json!("1-8"), "Observation"),
        ("/component/0/valueQuantity/code", json!("cm"), "Observation.component[0].valueQuantity.code"),
        ("/category/0/coding/0/code", json!("laboratory"), "Observation"),
        ("/subject/reference", json!("Group/1"), "Observation.subject"),
        ("/code/coding/0/code", json!("1-8"), "Observation.code"),
    ] {
        let mut broken = pressure.clone();
        *broken.pointer_mut(pointer).unwrap() = with;
        let errors = errors(&definitions, &broken);
        assert!(errors.iter().any(|it| it == expected), "{pointer}: {errors:?}");
    }
    for name in ["subject", "category", "effectiveDateTime"] {
        let mut broken = pressure.clone();
        broken.as_object_mut().unwrap().remove(name);
        assert!(errors(&definitions, &broken).contains(&"Observation".to_owned()), "without {name}");
    }
}
