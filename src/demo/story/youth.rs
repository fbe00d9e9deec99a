//! A child that grows, and an adolescent with asthma.

use super::{INFLUENZA, circle, days_ago};
use crate::demo::chart::{Chart, Label};
use crate::demo::code::{Code, cvx, loinc, rxnorm, snomed};
use crate::demo::condition::{self, since};
use crate::demo::element::{days_after, minutes_after};
use crate::demo::encounter::{self, Kind, Reason};
use crate::demo::medication::{self, Order};
use crate::demo::note;
use crate::demo::observation::growth::{self, Channel};
use crate::demo::person;
use crate::demo::practice::{NURSE, PEDIATRICIAN};
use crate::demo::prevention;
use jiff::ToSpan as _;

/// The months at which a well child is seen: often at first, then at every birthday.
const MONTHS: [i32; 20] = [0, 1, 2, 4, 6, 9, 12, 15, 18, 24, 30, 36, 48, 60, 72, 84, 96, 108, 120, 132];

type Vaccine = (Code, Option<&'static str>);

/// What is given at which month.
const VACCINES: [(i32, Vaccine); 11] = [
    (0, (cvx("08", "Hep B, adolescent or pediatric"), Some("58160-0820-52"))),
    (2, (cvx("20", "DTaP"), None)),
    (2, (cvx("119", "rotavirus, monovalent"), None)),
    (2, (cvx("10", "IPV"), None)),
    (4, (cvx("20", "DTaP"), None)),
    (4, (cvx("133", "Pneumococcal conjugate PCV 13"), None)),
    (6, (cvx("08", "Hep B, adolescent or pediatric"), None)),
    (12, (cvx("03", "MMR"), Some("00006-4681-00"))),
    (12, (cvx("21", "varicella"), None)),
    (48, (cvx("03", "MMR"), None)),
    (60, (cvx("20", "DTaP"), None)),
];

/// From birth until today: a growth chart's worth of measurements, vaccines, and an ear that ached.
pub(super) fn childhood(chart: &mut Chart) {
    let mother = person::relative(chart, ("MTH", "mother"));
    circle(chart, &[PEDIATRICIAN, NURSE], Some(&mother));
    let channel = Channel { tall: chart.random.sway() * 1.5, heavy: chart.random.sway() * 1.5 };
    for month in MONTHS {
        let day = chart.person.birth.saturating_add(month.months()).saturating_add(3.days());
        if day >= chart.today {
            break;
        }
        let at = day.at(10, 15, 0, 0);
        let visit = encounter::visit(chart, at, Kind::WellChild, PEDIATRICIAN, &Reason::Routine);
        match month {
            15 => growth::not_measured(chart, &visit),
            _ => growth::measure(chart, &visit, f64::from(month), channel),
        }
        for (_, vaccine) in VACCINES.into_iter().filter(|(due, _)| *due == month) {
            prevention::immunization(chart, &visit, vaccine);
        }
        if month >= 12 && month % 12 == 0 {
            prevention::immunization(chart, &visit, INFLUENZA);
        }
        chart.sign(minutes_after(at, 60), PEDIATRICIAN);
    }
    let at = days_ago(chart, 140);
    let ear = snomed("65363002", "Otitis media");
    let visit = encounter::visit(chart, at, Kind::Problem, PEDIATRICIAN, &Reason::Code(ear));
    let problem = condition::diagnosis(chart, &visit, ear, since(visit.at).until(days_after(visit.at, 9)));
    let drug = rxnorm("308182", "amoxicillin 250 MG Oral Capsule");
    let order = Order { drug, shelf: None, times_a_day: 3, problem: Some(&problem), label: Label::None };
    medication::prescribe(chart, &visit, order);
    condition::no_allergies(chart, visit.at);
    note::note(
        chart,
        &visit,
        loinc("34117-2", "History and physical note"),
        "Left ear red and bulging. No fever today.",
        Label::None,
    );
}

/// Asthma, and a night in the emergency room.
pub(super) fn asthma(chart: &mut Chart) {
    let father = person::relative(chart, ("FTH", "father"));
    circle(chart, &[PEDIATRICIAN], Some(&father));
    let begun = days_ago(chart, 1600);
    let asthma = condition::problem(chart, snomed("195967001", "Asthma"), since(begun));
    condition::allergy(
        chart,
        begun,
        (snomed("260147004", "House dust mite"), "environment"),
        snomed("56018004", "Wheezing"),
    );
    let channel = Channel { tall: chart.random.sway(), heavy: chart.random.sway() };
    for days in [1100, 735, 370] {
        let at = days_ago(chart, days);
        let visit = encounter::visit(chart, at, Kind::WellChild, PEDIATRICIAN, &Reason::Routine);
        let years = chart.person.years_at(at.date());
        let months = f64::from(i32::try_from(years * 12).unwrap_or_default());
        growth::measure(chart, &visit, months, channel);
        prevention::immunization(chart, &visit, INFLUENZA);
    }
    let at = days_ago(chart, 90);
    let visit = encounter::visit(chart, at, Kind::Emergency, PEDIATRICIAN, &Reason::Problem(&asthma));
    let attack = snomed("708038006", "Acute exacerbation of asthma");
    condition::diagnosis(chart, &visit, attack, since(visit.at).until(days_after(visit.at, 2)));
    let drug = rxnorm("745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler");
    let order = Order { drug, shelf: None, times_a_day: 4, problem: Some(&asthma), label: Label::None };
    medication::prescribe(chart, &visit, order);
    note::note(
        chart,
        &visit,
        loinc("34111-5", "Emergency department note"),
        "Wheezing since midnight, better after three puffs.",
        Label::None,
    );
}
