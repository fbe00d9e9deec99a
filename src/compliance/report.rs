//! The report: every control with its status, the evidence beside it, and what to do next.

use crate::compliance::check::{Check, Finding, Verdict};
use crate::compliance::controls::{self, Control, RowError};
use crate::compliance::facts::Facts;
use crate::fhir::date_time::instant;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How a control stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Something is not as it must be.
    Failing,
    /// No test backs it.
    Unproved,
    /// A program cannot tell alone: the organisation's own procedure is needed.
    Procedure,
    /// It is enforced: tests back it, and the running system is as it must be.
    Enforced,
}

/// A control as it stands.
pub struct Row {
    /// The control.
    pub control: Control,
    /// How it stands.
    pub status: Status,
    /// What was looked at.
    pub findings: Vec<Finding>,
}

/// What there is to say of the system.
pub struct Report {
    /// When it was looked at, in microseconds since 1970.
    pub at: i64,
    /// Which system: its FHIR base.
    pub base: String,
    /// Every control, in the order of the map.
    pub rows: Vec<Row>,
}

impl Status {
    /// All of them, worst first.
    pub const ALL: [Status; 4] = [Status::Failing, Status::Unproved, Status::Procedure, Status::Enforced];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Failing => "failing",
            Status::Unproved => "unproved",
            Status::Procedure => "procedure",
            Status::Enforced => "enforced",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Status::Failing => "not as it must be",
            Status::Unproved => "no test backs it",
            Status::Procedure => "needs the organisation's own procedure",
            Status::Enforced => "enforced, and tests back it",
        }
    }
}

/// Evaluates every control of the map.
///
/// # Errors
/// The map cannot be read.
pub fn report(facts: &Facts) -> Result<Report, RowError> {
    let rows = controls::all()?.into_iter().map(|control| {
        let findings: Vec<Finding> = control.checks.iter().map(|check| check.judge(facts)).collect();
        Row { status: status(&control, &findings), control, findings }
    });
    Ok(Report { at: facts.now, base: facts.config.fhir_base(), rows: rows.collect() })
}

fn status(control: &Control, findings: &[Finding]) -> Status {
    let has = |verdict| findings.iter().any(|it| it.verdict == verdict);
    let is_procedure_alone = control.checks == [Check::Procedure];
    if has(Verdict::Fails) {
        Status::Failing
    } else if control.proofs.is_empty() && !is_procedure_alone {
        Status::Unproved
    } else if has(Verdict::Manual) {
        Status::Procedure
    } else {
        Status::Enforced
    }
}

impl Report {
    /// How many controls stand so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.rows.iter().filter(|it| it.status == status).count()
    }

    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{} at {}\n{}\n", self.base, instant(self.at), self.summary());
        for Row { control, status, findings } in &self.rows {
            // Writing to a String does not fail.
            let _ = write!(out, "\n{:10} {}  {}\n", status.name(), control.citation, control.title);
            for finding in findings {
                let mark = match finding.verdict {
                    Verdict::Holds => "+",
                    Verdict::Manual => "?",
                    Verdict::Fails => "!",
                };
                let _ = writeln!(out, "         {mark} {}: {}", finding.check.name(), finding.evidence);
                if let Some(next) = &finding.next {
                    let _ = writeln!(out, "           next: {next}");
                }
            }
            if *status == Status::Unproved {
                let _ = writeln!(out, "           no test backs this row");
            }
        }
        out
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let finding = |it: &Finding| {
            let verdict = match it.verdict {
                Verdict::Holds => "holds",
                Verdict::Manual => "manual",
                Verdict::Fails => "fails",
            };
            json!({ "check": it.check.name(), "verdict": verdict, "evidence": it.evidence, "next": it.next })
        };
        let row = |it: &Row| {
            json!({
                "control": it.control.id, "citation": it.control.citation, "family": it.control.family.name(),
                "duty": it.control.duty, "title": it.control.title, "what": it.control.what,
                "status": it.status.name(), "proofs": it.control.proofs,
                "findings": it.findings.iter().map(finding).collect::<Vec<_>>(),
            })
        };
        let counts: serde_json::Map<String, Value> =
            Status::ALL.into_iter().map(|it| (it.name().to_owned(), json!(self.count(it)))).collect();
        json!({
            "system": self.base, "at": instant(self.at), "counts": counts,
            "controls": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// How many stand how.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts = Status::ALL.into_iter().rev().map(|it| format!("{} {}", self.count(it), it.name()));
        counts.collect::<Vec<_>>().join(", ")
    }
}
