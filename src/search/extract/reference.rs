//! References as keys.
//!
//! <https://hl7.org/fhir/R4/search.html#reference>

use super::{Reading, push, token};
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use crate::search::index::{Index, KeyKind};
use crate::search::parameters::{Found, Parameter};

pub(super) fn enter(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    let Found::Element(node, _) = found else { return };
    if let Some(url) = node.as_str() {
        return add_url(parameter, &url, index);
    }
    if let Some(text) = node.string("reference") {
        add_reference(reading, parameter, &text, index);
    }
    if let Some(identifier) = node.get("identifier") {
        add_identifier(parameter, identifier, index);
    }
}

fn add_reference(reading: &Reading<'_>, parameter: &Parameter, text: &str, index: &mut Index) {
    match Reference::parse(text) {
        Some(Reference::Resource { base, resource_type, id, version })
            if base.is_none_or(|base| base == reading.base) =>
        {
            let name = resource_type.name();
            push(index, parameter, KeyKind::Reference, format!("{name}/{id}"));
            if let Some(version) = version {
                push(index, parameter, KeyKind::Reference, format!("{name}/{id}/_history/{version}"));
            }
            if parameter.has_bare_ids() {
                push(index, parameter, KeyKind::ReferenceId, id.as_str());
            }
        }
        Some(Reference::Resource { version: Some(_), .. }) => {
            push(index, parameter, KeyKind::ReferenceUrl, text);
            let current = text.split("/_history/").next().unwrap_or(text);
            push(index, parameter, KeyKind::ReferenceUrl, current);
        }
        // What is contained, or is to be resolved, cannot be named from outside.
        Some(Reference::Contained(_) | Reference::Conditional { .. }) => {}
        _ => add_url(parameter, text, index),
    }
}

/// A canonical or another URL: without and with its version.
fn add_url(parameter: &Parameter, url: &str, index: &mut Index) {
    push(index, parameter, KeyKind::ReferenceUrl, url);
    if let Some((current, _)) = url.split_once('|') {
        push(index, parameter, KeyKind::ReferenceUrl, current);
    }
}

fn add_identifier(parameter: &Parameter, identifier: Node<'_>, index: &mut Index) {
    let Some(value) = identifier.string("value") else { return };
    let system = identifier.string("system").unwrap_or_default();
    push(index, parameter, KeyKind::Identifier, token::token(&system, &value));
    push(index, parameter, KeyKind::IdentifierValue, value);
}
