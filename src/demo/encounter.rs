//! Visits: when the patient came, where, whom they saw and how they left.

use super::chart::{Chart, Label, Visit};
use super::code::{Code, hl7, snomed};
use super::element::{minutes_after, moment, named, reference};
use super::practice::{HOSPITAL, OFFICE, WARD};
use jiff::civil::DateTime;
use serde_json::json;

/// What kind of visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A look at somebody who is well.
    CheckUp,
    /// A look at a child who is well.
    WellChild,
    /// Something bothers them.
    Problem,
    /// A stay of some days.
    Stay,
    /// The emergency room.
    Emergency,
    /// Over the net.
    Virtual,
    /// Before birth.
    Prenatal,
}

impl Kind {
    fn code(self) -> Code {
        match self {
            Kind::CheckUp => snomed("185349003", "Encounter for check up"),
            Kind::WellChild => snomed("410620009", "Well child visit"),
            Kind::Problem => snomed("185347001", "Encounter for problem"),
            Kind::Stay => snomed("32485007", "Hospital admission"),
            Kind::Emergency => snomed("50849002", "Emergency room admission"),
            Kind::Virtual => snomed("448337001", "Telemedicine consultation with patient"),
            Kind::Prenatal => snomed("424441002", "Prenatal initial visit"),
        }
    }

    fn class(self) -> (&'static str, &'static str) {
        match self {
            Kind::Stay => ("IMP", "inpatient encounter"),
            Kind::Emergency => ("EMER", "emergency"),
            Kind::Virtual => ("VR", "virtual"),
            _ => ("AMB", "ambulatory"),
        }
    }

    fn minutes(self) -> i64 {
        match self {
            Kind::Stay => 3 * 24 * 60,
            Kind::Emergency => 240,
            Kind::Virtual => 15,
            _ => 30,
        }
    }
}

/// What brings the patient.
pub(super) enum Reason<'a> {
    /// Nothing but the day.
    Routine,
    /// A complaint or disease.
    Code(Code),
    /// A problem of the chart.
    Problem(&'a str),
}

/// Adds a visit.
pub(super) fn visit(
    chart: &mut Chart,
    at: DateTime,
    kind: Kind,
    by: &'static str,
    reason: &Reason<'_>,
) -> Visit {
    labelled_visit(chart, at, (kind, Label::None), by, reason)
}

/// Adds a visit that wants special care.
pub(super) fn labelled_visit(
    chart: &mut Chart,
    at: DateTime,
    (kind, label): (Kind, Label),
    by: &'static str,
    reason: &Reason<'_>,
) -> Visit {
    let (class, class_display) = kind.class();
    let is_stay = matches!(kind, Kind::Stay | Kind::Emergency);
    let end = minutes_after(at, kind.minutes());
    let period = json!({ "start": moment(at), "end": moment(end) });
    let discharge = json!({
        "dischargeDisposition": {
            "coding": [{
                "system": "https://www.nubc.org/CodeSystem/PatDischargeStatus",
                "code": "01",
                "display": "Discharged to home or self care (routine discharge)",
            }],
        },
    });
    let (reason_code, reason_reference) = match reason {
        Reason::Routine => (None, None),
        Reason::Code(code) => (Some(json!([code.concept()])), None),
        Reason::Problem(problem) => (None, Some(json!([reference(problem)]))),
    };
    let (place, place_name) =
        if is_stay { (WARD, "Inpatient ward") } else { (OFFICE, "Hearthside Family Medicine") };
    let number = chart.random.digits(7);
    let content = json!({
        "identifier": [{ "use": "official", "system": "https://demo.vesta.example/encounter", "value": format!("{}-{number}", chart.id) }],
        "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class, "display": class_display },
        "type": [kind.code().concept()],
        "subject": chart.patient(),
        "participant": [{
            "type": [hl7("v3-ParticipationType", "PPRF", "primary performer")],
            "period": period,
            "individual": reference(by),
        }],
        "period": period,
        "reasonCode": reason_code,
        "reasonReference": reason_reference,
        "hospitalization": is_stay.then_some(discharge),
        "location": (kind != Kind::Virtual).then(|| json!([{ "location": named(place, place_name) }])),
        "serviceProvider": named(HOSPITAL, "Hearthside General Hospital"),
    });
    let encounter = chart.add_labelled("Encounter", "us-core-encounter", label, content);
    Visit { encounter, at, by }
}
