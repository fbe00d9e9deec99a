//! The stories: who the patients are and what happens to them.
//!
//! Ten of them, told one after the other; from the eleventh patient on they come round again, with other
//! people. The first is told once: it is the one of [`PATIENT`](super::PATIENT).

mod heart;
mod mind;
mod youth;

use super::chart::{Chart, Label, Visit};
use super::code::{Code, code, cvx, loinc, rxnorm, snomed};
use super::condition::{self, since};
use super::element::{days_after, minutes_after};
use super::encounter::{self, Kind, Reason};
use super::medication::{self, Order};
use super::observation::vital::Body;
use super::observation::{lab, social, survey, vital};
use super::person::{self, Person};
use super::practice::{CARDIOLOGIST, CLINICIAN, NURSE, OBSTETRICIAN, SHELF};
use super::prevention::{self, Grounds};
use super::random::Random;
use super::{insurance, note, plan};
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use serde_json::Value;

/// The chart of one patient.
pub(super) fn chart(seed: u64, today: Date, number: u32) -> Vec<Value> {
    let mut random = Random::new(seed, u64::from(number));
    let (id, person) = match number {
        1 => (super::PATIENT.to_owned(), demo_person(today)),
        _ => (format!("demo-{seed}-{number}"), somebody(&mut random, today, number)),
    };
    let mut chart = Chart::new(id, random, today, person);
    person::patient(&mut chart, number == 1);
    match (number, number % 10) {
        (1, _) => everything(&mut chart),
        (_, 2) => youth::childhood(&mut chart),
        (_, 3) => mind::hiv(&mut chart),
        (_, 4) => mind::substance_use(&mut chart),
        (_, 5) => mind::depression(&mut chart),
        (_, 6) => pregnancy(&mut chart),
        (_, 7) => heart::failure(&mut chart),
        (_, 8) => need(&mut chart),
        (_, 9) => youth::asthma(&mut chart),
        (_, 0) => health(&mut chart),
        _ => sugar(&mut chart),
    }
    let end = chart.today.at(17, 0, 0, 0);
    chart.sign(end, CLINICIAN);
    chart.into_resources()
}

fn demo_person(today: Date) -> Person {
    Person {
        given: ["Delia", "Vesta"],
        family: "Demopatient",
        is_female: true,
        birth: today.saturating_sub(46.years()).saturating_sub(120.days()),
        death: None,
    }
}

fn somebody(random: &mut Random, today: Date, number: u32) -> Person {
    let (years, is_female) = match number % 10 {
        2 => (random.range(5, 9), random.chance(50)),
        6 => (random.range(22, 38), true),
        7 => (random.range(72, 88), random.chance(50)),
        9 => (random.range(12, 17), random.chance(50)),
        1 => (random.range(45, 75), random.chance(50)),
        _ => (random.range(21, 64), random.chance(50)),
    };
    let mut person = Person::born(random, today, years, is_female);
    if number % 20 == 7 {
        person.death = Some(today.saturating_sub(random.range(30, 200).days()));
    }
    person
}

/// A moment of office hours, so many days before the chart ends.
pub(super) fn days_ago(chart: &mut Chart, days: i64) -> DateTime {
    let minute = chart.random.range(0, 30) * 15;
    minutes_after(days_after(chart.today.at(8, 30, 0, 0), -days), minute)
}

/// A body that fits the person.
fn body(chart: &mut Chart, (systolic, diastolic): (f64, f64)) -> Body {
    let height = if chart.person.is_female { 164.0 } else { 177.0 } + chart.random.sway() * 14.0;
    let weight = 24.5 * (height / 100.0_f64).powi(2) + chart.random.sway() * 18.0;
    Body { height, weight, systolic, diastolic, pulse: 72.0 }
}

/// What everybody has: a team around the clinician, and who pays.
fn circle(chart: &mut Chart, colleagues: &[&str], relative: Option<&str>) -> String {
    let from = days_ago(chart, 900);
    insurance::coverage(chart, from);
    plan::team(chart, from, colleagues, relative)
}

