//! Codes and identifiers as keys.
//!
//! <https://hl7.org/fhir/R4/search.html#token>
//!
//! # Decision 2026-11-24
//! Codes are compared as they are written. R4 would rather have them compared without case when in doubt;
//! but security labels are codes too, and a label that is compared loosely in one place and strictly in
//! another is a leak.

use super::{Reading, push};
use crate::fhir::json::Node;
use crate::fhir::types::TypeId;
use crate::search::index::{Index, KeyKind};
use crate::search::normal::{first, normalised};
use crate::search::parameters::{Found, Parameter};

pub(super) fn enter(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    let (node, type_id) = match found {
        Found::Boolean(it) => {
            return push(index, parameter, KeyKind::Code, if it { "true" } else { "false" });
        }
        Found::Element(node, type_id) => (node, type_id),
    };
    match reading.types.name(type_id) {
        "Coding" => coding(parameter, node, index),
        "CodeableConcept" => {
            node.get("coding").into_iter().flat_map(Node::items).for_each(|it| coding(parameter, it, index));
            text(parameter, node, "text", index);
        }
        "Identifier" => identifier(parameter, node, index),
        "ContactPoint" => {
            if let Some(value) = node.string("value") {
                push(index, parameter, KeyKind::Code, value);
            }
        }
        _ => {
            let Some(value) = node.as_str().or_else(|| (!node.is_object()).then(|| node.raw().into())) else {
                return;
            };
            if !parameter.is_bare() {
                push(index, parameter, KeyKind::Token, format!("|{value}"));
            }
            push(index, parameter, KeyKind::Code, value);
        }
    }
}

fn coding(parameter: &Parameter, node: Node<'_>, index: &mut Index) {
    add_token(parameter, node.string("system").as_deref(), node.string("code").as_deref(), index);
    text(parameter, node, "display", index);
}

fn add_token(parameter: &Parameter, system: Option<&str>, code: Option<&str>, index: &mut Index) {
    if let Some(code) = code {
        push(index, parameter, KeyKind::Token, token(system.unwrap_or_default(), code));
        push(index, parameter, KeyKind::Code, code);
    }
    if let Some(system) = system {
        push(index, parameter, KeyKind::System, system);
    }
}

/// `system|code`
pub(in crate::search) fn token(system: &str, code: &str) -> String {
    let mut token = String::with_capacity(system.len() + code.len() + 1);
    token.push_str(system);
    token.push('|');
    token.push_str(code);
    token
}

fn identifier(parameter: &Parameter, node: Node<'_>, index: &mut Index) {
    let value = node.string("value");
    add_token(parameter, node.string("system").as_deref(), value.as_deref(), index);
    let Some(kind) = node.get("type") else { return };
    for coding in kind.get("coding").into_iter().flat_map(Node::items) {
        if let (Some(code), Some(value)) = (coding.string("code"), &value) {
            let system = coding.string("system").unwrap_or_default();
            push(index, parameter, KeyKind::OfType, format!("{system}|{code}|{value}"));
        }
    }
    text(parameter, kind, "text", index);
}

fn text(parameter: &Parameter, node: Node<'_>, member: &str, index: &mut Index) {
    if let Some(text) = node.string(member) {
        // Only the beginning counts, but punctuation may stand before it.
        let text = normalised(first(&text, 64).0);
        push(index, parameter, KeyKind::Text, first(&text, 3).0);
    }
}

/// Shows the texts beside a token.
pub(in crate::search) fn each_text(reading: &Reading<'_>, found: Found<'_>, visit: &mut dyn FnMut(&str)) {
    let Found::Element(node, type_id) = found else { return };
    let mut show = |node: Node<'_>, member: &str| {
        if let Some(text) = node.string(member) {
            visit(&text);
        }
    };
    match reading.types.name(type_id) {
        "Coding" => show(node, "display"),
        "CodeableConcept" => {
            node.get("coding").into_iter().flat_map(Node::items).for_each(|it| show(it, "display"));
            show(node, "text");
        }
        "Identifier" => node.get("type").into_iter().for_each(|it| show(it, "text")),
        _ => {}
    }
}

/// Shows the codes of a token, for sorting.
pub(in crate::search) fn each_code(
    reading: &Reading<'_>,
    node: Node<'_>,
    type_id: TypeId,
    visit: &mut dyn FnMut(&str),
) {
    let mut show = |node: Node<'_>, member: &str| {
        if let Some(code) = node.string(member) {
            visit(&code);
        }
    };
    match reading.types.name(type_id) {
        "Coding" => show(node, "code"),
        "CodeableConcept" => {
            node.get("coding").into_iter().flat_map(Node::items).for_each(|it| show(it, "code"));
        }
        "Identifier" | "ContactPoint" => show(node, "value"),
        _ => visit(&node.as_str().unwrap_or_else(|| node.raw().into())),
    }
}
