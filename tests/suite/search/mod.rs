//! Search, on resources in memory: what we find is what an obvious reading of the specification finds.

mod reference;

use crate::support::data;
use serde_json::Value;
use std::sync::Arc;
use vesta::conformance::definitions::Definitions;
use vesta::fhir::id::ResourceType;
use vesta::fhir::json::Limits;
use vesta::fhir::resource::Resource;
use vesta::search::plan::{Setting, plan};
use vesta::search::query::Handling;
use vesta::search::verify::Verifier;

const BASE: &str = "https://localhost/fhir";
/// So many resources of a type are asked.
const SAMPLE: usize = 40;

/// Some resources of Synthea's patients of that type.
fn sample(resource_type: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let files = data::files("synthea-dev", "json");
    for path in files.iter().filter(|it| it.to_string_lossy().contains("uscore")).take(4) {
        let bundle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let entries = bundle["entry"].as_array().unwrap().iter().map(|it| it["resource"].clone());
        let of_type: Vec<Value> = entries.filter(|it| it["resourceType"] == resource_type).collect();
        // Spread over the life of the patient.
        let step = (of_type.len() / 10).max(1);
        found.extend(of_type.into_iter().step_by(step).take(SAMPLE / 4 + 1));
    }
    assert!(!found.is_empty(), "no {resource_type} was found");
    found
}

#[test]
fn we_find_what_the_specification_finds() {
    let definitions = Arc::new(Definitions::embedded().unwrap());
    let verifier = Verifier::new(definitions.clone(), BASE);
    let setting = Setting {
        sets: None,
        definitions: &definitions,
        base: BASE,
        now: 1_795_478_400_000_000,
        handling: Handling::Strict,
        default_count: 20,
        max_count: 1000,
    };
    let (mut asked, mut matched, mut wrong) = (0, 0, Vec::new());
    for (resource_type, parameters) in reference::PARAMETERS {
        let values = sample(resource_type);
        let resources: Vec<Resource> =
            values.iter().map(|it| Resource::parse(it.to_string(), &Limits::default()).unwrap()).collect();
        for (code, kind, paths) in *parameters {
            let mut queries = reference::queries(*kind, paths, &values);
            queries.sort();
            queries.dedup();
            for (place, (modifier, value)) in queries.iter().take(80).enumerate() {
                let name = format!("{code}{modifier}");
                let types = [ResourceType::parse(resource_type).unwrap()];
                let (query, _) = plan(&setting, &types, &[(name.clone(), value.clone())])
                    .unwrap_or_else(|outcome| panic!("{resource_type}?{name}: {outcome:?}"));
                let superset = query.filter.superset();
                asked += 1;
                for (resource, json) in resources.iter().zip(&values).cycle().skip(place).take(12) {
                    let expected = reference::matches(*kind, paths, json, modifier, value);
                    let found = verifier.satisfies(resource, &query.filter);
                    matched += usize::from(expected);
                    if found != expected {
                        wrong.push(format!("{resource_type}?{name}={value} on {}: {found}", json["id"]));
                    }
                    assert!(
                        found <= verifier.satisfies(resource, &superset),
                        "{name}={value}: the index finds less"
                    );
                }
            }
        }
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked > 1000 && matched > 1000, "{asked} queries with {matched} matches prove little");
}
