//! What FHIR adds. <https://hl7.org/fhir/R4/fhirpath.html#functions>

use super::{Given, Table, given_one};
use crate::fhir::narrative;
use crate::fhir::reference::Reference;
use crate::fhirpath::EvaluationError;
use crate::fhirpath::evaluate::{Items, Result, boolean};
use crate::fhirpath::value::{Element, Item, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Extension,
    HasValue,
    GetValue,
    Resolve,
    MemberOf,
    Subsumes,
    SubsumedBy,
    ConformsTo,
    HtmlChecks,
    GetResourceKey,
    GetReferenceKey,
}

pub(super) const TABLE: &Table<Name> = &[
    ("extension", Name::Extension, 1, 1),
    ("hasValue", Name::HasValue, 0, 0),
    ("getValue", Name::GetValue, 0, 0),
    ("resolve", Name::Resolve, 0, 0),
    ("memberOf", Name::MemberOf, 1, 1),
    ("subsumes", Name::Subsumes, 1, 1),
    ("subsumedBy", Name::SubsumedBy, 1, 1),
    ("conformsTo", Name::ConformsTo, 1, 1),
    ("htmlChecks", Name::HtmlChecks, 0, 0),
    // https://sql-on-fhir.org/ig/latest/StructureDefinition-ViewDefinition.html#functions
    ("getResourceKey", Name::GetResourceKey, 0, 0),
    ("getReferenceKey", Name::GetReferenceKey, 0, 1),
];

/// The canonical URLs of R4's own types begin like this.
const STRUCTURES: &str = "http://hl7.org/fhir/StructureDefinition/";

pub(super) fn call<'a>(name: Name, focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let on = given.on;
    let types = on.env.types;
    let asked = on.env.surroundings;
    Ok(match name {
        Name::Extension => {
            let Some(url) = given.text(0)? else { return Ok(Items::new()) };
            let extensions = on.members(&focus, "extension")?;
            let is_wanted = |item: &Item<'a>| matches!(item, Item::Element(Element { node: Some(node), .. }) if node.get("url").is_some_and(|it| it.is(&url)));
            extensions.into_iter().filter(is_wanted).collect()
        }
        Name::HasValue => boolean(matches!(focus.as_slice(), [item] if primitive(given, item).is_some())),
        Name::GetValue => match focus.as_slice() {
            [item] => given_one(primitive(given, item)),
            _ => Items::new(),
        },
        Name::Resolve => {
            let mut out = Items::new();
            for item in &focus {
                out.extend(resolve(given, item)?);
            }
            out
        }
        Name::MemberOf => {
            let Some(value_set) = given.text(0)? else { return Ok(Items::new()) };
            let Some(item) = one_of(&focus)? else { return Ok(Items::new()) };
            let answer = asked.and_then(|it| it.is_member_of(item, &value_set));
            boolean(answer.ok_or(EvaluationError::Unknown("value set"))?)
        }
        Name::Subsumes | Name::SubsumedBy => {
            let other = given.argument(0)?;
            let (Some(one), Some(other)) = (one_of(&focus)?, one_of(&other)?) else {
                return Ok(Items::new());
            };
            let (general, special) = if name == Name::Subsumes { (one, other) } else { (other, one) };
            let answer = asked.and_then(|it| it.subsumes(general, special));
            boolean(answer.ok_or(EvaluationError::Unknown("code"))?)
        }
        Name::ConformsTo => {
            let Some(profile) = given.text(0)? else { return Ok(Items::new()) };
            let Some(item) = one_of(&focus)? else { return Ok(Items::new()) };
            let base = profile.strip_prefix(STRUCTURES).and_then(|name| types.id(name));
            match (item, base) {
                (Item::Element(element), Some(base)) => boolean(types.is_a(element.type_id, base)),
                _ => {
                    let answer = asked.and_then(|it| it.conforms_to(item, &profile));
                    boolean(answer.ok_or(EvaluationError::Unknown("profile"))?)
                }
            }
        }
        Name::HtmlChecks => match focus.as_slice() {
            [] => Items::new(),
            items => {
                let text = on.text(items)?.unwrap_or_default();
                on.charge_text(text.len())?;
                boolean(narrative::check(&text).is_ok())
            }
        },
        Name::GetResourceKey => focus.iter().filter_map(|it| resource_key(given, it)).collect(),
        Name::GetReferenceKey => {
            let wanted = match given.call.arguments.first() {
                Some(ast) => Some(ast.as_type_name().ok_or(EvaluationError::Argument)?.name),
                None => None,
            };
            focus.iter().filter_map(|it| reference_key(it, wanted.as_deref())).collect()
        }
    })
}

