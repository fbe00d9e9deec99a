//! What every chart refers to: the hospital, its people, its shelf of medications, its forms.

use super::chart::resource;
use super::code::{Code, code, hl7, rxnorm, snomed};
use super::element::{address, named, npi, phone, reference};
use super::random::Random;
use serde_json::{Value, json};

pub(super) const CLINICIAN: &str = "Practitioner/demo-clinician";
pub(super) const NURSE: &str = "Practitioner/demo-nurse";
pub(super) const CARDIOLOGIST: &str = "Practitioner/demo-cardiologist";
pub(super) const PEDIATRICIAN: &str = "Practitioner/demo-pediatrician";
pub(super) const PSYCHIATRIST: &str = "Practitioner/demo-psychiatrist";
pub(super) const OBSTETRICIAN: &str = "Practitioner/demo-obstetrician";
pub(super) const PHARMACIST: &str = "Practitioner/demo-pharmacist";
pub(super) const HOSPITAL: &str = "Organization/demo-hospital";
pub(super) const LABORATORY: &str = "Organization/demo-laboratory";
pub(super) const PAYER: &str = "Organization/demo-payer";
pub(super) const WARD: &str = "Location/demo-ward";
pub(super) const OFFICE: &str = "Location/demo-office";
/// The form about food and home, which is ours.
pub(super) const NEEDS_FORM: &str = "https://demo.vesta.example/Questionnaire/food-and-home";

/// A medication on the shelf, referred to instead of coded in place.
pub(super) const SHELF: [(&str, Code); 2] = [
    ("Medication/demo-medication-lisinopril", rxnorm("314076", "lisinopril 10 MG Oral Tablet")),
    (
        "Medication/demo-medication-metformin",
        rxnorm("860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet"),
    ),
];

struct Colleague {
    id: &'static str,
    given: &'static str,
    family: &'static str,
    role: Code,
    specialty: Code,
    degree: (&'static str, &'static str),
}

const NUCC: &str = "http://nucc.org/provider-taxonomy";

const COLLEAGUES: [Colleague; 7] = [
    Colleague {
        id: super::CLINICIAN,
        given: "Clara",
        family: "Democlinician",
        role: snomed("453231000124104", "Primary care provider"),
        specialty: code(NUCC, "207Q00000X", "Family Medicine Physician"),
        degree: ("MD", "Doctor of Medicine"),
    },
    Colleague {
        id: "demo-nurse",
        given: "Noor",
        family: "Lanternlight",
        role: snomed("224535009", "Registered nurse"),
        specialty: code(NUCC, "163W00000X", "Registered Nurse"),
        degree: ("RN", "Registered Nurse"),
    },
    Colleague {
        id: "demo-cardiologist",
        given: "Cormac",
        family: "Steadybeat",
        role: snomed("17561000", "Cardiologist"),
        specialty: code(NUCC, "207RC0000X", "Cardiovascular Disease Physician"),
        degree: ("MD", "Doctor of Medicine"),
    },
    Colleague {
        id: "demo-pediatrician",
        given: "Paloma",
        family: "Littlewood",
        role: snomed("82296001", "Pediatrician"),
        specialty: code(NUCC, "208000000X", "Pediatrics Physician"),
        degree: ("MD", "Doctor of Medicine"),
    },
    Colleague {
        id: "demo-psychiatrist",
        given: "Soren",
        family: "Stillwater",
        role: snomed("80584001", "Psychiatrist"),
        specialty: code(NUCC, "2084P0800X", "Psychiatry Physician"),
        degree: ("MD", "Doctor of Medicine"),
    },
    Colleague {
        id: "demo-obstetrician",
        given: "Olive",
        family: "Cradlebrook",
        role: snomed("11935004", "Obstetrician"),
        specialty: code(NUCC, "207V00000X", "Obstetrics & Gynecology Physician"),
        degree: ("MD", "Doctor of Medicine"),
    },
    Colleague {
        id: "demo-pharmacist",
        given: "Felicity",
        family: "Mortarstone",
        role: snomed("46255001", "Pharmacist"),
        specialty: code(NUCC, "183500000X", "Pharmacist"),
        degree: ("PHARMD", "Doctor of Pharmacy"),
    },
];

/// The role in which a colleague is on a care team, and their name.
pub(super) fn role_of(practitioner: &str) -> Option<(Code, String)> {
    let id = practitioner.strip_prefix("Practitioner/")?;
    let colleague = COLLEAGUES.iter().find(|it| it.id == id)?;
    Some((colleague.role, format!("{} {}", colleague.given, colleague.family)))
}

