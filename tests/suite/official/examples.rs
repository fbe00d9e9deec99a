//! HL7's own example resources: all that are valid must be accepted.

use super::cases;
use crate::support::data;
use std::path::PathBuf;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::Options;

fn refused(paths: &[PathBuf], prefix: &str) -> Vec<(String, String)> {
    let definitions = Definitions::embedded().unwrap();
    let mut refused = Vec::new();
    for path in paths {
        let errors = cases::errors(&definitions, std::fs::read(path).unwrap(), &Options::default());
        if let Some(first) = errors.first() {
            refused.push((format!("{prefix}{}", cases::name(path)), format!("{} {first}", errors.len())));
        }
    }
    refused
}

#[test]
fn the_examples_of_r4_are_valid() {
    let paths = data::files("examples-r4", "json");
    assert!(paths.len() > 800, "only {} examples were found", paths.len());
    let refused = refused(&paths, "");
    cases::check_list(&refused, include_str!("../../official/examples_invalid.txt"), paths.len());
}

#[test]
fn the_examples_of_us_core_are_valid() {
    let mut all = Vec::new();
    let mut count = 0;
    for version in ["311", "610", "700"] {
        let paths: Vec<PathBuf> = data::files("us-core-plain", "json")
            .into_iter()
            .filter(|it| it.to_string_lossy().contains(&format!("/{version}/package/example/")))
            .collect();
        count += paths.len();
        all.extend(refused(&paths, &format!("{version}/")));
    }
    assert!(count > 300, "only {count} examples were found");
    cases::check_list(&all, include_str!("../../official/us_core_invalid.txt"), count);
}

#[test]
fn the_examples_of_other_guides_are_valid() {
    let of_definitions = [
        "StructureDefinition",
        "ValueSet",
        "CodeSystem",
        "SearchParameter",
        "ImplementationGuide",
        "CapabilityStatement",
        "OperationDefinition",
    ];
    let paths: Vec<PathBuf> = data::files("igs", "json")
        .into_iter()
        .filter(|it| !of_definitions.iter().any(|of| cases::name(it).starts_with(of)))
        .collect();
    assert!(paths.len() > 50, "only {} examples were found", paths.len());
    cases::check_list(&refused(&paths, ""), include_str!("../../official/guides_invalid.txt"), paths.len());
}
