//! A value of an element: what stands in the JSON, with its companion and its type.

use crate::fhir::json::Node;
use crate::fhir::types::{TypeId, Types};
use crate::fhirpath::value::{Element, Item};
use smallvec::SmallVec;

/// One value of an element.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    /// The JSON value; nothing where a primitive has only extensions.
    pub(super) node: Option<Node<'a>>,
    /// `_name`: the id and extensions of a primitive.
    pub(super) companion: Option<Node<'a>>,
    pub(super) type_id: TypeId,
}

/// The values of an element: mostly one.
pub(super) type Values<'a> = SmallVec<[Value<'a>; 2]>;

impl<'a> Value<'a> {
    pub(super) fn of(node: Node<'a>, type_id: TypeId) -> Value<'a> {
        Value { node: Some(node), companion: None, type_id }
    }

    /// A node to point at in a message.
    pub(super) fn place(self) -> Option<Node<'a>> {
        self.node.or(self.companion)
    }

    pub(super) fn item(self) -> Item<'a> {
        Item::Element(Element { node: self.node, companion: self.companion, type_id: self.type_id })
    }

    /// The values of an element inside; `name` is spelled as in a definition, `value[x]` for a choice.
    pub(super) fn children(self, types: &Types, name: &str) -> Values<'a> {
        let mut out = Values::new();
        if types.is_primitive(self.type_id) {
            let inner = match name {
                "extension" => types.id("Extension"),
                "id" => types.id("string"),
                _ => None,
            };
            if let (Some(companion), Some(type_id)) = (self.companion, inner) {
                push(types, companion, name, type_id, &mut out);
            }
            return out;
        }
        let Some(node) = self.node.filter(|it| it.is_object()) else { return out };
        match name.strip_suffix("[x]") {
            None => {
                if let Some(member) = types.member(self.type_id, name) {
                    push(types, node, name, member.type_id, &mut out);
                }
            }
            Some(stem) => {
                for (key, _) in node.members() {
                    let Some(key) = key.as_str() else { continue };
                    let plain = key.strip_prefix('_').unwrap_or(&key);
                    if !plain.starts_with(stem) || (key.starts_with('_') && node.get(plain).is_some()) {
                        continue;
                    }
                    let member = types.member(self.type_id, plain);
                    if let Some(member) =
                        member.filter(|it| it.element.is_choice && *it.element.name == *stem)
                    {
                        push(types, node, plain, member.type_id, &mut out);
                    }
                }
            }
        }
        out
    }
}

fn push<'a>(types: &Types, of: Node<'a>, name: &str, type_id: TypeId, out: &mut Values<'a>) {
    let companion = if types.is_primitive(type_id) { of.get(&format!("_{name}")) } else { None };
    let mut companions = companion.into_iter().flat_map(Node::each);
    for node in of.get(name).into_iter().flat_map(Node::each) {
        let companion = companions.next().filter(|it| !it.is_null());
        let node = Some(node).filter(|it| !it.is_null());
        // A resource inside a resource says itself what it is.
        let inner = node.and_then(|it| it.string("resourceType")).and_then(|name| types.id(&name));
        let type_id = if types.is_primitive(type_id) { type_id } else { inner.unwrap_or(type_id) };
        if node.is_some() || companion.is_some() {
            out.push(Value { node, companion, type_id });
        }
    }
    for companion in companions.filter(|it| !it.is_null()) {
        out.push(Value { node: None, companion: Some(companion), type_id });
    }
}
