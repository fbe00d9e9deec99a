//! Forms that patients fill in, and the observations that are read from them.

use super::{Observation, add, category};
use crate::demo::chart::{Chart, Label, Visit};
use crate::demo::code::{Code, loinc, us_core};
use crate::demo::element::{moment, reference};
use crate::demo::practice::NEEDS_FORM;
use serde_json::{Value, json};

pub(in crate::demo) const YES: Code = loinc("LA33-6", "Yes");
pub(in crate::demo) const NO: Code = loinc("LA32-8", "No");

/// The form about food and home: filled in, and read. Says where the form and its panel are.
pub(in crate::demo) fn needs(chart: &mut Chart, visit: &Visit, is_at_risk: bool) -> String {
    let risk = if is_at_risk { loinc("LA19952-3", "At risk") } else { loinc("LA19983-8", "No risk") };
    let runs_short = if is_at_risk { YES } else { NO };
    let answer = |code: Code| json!([{ "valueCoding": code.coding() }]);
    let number = chart.random.digits(8);
    let worry = json!([{
        "valueCoding": NO.coding(),
        "item": [{ "linkId": "home-note", "text": "Would you like to say more?", "answer": [{ "valueString": "We have lived here for years" }] }],
    }]);
    let form = json!({
        "identifier": { "system": "https://demo.vesta.example/form", "value": format!("{}-{number}", chart.id) },
        "questionnaire": NEEDS_FORM,
        "_questionnaire": {
            "extension": [
                { "url": "http://hl7.org/fhir/StructureDefinition/display", "valueString": "Food and home" },
                {
                    "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-extension-questionnaire-uri",
                    "valueUri": "https://demo.vesta.example/forms/food-and-home",
                },
            ],
        },
        "status": "completed",
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "authored": moment(visit.at),
        "author": chart.patient(),
        "item": [
            {
                "linkId": "food",
                "text": "Food",
                "item": [
                    { "linkId": "food-short", "text": "In the last month, did food run short before the month was over?", "answer": answer(runs_short) },
                    { "linkId": "food-risk", "text": "Food insecurity risk", "answer": answer(risk) },
                ],
            },
            { "linkId": "home", "text": "Do you worry about where you will live next month?", "answer": worry },
        ],
    });
    let form = chart.add("QuestionnaireResponse", "us-core-questionnaireresponse", form);
    let sdoh = us_core("sdoh", "SDOH");
    let panel = loinc("88121-9", "Hunger Vital Sign");
    let risk = json!({ "valueCodeableConcept": risk.concept() });
    screening(
        chart,
        visit,
        (panel, loinc("88124-3", "Food insecurity risk")),
        risk,
        (&form, sdoh, Label::None),
    );
    form
}

/// Nine questions about how low one feels, by their total alone.
pub(in crate::demo) fn mood(chart: &mut Chart, visit: &Visit, score: i64) -> String {
    let form = json!({
        "questionnaire": "http://loinc.org/q/44249-1",
        "status": "completed",
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "authored": moment(visit.at),
        "author": chart.patient(),
        "item": [{ "linkId": "/44261-6", "text": "Total score", "answer": [{ "valueDecimal": score }] }],
    });
    let label = Label::MentalHealth;
    let form = chart.add_labelled("QuestionnaireResponse", "us-core-questionnaireresponse", label, form);
    let total = loinc("44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]");
    let panel = loinc("44249-1", "PHQ-9 quick depression assessment panel [Reported.PHQ]");
    let value = json!({ "valueQuantity": { "value": score, "unit": "score", "system": "http://unitsofmeasure.org", "code": "{score}" } });
    let functional = us_core("functional-status", "Functional Status");
    screening(chart, visit, (panel, total), value, (&form, functional, label))
}

/// The observation of one answer, and of the panel that it belongs to.
fn screening(
    chart: &mut Chart,
    visit: &Visit,
    (panel, question): (Code, Code),
    value: Value,
    (form, more, label): (&str, Value, Label),
) -> String {
    let profile = "us-core-observation-screening-assessment";
    let categories = |chart: &mut Chart, code: Code, mut rest: Value| {
        if let Some(members) = rest.as_object_mut() {
            members.insert("category".to_owned(), json!([category("survey", "Survey"), more]));
            members.insert("derivedFrom".to_owned(), json!([reference(form)]));
            members.insert("performer".to_owned(), json!([chart.patient()]));
        }
        let category = category("survey", "Survey");
        add(chart, visit, Observation { profile, label, category, code: code.concept(), rest })
    };
    let answer = categories(chart, question, value);
    categories(chart, panel, json!({ "hasMember": [reference(&answer)] }))
}
