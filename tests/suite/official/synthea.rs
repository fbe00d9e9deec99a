//! Synthetic patients of Synthea: what real systems would send.

use super::cases;
use crate::support::data;
use std::collections::BTreeMap;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::Options;

#[test]
fn synthetic_patients_are_refused_for_known_reasons_only() {
    let definitions = Definitions::embedded().unwrap();
    // Debug builds are slow: every third file is enough to meet every kind of resource.
    let paths = data::files("synthea-dev", "json");
    assert!(paths.len() > 100, "only {} files were found", paths.len());
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let known = include_str!("../../official/synthea_invalid.txt");
    for path in paths.iter().step_by(3) {
        for error in cases::errors(&definitions, std::fs::read(path).unwrap(), &Options::default()) {
            let mut reason = error.clone();
            reason.retain(|letter| !letter.is_ascii_digit());
            reasons.entry(reason).or_insert_with(|| (0, format!("{} {error}", cases::name(path)))).0 += 1;
        }
    }
    let is_known = |reason: &str| known.lines().any(|line| line.split('\t').next() == Some(reason));
    let unexplained: Vec<String> = reasons
        .iter()
        .filter(|(reason, _)| !is_known(reason))
        .map(|(reason, (count, first))| format!("{reason}\t{count} times, first in {first}"))
        .collect();
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}
