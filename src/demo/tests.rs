use super::*;
use std::collections::HashSet;

const DEMO: Demo = Demo { patients: 20, seed: 1, today: jiff::civil::date(2026, 11, 20) };

#[test]
fn the_same_seed_makes_the_same_patients() {
    let text = |demo: Demo| demo.resources().map(|it| it.to_string()).collect::<String>();
    assert_eq!(text(DEMO), text(DEMO));
    assert_ne!(text(DEMO), text(Demo { seed: 2, ..DEMO }));
}

#[test]
fn a_chart_does_not_depend_on_the_others() {
    let alone = Demo { patients: 1, ..DEMO };
    assert_eq!(alone.chart(17), DEMO.chart(17));
}

#[test]
fn every_reference_leads_somewhere() {
    let mut known = HashSet::new();
    let mut asked = Vec::new();
    for resource in DEMO.resources() {
        let text = |name: &str| resource[name].as_str().unwrap().to_owned();
        let address = format!("{}/{}", text("resourceType"), text("id"));
        assert!(crate::fhir::id::ResourceId::parse(resource["id"].as_str().unwrap()).is_some(), "{address}");
        references(&resource, &address, &mut asked);
        assert!(known.insert(address.clone()), "{address} is there twice");
    }
    for (from, to) in asked {
        assert!(known.contains(&to), "{from} refers to {to}, which is not there");
    }
}

#[test]
fn the_ones_to_find_are_there() {
    let chart = DEMO.chart(1);
    assert_eq!(chart[0]["id"], PATIENT);
    assert_eq!(chart[0]["name"][0]["family"], "Demopatient");
    let clinician = DEMO.practice().into_iter().find(|it| it["id"] == CLINICIAN).unwrap();
    assert_eq!(clinician["resourceType"], "Practitioner");
    let team = chart.iter().find(|it| it["resourceType"] == "CareTeam").unwrap();
    let members = team["participant"].as_array().unwrap();
    assert!(members.iter().any(|it| it["member"]["reference"] == format!("Practitioner/{CLINICIAN}")));
}

#[test]
fn nothing_happens_after_today_or_before_birth() {
    for number in 1..=20 {
        let chart = DEMO.chart(number);
        let birth = chart[0]["birthDate"].as_str().unwrap().to_owned();
        for visit in chart.iter().filter(|it| it["resourceType"] == "Encounter") {
            let start = visit["period"]["start"].as_str().unwrap();
            assert!(start >= birth.as_str(), "{number}: {start} before {birth}");
            assert!(start < "2026-11-21", "{number}: {start}");
        }
    }
}

/// Every member called `reference`, from where and to where.
fn references(value: &Value, from: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(to) if name == "reference" => found.push((from.to_owned(), to.to_owned())),
                    _ => references(value, from, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|it| references(it, from, found)),
        _ => {}
    }
}
