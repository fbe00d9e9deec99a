//! A heart that failed.

use super::{INFLUENZA, body, circle, days_ago};
use crate::demo::chart::{Chart, Label};
use crate::demo::code::{code, loinc, rxnorm, snomed};
use crate::demo::condition::{self, since};
use crate::demo::element::{days_after, minutes_after};
use crate::demo::encounter::{self, Kind, Reason};
use crate::demo::medication::{self, Order};
use crate::demo::observation::vital::Body;
use crate::demo::observation::{lab, social, vital};
use crate::demo::practice::{CARDIOLOGIST, CLINICIAN};
use crate::demo::prevention::{self, Grounds};
use crate::demo::{note, person};

/// Old age, a pacemaker, a last stay; every other of these patients has died.
pub(super) fn failure(chart: &mut Chart) {
    let daughter = person::relative(chart, ("DAU", "natural daughter"));
    circle(chart, &[CLINICIAN, CARDIOLOGIST], Some(&daughter));
    let begun = days_ago(chart, 1700);
    let failure = condition::problem(chart, snomed("84114007", "Heart failure"), since(begun));
    let rhythm = condition::problem(chart, snomed("49436004", "Atrial fibrillation"), since(begun));
    let body = Body { pulse: 81.0, ..body(chart, (128.0, 72.0)) };
    let at = days_ago(chart, 1400);
    let stay = encounter::visit(chart, at, Kind::Stay, CARDIOLOGIST, &Reason::Problem(&rhythm));
    let implant = snomed("307280005", "Implantation of cardiac pacemaker");
    let grounds = Grounds { order: None, problem: Some(&rhythm), reason: None };
    prevention::procedure(chart, &stay, implant, grounds, Label::None);
    prevention::pacemaker(chart, &stay);
    note::note(
        chart,
        &stay,
        loinc("18842-5", "Discharge summary"),
        "Pacemaker placed on the left. Wound is dry.",
        Label::None,
    );
    chart.sign(days_after(stay.at, 3), CARDIOLOGIST);
    for days in [1300, 900, 520, 300] {
        let at = days_ago(chart, days);
        let visit = encounter::visit(chart, at, Kind::Problem, CARDIOLOGIST, &Reason::Problem(&failure));
        vital::all(chart, &visit, body);
        lab::panel(chart, &visit, lab::METABOLIC, 0.5, Label::None);
        social::smoking(chart, &visit, social::FORMER_SMOKER);
        prevention::immunization(chart, &visit, INFLUENZA);
        let drug = rxnorm("313988", "furosemide 40 MG Oral Tablet");
        let order = Order { drug, shelf: None, times_a_day: 1, problem: Some(&failure), label: Label::None };
        medication::prescribe(chart, &visit, order);
        let category = code("http://loinc.org", "LP29708-2", "Cardiology");
        let echo = loinc("34552-0", "2D echocardiogram panel");
        note::imaging(
            chart,
            &visit,
            (category, echo),
            "The left chamber squeezes weakly, a third of its blood a beat.",
        );
        chart.sign(minutes_after(visit.at, 200), CARDIOLOGIST);
    }
}
