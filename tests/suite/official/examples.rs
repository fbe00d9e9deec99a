//! HL7's own example resources: all that are valid must be accepted.

use crate::support::data;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::{Options, validate};
use vesta::fhir::json::Limits;
use vesta::fhir::outcome::Severity;
use vesta::fhir::resource::Resource;

/// Each with the reason why it is not valid.
const KNOWN_INVALID: &str = include_str!("../../official/examples_invalid.txt");

#[test]
fn the_examples_of_r4_are_valid() {
    let definitions = Definitions::embedded().unwrap();
    let mut refused = Vec::new();
    let mut count = 0;
    for path in data::files("examples-r4", "json") {
        let text = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let issues = match Resource::parse(text, &Limits::default()) {
            Ok(resource) => validate(&definitions, &resource, &Options::default()),
            Err(outcome) => outcome.issues().to_vec(),
        };
        count += 1;
        let errors: Vec<_> = issues.iter().filter(|issue| issue.severity >= Severity::Error).collect();
        if let Some(first) = errors.first() {
            refused.push(format!(
                "{name}: {} {:?} ({} in all)",
                first.diagnostics,
                first.expression,
                errors.len()
            ));
        }
    }
    assert!(count > 800, "only {count} examples were found");
    let known: Vec<&str> = KNOWN_INVALID.lines().filter(|line| !line.starts_with('#')).collect();
    let is_known = |line: &&String| known.iter().any(|it| it.split('\t').next() == line.split(':').next());
    let unexplained: Vec<&String> = refused.iter().filter(|line| !is_known(line)).collect();
    assert!(unexplained.is_empty(), "{} of {count}:\n{unexplained:#?}", unexplained.len());
    assert_eq!(refused.len(), known.len(), "the list of invalid examples can shrink");
}
