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
/// Whom the second patient has forbidden to see anything but who they are and what was measured.
pub const RESTRICTED: &str = "leak-restricted";
/// Who is on the care team of the first patient, too, and had emergency access to the second.
pub const FORMER: &str = "leak-former";
/// What refers to things of both patients: a Provenance in both records.
pub const BRIDGE: &str = "leak-bridge";

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
    /// A Device, which names its patient and is in no compartment.
    Device,
    /// A Binary that belongs to the DocumentReference.
    Scan,
    /// A Binary that belongs to the Condition that is kept apart.
    SecretScan,
    /// An element of the flu: its note.
    Note,
    /// What a Condition that is nobody's secret was before: one that 42 CFR Part 2 keeps apart.
    Once,
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

impl Thing {
    /// Whether it is a part of a resource, of which the rest may be seen by those who may not see it.
    #[must_use]
    pub fn is_part(&self) -> bool {
        matches!(self.kind, Kind::Note | Kind::Once)
    }

    /// Whether 42 CFR Part 2 keeps it apart.
    #[must_use]
    pub fn is_kept_apart(&self) -> bool {
        matches!(self.kind, Kind::Addiction | Kind::SecretScan | Kind::Once)
    }
}

/// Everything that may be hidden from somebody.
pub const THINGS: [Thing; 22] = [
    thing(OWN, Kind::Person, ("Patient", OWN, "zqownfamily")),
    thing(OWN, Kind::Laboratory, ("Observation", "leak-own-laboratory", "zqownlaboratory")),
    thing(OWN, Kind::Vital, ("Observation", "leak-own-vital", "zqownvital")),
    thing(OWN, Kind::Flu, ("Condition", "leak-own-flu", "zqownflu")),
    thing(OWN, Kind::Addiction, ("Condition", "leak-own-addiction", "zqownaddiction")),
    thing(OWN, Kind::Document, ("DocumentReference", "leak-own-document", "zqowndocument")),
    thing(OWN, Kind::Device, ("Device", "leak-own-device", "zqowndevice")),
    thing(OWN, Kind::Scan, ("Binary", "leak-own-scan", "zqownscan")),
    thing(OWN, Kind::SecretScan, ("Binary", "leak-own-secret-scan", "zqownsecret")),
    thing(OWN, Kind::Note, ("Condition", "leak-own-flu", "zqownnote")),
    thing(OWN, Kind::Once, ("Condition", "leak-own-once", "zqownonce")),
    thing(OTHER, Kind::Person, ("Patient", OTHER, "zqotherfamily")),
    thing(OTHER, Kind::Laboratory, ("Observation", "leak-other-laboratory", "zqotherlaboratory")),
    thing(OTHER, Kind::Vital, ("Observation", "leak-other-vital", "zqothervital")),
    thing(OTHER, Kind::Flu, ("Condition", "leak-other-flu", "zqotherflu")),
    thing(OTHER, Kind::Addiction, ("Condition", "leak-other-addiction", "zqotheraddiction")),
    thing(OTHER, Kind::Document, ("DocumentReference", "leak-other-document", "zqotherdocument")),
    thing(OTHER, Kind::Device, ("Device", "leak-other-device", "zqotherdevice")),
    thing(OTHER, Kind::Scan, ("Binary", "leak-other-scan", "zqotherscan")),
    thing(OTHER, Kind::SecretScan, ("Binary", "leak-other-secret-scan", "zqothersecret")),
    thing(OTHER, Kind::Note, ("Condition", "leak-other-flu", "zqothernote")),
    thing(OTHER, Kind::Once, ("Condition", "leak-other-once", "zqotheronce")),
];

/// The resources to store, in an order in which each refers only to what is there. What is there twice is changed.
#[must_use]
pub fn resources() -> Vec<Value> {
    let mut all = Vec::new();
    for id in [NURSE, FORBIDDEN, RESTRICTED, FORMER] {
        all.push(json!({ "resourceType": "Practitioner", "id": id, "active": true }));
    }
    all.extend(THINGS.iter().filter(|it| it.kind != Kind::Note).map(resource));
    for (id, patient) in [("leak-own-once", OWN), ("leak-other-once", OTHER)] {
        all.push(condition((id, patient), "J10.1", ("nothing much", None)));
    }
    for (id, patient) in [("leak-own-provenance", OWN), ("leak-other-provenance", OTHER)] {
        all.push(provenance(
            id,
            &[format!("Observation/{patient}-laboratory"), format!("Patient/{patient}")],
        ));
    }
    let both = [OWN, OTHER].map(|it| {
        ["Condition", "Observation"].map(|of| match of {
            "Condition" => format!("Condition/{it}-addiction"),
            of => format!("{of}/{it}-laboratory"),
        })
    });
    all.push(provenance(BRIDGE, both.as_flattened()));
    let coverage = |patient: &str| {
        json!({
            "resourceType": "Coverage", "id": format!("{patient}-coverage"), "status": "active",
            "subscriberId": format!("{patient}-member"), "payor": [{ "display": "a payer" }],
            "beneficiary": { "reference": format!("Patient/{patient}") }
        })
    };
    all.extend([OWN, OTHER].map(coverage));
    all.extend([team("leak-team", OWN, "active"), team("leak-team-of-old", OTHER, "inactive")]);
    all.extend([forbidding(), restricting()]);
    all
}

