//! Vaccines, procedures and what was put into the patient.

use super::chart::{Chart, Label, Visit};
use super::code::{Code, code, hl7, snomed};
use super::element::{minutes_after, moment, reference};
use super::practice::{NURSE, OFFICE};
use serde_json::json;

/// A vaccine that was given, with the package it came from where we know one.
pub(super) fn immunization(
    chart: &mut Chart,
    visit: &Visit,
    (vaccine, package): (Code, Option<&'static str>),
) {
    let concept = match package {
        Some(number) => vaccine.concept_with(code("http://hl7.org/fhir/sid/ndc", number, vaccine.display())),
        None => vaccine.concept(),
    };
    let lot = format!("V{}", chart.random.digits(5));
    let content = json!({
        "status": "completed",
        "vaccineCode": concept,
        "patient": chart.patient(),
        "encounter": reference(&visit.encounter),
        "occurrenceDateTime": moment(visit.at),
        "primarySource": true,
        "location": reference(OFFICE),
        "lotNumber": lot,
        "performer": [{ "function": hl7("v2-0443", "AP", "Administering Provider"), "actor": reference(NURSE) }],
    });
    chart.add("Immunization", "us-core-immunization", content);
}

/// A vaccine that the patient did not want.
pub(super) fn refused_immunization(chart: &mut Chart, visit: &Visit, vaccine: Code) {
    let content = json!({
        "status": "not-done",
        "statusReason": hl7("v3-ActReason", "PATOBJ", "patient objection"),
        "vaccineCode": vaccine.concept(),
        "patient": chart.patient(),
        "encounter": reference(&visit.encounter),
        "occurrenceDateTime": moment(visit.at),
        "primarySource": true,
        "location": reference(OFFICE),
    });
    chart.add("Immunization", "us-core-immunization", content);
}

/// What a procedure was done for and by whose order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grounds<'a> {
    /// `ServiceRequest/…` or `CarePlan/…`
    pub(super) order: Option<&'a str>,
    /// `Condition/…`
    pub(super) problem: Option<&'a str>,
    /// What it was done for, in a code.
    pub(super) reason: Option<Code>,
}

/// A procedure of half an hour.
pub(super) fn procedure(
    chart: &mut Chart,
    visit: &Visit,
    code: Code,
    grounds: Grounds<'_>,
    label: Label,
) -> String {
    let content = json!({
        "basedOn": grounds.order.map(|it| json!([reference(it)])),
        "status": "completed",
        "code": code.concept(),
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "performedPeriod": { "start": moment(visit.at), "end": moment(minutes_after(visit.at, 30)) },
        "performer": [{ "actor": reference(visit.by) }],
        "location": reference(OFFICE),
        "reasonCode": grounds.reason.map(|it| json!([it.concept()])),
        "reasonReference": grounds.problem.map(|it| json!([reference(it)])),
    });
    chart.add_labelled("Procedure", "us-core-procedure", label, content)
}

/// A pacemaker, with everything on its label.
pub(super) fn pacemaker(chart: &mut Chart, visit: &Visit) {
    let serial = chart.random.digits(8);
    let lot = chart.random.digits(6);
    let made = visit.at.date().saturating_sub(jiff::Span::new().months(8));
    let expires = made.saturating_add(jiff::Span::new().years(9));
    let short = |day: jiff::civil::Date| format!("{:02}{:02}{:02}", day.year() % 100, day.month(), day.day());
    let device = "09504000059118";
    let label = format!("(01){device}(11){}(17){}(10){lot}(21){serial}", short(made), short(expires));
    let content = json!({
        "udiCarrier": [{
            "deviceIdentifier": device,
            "issuer": "http://hl7.org/fhir/NamingSystem/gs1",
            "carrierHRF": label,
            "entryType": "barcode",
        }],
        "status": "active",
        "distinctIdentifier": format!("A9999{serial}"),
        "manufacturer": "Evenbeat Devices",
        "manufactureDate": made.to_string(),
        "expirationDate": expires.to_string(),
        "lotNumber": lot,
        "serialNumber": serial,
        "deviceName": [{ "name": "Evenbeat pacemaker", "type": "user-friendly-name" }],
        "modelNumber": "EB-2",
        "type": snomed("706004007", "Implantable cardiac pacemaker").concept(),
        "patient": chart.patient(),
    });
    chart.add("Device", "us-core-implantable-device", content);
}
