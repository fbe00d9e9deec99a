//! What happened in a period, counted: for whoever reviews the trail.
//!
//! 45 CFR 164.308(a)(1)(ii)(D). The numbers are the database's (`store::audit_counts`); here they become a report, as
//! JSON, as CSV (`csv`), or as a page with charts (`html`). Patients are named by their ids alone.

pub mod csv;
pub mod html;

use crate::audit::event::Kind;
use crate::fhir::date_time::instant;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_counts::{AgentCount, DayCount, KindCount};
use crate::store::error::StoreError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// As many patients are named.
const PATIENTS: u32 = 100;
/// A day in microseconds.
pub(crate) const DAY: i64 = 86_400_000_000;

/// What happened in a period.
#[derive(Clone, Debug)]
pub struct Usage {
    /// From then on, in microseconds since 1970,
    pub from: i64,
    /// and before then.
    pub to: i64,
    /// By kind and outcome.
    pub kinds: Vec<KindCount>,
    /// By agent, the busiest first.
    pub agents: Vec<AgentCount>,
    /// By patient, those that were looked at most first.
    pub patients: Vec<PatientUse>,
    /// How many patients were touched in all.
    pub touched: i64,
    /// By day.
    pub days: Vec<DayCount>,
}

/// What was done about a patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientUse {
    /// The id, where the patient is still known.
    pub id: Option<String>,
    /// How many events.
    pub events: i64,
    /// By how many.
    pub agents: i64,
}

/// A kind of event, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindUse {
    /// Its name.
    pub name: String,
    /// How many events.
    pub events: i64,
    /// How many did not succeed.
    pub failures: i64,
}

/// Counts a period of a tenant's trail.
///
/// # Errors
/// The database fails.
pub async fn usage(store: &Store, tenant: TenantId, from: i64, to: i64) -> Result<Usage, StoreError> {
    let counts = store.count_patients(tenant, (from, to), PATIENTS).await?;
    let subjects: Vec<i64> = counts.iter().map(|it| it.subject).collect();
    let names = store.patients_of_subjects(tenant, &subjects).await?;
    let patient = |count: &crate::store::audit_counts::PatientCount| PatientUse {
        id: names.get(&count.subject).map(ToString::to_string),
        events: count.events,
        agents: count.agents,
    };
    Ok(Usage {
        from,
        to,
        kinds: store.count_kinds(tenant, from, to).await?,
        agents: store.count_agents(tenant, from, to).await?,
        patients: counts.iter().map(patient).collect(),
        touched: store.count_touched(tenant, from, to).await?,
        days: store.count_days(tenant, from, to).await?,
    })
}

impl Usage {
    /// How many events.
    #[must_use]
    pub fn events(&self) -> i64 {
        self.kinds.iter().map(|it| it.events).sum()
    }

    /// How many did not succeed.
    #[must_use]
    pub fn failures(&self) -> i64 {
        self.kinds.iter().filter(|it| it.outcome != 0).map(|it| it.events).sum()
    }

    /// How many succeeded and touched a patient's data.
    #[must_use]
    pub fn about_patients(&self) -> i64 {
        self.kinds.iter().filter(|it| it.outcome == 0).map(|it| it.about_patients).sum()
    }

    /// By kind, the most frequent first.
    #[must_use]
    pub fn by_kind(&self) -> Vec<KindUse> {
        let mut kinds: BTreeMap<i16, KindUse> = BTreeMap::new();
        for count in &self.kinds {
            let name = Kind::from_code(count.kind).map_or_else(|| count.kind.to_string(), name_of);
            let entry = kinds.entry(count.kind).or_insert(KindUse { name, events: 0, failures: 0 });
            entry.events += count.events;
            entry.failures += if count.outcome == 0 { 0 } else { count.events };
        }
        let mut kinds: Vec<KindUse> = kinds.into_values().collect();
        kinds.sort_by_key(|it| -it.events);
        kinds
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let kind = |it: &KindUse| json!({ "event": it.name, "events": it.events, "failures": it.failures });
        let agent = |it: &AgentCount| {
            json!({
                "agent": it.agent, "events": it.events, "failures": it.failures,
                "phiAccesses": it.about_patients, "patients": it.patients,
            })
        };
        let patient = |it: &PatientUse| json!({ "patient": it.id, "events": it.events, "agents": it.agents });
        let day = |it: &DayCount| {
            json!({
                "day": day_name(it.day), "events": it.events, "failures": it.failures,
                "phiAccesses": it.about_patients,
            })
        };
        json!({
            "from": instant(self.from), "to": instant(self.to), "events": self.events(),
            "failures": self.failures(), "phiAccesses": self.about_patients(), "users": self.agents.len(),
            "patients": self.touched,
            "byEvent": self.by_kind().iter().map(kind).collect::<Vec<_>>(),
            "byUser": self.agents.iter().map(agent).collect::<Vec<_>>(),
            "byPatient": self.patients.iter().map(patient).collect::<Vec<_>>(),
            "byDay": self.days.iter().map(day).collect::<Vec<_>>(),
        })
    }
}

/// `TokenIssued` as people write it: `token issued`.
#[must_use]
pub fn name_of(kind: Kind) -> String {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

fn day_name(day: i64) -> String {
    instant(day.saturating_mul(DAY)).chars().take(10).collect()
}
