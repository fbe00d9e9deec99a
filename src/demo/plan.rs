//! Who cares for the patient, what is planned, and to what end.

use super::chart::{Chart, Label, Visit};
use super::code::{Code, snomed, us_core};
use super::element::{days_after, moment, named, reference};
use super::practice::{HOSPITAL, role_of};
use jiff::civil::DateTime;
use serde_json::{Value, json};

/// The team: colleagues in their roles, the patient, and who stands by them.
pub(super) fn team(chart: &mut Chart, from: DateTime, colleagues: &[&str], relative: Option<&str>) -> String {
    let mut participants: Vec<Value> = Vec::new();
    for practitioner in colleagues {
        if let Some((role, name)) = role_of(practitioner) {
            let member = named(practitioner, &name);
            participants.push(
                json!({ "role": [role.concept()], "member": member, "onBehalfOf": reference(HOSPITAL) }),
            );
        }
    }
    let patient = chart.patient();
    participants.push(json!({ "role": [snomed("116154003", "Patient").concept()], "member": patient }));
    participants.extend(
        relative.map(
            |it| json!({ "role": [snomed("133932002", "Caregiver").concept()], "member": reference(it) }),
        ),
    );
    let content = json!({
        "status": "active",
        "name": format!("Care team of {}", chart.person.full_name()),
        "subject": patient,
        "period": { "start": moment(from) },
        "participant": participants,
        "managingOrganization": [reference(HOSPITAL)],
    });
    chart.add("CareTeam", "us-core-careteam", content)
}

/// Where the patient wants to be in half a year.
pub(super) fn goal(chart: &mut Chart, at: DateTime, code: Code, text: &str, label: Label) -> String {
    let due = days_after(at, 180).date().to_string();
    let content = json!({
        "lifecycleStatus": "active",
        "achievementStatus": super::code::hl7("goal-achievement", "in-progress", "In Progress"),
        "description": { "coding": [code.coding()], "text": text },
        "subject": chart.patient(),
        "startDate": at.date().to_string(),
        "target": [{ "dueDate": due }],
        "expressedBy": chart.patient(),
    });
    chart.add_labelled("Goal", "us-core-goal", label, content)
}

/// The plan, told in words.
pub(super) fn plan(
    chart: &mut Chart,
    at: DateTime,
    team: &str,
    (problem, goal): (&str, &str),
    (text, label): (&str, Label),
) -> String {
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{text}</p></div>");
    let assess = json!({
        "coding": [{
            "system": "http://hl7.org/fhir/us/core/CodeSystem/careplan-category",
            "code": "assess-plan",
            "display": "Assessment and Plan of Treatment",
        }],
    });
    let content = json!({
        "text": { "status": "generated", "div": div },
        "status": "active",
        "intent": "plan",
        "category": [assess],
        "title": "Assessment and plan",
        "subject": chart.patient(),
        "period": { "start": moment(at) },
        "careTeam": [reference(team)],
        "addresses": [reference(problem)],
        "goal": [reference(goal)],
    });
    chart.add_labelled("CarePlan", "us-core-careplan", label, content)
}

/// A referral to somebody who helps with how the patient lives.
pub(super) fn referral(chart: &mut Chart, visit: &Visit, code: Code, problem: &str) -> String {
    let content = json!({
        "status": "active",
        "intent": "order",
        "category": [us_core("sdoh", "SDOH")],
        "code": code.concept(),
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "occurrencePeriod": { "start": moment(visit.at), "end": moment(days_after(visit.at, 60)) },
        "authoredOn": moment(visit.at),
        "requester": reference(visit.by),
        "reasonReference": [reference(problem)],
    });
    chart.add("ServiceRequest", "us-core-servicerequest", content)
}
