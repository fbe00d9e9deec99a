//! What leaves in bulk: by a client that never exported, or far more often than it does.

use crate::audit::detect::{Access, Detector, Finding, Scene, finding};
use crate::audit::event::Kind;
use std::collections::BTreeMap;

/// More than the busiest day before, by so many times.
const TIMES: usize = 3;
/// A page with that many resources is an export by another name,
const LARGE: usize = 200;
/// if there are so many of them in a day.
const PAGES: usize = 20;

pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let is_export =
        |it: &&Access| it.succeeded && matches!(it.kind, Kind::ExportRequested | Kind::ExportFetched);
    tell(scene, findings, is_export, 0, "exports");
    let is_page = |it: &&Access| it.succeeded && it.kind == Kind::Search && it.resources >= LARGE;
    tell(scene, findings, is_page, PAGES, "large pages, one after the other,");
}

fn tell(
    scene: &Scene<'_>,
    findings: &mut Vec<Finding>,
    is_meant: impl Fn(&&Access) -> bool,
    few: usize,
    what: &str,
) {
    let before = days(scene.baseline.iter().filter(&is_meant));
    for ((client, _), accesses) in days(scene.window.iter().filter(&is_meant)) {
        let usual = before.iter().filter(|((it, _), _)| *it == client).map(|(_, it)| it.len()).max();
        let is_unusual = accesses.len() > few && usual.is_none_or(|it| accesses.len() > it * TIMES);
        let Some(first) = accesses.first().filter(|_| is_unusual) else { continue };
        let reason = match usual {
            None => format!("{} {what} through a client that did not do so before", accesses.len()),
            Some(usual) => format!("{} {what} in a day, where {usual} were the most", accesses.len()),
        };
        let mut found = finding(Detector::Export, &first.agent, &accesses, reason);
        found.patients.clear();
        findings.push(found);
    }
}

/// By client and day.
fn days<'a>(accesses: impl Iterator<Item = &'a Access>) -> BTreeMap<(&'a str, i64), Vec<&'a Access>> {
    let mut days: BTreeMap<(&str, i64), Vec<&Access>> = BTreeMap::new();
    for access in accesses {
        days.entry((&access.client, access.day())).or_default().push(access);
    }
    days
}
