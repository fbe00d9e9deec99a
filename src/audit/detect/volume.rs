//! How many patients somebody touches in a day, against their own days before and against everybody else's.

use crate::audit::detect::{Access, Detector, Finding, Scene, by_agent, finding};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer than that are never too many.
const FEW: usize = 20;
/// The usual is exceeded by so many times, or by so many standard deviations.
const TIMES: f64 = 3.0;
const DEVIATIONS: f64 = 4.0;

/// By agent: for each day on which there was something, the patients.
type Days<'a> = BTreeMap<i64, BTreeSet<i64>>;

pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let is_meant = |it: &&Access| it.saw_patients() && it.is_by_a_person();
    let before: BTreeMap<&str, Vec<usize>> = by_agent(scene.baseline.iter().filter(is_meant))
        .into_iter()
        .map(|(agent, accesses)| (agent, days(&accesses).values().map(BTreeSet::len).collect()))
        .collect();
    for (agent, accesses) in by_agent(scene.window.iter().filter(is_meant)) {
        let own = before.get(agent).map_or(&[][..], Vec::as_slice);
        let peers: Vec<usize> = before
            .iter()
            .filter(|(it, _)| **it != agent)
            .flat_map(|(_, counts)| counts.iter().copied())
            .collect();
        for (day, patients) in days(&accesses) {
            let count = patients.len();
            let is_much = count > FEW && exceeds(count, own) && exceeds(count, &peers);
            if !is_much {
                continue;
            }
            let of_day: Vec<&Access> = accesses.iter().filter(|it| it.day() == day).copied().collect();
            let usual = mean(own).round();
            let reason = format!("{count} patients in a day, where {usual} are usual");
            let mut found = finding(Detector::Volume, agent, &of_day, reason);
            // It is about how many, not about whom.
            found.patients.clear();
            findings.push(found);
        }
    }
}

fn days<'a>(accesses: &[&'a Access]) -> Days<'a> {
    let mut days = Days::new();
    for access in accesses {
        days.entry(access.day()).or_default().extend(access.patients.iter().copied());
    }
    days
}

/// Whether that is more than these counts make one expect; where there are none, it is.
fn exceeds(count: usize, counts: &[usize]) -> bool {
    if counts.is_empty() {
        return true;
    }
    let mean = mean(counts);
    let squares = counts.iter().map(|it| (float(*it) - mean).powi(2)).sum::<f64>();
    let deviation = (squares / float(counts.len())).sqrt();
    let most = counts.iter().copied().max().unwrap_or(0);
    float(count) > (mean * TIMES).min(mean + deviation * DEVIATIONS).max(mean * 1.5) && count > most
}

fn mean(counts: &[usize]) -> f64 {
    if counts.is_empty() { 0.0 } else { float(counts.iter().sum()) / float(counts.len()) }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
