//! The laboratory: what was ordered, drawn, measured and reported.

use super::{Observation, add, category};
use crate::demo::chart::{Chart, Label, Visit};
use crate::demo::code::{Code, code, hl7, loinc, snomed};
use crate::demo::element::{minutes_after, moment, quantity, reference};
use crate::demo::medication;
use crate::demo::practice::LABORATORY;
use serde_json::{Value, json};

/// A value that is measured, its unit, and where it lies in those who are well.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Test {
    code: Code,
    unit: &'static str,
    places: i32,
    low: f64,
    high: f64,
}

/// What is measured together.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Panel {
    code: Code,
    tests: &'static [Test],
}

const fn test(
    code: &'static str,
    display: &'static str,
    (unit, places): (&'static str, i32),
    (low, high): (f64, f64),
) -> Test {
    Test { code: loinc(code, display), unit, places, low, high }
}

pub(in crate::demo) const METABOLIC: Panel = Panel {
    code: loinc("51990-0", "Basic metabolic panel - Blood"),
    tests: &[
        test("2345-7", "Glucose [Mass/volume] in Serum or Plasma", ("mg/dL", 0), (70.0, 99.0)),
        test("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", ("mg/dL", 0), (7.0, 20.0)),
        test("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", ("mg/dL", 2), (0.6, 1.2)),
        test("2951-2", "Sodium [Moles/volume] in Serum or Plasma", ("mmol/L", 0), (136.0, 144.0)),
        test("2823-3", "Potassium [Moles/volume] in Serum or Plasma", ("mmol/L", 1), (3.6, 5.1)),
        test("2075-0", "Chloride [Moles/volume] in Serum or Plasma", ("mmol/L", 0), (98.0, 106.0)),
        test(
            "2028-9",
            "Carbon dioxide, total [Moles/volume] in Serum or Plasma",
            ("mmol/L", 0),
            (22.0, 29.0),
        ),
        test("17861-6", "Calcium [Mass/volume] in Serum or Plasma", ("mg/dL", 1), (8.6, 10.2)),
    ],
};

pub(in crate::demo) const BLOOD_COUNT: Panel = Panel {
    code: loinc("58410-2", "CBC panel - Blood by Automated count"),
    tests: &[
        test("6690-2", "Leukocytes [#/volume] in Blood by Automated count", ("10*3/uL", 1), (4.0, 11.0)),
        test("789-8", "Erythrocytes [#/volume] in Blood by Automated count", ("10*6/uL", 2), (4.1, 5.6)),
        test("718-7", "Hemoglobin [Mass/volume] in Blood", ("g/dL", 1), (12.0, 16.5)),
        test("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count", ("%", 1), (36.0, 48.0)),
        test("787-2", "MCV [Entitic volume] by Automated count", ("fL", 0), (80.0, 99.0)),
        test("777-3", "Platelets [#/volume] in Blood by Automated count", ("10*3/uL", 0), (150.0, 400.0)),
    ],
};

pub(in crate::demo) const LIPIDS: Panel = Panel {
    code: loinc("57698-3", "Lipid panel with direct LDL - Serum or Plasma"),
    tests: &[
        test("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", ("mg/dL", 0), (125.0, 200.0)),
        test("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", ("mg/dL", 0), (50.0, 150.0)),
        test(
            "18262-6",
            "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay",
            ("mg/dL", 0),
            (50.0, 130.0),
        ),
        test("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", ("mg/dL", 0), (40.0, 80.0)),
    ],
};

pub(in crate::demo) const SUGAR: Panel = Panel {
    code: loinc("55399-0", "Diabetes tracking panel"),
    tests: &[test("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", ("%", 1), (4.0, 5.6))],
};

pub(in crate::demo) const HIV_CARE: Panel = Panel {
    code: loinc("34950-6", "HIV panel"),
    tests: &[
        test("24467-3", "CD3+CD4+ (T4 helper) cells [#/volume] in Blood", ("{cells}/uL", 0), (500.0, 1500.0)),
        test(
            "20447-9",
            "HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection",
            ("{copies}/mL", 0),
            (0.0, 20.0),
        ),
    ],
};

/// Orders, draws, measures and reports a panel. `shift` moves every value: 0 is well, 1 is above the range.
pub(in crate::demo) fn panel(
    chart: &mut Chart,
    visit: &Visit,
    panel: Panel,
    shift: f64,
    label: Label,
) -> Vec<String> {
    let order = medication::order(chart, visit, panel.code, label);
    let specimen = specimen(chart, visit, &order, label);
    let results: Vec<String> =
        panel.tests.iter().map(|test| result(chart, visit, *test, shift, &specimen, label)).collect();
    let done = minutes_after(visit.at, 180);
    let content = json!({
        "basedOn": [reference(&order)],
        "status": "final",
        "category": [hl7("v2-0074", "LAB", "Laboratory")],
        "code": panel.code.concept(),
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "effectiveDateTime": moment(visit.at),
        "issued": moment(done),
        "performer": [reference(LABORATORY)],
        "specimen": [reference(&specimen)],
        "result": results.iter().map(|it| reference(it)).collect::<Vec<_>>(),
    });
    chart.add_labelled("DiagnosticReport", "us-core-diagnosticreport-lab", label, content);
    results
}

/// A value that could not be had: the specimen was spoilt.
pub(in crate::demo) fn spoilt(chart: &mut Chart, visit: &Visit) {
    let order = medication::order(chart, visit, METABOLIC.code, Label::None);
    let specimen = specimen(chart, visit, &order, Label::None);
    let rest = json!({
        "dataAbsentReason": hl7("data-absent-reason", "error", "Error"),
        "specimen": reference(&specimen),
        "note": [{ "text": "The specimen was hemolyzed, please draw again" }],
    });
    let potassium = loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma");
    add_result(chart, visit, potassium.concept(), rest, Label::None);
}

/// A finding that is a word: negative or positive.
pub(in crate::demo) fn finding(
    chart: &mut Chart,
    visit: &Visit,
    code: Code,
    is_positive: bool,
    label: Label,
) {
    let order = medication::order(chart, visit, code, label);
    let specimen = specimen(chart, visit, &order, label);
    let (value, flag) = match is_positive {
        true => (snomed("10828004", "Positive"), ("POS", "Positive")),
        false => (snomed("260385009", "Negative"), ("NEG", "Negative")),
    };
    let rest = json!({
        "valueCodeableConcept": value.concept(),
        "interpretation": [hl7("v3-ObservationInterpretation", flag.0, flag.1)],
        "specimen": reference(&specimen),
        "referenceRange": [{ "text": "negative" }],
    });
    add_result(chart, visit, code.concept(), rest, label);
}

fn specimen(chart: &mut Chart, visit: &Visit, order: &str, label: Label) -> String {
    let number = chart.random.digits(8);
    let accession = json!({ "system": "https://demo.vesta.example/accession", "value": format!("{}-{number}", chart.id) });
    let good = json!({
        "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0493", "code": "COOL", "display": "Cool" }],
        "text": "Kept cool",
    });
    let kind = snomed("119364003", "Serum specimen").concept_with(code(
        "http://terminology.hl7.org/CodeSystem/v2-0487",
        "SER",
        "Serum",
    ));
    let content = json!({
        "identifier": [accession],
        "accessionIdentifier": accession,
        "status": "available",
        "type": kind,
        "subject": chart.patient(),
        "receivedTime": moment(minutes_after(visit.at, 60)),
        "request": [reference(order)],
        "collection": {
            "collector": reference(visit.by),
            "collectedDateTime": moment(minutes_after(visit.at, 10)),
            "bodySite": snomed("368209003", "Right upper arm structure").concept(),
        },
        "condition": [good],
    });
    chart.add_labelled("Specimen", "us-core-specimen", label, content)
}

fn result(chart: &mut Chart, visit: &Visit, test: Test, shift: f64, specimen: &str, label: Label) -> String {
    let width = test.high - test.low;
    let middle = f64::midpoint(test.low, test.high);
    let value = (middle + width * (0.75 * shift + 0.3 * chart.random.sway())).max(0.0);
    let flag = match value {
        value if value < test.low => ("L", "Low"),
        value if value > test.high => ("H", "High"),
        _ => ("N", "Normal"),
    };
    let rest = json!({
        "valueQuantity": quantity(value, test.places, test.unit),
        "interpretation": [hl7("v3-ObservationInterpretation", flag.0, flag.1)],
        "specimen": reference(specimen),
        "referenceRange": [{
            "low": quantity(test.low, test.places, test.unit),
            "high": quantity(test.high, test.places, test.unit),
        }],
    });
    add_result(chart, visit, test.code.concept(), rest, label)
}

fn add_result(chart: &mut Chart, visit: &Visit, code: Value, rest: Value, label: Label) -> String {
    let category = category("laboratory", "Laboratory");
    add(chart, visit, Observation { profile: "us-core-observation-lab", label, category, code, rest })
}
