use super::*;
use crate::crypto::secret_key::SecretKey;
use crate::fhir::json::Limits;
use serde_json::{Value, json};

const BASE: &str = "https://us.example/fhir";

fn of(method: Method, recipient: u8) -> Deidentifier {
    let definitions = Arc::new(Definitions::embedded().unwrap());
    let pseudonyms = Pseudonyms::new(&SecretKey::from_slice(&[recipient; 32]).unwrap());
    Deidentifier::new(&definitions, method, pseudonyms, (BASE, 2026))
}

fn made(it: &Deidentifier, resource: &Value) -> (Value, Removed) {
    let resource = Resource::parse(resource.to_string(), &Limits::default()).unwrap();
    let made = it.resource(&resource, Some("p"));
    (serde_json::from_str(made.text.as_deref().unwrap_or("null")).unwrap(), made.removed)
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": "p", "text": { "status": "generated", "div": "<div>Ada Planted</div>" },
        "meta": { "versionId": "3", "lastUpdated": "2024-05-06T07:08:09Z", "source": "https://planted.example" },
        "extension": [
            { "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [
                { "url": "ombCategory", "valueCoding": {
                    "system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3", "display": "Planted" } },
                { "url": "text", "valueString": "Planted" }
            ] },
            { "url": "https://planted.example/x", "valueString": "Planted" }
        ],
        "identifier": [{ "system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-88-7777" }],
        "name": [{ "family": "Planted" }], "gender": "female", "birthDate": "1970-02-03",
        "telecom": [{ "system": "phone", "value": "555-1234" }],
        "address": [{ "line": ["1 Planted St"], "city": "Plantedville", "state": "MA", "postalCode": "02139" }],
        "generalPractitioner": [{ "reference": "Practitioner/planted", "display": "Dr Planted" }],
        "managingOrganization": { "display": "Planted" }
    })
}

#[test]
fn safe_harbor_keeps_what_says_nothing_of_who() {
    let it = of(Method::SafeHarbor, 1);
    let (made, removed) = made(&it, &patient());
    let expected = json!({
        "resourceType": "Patient", "id": it.pseudonym("Patient", "p"),
        "meta": { "versionId": "3", "lastUpdated": "2024-01-01T00:00:00Z", "security": [
            { "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED" }] },
        "extension": [{ "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [
            { "url": "ombCategory", "valueCoding": {
                "system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3" } }] }],
        "gender": "female", "birthDate": "1970", "address": [{ "state": "MA", "postalCode": "021" }],
        "generalPractitioner": [
            { "reference": format!("Practitioner/{}", it.pseudonym("Practitioner", "planted")) }]
    });
    assert_eq!(made, expected);
    for kind in ["name", "narrative", "social-security", "telephone", "geography", "date", "extension", "url"]
    {
        assert!(removed.contains_key(kind), "{kind}: {removed:?}");
    }
}

#[test]
fn a_limited_data_set_keeps_dates_and_towns() {
    let (made, _) = made(&of(Method::Limited { shifts_dates: false }, 1), &patient());
    assert_eq!(made["birthDate"], "1970-02-03");
    assert_eq!(made["address"], json!([{ "city": "Plantedville", "state": "MA", "postalCode": "02139" }]));
    assert!(made.get("name").is_none() && made.get("identifier").is_none() && made.get("telecom").is_none());
}

#[test]
fn shifted_dates_keep_their_distances_and_differ_between_recipients() {
    let span = json!({
        "resourceType": "Encounter", "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" },
        "period": { "start": "2020-03-04T10:00:00Z", "end": "2020-03-14T11:30:00Z" }
    });
    let shift = Method::Limited { shifts_dates: true };
    let period = |recipient| made(&of(shift, recipient), &span).0["period"].clone();
    let days = |text: &Value| text.as_str().unwrap()[..10].parse::<jiff::civil::Date>().unwrap();
    let one = period(1);
    assert_ne!(one["start"], "2020-03-04T10:00:00Z");
    assert_eq!((days(&one["end"]) - days(&one["start"])).get_days(), 10);
    assert!(one["end"].as_str().unwrap().ends_with("T11:30:00Z"));
    assert_eq!(one, period(1));
    assert_ne!(one, period(2));
}

