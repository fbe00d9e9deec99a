//! References within a bundle: to an entry's `fullUrl`, before; to the resource that it became, after.
//!
//! <https://hl7.org/fhir/R4/http.html#trules>: references, and every element of type uri, url, oid, uuid or
//! canonical, and the links and images of narratives. All else stays byte for byte.

use crate::fhir::json::{Json, Limits, Node, Splices, quote};
use crate::fhir::outcome::Outcome;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::fhir::types::{TypeId, TypeKind, Types};

/// The resource with every reference that `resolve` knows replaced.
pub(super) fn rewrite(
    types: &Types,
    resource: Resource,
    resolve: &dyn Fn(&str) -> Option<String>,
) -> Result<Resource, Outcome> {
    let mut splices = Splices::default();
    if let Some(type_id) = types.id(resource.resource_type().name()) {
        walk(types, resource.root(), type_id, &mut |node, kind| {
            let Some(text) = node.as_str() else { return };
            let replaced = match kind {
                Kind::Reference | Kind::Uri => resolve(&text),
                Kind::Narrative => narrative(&text, resolve),
            };
            if let Some(replaced) = replaced {
                splices.replace(node.span(), quote(&replaced));
            }
        });
    }
    if splices.is_empty() {
        return Ok(resource);
    }
    Resource::from_json(Json::parse(splices.apply(resource.json()), &Limits::ACCEPTED)?)
}

/// Every reference in a resource that is a search: `Practitioner?identifier=…`.
pub(super) fn conditional_references(types: &Types, resource: &Resource) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(type_id) = types.id(resource.resource_type().name()) {
        walk(types, resource.root(), type_id, &mut |node, kind| {
            if let (Kind::Reference, Some(text)) = (kind, node.as_str())
                && matches!(Reference::parse(&text), Some(Reference::Conditional { .. }))
            {
                found.push(text.into_owned());
            }
        });
    }
    found
}

/// Where a text stands that may refer to a resource.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reference,
    Uri,
    Narrative,
}

fn walk<'a>(types: &Types, node: Node<'a>, type_id: TypeId, visit: &mut dyn FnMut(Node<'a>, Kind)) {
    let type_id = match types.get(type_id).map(|it| it.kind) {
        Some(TypeKind::Resource) => {
            node.string("resourceType").and_then(|name| types.id(&name)).unwrap_or(type_id)
        }
        _ => type_id,
    };
    let is_reference = types.name(type_id) == "Reference";
    for (key, value) in node.members() {
        let Some(key) = key.as_str() else { continue };
        let name = key.strip_prefix('_').unwrap_or(&key);
        let Some(member) = types.member(type_id, name) else { continue };
        let inner = if key.starts_with('_') { types.id("Element") } else { Some(member.type_id) };
        let Some(inner) = inner else { continue };
        let kind = match types.name(inner) {
            _ if is_reference && name == "reference" => Some(Kind::Reference),
            "uri" | "url" | "oid" | "uuid" | "canonical" => Some(Kind::Uri),
            "xhtml" => Some(Kind::Narrative),
            _ => None,
        };
        for item in value.each() {
            match kind {
                Some(kind) if !item.is_object() => visit(item, kind),
                _ if item.is_object() => walk(types, item, inner, visit),
                _ => {}
            }
        }
    }
}

/// A narrative with the targets of its links and images replaced; nothing if there are none to replace.
fn narrative(div: &str, resolve: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = div;
    let mut is_changed = false;
    while let Some(start) =
        ["href=\"", "src=\""].iter().filter_map(|it| Some(rest.find(it)? + it.len())).min()
    {
        let (before, after) = rest.split_at(start);
        let (url, after) = after.split_at(after.find('"').unwrap_or(after.len()));
        out.push_str(before);
        match resolve(url) {
            Some(replaced) => {
                out.push_str(&replaced);
                is_changed = true;
            }
            None => out.push_str(url),
        }
        rest = after;
    }
    out.push_str(rest);
    is_changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::definitions::Definitions;

    #[test]
    fn rewrites_references_uris_and_narratives_and_nothing_else() {
        let definitions = Definitions::embedded().unwrap();
        let text = concat!(
            r#"{"resourceType":"Observation","text":{"status":"generated","div":"<div><a href=\"urn:uuid:1\">x</a></div>"},"#,
            r#""subject":{"reference":"urn:uuid:1","display":"urn:uuid:1"},"valueQuantity":{"value":1.00},"#,
            r#""extension":[{"url":"http://e","valueUri":"urn:uuid:1"},{"url":"http://e","valueString":"urn:uuid:1"}],"#,
            r#""performer":[{"reference":"Practitioner?identifier=http://x|y"},{"reference":"Patient/2"},{"reference":"http://h/x?y=z"}]}"#
        );
        let resource = Resource::parse(text, &Limits::default()).unwrap();
        let found = conditional_references(&definitions.types, &resource);
        assert_eq!(found, ["Practitioner?identifier=http://x|y"]);
        let resolve = |it: &str| (it == "urn:uuid:1").then(|| "Patient/1".to_owned());
        let rewritten = rewrite(&definitions.types, resource, &resolve).unwrap();
        let expected = text
            .replace(r#"href=\"urn:uuid:1"#, r#"href=\"Patient/1"#)
            .replace(r#""reference":"urn:uuid:1""#, r#""reference":"Patient/1""#)
            .replace(r#""valueUri":"urn:uuid:1""#, r#""valueUri":"Patient/1""#);
        assert_eq!(rewritten.text(), expected);
    }
}
