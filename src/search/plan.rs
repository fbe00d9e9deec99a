//! From a query string to a [`Query`]: what each parameter means, as a predicate over the index.
//!
//! <https://hl7.org/fhir/R4/search.html>
//!
//! Every value is read into a test first ([`value`]); [`answer`] says what the index knows of it.
//! An unknown parameter refuses the search, or in lenient handling is left out with a warning. A bad value, or a
//! modifier that the parameter does not take, always refuses: a search that means something else than was
//! asked is worse than none. What needs terminology (`:in`, `:not-in`, and `:above`, `:below` on codes) is looked up
//! by whoever asks: [`set::needed`] says what, and [`Setting::sets`] holds what came of it.

mod answer;
mod condition;
mod control;
mod filter;
pub mod set;
mod split;
mod value;

use crate::conformance::definitions::Definitions;
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome, Severity};
use crate::search::parameters::{AllParameters, Parameter};
use crate::search::predicate::Predicate;
use crate::search::query::{Handling, Query, Summary};
use condition::Planning;
use set::Sets;

/// What a query is read by.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The search parameters.
    pub definitions: &'a Definitions,
    /// The FHIR base of this server, without a closing slash: absolute references to it are relative ones.
    pub base: &'a str,
    /// Now, in microseconds since 1970: for `ap`.
    pub now: i64,
    /// What becomes of parameters that are not understood.
    pub handling: Handling,
    /// `_count` where the query names none.
    pub default_count: u32,
    /// The greatest `_count`.
    pub max_count: u32,
    /// The codes behind `:in`, `:not-in`, `:above` and `:below`.
    pub sets: Option<&'a Sets>,
}

/// Why a parameter cannot be part of the search.
struct Refusal {
    /// It is not known: lenient handling leaves it out.
    is_unknown: bool,
    /// It is not ready: no alternative makes up for that.
    is_building: bool,
    code: IssueType,
    /// The parameter's name: the client's own word.
    name: String,
    /// What to change. It says nothing of the value, which may be anybody's name.
    reason: String,
}

impl Refusal {
    fn new(code: IssueType, name: &str, reason: &str) -> Refusal {
        Refusal {
            is_unknown: false,
            is_building: false,
            code,
            name: name.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn unknown(name: &str, reason: &str) -> Refusal {
        Refusal { is_unknown: true, ..Refusal::new(IssueType::NotSupported, name, reason) }
    }

    /// Whatever is stored cannot all be found by it yet. Never left out, and never answered with less.
    fn building(name: &str) -> Refusal {
        let reason = "this search parameter is being built, and cannot be searched with yet";
        Refusal { is_building: true, ..Refusal::not_supported(name, reason) }
    }

    fn value(name: &str, reason: &str) -> Refusal {
        Refusal::new(IssueType::Value, name, reason)
    }

    fn not_supported(name: &str, reason: &str) -> Refusal {
        Refusal::new(IssueType::NotSupported, name, reason)
    }

    fn too_costly(name: &str, reason: &str) -> Refusal {
        Refusal::new(IssueType::TooCostly, name, reason)
    }

    /// The same, of the parameter of which that one is only the end.
    fn within(self, name: &str) -> Refusal {
        Refusal { name: name.to_owned(), ..self }
    }

    fn to_issue(&self) -> Issue {
        // Cut, lest it be long.
        let shown: String = self.name.chars().take(64).collect();
        Issue::error(self.code, format!("{shown}: {}", self.reason)).at(at(&shown))
    }
}

/// A parameter, if everything that is stored can be found by it.
fn built<'p>(name: &str, parameter: Option<&'p Parameter>) -> Result<Option<&'p Parameter>, Refusal> {
    match parameter {
        Some(it) if it.definition.is_building => Err(Refusal::building(name)),
        it => Ok(it),
    }
}

/// Where a query parameter is, as an OperationOutcome says it.
fn at(name: &str) -> String {
    format!("http.{name}")
}

/// Reads a query over these types (one, or several for a system search): the query, and what there is to say
/// about it (parameters that were left out in lenient handling).
///
/// # Errors
/// A parameter or value that is not understood.
pub fn plan(
    setting: &Setting<'_>,
    resource_types: &[ResourceType],
    parameters: &[(String, String)],
) -> Result<(Query, Vec<Issue>), Outcome> {
    let all = AllParameters::of(setting.definitions);
    let mut resource_types = resource_types.to_vec();
    resource_types.sort_unstable();
    resource_types.dedup();
    let count = setting.default_count.min(setting.max_count);
    let mut query = Query::new(resource_types, Predicate::True, count);
    let mut issues = Vec::new();
    // The types come first: everything else is read by them.
    for (name, value) in parameters.iter().filter(|(name, _)| name == "_type") {
        settle(
            setting,
            control::types(&mut query, name, value),
            &mut query.effective,
            (name, value),
            &mut issues,
        )?;
    }
    let planning = Planning::new(setting, &all);
    let mut filter = Predicate::True;
    for (name, value) in parameters.iter().filter(|(name, _)| name != "_type") {
        let result = match control::read(&planning, &mut query, name, value) {
            Some(result) => result,
            None => planning.over_types(&query.resource_types, name, value).map(|it| {
                filter = std::mem::replace(&mut filter, Predicate::True).and(it);
            }),
        };
        settle(setting, result, &mut query.effective, (name, value), &mut issues)?;
    }
    query.filter = filter;
    if query.summary == Summary::Count {
        // Only the total is sent, so only the total is asked for.
        query.count = 0;
    }
    Ok((query, issues))
}

/// Notes a parameter as understood, or leaves it out, or gives up.
fn settle(
    setting: &Setting<'_>,
    result: Result<(), Refusal>,
    effective: &mut Vec<(String, String)>,
    (name, value): (&str, &str),
    issues: &mut Vec<Issue>,
) -> Result<(), Outcome> {
    match result {
        Ok(()) => effective.push((name.to_owned(), value.to_owned())),
        Err(refusal) if !refusal.is_unknown || setting.handling == Handling::Strict => {
            return Err(refusal.to_issue().into());
        }
        Err(refusal) => {
            let issue = refusal.to_issue();
            let left_out = format!("{}; left out", issue.diagnostics);
            issues.push(Issue { severity: Severity::Warning, diagnostics: left_out, ..issue });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