/// All of it, in an order in which nothing is referred to before it is there.
pub(super) fn resources(seed: u64) -> Vec<Value> {
    let random = &mut Random::new(seed, u64::MAX);
    let mut all = vec![
        organization(random, "demo-hospital", "Hearthside General Hospital", ("prov", "Healthcare Provider")),
        organization(random, "demo-laboratory", "Hearthside Laboratory", ("prov", "Healthcare Provider")),
        organization(random, "demo-payer", "Evenflame Health Plan", ("pay", "Payer")),
        location(random, "demo-ward", "Hearthside General Hospital, inpatient ward", ("HOSP", "Hospital")),
        location(random, "demo-office", "Hearthside Family Medicine", ("OF", "Outpatient facility")),
        endpoint(),
    ];
    all.extend(COLLEAGUES.iter().map(|it| practitioner(random, it)));
    all.extend(COLLEAGUES.iter().map(|it| practitioner_role(random, it)));
    all.extend(SHELF.iter().map(|(address, drug)| {
        let id = address.strip_prefix("Medication/").unwrap_or(address);
        let form = hl7("v3-orderableDrugForm", "TAB", "Tablet");
        resource(
            "Medication",
            id,
            "us-core-medication",
            None,
            json!({ "code": drug.concept(), "status": "active", "form": form }),
        )
    }));
    all.push(needs_form());
    all
}

fn organization(random: &mut Random, id: &str, name: &str, kind: (&str, &str)) -> Value {
    let mut identifiers = vec![npi(random)];
    match id {
        "demo-laboratory" => {
            identifiers.push(json!({ "system": "urn:oid:2.16.840.1.113883.4.7", "value": "11D1234567" }))
        }
        "demo-payer" => {
            identifiers.push(json!({ "system": "urn:oid:2.16.840.1.113883.6.300", "value": "54321" }))
        }
        _ => {}
    }
    let content = json!({
        "identifier": identifiers,
        "active": true,
        "type": [hl7("organization-type", kind.0, kind.1)],
        "name": name,
        "telecom": [phone(random, "work"), { "system": "email", "value": format!("{id}@example.org"), "use": "work" }],
        "address": [address(random, "")],
    });
    resource("Organization", id, "us-core-organization", None, content)
}

fn location(random: &mut Random, id: &str, name: &str, kind: (&str, &str)) -> Value {
    let content = json!({
        "identifier": [{ "system": "https://demo.vesta.example/location", "value": id }],
        "status": "active",
        "name": name,
        "type": [hl7("v3-RoleCode", kind.0, kind.1)],
        "telecom": [phone(random, "work")],
        "address": address(random, "work"),
        "managingOrganization": reference(HOSPITAL),
    });
    resource("Location", id, "us-core-location", None, content)
}

fn endpoint() -> Value {
    let connection = json!({ "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "direct-project" });
    let content = json!({
        "status": "active",
        "connectionType": connection,
        "name": "Direct mail of Hearthside General Hospital",
        "payloadType": [hl7("endpoint-payload-type", "none", "None")],
        "address": "mailto:hearthside@direct.example.org",
    });
    resource("Endpoint", "demo-endpoint", "", None, content)
}

fn practitioner(random: &mut Random, colleague: &Colleague) -> Value {
    let content = json!({
        "identifier": [npi(random)],
        "active": true,
        "name": [{ "use": "official", "family": colleague.family, "given": [colleague.given], "prefix": ["Dr."] }],
        "telecom": [phone(random, "work"), { "system": "email", "value": format!("{}@example.org", colleague.id), "use": "work" }],
        "address": [address(random, "work")],
        "gender": random.pick(&["female", "male"], "female"),
        "qualification": [{ "code": hl7("v2-0360", colleague.degree.0, colleague.degree.1) }],
    });
    resource("Practitioner", colleague.id, "us-core-practitioner", None, content)
}

fn practitioner_role(random: &mut Random, colleague: &Colleague) -> Value {
    let name = format!("{} {}", colleague.given, colleague.family);
    let content = json!({
        "active": true,
        "practitioner": named(&format!("Practitioner/{}", colleague.id), &name),
        "organization": named(HOSPITAL, "Hearthside General Hospital"),
        "code": [colleague.role.concept()],
        "specialty": [colleague.specialty.concept()],
        "location": [reference(OFFICE)],
        "telecom": [phone(random, "work")],
        "endpoint": [reference("Endpoint/demo-endpoint")],
    });
    resource("PractitionerRole", &format!("{}-role", colleague.id), "us-core-practitionerrole", None, content)
}

fn needs_form() -> Value {
    let yes_no = json!([{ "valueCoding": super::observation::survey::YES.coding() }, { "valueCoding": super::observation::survey::NO.coding() }]);
    let content = json!({
        "url": NEEDS_FORM,
        "version": "1.0",
        "title": "Food and home",
        "status": "active",
        "subjectType": ["Patient"],
        "date": "2026-01-05",
        "publisher": "Hearthside General Hospital",
        "item": [
            {
                "linkId": "food",
                "text": "Food",
                "type": "group",
                "item": [
                    { "linkId": "food-short", "text": "In the last month, did food run short before the month was over?", "type": "choice", "answerOption": yes_no },
                    { "linkId": "food-risk", "text": "Food insecurity risk", "type": "choice" },
                ],
            },
            {
                "linkId": "home",
                "text": "Do you worry about where you will live next month?",
                "type": "choice",
                "answerOption": yes_no,
                "item": [{ "linkId": "home-note", "text": "Would you like to say more?", "type": "string" }],
            },
        ],
    });
    resource("Questionnaire", "demo-food-and-home", "", None, content)
}
