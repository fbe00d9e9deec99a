//! How the patient lives, what they want, and what they can do.

use super::{Observation, add, category};
use crate::demo::chart::{Chart, Label, Visit};
use crate::demo::code::{Code, code, hl7, loinc, snomed, us_core};
use crate::demo::element::{moment, named, reference, spelled};
use jiff::ToSpan as _;
use serde_json::{Value, json};

/// Whether they smoke.
pub(in crate::demo) fn smoking(chart: &mut Chart, visit: &Visit, status: Code) {
    let code = loinc("72166-2", "Tobacco smoking status");
    history(
        chart,
        visit,
        ("us-core-smokingstatus", Label::None),
        code,
        json!({ "valueCodeableConcept": status.concept() }),
    );
}

/// How much they smoked: packs a day times years.
pub(in crate::demo) fn pack_years(chart: &mut Chart, visit: &Visit, years: f64) {
    let code = snomed("401201003", "Cigarette pack-years");
    let rest = json!({ "valueQuantity": spelled(years, 0, "pack-years", "{pack-years}") });
    history(chart, visit, ("us-core-smokingstatus", Label::None), code, rest);
}

/// What they work as, and in what trade.
pub(in crate::demo) fn occupation(chart: &mut Chart, visit: &Visit) {
    const WORK: &str = "http://terminology.hl7.org/CodeSystem/PHOccupationalDataForHealthODH";
    let since = visit.at.saturating_sub(6.years());
    let job = code(WORK, "31-1014.00.007136", "Certified Nursing Assistant (CNA) [Nursing Assistants]");
    let trade = code(WORK, "621610.008495", "Home nursing services");
    let rest = json!({
        "effectivePeriod": { "start": since.date().to_string() },
        "valueCodeableConcept": job.concept(),
        "component": [{
            "code": loinc("86188-0", "History of Occupation industry").concept(),
            "valueCodeableConcept": trade.concept(),
        }],
    });
    let code = loinc("11341-5", "History of Occupation");
    history(chart, visit, ("us-core-observation-occupation", Label::None), code, rest);
}

/// Whether they are pregnant.
pub(in crate::demo) fn pregnancy_status(chart: &mut Chart, visit: &Visit, is_pregnant: bool) {
    let status = match is_pregnant {
        true => snomed("77386006", "Pregnant"),
        false => snomed("60001007", "Not pregnant"),
    };
    let code = loinc("82810-3", "Pregnancy status");
    let rest = json!({ "valueCodeableConcept": status.concept() });
    history(chart, visit, ("us-core-observation-pregnancystatus", Label::Reproductive), code, rest);
}

/// Whether they want to be.
pub(in crate::demo) fn pregnancy_intent(chart: &mut Chart, visit: &Visit) {
    let unsure = snomed("454381000124105", "Not sure of desire to become pregnant");
    let code = loinc("86645-9", "Pregnancy intention in the next year - Reported");
    let rest = json!({ "valueCodeableConcept": unsure.concept() });
    history(chart, visit, ("us-core-observation-pregnancyintent", Label::Reproductive), code, rest);
}

/// Whom they love, or that they would rather not say.
pub(in crate::demo) fn sexual_orientation(chart: &mut Chart, visit: &Visit, says: Option<Code>) {
    let value =
        says.map_or_else(|| hl7("data-absent-reason", "asked-declined", "Asked But Declined"), Code::concept);
    let code = loinc("76690-7", "Sexual orientation");
    let rest = json!({ "valueCodeableConcept": value });
    history(chart, visit, ("us-core-observation-sexual-orientation", Label::Reproductive), code, rest);
}