fn provenance(id: &str, targets: &[String]) -> Value {
    let targets: Vec<Value> = targets.iter().map(|it| json!({ "reference": it })).collect();
    json!({
        "resourceType": "Provenance", "id": id, "recorded": "2026-01-02T03:04:05Z", "target": targets,
        "agent": [{ "who": { "reference": format!("Practitioner/{NURSE}") } }]
    })
}

fn team(id: &str, patient: &str, status: &str) -> Value {
    let member = |it: &str| json!({ "member": { "reference": format!("Practitioner/{it}") } });
    json!({
        "resourceType": "CareTeam", "id": id, "status": status,
        "subject": { "reference": format!("Patient/{patient}") },
        "participant": ([NURSE, FORMER].map(member))
    })
}

/// The second patient forbids somebody everything.
fn forbidding() -> Value {
    consent("leak-consent", "OPTIN", json!({ "type": "deny", "actor": [actor(FORBIDDEN)] }))
}

/// The second patient lets somebody see a few types and nothing else.
fn restricting() -> Value {
    let class = |code: &str| json!({ "system": "http://hl7.org/fhir/resource-types", "code": code });
    let provision = json!({
        "actor": [actor(RESTRICTED)],
        "provision": [{ "type": "permit", "class": (["Patient", "Observation", "Provenance"].map(class)) }]
    });
    consent("leak-restriction", "OPTOUT", provision)
}

fn coded(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code }] })
}

fn actor(id: &str) -> Value {
    json!({
        "role": coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
        "reference": { "reference": format!("Practitioner/{id}") }
    })
}

fn consent(id: &str, policy: &str, provision: Value) -> Value {
    json!({
        "resourceType": "Consent", "id": id, "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "patient": { "reference": format!("Patient/{OTHER}") },
        "policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", policy),
        "provision": provision
    })
}

fn condition((id, patient): (&str, &str), code: &str, (text, note): (&str, Option<&str>)) -> Value {
    let mut condition = json!({
        "resourceType": "Condition", "id": id, "subject": { "reference": format!("Patient/{patient}") },
        "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "code": {
            "coding": [{ "system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code }],
            "text": text
        },
        "recordedDate": "2026-01-02", "identifier": [{ "system": "urn:leak-test", "value": id }]
    });
    if let (Some(note), Some(members)) = (note, condition.as_object_mut()) {
        members.insert("note".to_owned(), json!([{ "text": note }]));
        members.insert("evidence".to_owned(), json!([{ "code": [coded("urn:leak-test", id)] }]));
    }
    condition
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
        Kind::Flu | Kind::Note => {
            let note = THINGS.iter().find(|it| it.kind == Kind::Note && it.id == id).map(|it| it.word);
            condition((id, patient), "J10.1", (word, note))
        }
        Kind::Addiction | Kind::Once => condition((id, patient), "F10.20", (word, None)),
        Kind::Document => json!({
            "resourceType": resource_type, "id": id, "status": "current", "subject": subject,
            "type": { "coding": [{ "system": "http://loinc.org", "code": "34133-9" }] },
            "date": "2026-01-02T03:04:05Z", "description": word,
            "identifier": [{ "system": "urn:leak-test", "value": id }],
            "content": [{ "attachment": { "contentType": "text/plain", "data": STANDARD.encode(word) } }]
        }),
        Kind::Device => json!({
            "resourceType": resource_type, "id": id, "patient": subject,
            "deviceName": [{ "name": word, "type": "user-friendly-name" }],
            "identifier": [{ "system": "urn:leak-test", "value": id }]
        }),
        Kind::Scan | Kind::SecretScan => {
            let context = match kind {
                Kind::Scan => format!("DocumentReference/{patient}-document"),
                _ => format!("Condition/{patient}-addiction"),
            };
            json!({
                "resourceType": resource_type, "id": id, "contentType": format!("text/x-{word}"),
                "securityContext": { "reference": context }, "data": STANDARD.encode(word)
            })
        }
    }
}
