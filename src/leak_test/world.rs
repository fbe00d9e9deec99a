//! What there is to leak: two patients whose records say the same, each in words of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The patient whom most attempts may see.
pub const OWN: &str = "leak-own";
/// The patient whom most attempts may not see.
pub const OTHER: &str = "leak-other";
/// Who is on the care team of the first patient, and of no other.
pub const NURSE: &str = "leak-nurse";
/// Whom the second patient has forbidden to see anything.
pub const FORBIDDEN: &str = "leak-forbidden";

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The Patient.
    Person,
    /// An Observation of the laboratory.
    Laboratory,
    /// An Observation of vital signs.
    Vital,
    /// A Condition that is nobody's secret.
    Flu,
    /// A Condition that 42 CFR Part 2 keeps apart.
    Addiction,
    /// A DocumentReference with its text in it.
    Document,
}

/// Something that may be hidden from somebody.
#[derive(Clone, Copy, Debug)]
pub struct Thing {
    /// Whose it is.
    pub patient: &'static str,
    /// What kind of thing.
    pub kind: Kind,
    /// Its type.
    pub resource_type: &'static str,
    /// Its id.
    pub id: &'static str,
    /// The word that stands in it and nowhere else, in lower case.
    pub word: &'static str,
}

const fn thing(
    patient: &'static str,
    kind: Kind,
    (resource_type, id, word): (&'static str, &'static str, &'static str),
) -> Thing {
    Thing { patient, kind, resource_type, id, word }
}

/// Everything that may be hidden from somebody.
pub const THINGS: [Thing; 12] = [
    thing(OWN, Kind::Person, ("Patient", OWN, "zqownfamily")),
    thing(OWN, Kind::Laboratory, ("Observation", "leak-own-laboratory", "zqownlaboratory")),
    thing(OWN, Kind::Vital, ("Observation", "leak-own-vital", "zqownvital")),
    thing(OWN, Kind::Flu, ("Condition", "leak-own-flu", "zqownflu")),
    thing(OWN, Kind::Addiction, ("Condition", "leak-own-addiction", "zqownaddiction")),
    thing(OWN, Kind::Document, ("DocumentReference", "leak-own-document", "zqowndocument")),
    thing(OTHER, Kind::Person, ("Patient", OTHER, "zqotherfamily")),
    thing(OTHER, Kind::Laboratory, ("Observation", "leak-other-laboratory", "zqotherlaboratory")),
    thing(OTHER, Kind::Vital, ("Observation", "leak-other-vital", "zqothervital")),
    thing(OTHER, Kind::Flu, ("Condition", "leak-other-flu", "zqotherflu")),
    thing(OTHER, Kind::Addiction, ("Condition", "leak-other-addiction", "zqotheraddiction")),
    thing(OTHER, Kind::Document, ("DocumentReference", "leak-other-document", "zqotherdocument")),
];

/// The resources to store, in an order in which each refers only to what is there.
#[must_use]
pub fn resources() -> Vec<Value> {
    let mut all = Vec::new();
    for id in [NURSE, FORBIDDEN] {
        all.push(json!({ "resourceType": "Practitioner", "id": id, "active": true }));
    }
    all.extend(THINGS.iter().map(resource));
    for (id, patient) in [("leak-own-provenance", OWN), ("leak-other-provenance", OTHER)] {
        all.push(json!({
            "resourceType": "Provenance", "id": id, "recorded": "2026-01-02T03:04:05Z",
            "target": [
                { "reference": format!("Observation/{patient}-laboratory") },
                { "reference": format!("Patient/{patient}") }
            ],
            "agent": [{ "who": { "reference": format!("Practitioner/{NURSE}") } }]
        }));
    }
    all.push(json!({
        "resourceType": "CareTeam", "id": "leak-team", "status": "active",
        "subject": { "reference": format!("Patient/{OWN}") },
        "participant": [{ "member": { "reference": format!("Practitioner/{NURSE}") } }]
    }));
    let coding = |system: &str, code: &str| json!({ "coding": [{ "system": system, "code": code }] });
    all.push(json!({
        "resourceType": "Consent", "id": "leak-consent", "status": "active",
        "scope": coding("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coding("http://loinc.org", "59284-0")],
        "patient": { "reference": format!("Patient/{OTHER}") },
        "policyRule": coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
        "provision": { "type": "deny", "actor": [{
            "role": coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
            "reference": { "reference": format!("Practitioner/{FORBIDDEN}") }
        }] }
    }));
    all
}

fn resource(thing: &Thing) -> Value {
    let Thing { patient, kind, resource_type, id, word } = *thing;
    let subject = json!({ "reference": format!("Patient/{patient}") });
    match kind {
        Kind::Person => json!({
            "resourceType": resource_type, "id": id, "name": [{ "family": word }], "birthDate": "1970-01-01",
            "identifier": [{ "system": "urn:leak-test", "value": id }]
        }),
        Kind::Laboratory | Kind::Vital => json!({
            "resourceType": resource_type, "id": id, "status": "final", "subject": subject,
            "category": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": if kind == Kind::Vital { "vital-signs" } else { "laboratory" }
            }] }],
            "code": { "coding": [{ "system": "urn:leak-test", "code": "measured" }] },
            "effectiveDateTime": "2026-01-02", "valueString": word,
            "identifier": [{ "system": "urn:leak-test", "value": id }]
        }),
        Kind::Flu | Kind::Addiction => json!({
            "resourceType": resource_type, "id": id, "subject": subject,
            "clinicalStatus": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"
            }] },
            "code": {
                "coding": [{
                    "system": "http://hl7.org/fhir/sid/icd-10-cm",
                    "code": if kind == Kind::Flu { "J10.1" } else { "F10.20" }
                }],
                "text": word
            },
            "recordedDate": "2026-01-02", "identifier": [{ "system": "urn:leak-test", "value": id }]
        }),
        Kind::Document => json!({
            "resourceType": resource_type, "id": id, "status": "current", "subject": subject,
            "type": { "coding": [{ "system": "http://loinc.org", "code": "34133-9" }] },
            "date": "2026-01-02T03:04:05Z", "description": word,
            "identifier": [{ "system": "urn:leak-test", "value": id }],
            "content": [{ "attachment": { "contentType": "text/plain", "data": STANDARD.encode(word) } }]
        }),
    }
}
