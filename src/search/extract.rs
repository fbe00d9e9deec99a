//! From a resource to everything it can be found by.
//!
//! Each parameter's values are entered under its own code, or not at all where other parameters hold
//! them: see [`crate::search::parameters`]. What an element is worth as an entry is said by one
//! module for each kind of value.

pub(super) mod date;
pub(super) mod quantity;
pub(super) mod reference;
pub(super) mod string;
pub(super) mod token;
pub(super) mod uri;

use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::date_time::DateTime;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::fhir::types::Types;
use crate::search::index::{Index, Key, KeyKind};
use crate::search::normal;
use crate::search::parameters::{AllParameters, Found, Parameter, TypeParameters};
use std::sync::Arc;

/// The most words of a narrative that are indexed.
const MOST_WORDS: usize = 64;

/// What the resource can be found by. `base` is the FHIR base of this server, without a closing slash.
#[must_use]
pub fn index(definitions: &Definitions, base: &str, resource: &Resource) -> Index {
    let parameters = AllParameters::of(definitions);
    let parameters = parameters.of_type(resource.resource_type());
    let reading = Reading { types: &definitions.types, base, root: resource.root() };
    let mut index = Index { keys: Vec::with_capacity(48), ..Index::default() };
    let mut has_value = vec![false; parameters.list.len()];
    for (place, parameter) in parameters.list.iter().enumerate() {
        let is_present = add(&reading, parameter, &mut index);
        if let Some(it) = has_value.get_mut(place) {
            *it = is_present;
        }
    }
    for (place, parameter) in parameters.list.iter().enumerate() {
        let is_present = match parameter.target {
            None => parameter.asked.iter().chain([&place]).any(|it| has_value.get(*it) == Some(&true)),
            Some(_) => any_value(&reading, parameter),
        };
        if is_present {
            index.present.push(parameter.code().clone());
        }
    }
    index.last_updated = resource.last_updated().and_then(|text| {
        let interval = DateTime::parse_instant(&text)?.interval();
        Some((interval.low, interval.high))
    });
    add_patients(&reading, parameters, resource, &mut index);
    if resource.resource_type().name() == "Binary" {
        add_security_context(&reading, &mut index);
    }
    index
}

/// The name of the entry that says whose a Binary is. It is no search parameter of R4: access alone asks it.
pub const SECURITY_CONTEXT: &str = "security-context";

/// A Binary is as readable as what its `securityContext` refers to: <https://hl7.org/fhir/R4/binary.html#security>
fn add_security_context(reading: &Reading<'_>, index: &mut Index) {
    let reference = reading.root.get("securityContext").and_then(|it| it.string("reference"));
    let Some(Reference::Resource { base, resource_type, id, .. }) =
        reference.as_deref().and_then(Reference::parse)
    else {
        return;
    };
    if base.is_some_and(|it| it != reading.base) {
        return;
    }
    if resource_type.name() == "Patient" {
        index.patients.push(id);
    } else {
        let value = format!("{resource_type}/{id}").into();
        index.keys.push(Key { parameter: SECURITY_CONTEXT.into(), kind: KeyKind::Reference, value });
    }
}

/// What values are read with.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) types: &'a Types,
    pub(super) base: &'a str,
    pub(super) root: Node<'a>,
}

/// Enters what is indexed under a parameter's own code; whether it has a value there.
fn add(reading: &Reading<'_>, parameter: &Parameter, index: &mut Index) -> bool {
    match &**parameter.code() {
        "_text" => return add_words(reading, parameter, index),
        // Columns of the row.
        "_id" | "_lastUpdated" => return true,
        _ => {}
    }
    let (keys, dates, numbers) = (index.keys.len(), index.dates.len(), index.numbers.len());
    let mut is_present = false;
    parameter.own.each(reading.types, reading.root, &mut |found| {
        is_present = true;
        if parameter.definition.is_sealed {
            enter_sealed(reading, parameter, found, index);
        } else {
            enter(reading, parameter, found, index);
        }
    });
    dedup_from(&mut index.keys, keys);
    dedup_from(&mut index.dates, dates);
    dedup_from(&mut index.numbers, numbers);
    is_present
}

