//! Identifiers planted in every place of real resources do not come out, whatever the resource.

use crate::official::cases;
use crate::support::data;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::Options;
use vesta::crypto::pseudonym::Pseudonyms;
use vesta::crypto::secret_key::SecretKey;
use vesta::deidentify::{Deidentifier, Method};
use vesta::fhir::json::Limits;
use vesta::fhir::resource::Resource;

const YEAR: i16 = 2026;

fn of(definitions: &Arc<Definitions>, method: Method, recipient: u8) -> Deidentifier {
    let pseudonyms = Pseudonyms::new(&SecretKey::from_slice(&[recipient; 32]).unwrap());
    Deidentifier::new(definitions, method, pseudonyms, ("https://us.example/fhir", YEAR))
}

/// Every third of each, for debug builds are slow.
fn resources() -> Vec<Value> {
    let mut paths = data::files("examples-r4", "json");
    paths.extend(data::files("synthea-dev", "json").into_iter().step_by(40));
    let read = |path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).ok();
    let all = paths.into_iter().step_by(3).filter_map(read);
    all.filter(|it| it["resourceType"].is_string()).collect()
}

/// What is planted: a name, and numbers of several kinds, in the forms that each place takes.
const PLANTED: [&str; 7] = [
    "Zyxplanted",
    "999-88-7766",
    "MRN00424242",
    "424242424",
    "zyx@planted.example",
    "10.99.88.77",
    "00424242",
];

/// Plants something into every string, beside every string, and where nothing is.
fn plant(value: &mut Value, key: &str, count: &mut usize) {
    match value {
        Value::String(text) => {
            *count += 1;
            let planted = PLANTED[*count % PLANTED.len()];
            match key {
                // Else it would be no resource, and nothing to de-identify.
                "resourceType" => {}
                "reference" | "fullUrl" => *text = format!("Patient/Zyxplanted-{count}"),
                "id" => *text = format!("Zyxplanted-{count}"),
                // Every other one stays: what is kept must be seen to be harmless, too.
                _ if (*count).is_multiple_of(2) => *text = planted.to_owned(),
                "display" | "text" | "div" | "description" | "title" | "name" | "value" | "valueString" => {
                    *text = format!("{text} {planted}");
                }
                _ => {}
            }
        }
        Value::Number(number) if (*count).is_multiple_of(3) && number.is_i64() => *value = 424_242_424.into(),
        Value::Array(items) => items.iter_mut().for_each(|it| plant(it, key, count)),
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                plant(value, key, count);
            }
            members.insert("unknownElement".to_owned(), "Zyxplanted".into());
            if !members.contains_key("extension") && !members.contains_key("resourceType") {
                let extension = serde_json::json!([
                    { "url": "https://planted.example/x", "valueString": "Zyxplanted" },
                    { "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [
                        { "url": "ombCategory", "valueCoding": { "system": "http://loinc.org", "code": "Zyxplanted" } },
                        { "url": "text", "valueString": "Zyxplanted" }
                    ] }
                ]);
                members.insert("extension".to_owned(), extension);
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_planted_anywhere_never_comes_out() {
    let definitions = Arc::new(Definitions::embedded().unwrap());
    let harbor = of(&definitions, Method::SafeHarbor, 1);
    let limited = of(&definitions, Method::Limited { shifts_dates: true }, 1);
    let (mut seen, mut kept, mut count) = (0, 0, 0);
    for mut value in resources() {
        plant(&mut value, "", &mut count);
        // Every other number of each round, so that each place is planted with each thing sooner or later.
        count += 1;
        let Ok(resource) = Resource::parse(value.to_string(), &Limits::ACCEPTED) else { continue };
        seen += 1;
        for it in [&harbor, &limited] {
            let Some(text) = it.resource(&resource, Some("p")).text else { continue };
            kept += 1;
            let lower = text.to_ascii_lowercase();
            // A town may be planted in a limited data set: a town is what may be in it.
            let town = lower.replace("\"city\":\"zyxplanted\"", "");
            for planted in PLANTED {
                let place = town.find(&planted.to_ascii_lowercase());
                assert!(place.is_none(), "{planted} in {}: {text}", resource.resource_type());
            }
        }
    }
    assert!(seen > 250 && kept > 350, "only {seen} seen, {kept} kept");
}

/// Every string of a value, with the name of its member.
fn strings<'v>(value: &'v Value, key: &str, found: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) => found.push((key.to_owned(), text)),
        Value::Array(items) => items.iter().for_each(|it| strings(it, key, found)),
        Value::Object(members) => members.iter().for_each(|(key, it)| strings(it, key, found)),
        _ => {}
    }
}

#[test]
fn what_comes_out_is_legal_and_dates_are_years() {
    let definitions = Arc::new(Definitions::embedded().unwrap());
    let harbor = of(&definitions, Method::SafeHarbor, 1);
    let mut reasons = BTreeSet::new();
    let mut seen = 0;
    for value in resources() {
        let Ok(resource) = Resource::parse(value.to_string(), &Limits::ACCEPTED) else { continue };
        let before: BTreeSet<String> =
            cases::errors(&definitions, value.to_string(), &Options::default()).into_iter().collect();
        let Some(text) = harbor.resource(&resource, None).text else { continue };
        seen += 1;
        let made: Value = serde_json::from_str(&text).unwrap();
        let mut found = Vec::new();
        strings(&made, "", &mut found);
        for (key, text) in found {
            let is_day = text.len() >= 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
            let is_date = is_day && text[..4].bytes().all(|it| it.is_ascii_digit());
            assert!(!is_date || text.ends_with("-01-01T00:00:00Z"), "{key}: {text}");
            if key == "postalCode" {
                assert!(text.len() == 3, "{text}");
            }
            assert!(
                !matches!(&*key, "div" | "display" | "line" | "city" | "family" | "given" | "data"),
                "{key}"
            );
        }
        for error in cases::errors(&definitions, text, &Options::default()) {
            if !before.contains(&error) && is_structural(&error) {
                reasons.insert(format!("{}: {error}", resource.resource_type()));
            }
        }
    }
    assert!(seen > 200, "only {seen} were seen");
    assert!(reasons.is_empty(), "{}", reasons.into_iter().collect::<Vec<_>>().join("\n"));
}

/// What is wrong with the shape, and not with what the values say together.
fn is_structural(error: &str) -> bool {
    [
        "is required",
        "is not an element",
        "must be an",
        "must not be",
        "is not known",
        "is not a valid",
        "empty",
    ]
    .iter()
    .any(|it| error.contains(it))
}

#[test]
fn pseudonyms_are_stable_within_a_recipient_and_differ_between_two() {
    let definitions = Arc::new(Definitions::embedded().unwrap());
    let ids = |recipient| {
        let it = of(&definitions, Method::SafeHarbor, recipient);
        let mut ids = BTreeSet::new();
        for value in resources() {
            let Ok(resource) = Resource::parse(value.to_string(), &Limits::ACCEPTED) else { continue };
            let Some(text) = it.resource(&resource, None).text else { continue };
            let made: Map<String, Value> = serde_json::from_str(&text).unwrap();
            if let (Some(id), Some(own)) = (made.get("id").and_then(Value::as_str), resource.id()) {
                assert_eq!(id, it.pseudonym(resource.resource_type().name(), own.as_str()));
                assert_ne!(id, own.as_str());
                ids.insert(id.to_owned());
            }
        }
        ids
    };
    let one = ids(1);
    assert!(one.len() > 100);
    assert_eq!(one, ids(1));
    assert!(one.is_disjoint(&ids(2)));
}
