//! What was written: notes, letters, reports with pictures.

use super::chart::{Chart, Label, Visit};
use super::code::{Code, code, loinc};
use super::element::{base64, minutes_after, moment, reference};
use super::practice::HOSPITAL;
use serde_json::{Value, json};

/// A note of a visit, its text inside.
pub(super) fn note(chart: &mut Chart, visit: &Visit, kind: Code, text: &str, label: Label) -> String {
    let attachment = json!({
        "contentType": "text/plain; charset=utf-8",
        "language": "en",
        "data": base64(text),
        "title": kind.display(),
        "creation": moment(visit.at),
    });
    document(chart, visit, kind, attachment, label)
}

/// A letter that lies beside the record, as a Binary.
pub(super) fn letter(chart: &mut Chart, visit: &Visit, kind: Code, text: &str) -> String {
    let binary = json!({
        "contentType": "text/plain; charset=utf-8",
        "securityContext": { "reference": format!("Patient/{}", chart.id) },
        "data": base64(text),
    });
    let binary = chart.add("Binary", "", binary);
    let attachment = json!({
        "contentType": "text/plain; charset=utf-8",
        "url": binary,
        "title": kind.display(),
        "creation": moment(visit.at),
    });
    document(chart, visit, kind, attachment, Label::None)
}

fn document(chart: &mut Chart, visit: &Visit, kind: Code, attachment: Value, label: Label) -> String {
    let clinical_note = code(
        "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
        "clinical-note",
        "Clinical Note",
    );
    let format = json!({
        "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
        "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
        "display": "mimeType Sufficient",
    });
    let end = minutes_after(visit.at, 30);
    let number = chart.random.digits(9);
    let content = json!({
        "identifier": [{ "system": "https://demo.vesta.example/document", "value": format!("{}-{number}", chart.id) }],
        "status": "current",
        "type": kind.concept(),
        "category": [clinical_note.concept()],
        "subject": chart.patient(),
        "date": moment(end),
        "author": [reference(visit.by)],
        "custodian": reference(HOSPITAL),
        "content": [{ "attachment": attachment, "format": format }],
        "context": {
            "encounter": [reference(&visit.encounter)],
            "period": { "start": moment(visit.at), "end": moment(end) },
        },
    });
    chart.add_labelled("DocumentReference", "us-core-documentreference", label, content)
}

/// A report on pictures of the heart or chest: what was seen, a picture, and the words.
pub(super) fn imaging(chart: &mut Chart, visit: &Visit, (category, code): (Code, Code), finding: &str) {
    let observed = json!({
        "status": "final",
        "category": [super::code::hl7("observation-category", "imaging", "Imaging")],
        "code": loinc("18782-3", "Radiology Study observation (narrative)").concept(),
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "effectiveDateTime": moment(visit.at),
        "performer": [reference(visit.by)],
        "valueString": finding,
    });
    let observed = chart.add("Observation", "us-core-observation-clinical-result", observed);
    let media = json!({
        "status": "completed",
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "createdDateTime": moment(visit.at),
        "content": { "contentType": "image/svg+xml", "data": base64(PICTURE), "title": code.display() },
    });
    let media = chart.add("Media", "", media);
    let content = json!({
        "status": "final",
        "category": [category.concept()],
        "code": code.concept(),
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "effectiveDateTime": moment(visit.at),
        "issued": moment(minutes_after(visit.at, 90)),
        "performer": [reference(visit.by)],
        "resultsInterpreter": [reference(visit.by)],
        "result": [reference(&observed)],
        "media": [{ "comment": "Overview", "link": reference(&media) }],
        "conclusion": finding,
        "presentedForm": [{ "contentType": "text/plain; charset=utf-8", "data": base64(finding), "title": code.display() }],
    });
    chart.add("DiagnosticReport", "us-core-diagnosticreport-note", content);
}

/// A heartbeat, drawn by us.
const PICTURE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 100 30\">\
    <path d=\"M0 20h30l4-12 6 18 4-6h56\" fill=\"none\" stroke=\"black\"/></svg>";
