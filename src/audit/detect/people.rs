//! Look-ups of people whom somebody may have other reasons to look at than care.

use crate::audit::detect::{Access, Detector, Finding, Scene, by_agent, finding};
use std::collections::{BTreeMap, HashSet};

pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let is_meant = |it: &&Access| it.saw_patients() && it.is_by_a_person();
    let known: HashSet<(&str, i64)> = scene
        .baseline
        .iter()
        .filter(is_meant)
        .flat_map(|it| it.patients.iter().map(|patient| (it.agent.as_str(), *patient)))
        .collect();
    for (agent, accesses) in by_agent(scene.window.iter().filter(is_meant)) {
        let mut by_patient: BTreeMap<i64, Vec<&Access>> = BTreeMap::new();
        for access in &accesses {
            for patient in access.patients.iter().filter(|it| !known.contains(&(agent, **it))) {
                by_patient.entry(*patient).or_default().push(access);
            }
        }
        let surname = scene.people.agent_surnames.get(agent);
        for (patient, looks) in by_patient {
            let mut tell = |detector, reason: &str| {
                let mut found = finding(detector, agent, &looks, reason.to_owned());
                found.patients = vec![patient];
                findings.push(found);
            };
            if scene.people.celebrities.contains(&patient) {
                tell(
                    Detector::Celebrity,
                    "a patient labelled as a celebrity, whom the agent had not looked at before",
                );
            }
            if scene.people.employees.contains(&patient) {
                tell(
                    Detector::Employee,
                    "a patient labelled as an employee, whom the agent had not looked at before",
                );
            }
            if surname.is_some() && scene.people.patient_surnames.get(&patient) == surname {
                tell(
                    Detector::SameSurname,
                    "a patient with the agent's surname, whom the agent had not looked at before",
                );
            }
        }
    }
}
