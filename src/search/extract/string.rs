//! Strings as keys: exactly, by their beginnings, and names and addresses also by trigrams.
//!
//! <https://hl7.org/fhir/R4/search.html#string>

use super::{Reading, push};
use crate::fhir::json::Node;
use crate::search::index::{Index, KeyKind};
use crate::search::normal::{first, normalised, trigrams};
use crate::search::parameters::{Found, Parameter};

/// The longest prefix that has a key.
pub(in crate::search) const LONGEST_PREFIX: u8 = 8;
/// The most trigrams of one parameter in one resource.
const MOST_TRIGRAMS: usize = 64;

pub(super) fn enter(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    each_string(reading, found, &mut |text| {
        let normal = normalised(text);
        push(index, parameter, KeyKind::Exact, text);
        for length in 1..=LONGEST_PREFIX {
            let (prefix, is_all) = first(&normal, usize::from(length));
            if prefix.chars().count() == usize::from(length) {
                push(index, parameter, KeyKind::Prefix(length), prefix);
            }
            if is_all {
                break;
            }
        }
        if parameter.has_trigrams() {
            add_trigrams(parameter, &normal, index);
        }
    });
}

fn add_trigrams(parameter: &Parameter, normal: &str, index: &mut Index) {
    let own = index.keys.iter().rev().take_while(|it| it.parameter == *parameter.code());
    let room = MOST_TRIGRAMS.saturating_sub(own.filter(|it| it.kind == KeyKind::Trigram).count());
    let mut rest = trigrams(normal);
    for trigram in rest.by_ref().take(room) {
        push(index, parameter, KeyKind::Trigram, trigram);
    }
    if rest.next().is_some() {
        push(index, parameter, KeyKind::Overflow, "");
    }
}

/// Shows the strings of a value.
pub(in crate::search) fn each_string(reading: &Reading<'_>, found: Found<'_>, visit: &mut dyn FnMut(&str)) {
    let Found::Element(node, type_id) = found else { return };
    let mut show = |node: Node<'_>, member: &str| {
        for text in node.get(member).into_iter().flat_map(Node::each).filter_map(Node::as_str) {
            visit(&text);
        }
    };
    match reading.types.name(type_id) {
        "CodeableConcept" => {
            show(node, "text");
            node.get("coding").into_iter().flat_map(Node::items).for_each(|it| show(it, "display"));
        }
        "Coding" => show(node, "display"),
        "Annotation" => show(node, "text"),
        _ => {
            if let Some(text) = node.as_str() {
                visit(&text);
            }
        }
    }
}