/// A check-up with the usual measurements and the yearly vaccine.
fn check_up(chart: &mut Chart, days: i64, body: Body) -> Visit {
    let at = days_ago(chart, days);
    let visit = encounter::visit(chart, at, Kind::CheckUp, CLINICIAN, &Reason::Routine);
    vital::all(chart, &visit, body);
    social::smoking(chart, &visit, social::NEVER_SMOKED);
    prevention::immunization(chart, &visit, INFLUENZA);
    visit
}

pub(super) const INFLUENZA: (Code, Option<&str>) =
    (cvx("140", "Influenza, split virus, trivalent, preservative"), Some("49281-0422-50"));
const HYPERTENSION: Code = snomed("38341003", "Hypertensive disorder, systemic arterial");
const DIABETES: Code = snomed("44054006", "Diabetes mellitus type 2");

/// Delia Demopatient: diabetes and high blood pressure, and one of everything that US Core knows.
fn everything(chart: &mut Chart) {
    let sister = person::relative(chart, ("SIS", "sister"));
    let team = circle(chart, &[CLINICIAN, NURSE, CARDIOLOGIST], Some(&sister));
    let long_ago = days_ago(chart, 2200);
    let diabetes = condition::problem(chart, DIABETES, since(long_ago));
    let pressure = condition::problem(chart, HYPERTENSION, since(long_ago));
    condition::health_concern(chart, snomed("162864005", "Body mass index 30+ - obesity"), since(long_ago));
    condition::allergy(
        chart,
        long_ago,
        (rxnorm("7980", "penicillin G"), "medication"),
        snomed("247472004", "Wheal"),
    );
    let body = body(chart, (138.0, 86.0));
    for days in [1500, 1130, 760, 395] {
        let visit = check_up(chart, days, body);
        lab::panel(chart, &visit, lab::SUGAR, 1.4, Label::None);
        chart.sign(minutes_after(visit.at, 300), CLINICIAN);
    }
    let at = days_ago(chart, 30);
    let visit = encounter::visit(chart, at, Kind::Problem, CLINICIAN, &Reason::Problem(&diabetes));
    vital::all(chart, &visit, body);
    vital::average_blood_pressure(chart, &visit, body);
    vital::not_taken(chart, &visit);
    for (panel, shift) in
        [(lab::METABOLIC, 0.3), (lab::BLOOD_COUNT, 0.0), (lab::LIPIDS, 0.6), (lab::SUGAR, 1.6)]
    {
        lab::panel(chart, &visit, panel, shift, Label::None);
    }
    lab::spoilt(chart, &visit);
    lab::finding(
        chart,
        &visit,
        loinc("2514-8", "Ketones [Presence] in Urine by Test strip"),
        false,
        Label::None,
    );
    for (drug, problem) in [(1, &diabetes), (0, &pressure)] {
        if let Some((shelf, code)) = SHELF.get(drug) {
            let order = Order {
                drug: *code,
                shelf: Some(shelf),
                times_a_day: 1,
                problem: Some(problem),
                label: Label::None,
            };
            medication::prescribe(chart, &visit, order);
        }
    }
    let statin = rxnorm("312961", "simvastatin 20 MG Oral Tablet");
    medication::prescribe(
        chart,
        &visit,
        Order { drug: statin, shelf: None, times_a_day: 1, problem: None, label: Label::None },
    );
    medication::self_medication(chart, &visit);
    lives(chart, &visit);
    let goal = plan::goal(
        chart,
        visit.at,
        loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        "Hemoglobin A1c below 7 percent by summer",
        Label::None,
    );
    let words = "Walk half an hour a day, keep the diary of sugars, come back in three months.";
    plan::plan(chart, visit.at, &team, (&diabetes, &goal), (words, Label::None));
    reports(chart, &visit, &pressure);
    chart.sign(minutes_after(visit.at, 300), CLINICIAN);
}

