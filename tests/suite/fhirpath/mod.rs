//! FHIRPath beyond HL7's cases: what surrounds an expression, and what an enemy writes.

mod evaluation;
mod hostile;
mod speed;

use vesta::conformance::definitions::Definitions;
use vesta::fhir::json::{Json, Limits};
use vesta::fhirpath::value::Item;
use vesta::fhirpath::{Environment, Expression};

pub const PATIENT: &str = r##"{"resourceType":"Patient","id":"p","active":true,
  "contained":[{"resourceType":"Organization","id":"o","name":"Ward"}],
  "extension":[{"url":"http://example.org/a","valueInteger":3}],
  "name":[{"use":"official","family":"Chalmers","given":["Peter","James"]},{"given":["Jim"]}],
  "gender":"male","birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
  "multipleBirthInteger":2,"managingOrganization":{"reference":"#o"},
  "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Peter</p></div>"},
  "generalPractitioner":[{"reference":"Practitioner/1"}],
  "contact":[{"name":{"family":"du Marché","_family":{"id":"f"}},"period":{"start":"2012"}}]}"##;

pub fn json(text: &str) -> Json {
    Json::parse(text, &Limits::default()).unwrap()
}

/// What an expression gives for the patient, item by item; or the error.
pub fn shown(definitions: &Definitions, expression: &str) -> String {
    let json = json(PATIENT);
    let focus = Item::of_resource(&definitions.types, json.root()).unwrap();
    let env = Environment {
        now: Some("2026-11-24T12:00:00Z".parse().unwrap()),
        ..Environment::of(&definitions.types, focus.clone())
    };
    let result = Expression::parse(expression).map_err(|it| it.to_string());
    match result.and_then(|it| it.evaluate(&env, focus).map_err(|it| it.to_string())) {
        Ok(items) => items.iter().map(|it| show(definitions, it)).collect::<Vec<_>>().join(", "),
        Err(error) => format!("! {error}"),
    }
}

fn show(definitions: &Definitions, item: &Item<'_>) -> String {
    match item.value(&definitions.types) {
        Some(value) => value.to_text(),
        None => item.type_name(&definitions.types),
    }
}
