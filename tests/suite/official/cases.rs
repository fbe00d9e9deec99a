//! Validating files of the public data against lists of what is known to be wrong with them.

use std::path::Path;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::{Options, validate};
use vesta::fhir::json::Limits;
use vesta::fhir::outcome::{Issue, Severity};
use vesta::fhir::resource::Resource;

/// The errors of a resource, as `rule place`.
pub fn errors(definitions: &Definitions, text: impl Into<Vec<u8>>, options: &Options<'_>) -> Vec<String> {
    let issues = match Resource::parse(text, &Limits::default()) {
        Ok(resource) => validate(definitions, &resource, options),
        Err(outcome) => outcome.issues().to_vec(),
    };
    issues.iter().filter(|it| it.severity >= Severity::Error).map(said).collect()
}

/// An issue in one line.
pub fn said(issue: &Issue) -> String {
    let rule = issue.rule.as_deref().unwrap_or(issue.code.code());
    format!("{rule} {} ({})", issue.expression.join(","), issue.diagnostics)
}

/// A list of known cases: a name, a tab, the true reason. Lists may only shrink: whoever is on one and passes
/// must be taken off.
pub fn check_list(refused: &[(String, String)], list: &str, count: usize) {
    let known: Vec<&str> = list
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .filter_map(|line| line.split('\t').next())
        .collect();
    let unexplained: Vec<String> = refused
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, why)| format!("{name}\t{why}"))
        .collect();
    assert!(unexplained.is_empty(), "{} of {count}:\n{}", unexplained.len(), unexplained.join("\n"));
    let fine: Vec<&&str> = known.iter().filter(|name| !refused.iter().any(|(it, _)| it == **name)).collect();
    assert!(fine.is_empty(), "take these off the list: {fine:?}");
}

/// The name of a file.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
