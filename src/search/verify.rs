//! Asking a predicate of a resource in memory: what keys only narrow down, and everything else.

use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::{Kind, Node};
use crate::fhir::resource::Resource;
use crate::search::criterion::{Criterion, Test};
use crate::search::extract::{self, Reading, quantity, string, token};
use crate::search::index::Index;
use crate::search::normal::{normalised, words};
use crate::search::parameters::{AllParameters, Found, Parameter, TypeParameters, each_from};
use crate::search::predicate::Predicate;
use crate::search::sort::{SortBy, SortKey, SortValue};
use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

/// Looks at whole, unsealed resources.
#[derive(Clone)]
pub struct Verifier {
    pub(super) definitions: Arc<Definitions>,
    pub(super) base: Arc<str>,
}

/// One resource that is looked at.
struct Examination<'a> {
    definitions: &'a Definitions,
    parameters: &'a TypeParameters,
    reading: Reading<'a>,
    resource: &'a Resource,
    index: OnceCell<Index>,
}

impl Verifier {
    /// With these definitions, for the server at that FHIR base.
    #[must_use]
    pub fn new(definitions: Arc<Definitions>, base: impl Into<Arc<str>>) -> Verifier {
        Verifier { definitions, base: base.into() }
    }

    /// Whether the resource satisfies the predicate. Chains are other resources' matter: they count as
    /// satisfied, also under a negation.
    #[must_use]
    pub fn satisfies(&self, resource: &Resource, predicate: &Predicate) -> bool {
        let parameters = AllParameters::of(&self.definitions);
        self.examine(resource, &parameters).satisfies(predicate, true)
    }

    /// Whether the resource satisfies the predicate whatever other resources say: a chain counts as not satisfied,
    /// also under a negation.
    #[must_use]
    pub fn surely_satisfies(&self, resource: &Resource, predicate: &Predicate) -> bool {
        let parameters = AllParameters::of(&self.definitions);
        self.examine(resource, &parameters).satisfies(predicate, false)
    }

    /// The patients in whose compartments the resource is; of a type outside of them, those whom its parameter
    /// `patient` names.
    #[must_use]
    pub fn patients(&self, resource: &Resource) -> Vec<ResourceId> {
        if self.is_in_compartments(resource.resource_type()) {
            return extract::index(&self.definitions, &self.base, resource).patients;
        }
        let named = self.references(resource, Some("patient"));
        named.into_iter().filter(|(it, _)| it.name() == "Patient").map(|(_, id)| id).collect()
    }

    /// Whether the index tells whose a resource of that type is.
    #[must_use]
    pub fn is_in_compartments(&self, of: ResourceType) -> bool {
        of.name() == "Patient" || !self.definitions.patient_compartment(of).is_empty()
    }

    /// The values that the resource is sorted by, one for each key.
    #[must_use]
    pub fn sort_values(&self, resource: &Resource, keys: &[SortKey]) -> Vec<Option<SortValue>> {
        let parameters = AllParameters::of(&self.definitions);
        let examination = self.examine(resource, &parameters);
        keys.iter().map(|key| examination.sort_value(key)).collect()
    }

    /// The codes under which the values of a parameter are indexed: for whoever asks the index for something
    /// that no predicate says, such as an order or an include. Nothing for a parameter that is not known.
    #[must_use]
    pub fn index_names(&self, resource_type: ResourceType, parameter: &str) -> Vec<Arc<str>> {
        let parameters = AllParameters::of(&self.definitions);
        let parameters = parameters.of_type(resource_type);
        let found = parameters.get(parameter).into_iter();
        found.flat_map(|it| parameters.owners(it)).map(|it| it.code().clone()).collect()
    }

    fn examine<'a>(&'a self, resource: &'a Resource, parameters: &'a AllParameters) -> Examination<'a> {
        Examination {
            definitions: &self.definitions,
            parameters: parameters.of_type(resource.resource_type()),
            reading: Reading { types: &self.definitions.types, base: &self.base, root: resource.root() },
            resource,
            index: OnceCell::new(),
        }
    }
}