/// How Delia lives: what is asked of her, and what follows from it.
fn lives(chart: &mut Chart, visit: &Visit) {
    social::smoking(chart, visit, social::FORMER_SMOKER);
    social::pack_years(chart, visit, 11.0);
    social::occupation(chart, visit);
    social::pregnancy_status(chart, visit, false);
    social::pregnancy_intent(chart, visit);
    social::sexual_orientation(chart, visit, None);
    social::preferences(chart, visit);
    social::exam(chart, visit);
    let form = survey::needs(chart, visit, true);
    social::abilities(chart, visit, &form);
    let hunger = snomed("733423003", "Food insecurity");
    let hunger = condition::social_problem(chart, hunger, since(visit.at));
    let pantry = snomed("467771000124109", "Assistance with application for food pantry program");
    let referral = plan::referral(chart, visit, pantry, &hunger);
    let helped = snomed("710824005", "Assessment of health and social care needs");
    let grounds = Grounds { order: Some(&referral), problem: Some(&hunger), reason: None };
    prevention::procedure(chart, visit, helped, grounds, Label::None);
}

/// What is written about Delia, and the stay that she had.
fn reports(chart: &mut Chart, visit: &Visit, pressure: &str) {
    note::note(
        chart,
        visit,
        loinc("11506-3", "Progress note"),
        "Sugars are coming down. Feet are fine. Sleeps well.",
        Label::None,
    );
    note::letter(
        chart,
        visit,
        loinc("57133-1", "Referral note"),
        "Dear colleague, please see Ms. Demopatient for her heart.",
    );
    let grounds = Grounds { order: None, problem: None, reason: Some(DIABETES) };
    prevention::procedure(
        chart,
        visit,
        snomed("410451008", "Ophthalmic examination and evaluation"),
        grounds,
        Label::None,
    );
    prevention::refused_immunization(chart, visit, cvx("187", "zoster vaccine recombinant"));
    let radiology = code("http://loinc.org", "LP29684-5", "Radiology");
    let chest = loinc("30746-2", "Portable XR Chest Views");
    note::imaging(chart, visit, (radiology, chest), "The heart is not enlarged. The lungs are clear.");
    let at = days_ago(chart, 700);
    let stay = encounter::visit(chart, at, Kind::Stay, CARDIOLOGIST, &Reason::Problem(pressure));
    let chest_pain = snomed("29857009", "Chest pain");
    condition::diagnosis(chart, &stay, chest_pain, since(stay.at).until(days_after(stay.at, 3)));
    let cardiology = code("http://loinc.org", "LP29708-2", "Cardiology");
    let tracing = loinc("11524-6", "EKG study");
    note::imaging(chart, &stay, (cardiology, tracing), "Sinus rhythm, no sign of ischemia.");
    note::note(
        chart,
        &stay,
        loinc("18842-5", "Discharge summary"),
        "Came with chest pain, which passed. Heart enzymes stayed low. Went home well.",
        Label::None,
    );
    prevention::pacemaker(chart, &stay);
    chart.sign(days_after(stay.at, 3), CARDIOLOGIST);
}

/// A pregnancy, and what wants to stay between two.
fn pregnancy(chart: &mut Chart) {
    let partner = person::relative(chart, ("DOMPART", "domestic partner"));
    circle(chart, &[CLINICIAN, OBSTETRICIAN], Some(&partner));
    let at = days_ago(chart, 60);
    let label = Label::Reproductive;
    let visit = encounter::labelled_visit(chart, at, (Kind::Prenatal, label), OBSTETRICIAN, &Reason::Routine);
    condition::no_allergies(chart, visit.at);
    condition::problem(chart, snomed("72892002", "Normal pregnancy"), since(visit.at).labelled(label));
    let body = body(chart, (112.0, 70.0));
    vital::all(chart, &visit, body);
    social::pregnancy_status(chart, &visit, true);
    social::pregnancy_intent(chart, &visit);
    social::sexual_orientation(chart, &visit, Some(snomed("20430005", "Heterosexual")));
    social::smoking(chart, &visit, social::NEVER_SMOKED);
    lab::panel(chart, &visit, lab::BLOOD_COUNT, -0.2, label);
    lab::finding(
        chart,
        &visit,
        loinc("2106-3", "Choriogonadotropin (pregnancy test) [Presence] in Urine"),
        true,
        label,
    );
    note::note(
        chart,
        &visit,
        loinc("11506-3", "Progress note"),
        "Twelve weeks along. All as it should be.",
        label,
    );
    let earlier = days_ago(chart, 1400);
    let loss = since(earlier).until(days_after(earlier, 20)).labelled(label);
    condition::problem(chart, snomed("17369002", "Miscarriage"), loss);
    insurance::consent(
        chart,
        visit.at,
        &[("SEX", "sexuality and reproductive health information sensitivity")],
    );
    chart.sign(minutes_after(visit.at, 200), OBSTETRICIAN);
}

