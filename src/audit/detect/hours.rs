//! Patients' data at night or at the weekend, by somebody who works by day.

use crate::audit::detect::{Access, Detector, Finding, Scene, by_agent, finding};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// The day, for somebody whose habits are told by it.
const MORNING: i8 = 6;
const EVENING: i8 = 21;
/// A shift of that many looks is not chance.
const SEVERAL: usize = 5;
/// Whoever had that share of their looks at such hours before works then.
const HABIT: usize = 20;

pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let is_meant = |it: &&Access| it.saw_patients() && it.is_by_a_person();
    let before = by_agent(scene.baseline.iter().filter(is_meant));
    let now = by_agent(scene.window.iter().filter(is_meant));
    for (agent, accesses) in now {
        let usual = before.get(agent).map_or(&[][..], Vec::as_slice);
        let odd_before = usual.iter().filter(|it| is_odd(it, scene.zone)).count();
        // Who has no habits yet is not known to work by day.
        if usual.len() < HABIT || odd_before * HABIT > usual.len() {
            continue;
        }
        let mut nights: BTreeMap<i64, Vec<&Access>> = BTreeMap::new();
        for access in accesses.iter().filter(|it| is_odd(it, scene.zone)) {
            nights.entry(access.day()).or_default().push(access);
        }
        for (_, night) in nights.into_iter().filter(|(_, it)| it.len() >= SEVERAL) {
            let reason =
                format!("{} looks at night or at the weekend, by somebody who works by day", night.len());
            findings.push(finding(Detector::OffHours, agent, &night, reason));
        }
    }
}

fn is_odd(access: &Access, zone: &TimeZone) -> bool {
    let Ok(at) = Timestamp::from_microsecond(access.at) else { return false };
    let local = at.to_zoned(zone.clone());
    let is_weekend = matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
    is_weekend || local.hour() < MORNING || local.hour() >= EVENING
}
