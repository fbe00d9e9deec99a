//! The RESTful API, as a client sees it.

mod audit_event;
mod batch;
mod code_systems;
mod conditional;
mod history;
mod instance;
mod operation;
mod questionnaire_response;
mod read_back;
mod search;
mod terminology;
mod transaction;

use serde_json::{Value, json};

/// A patient of that family name.
fn patient(family: &str) -> Value {
    json!({"resourceType": "Patient", "name": [{"family": family}], "gender": "female", "birthDate": "1970-03-01"})
}

/// A heart rate of that patient.
fn heart_rate(patient: &str, value: &str, at: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"
        }]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": at,
        "valueQuantity": {
            "value": value.parse::<f64>().unwrap(),
            "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"
        },
    })
}

/// The logical ids of the matches of a searchset, in order.
fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let matches = entries.iter().filter(|it| it["search"]["mode"] == "match");
    matches.map(|it| it["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

/// The link of that relation.
fn link(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array()?;
    let link = links.iter().find(|it| it["relation"] == relation)?;
    // Under the FHIR base, as the test's clients take it.
    Some(link["url"].as_str()?.split("/fhir/").nth(1)?.to_owned())
}
