//! What the patient takes: prescriptions, what was handed over, what they take by themselves.

use super::chart::{Chart, Label, Visit};
use super::code::{Code, hl7, snomed};
use super::element::{days_after, moment, reference, spelled};
use super::practice::{LABORATORY, PHARMACIST};
use serde_json::{Value, json};

/// What is to be taken, and how often a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order<'a> {
    /// What.
    pub(super) drug: Code,
    /// Where on the shelf, if it is referred to.
    pub(super) shelf: Option<&'a str>,
    /// How often a day.
    pub(super) times_a_day: i64,
    /// Because of which problem.
    pub(super) problem: Option<&'a str>,
    /// How it is labelled.
    pub(super) label: Label,
}

impl Order<'_> {
    fn medication(&self) -> (&'static str, Value) {
        match self.shelf {
            Some(address) => {
                ("medicationReference", json!({ "reference": address, "display": self.drug.display() }))
            }
            None => ("medicationCodeableConcept", self.drug.concept()),
        }
    }

    fn dosage(&self) -> Value {
        let often = match self.times_a_day {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            more => format!("{more} times"),
        };
        json!([{
            "text": format!("Take one tablet by mouth {often} a day"),
            "timing": { "repeat": { "frequency": self.times_a_day, "period": 1, "periodUnit": "d" } },
            "route": snomed("26643006", "Oral route").concept(),
            "doseAndRate": [{
                "type": hl7("dose-rate-type", "ordered", "Ordered"),
                "doseQuantity": spelled(1.0, 0, "tablet", "{tbl}"),
            }],
        }])
    }
}

/// A prescription, and the first fill of it.
pub(super) fn prescribe(chart: &mut Chart, visit: &Visit, order: Order<'_>) -> String {
    let (name, medication) = order.medication();
    let supply = 30 * order.times_a_day;
    let tablets =
        |count: i64| spelled(f64::from(i32::try_from(count).unwrap_or_default()), 0, "tablet", "{tbl}");
    let content = json!({
        "status": "active",
        "intent": "order",
        "category": [hl7("medicationrequest-category", "community", "Community")],
        "reportedBoolean": false,
        name: medication,
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "authoredOn": moment(visit.at),
        "requester": reference(visit.by),
        "reasonReference": order.problem.map(|it| json!([reference(it)])),
        "dosageInstruction": order.dosage(),
        "dispenseRequest": { "numberOfRepeatsAllowed": 3, "quantity": tablets(supply) },
    });
    let request = chart.add_labelled("MedicationRequest", "us-core-medicationrequest", order.label, content);
    let handed_over = days_after(visit.at, 1);
    let content = json!({
        "status": "completed",
        name: medication,
        "subject": chart.patient(),
        "context": reference(&visit.encounter),
        "performer": [{ "actor": reference(PHARMACIST) }],
        "authorizingPrescription": [reference(&request)],
        "type": { "coding": [super::code::act("FFC", "First Fill - Complete").coding()] },
        "quantity": tablets(supply),
        "daysSupply": spelled(30.0, 0, "day", "d"),
        "whenHandedOver": moment(handed_over),
        "dosageInstruction": order.dosage(),
    });
    chart.add_labelled("MedicationDispense", "us-core-medicationdispense", order.label, content);
    request
}

/// What the patient says they take by themselves, and how faithfully.
pub(super) fn self_medication(chart: &mut Chart, visit: &Visit) {
    const ADHERENCE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-medication-adherence";
    let headache = snomed("25064002", "Headache");
    let partly = snomed("275928001", "Drugs - partial non-compliance");
    let content = json!({
        "extension": [{
            "url": ADHERENCE,
            "extension": [
                { "url": "medicationAdherence", "valueCodeableConcept": partly.concept() },
                { "url": "dateAsserted", "valueDateTime": moment(visit.at) },
                { "url": "informationSource", "valueCodeableConcept": snomed("116154003", "Patient").concept() },
            ],
        }],
        "status": "active",
        "intent": "plan",
        "category": [hl7("medicationrequest-category", "community", "Community")],
        "reportedReference": chart.patient(),
        "medicationCodeableConcept": super::code::rxnorm("313782", "acetaminophen 325 MG Oral Tablet").concept(),
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "authoredOn": moment(visit.at),
        "requester": chart.patient(),
        "reasonCode": [headache.concept()],
        "dosageInstruction": [{
            "text": "Takes one or two tablets when the head aches",
            "asNeededCodeableConcept": headache.concept(),
            "doseAndRate": [{ "doseRange": { "low": spelled(1.0, 0, "tablet", "{tbl}"), "high": spelled(2.0, 0, "tablet", "{tbl}") } }],
        }],
    });
    chart.add("MedicationRequest", "us-core-medicationrequest", content);
}

/// An examination in the laboratory that is ordered.
pub(super) fn order(chart: &mut Chart, visit: &Visit, code: Code, label: Label) -> String {
    let content = json!({
        "status": "completed",
        "intent": "order",
        "category": [snomed("108252007", "Laboratory procedure").concept()],
        "code": code.concept(),
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "occurrenceDateTime": moment(visit.at),
        "authoredOn": moment(visit.at),
        "requester": reference(visit.by),
        "performer": [reference(LABORATORY)],
        "reasonCode": [snomed("185349003", "Encounter for check up").concept()],
    });
    chart.add_labelled("ServiceRequest", "us-core-servicerequest", label, content)
}
