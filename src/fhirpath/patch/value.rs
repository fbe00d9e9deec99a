//! What a patch gives for a value, spelled as the element asks.

use crate::fhir::json::{Kind, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::tree::Tree;
use crate::fhir::types::{Element, Member, TypeId, Types};

/// A value as it stands in JSON: under a name, with the companion of a primitive.
pub(super) struct Spelled {
    pub(super) name: String,
    pub(super) value: Option<Tree>,
    pub(super) companion: Option<Tree>,
}

/// A part of a patch that gives a value.
#[derive(Clone, Copy)]
pub(super) struct Given<'t, 'p> {
    pub(super) types: &'t Types,
    pub(super) part: Node<'p>,
}

/// The element of that name: `value`, and for those who write it out, `valueString`.
pub(super) fn element_named<'t>(types: &'t Types, of: TypeId, name: &str) -> Option<&'t Element> {
    let elements = &types.get(of)?.elements;
    let by_name = elements.iter().find(|it| *it.name == *name);
    by_name.or_else(|| types.member(of, name).map(|Member { element, .. }| element))
}

/// The names that an element may have in JSON.
pub(super) fn spellings<'t>(types: &'t Types, element: &'t Element) -> impl Iterator<Item = String> + 't {
    element.types.iter().map(|type_id| types.json_name(element, *type_id))
}

impl Given<'_, '_> {
    /// The value under the name that the element then has; `said` is the name in the patch.
    pub(super) fn spelled(self, element: &Element, said: &str) -> Result<Spelled, Outcome> {
        let types = self.types;
        if let Some(resource) = self.part.get("resource") {
            let takes_resources = element.types.iter().any(|it| types.name(*it) == "Resource");
            if !takes_resources {
                return Err(another_type());
            }
            return Ok(Spelled {
                name: element.name.to_string(),
                value: Some(Tree::of(resource)),
                companion: None,
            });
        }
        if let Some(parts) = self.part.get("part") {
            let [of] = element.types.as_slice() else {
                return Err(Outcome::invalid("a choice of types needs a value of one of them, not parts"));
            };
            if types.is_primitive(*of) {
                return Err(another_type());
            }
            let value = object_of(types, *of, parts)?;
            return Ok(Spelled { name: types.json_name(element, *of), value: Some(value), companion: None });
        }
        self.plain(element, said)
    }

    /// `valueX` and its companion.
    fn plain(self, element: &Element, said: &str) -> Result<Spelled, Outcome> {
        let types = self.types;
        let parameter = types.id("Parameters.parameter");
        let member = self.part.members().find_map(|(key, _)| {
            let key = key.as_str()?;
            let plain = key.strip_prefix('_').unwrap_or(&key);
            let member = parameter.and_then(|it| types.member(it, plain))?;
            member.element.is_choice.then(|| (plain.to_owned(), member.type_id))
        });
        let Some((key, given)) = member else { return Err(Outcome::required("the part value has no value")) };
        let value = self.part.get(&key);
        let companion = self.part.get(&format!("_{key}"));
        let of = fitting(types, element, given, value, said).ok_or_else(another_type)?;
        Ok(Spelled {
            name: types.json_name(element, of),
            value: value.map(Tree::of),
            companion: companion.map(Tree::of),
        })
    }
}

/// The type that a given value has as this element: its own, or one that is spelled alike.
fn fitting(
    types: &Types,
    element: &Element,
    given: TypeId,
    value: Option<Node<'_>>,
    said: &str,
) -> Option<TypeId> {
    if element.types.contains(&given) {
        return Some(given);
    }
    // `valueCode` where the path says `valueCode` but the patch could only give a string.
    let named = element.types.iter().find(|it| types.json_name(element, **it) == said);
    let only = match element.types.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    let wanted = *named.or(only)?;
    if types.is_primitive(wanted) && types.is_primitive(given) {
        let kind = match types.name(wanted) {
            "boolean" => Kind::Boolean,
            "decimal" | "integer" | "positiveInt" | "unsignedInt" => Kind::Number,
            _ => Kind::String,
        };
        return value.is_none_or(|it| it.kind() == kind).then_some(wanted);
    }
    // Age is a Quantity, and the patch may give either.
    (types.is_a(wanted, given) || types.is_a(given, wanted)).then_some(wanted)
}

/// An element built of parts, each with its name and value.
fn object_of(types: &Types, of: TypeId, parts: Node<'_>) -> Result<Tree, Outcome> {
    let mut object = Tree::Object(Vec::new());
    for part in parts.items() {
        let name = part.string("name").ok_or_else(|| Outcome::required("a part has no name"))?;
        let element = element_named(types, of, &name)
            .ok_or_else(|| Outcome::value("a part has a name that the element does not know"))?;
        let spelled = Given { types, part }.spelled(element, &name)?;
        let is_taken = spellings(types, element).any(|it| object.get(&it).is_some());
        if element.is_list() {
            let end = super::place::length(&object, &spelled.name);
            super::place::put(&mut object, spelled, Some(end))?;
        } else if is_taken {
            return Err(Outcome::invalid("a part is there twice, but the element may stand only once"));
        } else {
            super::place::put(&mut object, spelled, None)?;
        }
    }
    Ok(object)
}

fn another_type() -> Outcome {
    Outcome::value("the value is of another type than the element")
}
