//! What the patient has: problems, concerns, the diagnoses of a visit; and what they cannot bear.

use super::chart::{Chart, Label, Visit};
use super::code::{Code, hl7, snomed, us_core};
use super::element::{moment, reference};
use jiff::civil::DateTime;
use serde_json::{Value, json};

/// Since when the patient has something, until when, and how it is labelled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    onset: DateTime,
    abated: Option<DateTime>,
    label: Label,
}

/// Since then and still.
pub(super) fn since(onset: DateTime) -> Course {
    Course { onset, abated: None, label: Label::None }
}

impl Course {
    /// It is over.
    pub(super) fn until(self, abated: DateTime) -> Course {
        Course { abated: Some(abated), ..self }
    }

    /// It wants special care.
    pub(super) fn labelled(self, label: Label) -> Course {
        Course { label, ..self }
    }
}

/// An entry of the problem list.
pub(super) fn problem(chart: &mut Chart, code: Code, course: Course) -> String {
    let category = hl7("condition-category", "problem-list-item", "Problem List Item");
    add(chart, code, course, vec![category], None)
}

/// A problem that lies in how the patient lives, found by asking.
pub(super) fn social_problem(chart: &mut Chart, code: Code, course: Course) -> String {
    let category = hl7("condition-category", "problem-list-item", "Problem List Item");
    add(chart, code, course, vec![category, us_core("sdoh", "SDOH")], None)
}

/// Something that somebody worries about.
pub(super) fn health_concern(chart: &mut Chart, code: Code, course: Course) -> String {
    let category = json!({
        "coding": [{
            "system": "http://hl7.org/fhir/us/core/CodeSystem/condition-category",
            "code": "health-concern",
            "display": "Health Concern",
        }],
    });
    add(chart, code, course, vec![category], None)
}

/// What the visit was about.
pub(super) fn diagnosis(chart: &mut Chart, visit: &Visit, code: Code, course: Course) -> String {
    let category = hl7("condition-category", "encounter-diagnosis", "Encounter Diagnosis");
    add(chart, code, course, vec![category], Some(visit))
}

fn add(
    chart: &mut Chart,
    code: Code,
    course: Course,
    categories: Vec<Value>,
    visit: Option<&Visit>,
) -> String {
    let status = match course.abated {
        None => hl7("condition-clinical", "active", "Active"),
        Some(_) => hl7("condition-clinical", "resolved", "Resolved"),
    };
    let profile = match visit {
        None => "us-core-condition-problems-health-concerns",
        Some(_) => "us-core-condition-encounter-diagnosis",
    };
    let content = json!({
        "extension": [{
            "url": "http://hl7.org/fhir/StructureDefinition/condition-assertedDate",
            "valueDateTime": course.onset.date().to_string(),
        }],
        "clinicalStatus": status,
        "verificationStatus": hl7("condition-ver-status", "confirmed", "Confirmed"),
        "category": categories,
        "code": code.concept(),
        "subject": chart.patient(),
        "encounter": visit.map(|it| reference(&it.encounter)),
        "onsetDateTime": moment(course.onset),
        "abatementDateTime": course.abated.map(moment),
        "recordedDate": moment(course.onset),
        "recorder": reference(visit.map_or(super::practice::CLINICIAN, |it| it.by)),
    });
    chart.add_labelled("Condition", profile, course.label, content)
}

/// An allergy and how it shows.
pub(super) fn allergy(
    chart: &mut Chart,
    onset: DateTime,
    (code, category): (Code, &str),
    manifestation: Code,
) {
    let content = json!({
        "clinicalStatus": hl7("allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": hl7("allergyintolerance-verification", "confirmed", "Confirmed"),
        "type": "allergy",
        "category": [category],
        "criticality": "low",
        "code": code.concept(),
        "patient": chart.patient(),
        "onsetDateTime": moment(onset),
        "recordedDate": moment(onset),
        "recorder": reference(super::practice::CLINICIAN),
        "reaction": [{ "manifestation": [manifestation.concept()], "severity": "moderate" }],
    });
    chart.add("AllergyIntolerance", "us-core-allergyintolerance", content);
}

/// Asked, and there is none: which is not the same as not having asked.
pub(super) fn no_allergies(chart: &mut Chart, at: DateTime) {
    let content = json!({
        "clinicalStatus": hl7("allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": hl7("allergyintolerance-verification", "confirmed", "Confirmed"),
        "code": snomed("716186003", "No known allergy").concept(),
        "patient": chart.patient(),
        "recordedDate": moment(at),
    });
    chart.add("AllergyIntolerance", "us-core-allergyintolerance", content);
}
