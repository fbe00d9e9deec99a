//! What people would rather not have everybody know: each chart with labels, and a consent that withholds.

use super::{body, circle, days_ago};
use crate::demo::chart::{Chart, Label};
use crate::demo::code::{loinc, rxnorm, snomed};
use crate::demo::condition::{self, since};
use crate::demo::element::minutes_after;
use crate::demo::encounter::{self, Kind, Reason};
use crate::demo::medication::{self, Order};
use crate::demo::observation::{lab, social, survey, vital};
use crate::demo::practice::{CLINICIAN, PSYCHIATRIST};
use crate::demo::prevention::{self, Grounds};
use crate::demo::{insurance, note, plan};

/// HIV, well treated; the patient withholds it from those who need not know.
pub(super) fn hiv(chart: &mut Chart) {
    let team = circle(chart, &[CLINICIAN], None);
    let label = Label::Hiv;
    let found = days_ago(chart, 1500);
    let disease = snomed("86406008", "Human immunodeficiency virus infection");
    let problem = condition::problem(chart, disease, since(found).labelled(label));
    let body = body(chart, (121.0, 78.0));
    for (days, shift) in [(1480, -1.2), (700, -0.4), (120, -0.1)] {
        let at = days_ago(chart, days);
        let reason = Reason::Problem(&problem);
        let visit = encounter::labelled_visit(chart, at, (Kind::Problem, label), CLINICIAN, &reason);
        vital::all(chart, &visit, body);
        lab::panel(chart, &visit, lab::HIV_CARE, shift, label);
        let drug = rxnorm(
            "643066",
            "efavirenz 600 MG / emtricitabine 200 MG / tenofovir disoproxil fumarate 300 MG Oral Tablet",
        );
        let order = Order { drug, shelf: None, times_a_day: 1, problem: Some(&problem), label };
        medication::prescribe(chart, &visit, order);
        let text = "Takes the tablets every evening. No side effects.";
        note::note(chart, &visit, loinc("11506-3", "Progress note"), text, label);
        chart.sign(minutes_after(visit.at, 300), CLINICIAN);
    }
    let at = days_ago(chart, 120);
    let goal = plan::goal(
        chart,
        at,
        loinc("20447-9", "HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection"),
        "Viral load stays undetectable",
        label,
    );
    plan::plan(chart, at, &team, (&problem, &goal), ("One tablet every evening, blood twice a year.", label));
    insurance::consent(chart, at, &[("HIV", "HIV/AIDS information sensitivity")]);
}

/// Opioids, in a programme under 42 CFR Part 2.
pub(super) fn substance_use(chart: &mut Chart) {
    circle(chart, &[CLINICIAN, PSYCHIATRIST], None);
    let label = Label::Part2;
    let begun = days_ago(chart, 620);
    let problem =
        condition::problem(chart, snomed("75544000", "Opioid dependence"), since(begun).labelled(label));
    for days in [600, 420, 230, 40] {
        let at = days_ago(chart, days);
        let reason = Reason::Problem(&problem);
        let visit = encounter::labelled_visit(chart, at, (Kind::Problem, label), PSYCHIATRIST, &reason);
        let drug = rxnorm("351267", "buprenorphine 8 MG / naloxone 2 MG Sublingual Tablet");
        let order = Order { drug, shelf: None, times_a_day: 1, problem: Some(&problem), label };
        medication::prescribe(chart, &visit, order);
        let opiates = loinc("19295-5", "Opiates [Presence] in Urine by Screen method");
        lab::finding(chart, &visit, opiates, days == 600, label);
        let grounds = Grounds { order: None, problem: Some(&problem), reason: None };
        let talk = snomed("24165007", "Alcoholism counseling");
        prevention::procedure(chart, &visit, talk, grounds, label);
        social::some_day_smoker(chart, &visit);
        note::note(
            chart,
            &visit,
            loinc("11488-4", "Consult note"),
            "Stays with the programme. Sleeps and works again.",
            label,
        );
        chart.sign(minutes_after(visit.at, 120), PSYCHIATRIST);
    }
    let withheld =
        [("SUD", "substance use disorder information sensitivity"), ("42CFRPart2", "42 CFR Part2")];
    insurance::consent(chart, begun, &withheld);
}

/// A depression that lifts.
pub(super) fn depression(chart: &mut Chart) {
    let team = circle(chart, &[CLINICIAN, PSYCHIATRIST], None);
    let label = Label::MentalHealth;
    let begun = days_ago(chart, 520);
    let disease = snomed("370143000", "Major depressive disorder");
    let problem = condition::problem(chart, disease, since(begun).labelled(label));
    let body = body(chart, (117.0, 75.0));
    for (days, score) in [(500, 19), (410, 15), (250, 9), (55, 5)] {
        let at = days_ago(chart, days);
        let reason = Reason::Problem(&problem);
        let visit = encounter::labelled_visit(chart, at, (Kind::Problem, label), PSYCHIATRIST, &reason);
        vital::all(chart, &visit, body);
        let panel = survey::mood(chart, &visit, score);
        social::abilities(chart, &visit, &panel);
        let drug = rxnorm("312941", "sertraline 50 MG Oral Tablet");
        let order = Order { drug, shelf: None, times_a_day: 1, problem: Some(&problem), label };
        medication::prescribe(chart, &visit, order);
        note::note(
            chart,
            &visit,
            loinc("11488-4", "Consult note"),
            "Mornings are easier. Has begun to swim.",
            label,
        );
        chart.sign(minutes_after(visit.at, 120), PSYCHIATRIST);
    }
    let at = days_ago(chart, 55);
    let total = loinc("44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]");
    let goal = plan::goal(chart, at, total, "A score below five", label);
    plan::plan(chart, at, &team, (&problem, &goal), ("Go on with the tablets for half a year.", label));
    insurance::consent(chart, at, &[("MH", "mental health information sensitivity")]);
}
