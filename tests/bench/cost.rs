//! What one resource costs before it meets the database: parsed, validated, indexed, its index keys hashed, its body
//! sealed; each alone, on one core.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};
use vesta::conformance::definitions::Definitions;
use vesta::conformance::sealing::{Level, SealingPolicy, sealed_spans};
use vesta::conformance::validate::{Options, validate};
use vesta::crypto::key_ring::{SubjectKey, ephemeral_tenant};
use vesta::fhir::json::Limits;
use vesta::fhir::resource::Resource;
use vesta::fhirpath::value::Item;
use vesta::fhirpath::{Environment, Expression};
use vesta::search::extract;
use vesta::store::sealed_body::{Place, encode};

const BASE: &str = "https://vesta.example/fhir";

/// So long each step is repeated.
const TIME: Duration = Duration::from_millis(700);

/// Measures and tells.
pub fn measure() -> String {
    let definitions = Definitions::embedded().unwrap();
    let policy = SealingPolicy::embedded(&definitions.types, Level::default()).unwrap();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<12} {:>6} {:>8} {:>9} {:>8} {:>7} {:>7} {:>7}  microseconds a resource",
        "cost", "bytes", "parse", "validate", "extract", "hash", "seal", "all"
    );
    for text in [observation().to_string(), patient().to_string()] {
        let steps = steps(&definitions, &policy, &text);
        let name = Resource::parse(text.as_str(), &Limits::default()).unwrap().resource_type().name();
        let [parse, validate, extract, hash, seal] = steps;
        let _ = writeln!(
            out,
            "{name:<12} {:>6} {parse:>8.1} {validate:>9.1} {extract:>8.1} {hash:>7.1} {seal:>7.1} {:>7.1}",
            text.len(),
            steps.iter().sum::<f64>()
        );
        let _ = writeln!(out, "{:<12} {:>6} validations a second", "", (1e6 / validate).round());
    }
    let _ =
        writeln!(out, "{:<12} {:>6} FHIRPath evaluations a second", "", expressions(&definitions).round());
    out
}

fn steps(definitions: &Definitions, policy: &SealingPolicy, text: &str) -> [f64; 5] {
    let resource = Resource::parse(text, &Limits::default()).unwrap();
    let issues = validate(definitions, &resource, &Options::default());
    assert!(issues.is_empty(), "{issues:?}");
    let of = resource.resource_type().name();
    let index = extract::index(definitions, BASE, &resource);
    let keys = ephemeral_tenant(1).unwrap();
    let blind = keys.blind().first().unwrap();
    let key = SubjectKey::ephemeral(1, 1);
    let place = Place { tenant: 1, resource_type: of, id: "a", version: 1 };
    [
        microseconds(|| Resource::parse(text, &Limits::default()).unwrap().root().span().len()),
        microseconds(|| validate(definitions, &resource, &Options::default()).len()),
        microseconds(|| extract::index(definitions, BASE, &resource).keys.len()),
        microseconds(|| {
            let groups = index.keys.chunk_by(|one, other| one.parameter == other.parameter);
            let hashes = groups.map(|group| {
                let hashes = blind.parameter(of, &group[0].parameter);
                group.iter().fold(0, |all, it| all ^ hashes.key(it.kind.name(), &it.value))
            });
            usize::from(hashes.fold(0, |all, it| all ^ it) == 0)
        }),
        microseconds(|| {
            let sealed = sealed_spans(definitions, policy, &resource);
            encode(&place, text, &sealed, &key).unwrap().len()
        }),
    ]
}

