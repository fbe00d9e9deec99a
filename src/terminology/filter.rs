//! The filters of a value set, as a test of the concepts of a code system.
//!
//! <https://hl7.org/fhir/R4/valueset-filter-operator.html>

use super::code_system::{CodeSystem, Concept};
use super::value_set::Filter;
use crate::fhir::outcome::Outcome;
use regex::{Regex, RegexBuilder};
use std::collections::HashSet;

/// The most memory that one regular expression may take once compiled.
const REGEX_BYTES: usize = 1 << 20;

/// A filter that is ready to be asked.
pub(super) enum Test<'a> {
    Places { places: HashSet<usize>, is_negated: bool },
    Values { property: &'a str, values: Vec<&'a str>, is_negated: bool },
    Matches { property: &'a str, regex: Box<Regex> },
    Exists { property: &'a str, expected: bool },
}

impl<'a> Test<'a> {
    /// Makes a filter ready.
    ///
    /// # Errors
    /// The operator is not known, or its value is not what it takes.
    pub(super) fn new(system: &CodeSystem, filter: &'a Filter) -> Result<Test<'a>, Outcome> {
        let Filter { property, operator, value } = filter;
        let is_of_hierarchy = matches!(property.as_str(), "concept" | "code" | "parent" | "child");
        let place = || system.place(value);
        let with_itself = |mut places: HashSet<usize>| {
            places.extend(place());
            places
        };
        let below = || place().map(|it| system.below(it)).unwrap_or_default();
        Ok(match operator.as_str() {
            "is-a" => Test::Places { places: with_itself(below()), is_negated: false },
            "descendent-of" => Test::Places { places: below(), is_negated: false },
            "is-not-a" => Test::Places { places: with_itself(below()), is_negated: true },
            "generalizes" => {
                let above = place().map(|it| system.above(it)).unwrap_or_default();
                Test::Places { places: with_itself(above), is_negated: false }
            }
            // R5's, which the terminology community uses in R4 as well.
            "child-of" => {
                let children = place().and_then(|it| system.concepts.get(it)).map(|it| it.children.clone());
                Test::Places { places: children.into_iter().flatten().collect(), is_negated: false }
            }
            "descendent-leaf" => {
                let is_leaf = |it: &usize| system.concepts.get(*it).is_some_and(|it| it.children.is_empty());
                Test::Places { places: below().into_iter().filter(is_leaf).collect(), is_negated: false }
            }
            "=" if property == "parent" => {
                let children = place().and_then(|it| system.concepts.get(it)).map(|it| it.children.clone());
                Test::Places { places: children.into_iter().flatten().collect(), is_negated: false }
            }
            "=" if property == "child" => {
                let parents = place().and_then(|it| system.concepts.get(it)).map(|it| it.parents.clone());
                Test::Places { places: parents.into_iter().flatten().collect(), is_negated: false }
            }
            "=" => Test::Values { property, values: vec![value], is_negated: false },
            "in" | "not-in" => Test::Values {
                property,
                values: value.split(',').map(str::trim).collect(),
                is_negated: operator == "not-in",
            },
            "regex" => {
                let regex = RegexBuilder::new(&format!("^(?:{value})$")).size_limit(REGEX_BYTES).build();
                let regex =
                    regex.map_err(|_| Outcome::invalid("the filter's regular expression cannot be used"))?;
                Test::Matches { property, regex: Box::new(regex) }
            }
            "exists" if !is_of_hierarchy || property == "parent" || property == "child" => {
                match value.as_str() {
                    "true" | "false" => Test::Exists { property, expected: value == "true" },
                    _ => return Err(Outcome::invalid("the filter exists takes true or false")),
                }
            }
            _ => {
                return Err(Outcome::not_supported(
                    "a filter of the value set has an operator that is not supported",
                ));
            }
        })
    }

    /// Whether what satisfies it stands near a concept that it names: of a big system, that is at hand.
    pub(super) fn is_near(&self) -> bool {
        matches!(self, Test::Places { is_negated: false, .. })
    }

    /// Whether the concept at that place satisfies it.
    pub(super) fn is_satisfied(&self, place: usize, concept: &Concept) -> bool {
        match self {
            Test::Places { places, is_negated } => places.contains(&place) != *is_negated,
            Test::Values { property, values, is_negated } => {
                any_value(concept, property, |it| values.contains(&it)) != *is_negated
            }
            Test::Matches { property, regex } => any_value(concept, property, |it| regex.is_match(it)),
            Test::Exists { property, expected } => {
                let exists = match *property {
                    "parent" => !concept.parents.is_empty(),
                    "child" => !concept.children.is_empty(),
                    property => any_value(concept, property, |_| true),
                };
                exists == *expected
            }
        }
    }
}

fn any_value(concept: &Concept, property: &str, is_wanted: impl Fn(&str) -> bool) -> bool {
    match property {
        "code" | "concept" => is_wanted(&concept.code),
        "display" => concept.display.as_deref().is_some_and(is_wanted),
        "definition" => concept.definition.as_deref().is_some_and(is_wanted),
        _ => concept.properties.iter().any(|it| it.code == property && is_wanted(&it.text)),
    }
}
