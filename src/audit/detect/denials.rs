//! Many refusals in a short time: somebody tries doors.

use crate::audit::detect::{Access, Detector, Finding, Scene, by_agent, finding};

/// So many within [`SHORT`].
const MANY: usize = 10;
/// Ten minutes, in microseconds.
const SHORT: i64 = 600_000_000;

pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for (agent, denials) in by_agent(scene.window.iter().filter(|it| !it.succeeded)) {
        let mut day = None;
        for burst in denials.windows(MANY) {
            let (Some(first), Some(last)) = (burst.first(), burst.last()) else { continue };
            if last.at - first.at > SHORT || day == Some(first.day()) {
                continue;
            }
            day = day.max(Some(first.day()));
            let of_day: Vec<&Access> = denials.iter().filter(|it| Some(it.day()) == day).copied().collect();
            let reason = format!("{} refusals in a day, {MANY} of them within ten minutes", of_day.len());
            let mut found = finding(Detector::Denials, agent, &of_day, reason);
            found.patients.clear();
            findings.push(found);
        }
    }
}