#[test]
fn the_oldest_are_one_group() {
    let it = of(Method::SafeHarbor, 1);
    let old = json!({ "resourceType": "Patient", "birthDate": "1930-02-03" });
    let (made, _) = made(&it, &old);
    assert!(made.get("birthDate").is_none());
    assert_eq!(made["_birthDate"]["extension"][0]["valueCode"], "90-or-older");
    let condition = |age: u32, unit: &str| {
        json!({
            "resourceType": "Condition", "subject": { "reference": "Patient/p" },
            "onsetAge": { "value": age, "unit": "years", "system": "http://unitsofmeasure.org", "code": unit }
        })
    };
    let onset = |age, unit: &str| super::tests::made(&it, &condition(age, unit)).0["onsetAge"].clone();
    assert_eq!(onset(89, "a")["value"], 89);
    assert_eq!(
        (onset(95, "a")["value"].clone(), onset(95, "a")["comparator"].clone()),
        (90.into(), ">=".into())
    );
    assert_eq!(onset(1200, "mo")["value"], 1080);
}

#[test]
fn what_is_required_says_that_it_is_masked() {
    let it = of(Method::SafeHarbor, 1);
    let resource = json!({
        "resourceType": "Observation", "status": "final", "code": { "text": "Planted" },
        "valueString": "Planted", "note": [{ "text": "Planted" }]
    });
    let (made, _) = made(&it, &resource);
    assert_eq!(made["code"]["extension"][0]["valueCode"], "masked");
    assert!(made.get("valueString").is_none() && made.get("note").is_none());
}

#[test]
fn what_is_inside_is_walked_too() {
    let it = of(Method::SafeHarbor, 1);
    let resource = json!({
        "resourceType": "Bundle", "type": "collection", "entry": [
            { "fullUrl": "urn:uuid:planted", "resource": patient() },
            { "fullUrl": "https://other.example/fhir/Observation/planted", "resource": {
                "resourceType": "Observation", "id": "planted", "status": "final",
                "code": { "coding": [{ "system": "http://loinc.org", "code": "8302-2" }] },
                "subject": { "reference": "urn:uuid:planted" }, "performer": [{ "reference": "#planted" }],
                "contained": [{ "resourceType": "Practitioner", "id": "planted", "name": [{ "text": "Planted" }] }]
            } },
            { "resource": { "resourceType": "Binary", "contentType": "text/plain", "data": "UGxhbnRlZA==" } }
        ]
    });
    let (made, _) = made(&it, &resource);
    let text = made.to_string().to_ascii_lowercase();
    assert!(!text.contains("planted") && !text.contains("ugxhb"), "{text}");
    let (patient, observation) = (&made["entry"][0], &made["entry"][1]);
    assert_eq!(observation["resource"]["subject"]["reference"], patient["fullUrl"]);
    let contained = observation["resource"]["contained"][0]["id"].as_str().unwrap();
    assert_eq!(observation["resource"]["performer"][0]["reference"], format!("#{contained}"));
}

#[test]
fn what_may_change_the_meaning_withholds_what_it_is_on() {
    let it = of(Method::SafeHarbor, 1);
    let extension = json!([{ "url": "https://planted.example/not", "valueBoolean": true }]);
    let mut resource = patient();
    resource["communication"] = json!([{ "language": {}, "modifierExtension": extension }]);
    assert!(made(&it, &resource).0.get("communication").is_none());
    resource["modifierExtension"] = extension;
    assert_eq!(made(&it, &resource).0, Value::Null);
}

#[test]
fn the_policy_is_read() {
    Policy::embedded(&Definitions::embedded().unwrap().types).unwrap();
}
