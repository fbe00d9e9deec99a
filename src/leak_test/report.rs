//! What came of it, for people and for programs.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A surface and an attempt, tried.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Who tried.
    pub attempt: &'static str,
    /// Which way.
    pub surface: &'static str,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many hidden things were asked for, and none was shown.
    Tight(usize),
    /// Something was shown: what.
    Leaks(String),
    /// What they may see was not shown, so that the denials prove nothing.
    TwinFails(String),
    /// Nothing of what this surface gives is hidden from them.
    Empty,
}

/// Every cell, and who was not tried.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The cells.
    pub cells: Vec<Cell>,
    /// Attempts without a token: their name, and what token they need.
    pub not_tried: Vec<(&'static str, &'static str)>,
}

impl Report {
    /// The cells that leak, or prove nothing.
    pub fn failures(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|it| matches!(it.verdict, Verdict::Leaks(_) | Verdict::TwinFails(_)))
    }

    /// A table for a terminal: one line for each surface, one column for each attempt.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut attempts: Vec<&str> = Vec::new();
        let mut rows: Vec<&str> = Vec::new();
        let mut marks: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for cell in &self.cells {
            if !attempts.contains(&cell.attempt) {
                attempts.push(cell.attempt);
            }
            if !rows.contains(&cell.surface) {
                rows.push(cell.surface);
            }
            let mark = match cell.verdict {
                Verdict::Tight(_) => "ok",
                Verdict::Leaks(_) => "LEAK",
                Verdict::TwinFails(_) => "TWIN",
                Verdict::Empty => "-",
            };
            marks.insert((cell.surface, cell.attempt), mark);
        }
        let mut text = String::new();
        // Writing to a String does not fail.
        for (number, attempt) in attempts.iter().enumerate() {
            let _ = writeln!(text, "{:>3} {attempt}", number + 1);
        }
        let _ = write!(text, "\n{:<24}", "");
        for number in 1..=attempts.len() {
            let _ = write!(text, "{number:>5}");
        }
        text.push('\n');
        for row in rows {
            let _ = write!(text, "{row:<24}");
            for attempt in &attempts {
                let _ = write!(text, "{:>5}", marks.get(&(row, *attempt)).copied().unwrap_or(""));
            }
            text.push('\n');
        }
        text.push_str("\nok: nothing hidden was shown; -: nothing of this is hidden from them\n");
        for cell in self.failures() {
            let (Verdict::Leaks(why) | Verdict::TwinFails(why)) = &cell.verdict else { continue };
            let _ = writeln!(text, "{} x {}: {why}", cell.surface, cell.attempt);
        }
        for (attempt, token) in &self.not_tried {
            let _ = writeln!(text, "not tried: {attempt} (needs a token: {token})");
        }
        let failed = self.failures().count();
        let _ = writeln!(text, "{} cells, {failed} of them leak or prove nothing", self.cells.len());
        text
    }

    /// The same for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let cells = self.cells.iter().map(|cell| {
            let (verdict, why) = match &cell.verdict {
                Verdict::Tight(_) => ("tight", None),
                Verdict::Leaks(why) => ("leaks", Some(why)),
                Verdict::TwinFails(why) => ("twin-fails", Some(why)),
                Verdict::Empty => ("empty", None),
            };
            json!({ "attempt": cell.attempt, "surface": cell.surface, "verdict": verdict, "why": why })
        });
        let not_tried = self.not_tried.iter().map(|(name, token)| json!({ "attempt": name, "needs": token }));
        json!({ "cells": cells.collect::<Vec<_>>(), "notTried": not_tried.collect::<Vec<_>>() })
    }
}