/// The median of many short runs: what else the machine does counts little.
fn microseconds(mut step: impl FnMut() -> usize) -> f64 {
    const RUN: u32 = 20;
    let mut runs = Vec::new();
    let start = Instant::now();
    while start.elapsed() < TIME {
        let run = Instant::now();
        for _ in 0..RUN {
            black_box(step());
        }
        runs.push(run.elapsed().as_secs_f64() * 1e6 / f64::from(RUN));
    }
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

/// Ten expressions of the kind that rules and search parameters are, on an observation.
fn expressions(definitions: &Definitions) -> f64 {
    let all: Vec<Expression> = [
        "Observation.code",
        "Observation.subject.where(resolve() is Patient)",
        "Observation.component.code.coding.where(system = 'http://loinc.org').code",
        "(Observation.value as Quantity) | (Observation.value as SampledData)",
        "value.empty() or code != component.code",
        "dataAbsentReason.empty() or value.empty()",
        "component.value.exists() or component.dataAbsentReason.exists()",
        "Observation.component.all(value.value > 20 and value.value < 300)",
        "effective.exists() implies effective is dateTime",
        "category.coding.exists(code = 'vital-signs')",
    ]
    .iter()
    .map(|it| Expression::parse(it).unwrap())
    .collect();
    let resource = Resource::parse(observation().to_string(), &Limits::default()).unwrap();
    let focus = Item::of_resource(&definitions.types, resource.root()).unwrap();
    let env = Environment::of(&definitions.types, focus.clone());
    let each = microseconds(|| {
        all.iter().map(|it| it.evaluate(&env, focus.clone()).map_or(0, |items| items.len())).sum()
    });
    1e6 * 10.0 / each
}

/// A blood pressure of 1.5 kB.
fn observation() -> Value {
    let part = |code: &str, display: &str, value: u32| {
        json!({"code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}], "text": display},
            "valueQuantity": {"value": value, "unit": "mm[Hg]", "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]"}})
    };
    json!({"resourceType": "Observation", "id": "40c40528-34a4-946f-d4c2-d32a4d5dfd5c",
        "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"]},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:40c40528-34a4-946f-d4c2-d32a4d5dfd5c"}],
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "vital-signs", "display": "Vital signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9",
            "display": "Blood pressure panel with all children optional"}], "text": "Blood pressure"},
        "subject": {"reference": "Patient/a1935ff2-8d78-6259-e537-1036c451d997"},
        "encounter": {"reference": "Encounter/0e8dae5c-29e0-a8d6-1c35-0a9d0e4e8ef1"},
        "effectiveDateTime": "2019-07-04T10:12:03-04:00", "issued": "2019-07-04T10:12:03.123-04:00",
        "performer": [{"reference": "Practitioner/3c0e2b2f-5a0b-3d5f-8a1c-7d8e9f0a1b2c", "display": "Dr. Ada Stone"}],
        "component": [part("8462-4", "Diastolic blood pressure", 79), part("8480-6", "Systolic blood pressure", 121)]})
}

/// A patient of 3 kB, with all that US Core asks for.
fn patient() -> Value {
    let coded = |system: &str, code: &str, display: &str| json!({"coding": [{"system": system, "code": code, "display": display}], "text": display});
    let kind =
        |code: &str, display: &str| coded("http://terminology.hl7.org/CodeSystem/v2-0203", code, display);
    let race = |url: &str, code: &str, display: &str| {
        json!({"url": url, "extension": [
            {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code,
                "display": display}},
            {"url": "text", "valueString": display}]})
    };
    let us_core = "http://hl7.org/fhir/us/core/StructureDefinition";
    json!({"resourceType": "Patient", "id": "a1935ff2-8d78-6259-e537-1036c451d997",
        "meta": {"profile": [format!("{us_core}/us-core-patient")]},
        "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p><b>Maria Elena \
            Sanchez</b>, born 1970-03-01, female. Record number 7719431.</p></div>"},
        "extension": [race(&format!("{us_core}/us-core-race"), "2106-3", "White"),
            race(&format!("{us_core}/us-core-ethnicity"), "2135-2", "Hispanic or Latino"),
            {"url": format!("{us_core}/us-core-birthsex"), "valueCode": "F"},
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Ortega"},
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": {
                "city": "San Juan", "state": "Puerto Rico", "country": "PR"}}],
        "identifier": [
            {"system": "https://hospital.example/ids", "value": "a1935ff2-8d78-6259-e537-1036c451d997"},
            {"type": kind("MR", "Medical Record Number"), "system": "http://hospital.example", "value": "7719431"},
            {"type": kind("SS", "Social Security Number"), "system": "http://hl7.org/fhir/sid/us-ssn",
                "value": "999-46-8521"},
            {"type": kind("DL", "Driver's license number"), "system": "urn:oid:2.16.840.1.113883.4.3.25",
                "value": "S99970141"}],
        "name": [{"use": "official", "family": "Sanchez", "given": ["Maria", "Elena"], "prefix": ["Mrs."]},
            {"use": "maiden", "family": "Ortega", "given": ["Maria", "Elena"]}],
        "telecom": [{"system": "phone", "value": "555-301-8840", "use": "home"},
            {"system": "email", "value": "maria.sanchez@mail.example", "use": "home"}],
        "gender": "female", "birthDate": "1970-03-01", "deceasedBoolean": false,
        "address": [{"use": "home", "line": ["731 Linden Way", "Unit 4"], "city": "Worcester", "state": "MA",
            "postalCode": "01608", "country": "US", "period": {"start": "2011-05-01"}}],
        "maritalStatus": coded("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M", "Married"),
        "multipleBirthBoolean": false,
        "contact": [{"relationship": [coded("http://terminology.hl7.org/CodeSystem/v2-0131", "N", "Next-of-Kin")],
            "name": {"family": "Sanchez", "given": ["Luis"]},
            "telecom": [{"system": "phone", "value": "555-301-8841"}]}],
        "communication": [{"language": coded("urn:ietf:bcp:47", "es", "Spanish"), "preferred": true}],
        "managingOrganization": {"reference": "Organization/0d1e2f3a", "display": "Worcester Family Practice"}})
}