/// Somebody who has too little, and whom one can help.
fn need(chart: &mut Chart) {
    let team = circle(chart, &[CLINICIAN, NURSE], None);
    let body = body(chart, (126.0, 80.0));
    let visit = check_up(chart, 45, body);
    let form = survey::needs(chart, &visit, true);
    social::abilities(chart, &visit, &form);
    social::some_day_smoker(chart, &visit);
    let hunger = condition::social_problem(chart, snomed("733423003", "Food insecurity"), since(visit.at));
    let pantry = snomed("467771000124109", "Assistance with application for food pantry program");
    plan::referral(chart, &visit, pantry, &hunger);
    let goal = plan::goal(
        chart,
        visit.at,
        snomed("1078229009", "Food security"),
        "Enough to eat for the whole month",
        Label::None,
    );
    plan::plan(
        chart,
        visit.at,
        &team,
        (&hunger, &goal),
        ("Food pantry, social worker, back in a month.", Label::None),
    );
}

/// Somebody who is well.
fn health(chart: &mut Chart) {
    circle(chart, &[CLINICIAN], None);
    let body = body(chart, (118.0, 76.0));
    for days in [800, 430, 66] {
        let visit = check_up(chart, days, body);
        lab::panel(chart, &visit, lab::METABOLIC, 0.0, Label::None);
    }
    let at = days_ago(chart, 210);
    let cold = snomed("195662009", "Acute viral pharyngitis");
    let visit = encounter::visit(chart, at, Kind::Virtual, CLINICIAN, &Reason::Code(cold));
    condition::diagnosis(chart, &visit, cold, since(visit.at).until(days_after(visit.at, 8)));
    condition::no_allergies(chart, visit.at);
}

/// Sugar and pressure, with a visit every few months.
fn sugar(chart: &mut Chart) {
    let team = circle(chart, &[CLINICIAN, NURSE], None);
    let begun = days_ago(chart, 1900);
    let diabetes = condition::problem(chart, DIABETES, since(begun));
    let pressure = condition::problem(chart, HYPERTENSION, since(begun));
    let body = body(chart, (141.0, 88.0));
    for days in [1000, 820, 640, 460, 280, 100] {
        let visit = check_up(chart, days, body);
        let shift = 0.8 + chart.random.sway();
        lab::panel(chart, &visit, lab::SUGAR, shift, Label::None);
        lab::panel(chart, &visit, lab::LIPIDS, 0.5, Label::None);
        let drug = rxnorm("308136", "amlodipine 2.5 MG Oral Tablet");
        let order = Order { drug, shelf: None, times_a_day: 1, problem: Some(&pressure), label: Label::None };
        medication::prescribe(chart, &visit, order);
        note::note(
            chart,
            &visit,
            loinc("11506-3", "Progress note"),
            "No complaints. Continue as before.",
            Label::None,
        );
        chart.sign(minutes_after(visit.at, 300), CLINICIAN);
    }
    let at = days_ago(chart, 100);
    let code = loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood");
    let goal = plan::goal(chart, at, code, "Hemoglobin A1c below 7 percent", Label::None);
    plan::plan(chart, at, &team, (&diabetes, &goal), ("Less sugar, more steps.", Label::None));
}