/// What they want done, and how they want to be cared for, in their own words.
pub(in crate::demo) fn preferences(chart: &mut Chart, visit: &Visit) {
    let who = named(&format!("Patient/{}", chart.id), &chart.person.full_name());
    for (profile, category, code, words) in [
        (
            "us-core-treatment-intervention-preference",
            us_core("treatment-intervention-preference", "Treatment intervention preference"),
            loinc("75773-2", "Goals, preferences, and priorities for medical treatment [Reported]"),
            "No feeding tube. If I cannot speak for myself, ask my sister first.",
        ),
        (
            "us-core-care-experience-preference",
            us_core("care-experience-preference", "Care experience preference"),
            loinc("95541-9", "Care experience preference"),
            "Please keep a lamp on at night, and tell me before you touch me.",
        ),
    ] {
        let rest = json!({ "performer": [who], "valueString": words });
        add(chart, visit, Observation { profile, label: Label::None, category, code: code.concept(), rest });
    }
}

/// What they can do, at the word of somebody who looked: and what that was drawn from.
pub(in crate::demo) fn abilities(chart: &mut Chart, visit: &Visit, from: &str) {
    let moderate = loinc("LA6751-7", "Moderate");
    for (category, code, value) in [
        (
            us_core("functional-status", "Functional Status"),
            loinc("89572-2", "Functional status assessment note"),
            json!({ "valueString": "Walks with a cane, climbs one flight of stairs" }),
        ),
        (
            us_core("disability-status", "Disability Status"),
            loinc(
                "69858-9",
                "Are you blind, or do you have serious difficulty seeing, even when wearing glasses",
            ),
            json!({ "valueCodeableConcept": super::survey::NO.concept() }),
        ),
        (
            us_core("cognitive-status", "Cognitive Status"),
            loinc("11332-4", "History of Cognitive Function"),
            json!({ "valueString": "Oriented to person, place and time; recalls two of three words" }),
        ),
        (
            us_core("sdoh", "SDOH"),
            loinc("94023-9", "Depression severity"),
            json!({ "valueCodeableConcept": moderate.concept() }),
        ),
    ] {
        let mut rest = value;
        if let Some(members) = rest.as_object_mut() {
            members.insert("derivedFrom".to_owned(), json!([reference(from)]));
        }
        let profile = "us-core-simple-observation";
        add(chart, visit, Observation { profile, label: Label::None, category, code: code.concept(), rest });
    }
}

/// What an examining eye or finger found.
pub(in crate::demo) fn exam(chart: &mut Chart, visit: &Visit) {
    let rest = json!({ "valueCodeableConcept": snomed("61086009", "Regular pulse").concept() });
    let code = loinc("8884-9", "Heart rate rhythm").concept();
    let category = category("exam", "Exam");
    let profile = "us-core-observation-clinical-result";
    add(chart, visit, Observation { profile, label: Label::None, category, code, rest });
    let rest =
        json!({ "dataAbsentReason": hl7("data-absent-reason", "asked-declined", "Asked But Declined") });
    let code = loinc("10197-2", "Physical findings of Eye").concept();
    let category = super::category("exam", "Exam");
    add(chart, visit, Observation { profile, label: Label::None, category, code, rest });
}

fn history(
    chart: &mut Chart,
    visit: &Visit,
    (profile, label): (&'static str, Label),
    code: Code,
    rest: Value,
) {
    let category = category("social-history", "Social History");
    add(chart, visit, Observation { profile, label, category, code: code.concept(), rest });
}

/// The last time anybody smoked.
pub(in crate::demo) const NEVER_SMOKED: Code = snomed("266919005", "Never smoked tobacco");
/// Smoked, and does no more.
pub(in crate::demo) const FORMER_SMOKER: Code = snomed("8517006", "Ex-smoker");

/// A note of when a habit began, for those who keep it up.
pub(in crate::demo) fn some_day_smoker(chart: &mut Chart, visit: &Visit) {
    let since = visit.at.saturating_sub(9.years());
    let code = loinc("72166-2", "Tobacco smoking status");
    let status = snomed("428041000124106", "Occasional tobacco smoker");
    let rest =
        json!({ "effectivePeriod": { "start": moment(since) }, "valueCodeableConcept": status.concept() });
    history(chart, visit, ("us-core-smokingstatus", Label::None), code, rest);
}
