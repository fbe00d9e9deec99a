//! Vital signs of adults, and what shows how they are followed.

use super::{Observation, add, category};
use crate::demo::chart::{Chart, Label, Visit};
use crate::demo::code::{Code, hl7, loinc};
use crate::demo::element::{days_after, moment, spelled};
use serde_json::{Value, json};

/// A quantity with its places and unit.
type Unit = (i32, &'static str, &'static str);

/// How a body is doing, from which its signs follow.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Body {
    /// Centimetres.
    pub(in crate::demo) height: f64,
    /// Kilograms.
    pub(in crate::demo) weight: f64,
    /// Millimetres of mercury.
    pub(in crate::demo) systolic: f64,
    /// Millimetres of mercury.
    pub(in crate::demo) diastolic: f64,
    /// Beats a minute.
    pub(in crate::demo) pulse: f64,
}

/// Everything a nurse measures at a visit of an adult.
pub(in crate::demo) fn all(chart: &mut Chart, visit: &Visit, body: Body) {
    let sway = |chart: &mut Chart, amount: f64| chart.random.sway() * amount;
    let systolic = body.systolic + sway(chart, 14.0);
    let diastolic = body.diastolic + sway(chart, 9.0);
    blood_pressure(chart, visit, (systolic, diastolic));
    let pulse = body.pulse + sway(chart, 12.0);
    one(
        chart,
        visit,
        "us-core-heart-rate",
        loinc("8867-4", "Heart rate"),
        pulse,
        (0, "beats/minute", "/min"),
    );
    let breaths = 15.0 + sway(chart, 4.0);
    let rate = loinc("9279-1", "Respiratory rate");
    one(chart, visit, "us-core-respiratory-rate", rate, breaths, (0, "breaths/minute", "/min"));
    let warmth = 36.8 + sway(chart, 0.6);
    one(
        chart,
        visit,
        "us-core-body-temperature",
        loinc("8310-5", "Body temperature"),
        warmth,
        (1, "Cel", "Cel"),
    );
    let oxygen = 97.0 + sway(chart, 3.0);
    pulse_oximetry(chart, visit, oxygen);
    let weight = body.weight + sway(chart, 2.0);
    one(chart, visit, "us-core-body-height", loinc("8302-2", "Body height"), body.height, (1, "cm", "cm"));
    one(chart, visit, "us-core-body-weight", loinc("29463-7", "Body weight"), weight, (1, "kg", "kg"));
    let index = weight / (body.height / 100.0).powi(2);
    let code = loinc("39156-5", "Body mass index (BMI) [Ratio]");
    one(chart, visit, "us-core-bmi", code, index, (1, "kg/m2", "kg/m2"));
}

/// One vital sign that is a quantity.
pub(in crate::demo) fn one(
    chart: &mut Chart,
    visit: &Visit,
    profile: &'static str,
    code: Code,
    value: f64,
    (places, unit, ucum): Unit,
) -> String {
    let rest = json!({ "valueQuantity": spelled(value, places, unit, ucum) });
    sign(chart, visit, profile, code.concept(), rest)
}

/// The vital signs of adults that are one quantity.
const QUANTITIES: [(&str, Code); 6] = [
    ("us-core-heart-rate", loinc("8867-4", "Heart rate")),
    ("us-core-respiratory-rate", loinc("9279-1", "Respiratory rate")),
    ("us-core-body-temperature", loinc("8310-5", "Body temperature")),
    ("us-core-body-height", loinc("8302-2", "Body height")),
    ("us-core-body-weight", loinc("29463-7", "Body weight")),
    ("us-core-bmi", loinc("39156-5", "Body mass index (BMI) [Ratio]")),
];

