//! What is out of the ordinary in the trail.
//!
//! Pure: a window of what happened, a baseline of what happened before it, and what is known of people and places.
//! Each detector says who, about whom, by which events, and why in words that give nothing of the data away. A detector
//! points at what somebody should look at; it accuses nobody.
//!
//! Reading order: what is looked at (here), how much somebody usually does (`volume`), when (`hours`), about whom
//! (`people`), what was refused (`denials`), what left (`exports`), emergency access (here), and from where (`travel`).

mod denials;
mod exports;
mod hours;
mod people;
pub mod travel;
mod volume;

use crate::audit::event::Kind;
use crate::store::audit_counts::AccessRow;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap, HashSet};
use travel::Places;

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;
/// As many events are named in a finding.
const NAMED: usize = 50;

/// An event, as far as detectors look at it.
#[derive(Clone, Debug)]
pub struct Access {
    /// The event.
    pub id: i64,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Which kind.
    pub kind: Kind,
    /// It did what was asked.
    pub succeeded: bool,
    /// Who.
    pub agent: String,
    /// Through which client.
    pub client: String,
    /// From which address.
    pub network: Option<String>,
    /// The patients, by the store's numbers.
    pub patients: Vec<i64>,
    /// How many resources.
    pub resources: usize,
}

/// What is known of people, for as long as a review takes.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// Patients labelled as celebrities.
    pub celebrities: HashSet<i64>,
    /// Patients labelled as employees.
    pub employees: HashSet<i64>,
    /// The surnames of patients, folded.
    pub patient_surnames: HashMap<i64, String>,
    /// The surnames of agents, folded.
    pub agent_surnames: HashMap<String, String>,
}

/// What is looked at.
pub struct Scene<'a> {
    /// What happened, in order of time.
    pub window: &'a [Access],
    /// What happened before, in order of time.
    pub baseline: &'a [Access],
    /// When the baseline begins.
    pub since: i64,
    /// When the window begins.
    pub from: i64,
    /// People.
    pub people: &'a People,
    /// Places.
    pub places: &'a Places,
    /// Where day and night are told.
    pub zone: &'a TimeZone,
}

/// Which detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Detector {
    /// More patients than the agent, and its peers, usually touch.
    Volume,
    /// Patients' data at night or at the weekend, by somebody who works by day.
    OffHours,
    /// A celebrity, by somebody who had nothing to do with them before.
    Celebrity,
    /// An employee as a patient, by somebody who had nothing to do with them before.
    Employee,
    /// A patient with the agent's own surname.
    SameSurname,
    /// Many refusals in a short time.
    Denials,
    /// An export by somebody who does not export, or far more than usual.
    Export,
    /// Emergency access.
    BreakGlass,
    /// Two places in less time than one can travel.
    Travel,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which detector.
    pub detector: Detector,
    /// Who.
    pub agent: String,
    /// The patients it is about, where it is about some in particular.
    pub patients: Vec<i64>,
    /// The first day of it, counted from 1970-01-01.
    pub day: i64,
    /// The events: the first fifty.
    pub events: Vec<i64>,
    /// Why.
    pub reason: String,
}

impl Detector {
    /// All of them.
    pub const ALL: [Detector; 9] = [
        Detector::Volume,
        Detector::OffHours,
        Detector::Celebrity,
        Detector::Employee,
        Detector::SameSurname,
        Detector::Denials,
        Detector::Export,
        Detector::BreakGlass,
        Detector::Travel,
    ];

    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Detector::Volume => "volume",
            Detector::OffHours => "off-hours",
            Detector::Celebrity => "celebrity",
            Detector::Employee => "employee",
            Detector::SameSurname => "same-surname",
            Detector::Denials => "repeated-denials",
            Detector::Export => "unusual-export",
            Detector::BreakGlass => "break-glass",
            Detector::Travel => "impossible-travel",
        }
    }

    /// What it looks for.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Detector::Volume => "Unusually many patients",
            Detector::OffHours => "Access at unusual hours",
            Detector::Celebrity => "Look-up of a celebrity",
            Detector::Employee => "Look-up of an employee",
            Detector::SameSurname => "Look-up of somebody with the same surname",
            Detector::Denials => "Repeated denials",
            Detector::Export => "Unusual export",
            Detector::BreakGlass => "Emergency access",
            Detector::Travel => "Impossible travel",
        }
    }
}

impl Access {
    /// An event as detectors look at it; none for the server's own.
    #[must_use]
    pub fn of(row: AccessRow) -> Option<Access> {
        let is_own = ["vesta", "vesta:server", "operator"].contains(&row.agent.as_str());
        Some(Access {
            id: row.id,
            at: row.recorded,
            kind: Kind::from_code(row.kind).filter(|_| !is_own)?,
            succeeded: row.outcome == 0,
            client: row.client.unwrap_or_else(|| row.agent.clone()),
            agent: row.agent,
            network: row.network,
            patients: row.patients,
            resources: row.resources,
        })
    }

    /// Patients' data was seen.
    fn saw_patients(&self) -> bool {
        let saw = matches!(
            self.kind,
            Kind::Read | Kind::Vread | Kind::History | Kind::Search | Kind::Operation | Kind::Bundle
        );
        self.succeeded && saw && !self.patients.is_empty()
    }

    /// A person, not a system: systems have no habits of day and night, and no surname.
    fn is_by_a_person(&self) -> bool {
        self.agent != self.client && !self.agent.starts_with("Patient/")
    }

    fn day(&self) -> i64 {
        self.at.div_euclid(DAY)
    }
}

/// Everything out of the ordinary, by detector and agent.
#[must_use]
pub fn detect(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    volume::detect(scene, &mut findings);
    hours::detect(scene, &mut findings);
    people::detect(scene, &mut findings);
    denials::detect(scene, &mut findings);
    exports::detect(scene, &mut findings);
    break_glass(scene, &mut findings);
    travel::detect(scene, &mut findings);
    findings.sort_by(|one, two| {
        (one.detector, &one.agent, one.day, &one.patients).cmp(&(
            two.detector,
            &two.agent,
            two.day,
            &two.patients,
        ))
    });
    findings
}

/// Every emergency access is looked at, however good its reason.
fn break_glass(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for (agent, accesses) in by_agent(scene.window.iter().filter(|it| it.kind == Kind::BreakGlass)) {
        findings.push(finding(
            Detector::BreakGlass,
            agent,
            &accesses,
            "emergency access was used".to_owned(),
        ));
    }
}

/// Accesses by agent, each in order of time.
fn by_agent<'a>(accesses: impl Iterator<Item = &'a Access>) -> BTreeMap<&'a str, Vec<&'a Access>> {
    let mut agents: BTreeMap<&str, Vec<&Access>> = BTreeMap::new();
    for access in accesses {
        agents.entry(&access.agent).or_default().push(access);
    }
    agents
}

/// A finding about these accesses.
fn finding(detector: Detector, agent: &str, accesses: &[&Access], reason: String) -> Finding {
    let mut patients: Vec<i64> = accesses.iter().flat_map(|it| it.patients.iter().copied()).collect();
    patients.sort_unstable();
    patients.dedup();
    Finding {
        detector,
        agent: agent.to_owned(),
        patients,
        day: accesses.first().map_or(0, |it| it.day()),
        events: accesses.iter().take(NAMED).map(|it| it.id).collect(),
        reason,
    }
}
