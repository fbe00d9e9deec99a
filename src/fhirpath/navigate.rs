//! From an element to its children, in place.
//!
//! <https://hl7.org/fhir/R4/fhirpath.html#paths>: names are those of the element definitions
//! (`value`, not `valueQuantity`), and a primitive has the children of its companion.

use super::EvaluationError;
use super::evaluate::{Evaluator, Items, Result};
use super::value::{Element, Item, Value};
use crate::fhir::json::Node;
use crate::fhir::types::TypeId;
use smallvec::SmallVec;

impl<'a> Evaluator<'_, 'a> {
    /// At the start of a path a type's name means the focus itself, if it is of that type.
    pub(super) fn member_or_type(&self, this: &Item<'a>, name: &str) -> Result<Items<'a>> {
        if name.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            let types = self.env.types;
            let is_it = matches!(this, Item::Element(it)
                if types.id(name).is_some_and(|wanted| types.is_a(it.type_id, wanted)));
            return Ok(if is_it { [this.clone()].into_iter().collect() } else { Items::new() });
        }
        self.members(std::slice::from_ref(this), name)
    }

    /// The children of that name.
    pub(super) fn members(&self, on: &[Item<'a>], name: &str) -> Result<Items<'a>> {
        let mut out = Items::new();
        for item in on {
            self.charge(1)?;
            match item {
                Item::Element(element) => self.push_members(element, name, &mut out),
                Item::Value(Value::Type(space, type_name)) => match name {
                    "namespace" => out.push(Item::Value(Value::String((*space).into()))),
                    "name" => out.push(Item::Value(Value::String(type_name.clone()))),
                    "baseType" => out.extend(self.base_type(space, type_name)),
                    _ => {}
                },
                Item::Value(_) => {}
            }
        }
        self.charge_items(out.len())?;
        Ok(out)
    }

    fn base_type(&self, space: &str, name: &str) -> Option<Item<'a>> {
        let types = self.env.types;
        let base = types.id(name).filter(|_| space == "FHIR").and_then(|id| types.get(id)?.base);
        let text = match base {
            Some(base) => format!("FHIR.{}", types.name(base)),
            None => "System.Any".to_owned(),
        };
        Some(Item::Value(Value::String(text.into())))
    }

    fn charge_items(&self, count: usize) -> Result<()> {
        self.charge(u32::try_from(count).map_err(|_| EvaluationError::TooCostly)?)
    }

    fn push_members(&self, element: &Element<'a>, name: &str, out: &mut Items<'a>) {
        let types = self.env.types;
        if let Some(node) = element.node.filter(|node| node.is_object()) {
            if let Some(member) =
                types.member(element.type_id, name).filter(|member| !member.element.is_choice)
            {
                self.push_values(node, name, member.type_id, out);
                return;
            }
            // A choice: value → valueQuantity.
            let Some(of) = types.get(element.type_id) else { return };
            if let Some(choice) = of.elements.iter().find(|it| it.is_choice && *it.name == *name) {
                for (key, _) in node.members() {
                    let Some(key) = key.as_str() else { continue };
                    let plain = key.strip_prefix('_').unwrap_or(&key);
                    if !plain.starts_with(name) || (key.starts_with('_') && node.get(plain).is_some()) {
                        continue;
                    }
                    if let Some(member) = types.member(element.type_id, plain)
                        && std::ptr::eq(member.element, choice)
                    {
                        self.push_values(node, plain, member.type_id, out);
                    }
                }
            }
        }
        if let Some(companion) = element.companion {
            let type_id = match name {
                "extension" => types.id("Extension"),
                "id" => types.id("string"),
                _ => None,
            };
            if let Some(type_id) = type_id {
                self.push_values(companion, name, type_id, out);
            }
        }
    }

    fn push_values(&self, of: Node<'a>, name: &str, type_id: TypeId, out: &mut Items<'a>) {
        let (value, companion) = if self.env.types.is_primitive(type_id) {
            with_companion(of, name)
        } else {
            (of.get(name), None)
        };
        self.push_pair(value, companion, type_id, out);
    }

    fn push_pair(
        &self,
        value: Option<Node<'a>>,
        companion: Option<Node<'a>>,
        type_id: TypeId,
        out: &mut Items<'a>,
    ) {
        let types = self.env.types;
        let mut companions = companion.into_iter().flat_map(Node::each);
        for node in value.into_iter().flat_map(Node::each) {
            let companion = companions.next().filter(|it| !it.is_null());
            let node = Some(node).filter(|node| !node.is_null());
            if node.is_none() && companion.is_none() {
                continue;
            }
            // A resource inside a resource says itself what it is.
            let inner = node
                .filter(|_| types.name(type_id) == "Resource")
                .and_then(|node| Item::of_resource(types, node));
            out.push(inner.unwrap_or(Item::Element(Element { node, companion, type_id })));
        }
        for companion in companions.filter(|it| !it.is_null()) {
            out.push(Item::Element(Element { node: None, companion: Some(companion), type_id }));
        }
    }

    /// All children, in the order of the definition.
    pub(super) fn children(&self, of: &[Item<'a>]) -> Result<Items<'a>> {
        let types = self.env.types;
        let mut out = Items::new();
        for item in of {
            self.charge(1)?;
            let Item::Element(element) = item else { continue };
            if let Some(node) = element.node.filter(|it| it.is_object()) {
                // By member of the JSON, not of the type: most elements have few of their many children.
                let mut found: SmallVec<[Child<'a>; 16]> = SmallVec::new();
                for (key, value) in node.members() {
                    let Some(key) = key.as_str() else { continue };
                    let plain = key.strip_prefix('_').unwrap_or(&key);
                    let Some(member) = types.member(element.type_id, plain) else { continue };
                    let is_companion = plain.len() != key.len();
                    let type_id = member.type_id;
                    let place = std::ptr::from_ref(member.element).addr();
                    let known = found.iter().position(|it| it.place == place && it.type_id == type_id);
                    let at = known.unwrap_or_else(|| {
                        found.push(Child { place, type_id, value: None, companion: None });
                        found.len() - 1
                    });
                    if let Some(child) = found.get_mut(at) {
                        *(if is_companion { &mut child.companion } else { &mut child.value }) = Some(value);
                    }
                }
                // The elements of a type stand in one slice, in the order of its definition.
                found.sort_by_key(|it| it.place);
                for child in found {
                    self.push_pair(child.value, child.companion, child.type_id, &mut out);
                }
            } else if element.companion.is_some() {
                for name in ["id", "extension"] {
                    self.push_members(element, name, &mut out);
                }
            }
        }
        self.charge_items(out.len())?;
        Ok(out)
    }
}

/// What one element has for a child.
struct Child<'a> {
    /// Where its definition stands: only for the order.
    place: usize,
    type_id: TypeId,
    value: Option<Node<'a>>,
    companion: Option<Node<'a>>,
}

/// `name`, and `_name` beside it, in one walk over the members.
fn with_companion<'a>(of: Node<'a>, name: &str) -> (Option<Node<'a>>, Option<Node<'a>>) {
    let (mut value, mut companion) = (None, None);
    for (key, node) in of.members() {
        let Some(key) = key.as_str() else { continue };
        if key == name {
            value = Some(node);
        } else if key.strip_prefix('_').is_some_and(|it| it == name) {
            companion = Some(node);
        }
    }
    (value, companion)
}
