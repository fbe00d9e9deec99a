//! An invariant: a rule in FHIRPath, compiled when it is first needed.

use crate::fhirpath::Expression;
use std::sync::OnceLock;

/// How much a broken rule matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// The resource is refused.
    Error,
    /// Worth a warning.
    Warning,
    /// Advice, told only when asked for.
    BestPractice,
}

/// A rule that an element must keep.
#[derive(Debug)]
pub(super) struct Invariant {
    /// `obs-6`
    pub(super) key: Box<str>,
    pub(super) weight: Weight,
    pub(super) text: Box<str>,
    compiled: OnceLock<Option<Expression>>,
}

impl Invariant {
    /// Reads `KEY SEVERITY EXPRESSION`.
    pub(super) fn parse(facts: &str) -> Option<Invariant> {
        let mut parts = facts.splitn(3, ' ');
        let key = parts.next()?.into();
        let weight = match parts.next()? {
            "e" => Weight::Error,
            "w" => Weight::Warning,
            _ => Weight::BestPractice,
        };
        Some(Invariant { key, weight, text: parts.next()?.into(), compiled: OnceLock::new() })
    }

    /// The compiled rule; nothing where it is not FHIRPath, and so cannot refuse anything.
    pub(super) fn expression(&self) -> Option<&Expression> {
        self.compiled.get_or_init(|| Expression::parse(&self.text).ok()).as_ref()
    }
}