/// What a resource is joined by: `Patient/1`, the same as the key of a reference to it.
fn resource_key<'a>(given: &Given<'_, '_, 'a>, item: &Item<'a>) -> Option<Item<'a>> {
    let Item::Element(Element { node: Some(node), type_id, .. }) = item else { return None };
    let id = node.string("id")?;
    let of = given.on.env.types.name(*type_id);
    Some(Item::Value(Value::String(format!("{of}/{id}").into())))
}

/// The key of the resource that a reference names: without a version, and with its server where that is named. Only
/// of a resource of that type, if one is asked for.
fn reference_key<'a>(item: &Item<'a>, wanted: Option<&str>) -> Option<Item<'a>> {
    let Item::Element(Element { node: Some(node), .. }) = item else { return None };
    let text = node.string("reference")?;
    let Some(Reference::Resource { base, resource_type, id, .. }) = Reference::parse(&text) else {
        return None;
    };
    if wanted.is_some_and(|it| it != resource_type.name()) {
        return None;
    }
    let key = match base {
        Some(base) => format!("{base}/{resource_type}/{id}"),
        None => format!("{resource_type}/{id}"),
    };
    Some(Item::Value(Value::String(key.into())))
}

fn one_of<'f, 'a>(items: &'f [Item<'a>]) -> Result<Option<&'f Item<'a>>> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(EvaluationError::NotSingle),
    }
}

/// The value of a primitive: a Quantity has none.
fn primitive<'a>(given: &Given<'_, '_, 'a>, item: &Item<'a>) -> Option<Value<'a>> {
    let types = given.on.env.types;
    let is_structure = matches!(item, Item::Element(it) if !types.is_primitive(it.type_id));
    item.value(types).filter(|_| !is_structure)
}

/// Contained resources, those of the same bundle, what the surroundings know; of all others only
/// their type, which is enough for `resolve() is Patient` in search parameters.
fn resolve<'a>(given: &Given<'_, '_, 'a>, item: &Item<'a>) -> Result<Option<Item<'a>>> {
    let on = given.on;
    let types = on.env.types;
    let reference = match item {
        Item::Element(Element { node: Some(node), .. }) if node.is_object() => node.string("reference"),
        Item::Element(Element { node: Some(node), .. }) => node.as_str(),
        Item::Value(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let Some(reference) = reference else { return Ok(None) };
    let root = |item: &Item<'a>| match item {
        Item::Element(Element { node, .. }) => *node,
        Item::Value(_) => None,
    };
    if let Some(id) = reference.strip_prefix('#') {
        let holders = [root(&on.env.resource), root(&on.env.root_resource)];
        if id.is_empty() {
            return Ok(holders.into_iter().flatten().next().and_then(|it| Item::of_resource(types, it)));
        }
        let contained = holders.into_iter().flatten().filter_map(|it| it.get("contained"));
        let found = contained.flat_map(|it| it.items()).find(|it| it.get("id").is_some_and(|it| it.is(id)));
        return Ok(found.and_then(|it| Item::of_resource(types, it)));
    }
    if let Some(entries) = root(&on.env.root_resource).and_then(|it| it.get("entry")) {
        for entry in entries.items() {
            on.charge(1)?;
            let is_it = entry.string("fullUrl").is_some_and(|url| {
                url == reference || url.strip_suffix(&*reference).is_some_and(|base| base.ends_with('/'))
            });
            if is_it && let Some(resource) = entry.get("resource") {
                return Ok(Item::of_resource(types, resource));
            }
        }
    }
    if let Some(node) = on.env.surroundings.and_then(|it| it.resolve(&reference)) {
        return Ok(Item::of_resource(types, node));
    }
    Ok(match Reference::parse(&reference) {
        Some(Reference::Resource { resource_type, .. }) => types
            .id(resource_type.name())
            .map(|type_id| Item::Element(Element { node: None, companion: None, type_id })),
        _ => None,
    })
}
