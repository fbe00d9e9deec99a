//! The control map: `fhir-profiles/vesta/controls.tsv`, read.

use crate::compliance::check::Check;

const TABLE: &str = include_str!("../../fhir-profiles/vesta/controls.tsv");

/// Which safeguards a control belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 45 CFR 164.312.
    Technical,
    /// 45 CFR 164.308, 164.310, 164.314 and 164.316.
    Administrative,
    /// The privacy rule and the breach rule.
    Privacy,
}

/// One row of the map.
#[derive(Clone, Debug)]
pub struct Control {
    /// Its code.
    pub id: &'static str,
    /// What asks for it.
    pub citation: &'static str,
    /// Which safeguards it belongs to.
    pub family: Family,
    /// `required` or `addressable`.
    pub duty: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What the server does.
    pub what: &'static str,
    /// What is looked at in the running system.
    pub checks: Vec<Check>,
    /// The tests that prove it.
    pub proofs: Vec<&'static str>,
}

/// A row that cannot be read: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("controls.tsv:{line}: not a control")]
pub struct RowError {
    line: usize,
}

impl Family {
    /// All of them, in the order of the report.
    pub const ALL: [Family; 3] = [Family::Technical, Family::Administrative, Family::Privacy];

    /// The name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Family::Technical => "technical",
            Family::Administrative => "administrative",
            Family::Privacy => "privacy",
        }
    }

    /// The heading of the family.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Family::Technical => "Technical safeguards",
            Family::Administrative => "Administrative and organisational safeguards",
            Family::Privacy => "Privacy and breach notification",
        }
    }
}

/// Every control, in the order of the table.
///
/// # Errors
/// A row cannot be read.
pub fn all() -> Result<Vec<Control>, RowError> {
    let rows = TABLE.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    rows.map(|(number, line)| row(line).ok_or(RowError { line: number + 1 })).collect()
}

fn row(line: &'static str) -> Option<Control> {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let [id, citation, family, duty, title, what, checks, proofs] = *fields.as_slice() else { return None };
    let checks: Option<Vec<Check>> = checks.split(' ').filter(|it| *it != "-").map(Check::parse).collect();
    Some(Control {
        id,
        citation,
        family: Family::ALL.into_iter().find(|it| it.name() == family)?,
        duty: ["required", "addressable"].into_iter().find(|it| *it == duty)?,
        title,
        what,
        checks: checks?,
        proofs: proofs.split(' ').filter(|it| !it.is_empty()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_can_be_read_and_stands_once() {
        let controls = all().unwrap();
        assert_eq!(controls.len(), controls.iter().map(|it| it.id).collect::<HashSet<_>>().len());
        for control in &controls {
            assert!(control.citation.starts_with("45 CFR 164."), "{}", control.id);
        }
        assert!(Family::ALL.iter().all(|family| controls.iter().any(|it| it.family == *family)));
    }
}