/// Vital signs that could not be taken, and why.
pub(in crate::demo) fn not_taken(chart: &mut Chart, visit: &Visit) {
    let unknown = hl7("data-absent-reason", "not-performed", "Not Performed");
    let part = |code: Code| json!({ "code": code.concept(), "dataAbsentReason": unknown });
    let systolic = part(loinc("8480-6", "Systolic blood pressure"));
    let diastolic = part(loinc("8462-4", "Diastolic blood pressure"));
    let rest = json!({ "dataAbsentReason": unknown, "component": [systolic, diastolic] });
    let code = loinc("85354-9", "Blood pressure panel with all children optional");
    sign(chart, visit, "us-core-blood-pressure", code.concept(), rest);
    let flow = part(loinc("3151-8", "Inhaled oxygen flow rate"));
    let concentration = part(loinc("3150-0", "Inhaled oxygen concentration"));
    let rest = json!({ "dataAbsentReason": unknown, "component": [flow, concentration] });
    sign(chart, visit, "us-core-pulse-oximetry", saturation(), rest);
    for (profile, code) in QUANTITIES {
        absent(chart, visit, profile, code);
    }
}

/// One vital sign that was not taken.
pub(in crate::demo) fn absent(chart: &mut Chart, visit: &Visit, profile: &'static str, code: Code) {
    let unknown = hl7("data-absent-reason", "not-performed", "Not Performed");
    sign(chart, visit, profile, code.concept(), json!({ "dataAbsentReason": unknown }));
}

/// What the patient measured at home over two weeks.
pub(in crate::demo) fn average_blood_pressure(chart: &mut Chart, visit: &Visit, body: Body) {
    let start = days_after(visit.at, -14);
    let rest = json!({
        "effectivePeriod": { "start": moment(start), "end": moment(visit.at) },
        "component": [
            pressure(loinc("96608-5", "Systolic blood pressure mean"), body.systolic),
            pressure(loinc("96609-3", "Diastolic blood pressure mean"), body.diastolic),
        ],
    });
    let code = loinc("96607-7", "Blood pressure panel mean systolic and mean diastolic");
    sign(chart, visit, "us-core-average-blood-pressure", code.concept(), rest);
}

fn blood_pressure(chart: &mut Chart, visit: &Visit, (systolic, diastolic): (f64, f64)) {
    let rest = json!({
        "component": [
            pressure(loinc("8480-6", "Systolic blood pressure"), systolic),
            pressure(loinc("8462-4", "Diastolic blood pressure"), diastolic),
        ],
    });
    let code = loinc("85354-9", "Blood pressure panel with all children optional");
    sign(chart, visit, "us-core-blood-pressure", code.concept(), rest);
}

fn pressure(code: Code, value: f64) -> Value {
    json!({ "code": code.concept(), "valueQuantity": spelled(value, 0, "mmHg", "mm[Hg]") })
}

/// With two litres of oxygen a minute where they are needed.
fn pulse_oximetry(chart: &mut Chart, visit: &Visit, percent: f64) {
    let percent = percent.min(100.0);
    let mut rest = json!({ "valueQuantity": spelled(percent, 0, "%", "%") });
    if percent < 97.0
        && let Some(members) = rest.as_object_mut()
    {
        let flow = loinc("3151-8", "Inhaled oxygen flow rate");
        let concentration = loinc("3150-0", "Inhaled oxygen concentration");
        let parts = json!([
            { "code": flow.concept(), "valueQuantity": spelled(2.0, 0, "L/min", "L/min") },
            { "code": concentration.concept(), "valueQuantity": spelled(28.0, 0, "%", "%") },
        ]);
        members.insert("component".to_owned(), parts);
    }
    sign(chart, visit, "us-core-pulse-oximetry", saturation(), rest);
}

fn saturation() -> Value {
    loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry")
        .concept_with(loinc("2708-6", "Oxygen saturation in Arterial blood"))
}

fn sign(chart: &mut Chart, visit: &Visit, profile: &'static str, code: Value, rest: Value) -> String {
    let category = category("vital-signs", "Vital Signs");
    add(chart, visit, Observation { profile, label: Label::None, category, code, rest })
}