/// Enters a value of a parameter, in full.
pub(super) fn enter(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    match parameter.kind() {
        SearchParameterKind::Token => token::enter(reading, parameter, found, index),
        SearchParameterKind::String => string::enter(reading, parameter, found, index),
        SearchParameterKind::Reference => reference::enter(reading, parameter, found, index),
        SearchParameterKind::Uri => uri::enter(reading, parameter, found, index),
        SearchParameterKind::Date => date::enter(reading, parameter, found, index),
        SearchParameterKind::Number | SearchParameterKind::Quantity => {
            quantity::enter(reading, parameter, found, index);
        }
        SearchParameterKind::Special => quantity::enter_position(parameter, found, index),
        SearchParameterKind::Composite => {}
    }
}

/// Enters a value of a sealed parameter: nothing that has an order.
fn enter_sealed(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    match parameter.kind() {
        SearchParameterKind::Date => date::enter_sealed(reading, parameter, found, index),
        SearchParameterKind::Number | SearchParameterKind::Quantity | SearchParameterKind::Special => {}
        _ => enter(reading, parameter, found, index),
    }
}

/// The entries of one parameter are few: a set would cost more than looking.
fn dedup_from<T: PartialEq>(entries: &mut Vec<T>, start: usize) {
    let mut kept = start;
    for place in start..entries.len() {
        let is_new = match (entries.get(start..kept), entries.get(place)) {
            (Some(before), Some(it)) => !before.contains(it),
            _ => false,
        };
        if is_new {
            entries.swap(kept, place);
            kept += 1;
        }
    }
    entries.truncate(kept);
}

fn any_value(reading: &Reading<'_>, parameter: &Parameter) -> bool {
    let mut is_present = false;
    parameter.source.each(reading.types, reading.root, &mut |_| is_present = true);
    is_present
}

/// The text of the narrative.
pub(super) fn narrative(root: Node<'_>) -> Option<String> {
    let xhtml = root.get("text")?.string("div")?;
    Some(normal::without_tags(&xhtml))
}

fn add_words(reading: &Reading<'_>, parameter: &Parameter, index: &mut Index) -> bool {
    let Some(text) = narrative(reading.root) else { return false };
    let start = index.keys.len();
    for word in normal::words(&text) {
        if index.keys.len() - start >= MOST_WORDS {
            index.keys.push(Key::new(parameter.code(), KeyKind::Overflow, ""));
            break;
        }
        let key = Key::new(parameter.code(), KeyKind::Word, word);
        if index.keys.get(start..).is_some_and(|before| !before.contains(&key)) {
            index.keys.push(key);
        }
    }
    true
}

fn add_patients(reading: &Reading<'_>, parameters: &TypeParameters, resource: &Resource, index: &mut Index) {
    if resource.resource_type().name() == "Patient" {
        index.patients.extend(resource.id().cloned());
    }
    for parameter in parameters.compartment.iter().filter_map(|place| parameters.list.get(*place)) {
        parameter.source.each(reading.types, reading.root, &mut |found| {
            let Found::Element(node, _) = found else { return };
            let text = node.string("reference").unwrap_or_default();
            if let Some(Reference::Resource { base, resource_type, id, .. }) = Reference::parse(&text)
                && resource_type.name() == "Patient"
                && base.is_none_or(|base| base == reading.base)
                && !index.patients.contains(&id)
            {
                index.patients.push(id);
            }
        });
    }
}

/// Adds a key under a parameter's code.
pub(super) fn push(index: &mut Index, parameter: &Parameter, kind: KeyKind, value: impl Into<Box<str>>) {
    let code: &Arc<str> = parameter.code();
    index.keys.push(Key::new(code, kind, value));
}
