//! What an expression works on: elements in place, and values.

use crate::fhir::json::{Kind, Node};
use crate::fhir::types::{TypeId, Types};
use rust_decimal::Decimal;
use std::borrow::Cow;

/// One thing in a collection.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// A value in a resource, where it stands.
    Element(Element<'a>),
    /// A value that was computed or written in the expression.
    Value(Value<'a>),
}

/// An element in place.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The JSON value; nothing where a primitive has only extensions.
    pub node: Option<Node<'a>>,
    /// The companion of a primitive, `_name`, with its id and extensions.
    pub companion: Option<Node<'a>>,
    /// Its type.
    pub type_id: TypeId,
}

/// A value of FHIRPath's own types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Boolean
    Boolean(bool),
    /// Integer
    Integer(i64),
    /// Decimal
    Decimal(Decimal),
    /// String
    String(Cow<'a, str>),
    /// Date or DateTime, as text
    Date(Cow<'a, str>),
    /// Time, as text
    Time(Cow<'a, str>),
    /// Quantity
    Quantity(Decimal, Cow<'a, str>),
}

impl<'a> Item<'a> {
    /// A resource, or one inside another.
    #[must_use]
    pub fn of_resource(types: &Types, node: Node<'a>) -> Option<Item<'a>> {
        let type_id = types.id(&node.string("resourceType")?)?;
        Some(Item::Element(Element { node: Some(node), companion: None, type_id }))
    }

    /// The value, if it is a primitive or a Quantity.
    #[must_use]
    pub fn value(&self, types: &Types) -> Option<Value<'a>> {
        match self {
            Item::Value(value) => Some(value.clone()),
            Item::Element(element) => element.value(types),
        }
    }
}

impl<'a> Element<'a> {
    fn value(&self, types: &Types) -> Option<Value<'a>> {
        let node = self.node?;
        match (node.kind(), types.name(self.type_id)) {
            (Kind::Boolean, _) => node.as_bool().map(Value::Boolean),
            (Kind::Number, "decimal") => node.raw().parse().ok().map(Value::Decimal),
            (Kind::Number, _) => node.raw().parse().ok().map(Value::Integer),
            (Kind::String, "date" | "dateTime" | "instant") => node.as_str().map(Value::Date),
            (Kind::String, "time") => node.as_str().map(Value::Time),
            (Kind::String, _) => node.as_str().map(Value::String),
            (
                Kind::Object,
                "Quantity" | "Age" | "Distance" | "Duration" | "Count" | "Money" | "SimpleQuantity",
            ) => {
                let number = node.get("value")?.as_number()?.parse().ok()?;
                Some(Value::Quantity(
                    number,
                    node.string("code").or_else(|| node.string("unit")).unwrap_or_default(),
                ))
            }
            _ => None,
        }
    }
}