impl Examination<'_> {
    fn index(&self) -> &Index {
        self.index.get_or_init(|| extract::index(self.definitions, self.reading.base, self.resource))
    }

    /// `chains`: what a chain counts as here.
    fn satisfies(&self, predicate: &Predicate, chains: bool) -> bool {
        match predicate {
            Predicate::True => true,
            Predicate::False => false,
            Predicate::All(parts) => parts.iter().all(|it| self.satisfies(it, chains)),
            Predicate::Any(parts) => parts.iter().any(|it| self.satisfies(it, chains)),
            Predicate::Not(inner) => !self.satisfies(inner, !chains),
            Predicate::Type(it) => *it == self.resource.resource_type(),
            Predicate::Key(key) => self.index().keys.contains(key),
            Predicate::Date { parameter, test } => {
                let entries = self.index().dates.iter();
                entries.filter(|it| it.parameter == *parameter).any(|it| test.passes(it.low, it.high))
            }
            Predicate::Number { parameter, unit, test } => {
                let entries = self.index().numbers.iter();
                entries
                    .filter(|it| it.parameter == *parameter && it.unit == *unit)
                    .any(|it| test.passes(it.low, it.high))
            }
            Predicate::Missing(code) => !self.index().present.contains(code),
            Predicate::Id(ids) => self.resource.id().is_some_and(|id| ids.contains(id)),
            Predicate::LastUpdated(test) => {
                self.index().last_updated.is_some_and(|(low, high)| test.passes(low, high))
            }
            Predicate::Compartment(patient) => self.index().patients.contains(patient),
            Predicate::Patients(set) => self.index().patients.iter().any(|it| set.contains(it)),
            Predicate::SharesPatient { .. }
            | Predicate::References { .. }
            | Predicate::ReferencedBy { .. } => chains,
            Predicate::Verify(criterion) => self.meets(criterion),
        }
    }

    fn meets(&self, criterion: &Criterion) -> bool {
        let Some(parameter) = self.parameters.get(&criterion.parameter) else { return false };
        match &criterion.test {
            Test::Composite(tests) => self.meets_together(parameter, tests),
            Test::Words(searched) => self.has_words(parameter, searched),
            test => self.any_passes(parameter, test),
        }
    }

    fn any_passes(&self, parameter: &Parameter, test: &Test) -> bool {
        let mut passes = false;
        parameter.source.each(self.reading.types, self.reading.root, &mut |found| {
            passes = passes || self.passes(parameter, found, test);
        });
        passes
    }

    fn meets_together(&self, parameter: &Parameter, tests: &[Test]) -> bool {
        let Some(composite) = &parameter.composite else { return false };
        let root = self.reading.root;
        let mut meets = false;
        for (place, focus) in composite.focus.iter().enumerate() {
            focus.each(root, root, &mut |focus| {
                meets = meets
                    || composite.parts.iter().zip(tests).all(|((part, walks), test)| {
                        let Some(part) = self.parameters.list.get(*part) else { return false };
                        let mut passes = false;
                        each_from(
                            walks.get(place).map(Vec::as_slice).unwrap_or_default(),
                            root,
                            focus,
                            &mut |found| {
                                passes = passes || self.passes(part, found, test);
                            },
                        );
                        passes
                    });
            });
        }
        meets
    }

    /// Whether one value of a parameter is as it must be.
    fn passes(&self, parameter: &Parameter, found: Found<'_>, test: &Test) -> bool {
        let entries = || {
            let mut index = Index::default();
            extract::enter(&self.reading, parameter, found, &mut index);
            index
        };
        let any_string = |is_right: &dyn Fn(&str) -> bool| {
            let mut passes = false;
            string::each_string(&self.reading, found, &mut |text| passes |= is_right(&normalised(text)));
            passes
        };
        match test {
            Test::Key(kind, value) => entries().keys.iter().any(|it| it.kind == *kind && it.value == *value),
            Test::Equals(text) => any_string(&|it| *it == **text),
            Test::StartsWith(text) => any_string(&|it| it.starts_with(&**text)),
            Test::EndsWith(text) => any_string(&|it| it.ends_with(&**text)),
            Test::Contains(text) => any_string(&|it| it.contains(&**text)),
            Test::Text(text) => {
                let mut passes = false;
                token::each_text(&self.reading, found, &mut |it| {
                    passes |= normalised(it).starts_with(&**text)
                });
                passes
            }
            Test::Date(test) => entries().dates.iter().any(|it| test.passes(it.low, it.high)),
            Test::Number { unit, test } => {
                let entries = entries();
                entries.numbers.iter().any(|it| it.unit == *unit && test.passes(it.low, it.high))
            }
            Test::Unit { unit, test } => {
                let entries = entries();
                quantity::has_unit(found, unit)
                    && entries.numbers.iter().any(|it| it.unit.is_none() && test.passes(it.low, it.high))
            }
            Test::Near { latitude, longitude, metres } => {
                let Found::Element(node, _) = found else { return false };
                quantity::position(node).is_some_and(|it| distance(it, (*latitude, *longitude)) <= *metres)
            }
            Test::Any(tests) => tests.iter().any(|it| self.passes(parameter, found, it)),
            Test::Not(test) => !self.passes(parameter, found, test),
            Test::Words(_) | Test::Composite(_) => false,
        }
    }

    fn has_words(&self, parameter: &Parameter, searched: &[Box<str>]) -> bool {
        let mut found = HashSet::new();
        if &**parameter.code() == "_text" {
            found.extend(extract::narrative(self.reading.root).iter().flat_map(|text| words(text)));
        } else {
            all_words(self.reading.root, &mut found);
        }
        searched.iter().all(|it| found.contains(&**it))
    }

    fn sort_value(&self, key: &SortKey) -> Option<SortValue> {
        let code = match &key.by {
            SortBy::Id => return self.resource.id().map(|id| SortValue::Text(id.as_str().into())),
            SortBy::LastUpdated => return self.index().last_updated.map(|(low, _)| SortValue::Date(low)),
            SortBy::Parameter(code) => code,
        };
        let parameter = self.parameters.get(code)?;
        let mut values = Vec::new();
        parameter.source.each(self.reading.types, self.reading.root, &mut |found| {
            self.sort_values_of(parameter, found, key.is_descending, &mut values);
        });
        let order =
            |one: &SortValue, other: &SortValue| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal);
        let values = values.into_iter();
        if key.is_descending { values.max_by(order) } else { values.min_by(order) }
    }

    fn sort_values_of(
        &self,
        parameter: &Parameter,
        found: Found<'_>,
        is_descending: bool,
        values: &mut Vec<SortValue>,
    ) {
        let mut index = Index::default();
        match parameter.kind() {
            SearchParameterKind::String => {
                string::each_string(&self.reading, found, &mut |text| {
                    values.push(SortValue::Text(normalised(text).into()));
                });
            }
            SearchParameterKind::Date => {
                extract::enter(&self.reading, parameter, found, &mut index);
                let end = |low, high| if is_descending { high } else { low };
                values.extend(index.dates.iter().map(|it| SortValue::Date(end(it.low, it.high))));
            }
            SearchParameterKind::Number | SearchParameterKind::Quantity => {
                extract::enter(&self.reading, parameter, found, &mut index);
                // In the canonical unit, where there is one: it is the last entry.
                let end = |low, high| if is_descending { high } else { low };
                values.extend(index.numbers.last().map(|it| SortValue::Number(end(it.low, it.high))));
            }
            SearchParameterKind::Token => {
                let Found::Element(node, type_id) = found else { return };
                token::each_code(&self.reading, node, type_id, &mut |code| {
                    values.push(SortValue::Text(code.into()));
                });
            }
            SearchParameterKind::Reference | SearchParameterKind::Uri => {
                let Found::Element(node, _) = found else { return };
                let text = node.as_str().or_else(|| node.string("reference"));
                values.extend(text.map(|it| SortValue::Text(it.as_ref().into())));
            }
            SearchParameterKind::Composite | SearchParameterKind::Special => {}
        }
    }
}

/// Every word of every string of a resource.
fn all_words(node: Node<'_>, found: &mut HashSet<String>) {
    match node.kind() {
        Kind::Object => node.members().for_each(|(_, value)| all_words(value, found)),
        Kind::Array => node.items().for_each(|value| all_words(value, found)),
        Kind::String => found.extend(node.as_str().iter().flat_map(|text| words(text))),
        _ => {}
    }
}

/// The way along a great circle between two positions, in metres.
fn distance((latitude, longitude): (f64, f64), (other_latitude, other_longitude): (f64, f64)) -> f64 {
    const RADIUS: f64 = 6_371_008.8;
    let (one, other) = (latitude.to_radians(), other_latitude.to_radians());
    let across = (other_longitude - longitude).to_radians();
    let haversine =
        ((other - one) / 2.0).sin().powi(2) + one.cos() * other.cos() * (across / 2.0).sin().powi(2);
    2.0 * RADIUS * haversine.sqrt().min(1.0).asin()
}
