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
    /// Date or DateTime, as text; with a `T` it is a DateTime
    Date(Cow<'a, str>),
    /// Time, as text
    Time(Cow<'a, str>),
    /// Quantity; a calendar unit is spelled out: `days`
    Quantity(Decimal, Cow<'a, str>),
    /// What `type()` gives: the name space, and the name
    Type(&'static str, Cow<'a, str>),
}

/// The types of FHIRPath's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemType {
    /// Boolean
    Boolean,
    /// Integer
    Integer,
    /// Decimal
    Decimal,
    /// String
    String,
    /// Date
    Date,
    /// DateTime
    DateTime,
    /// Time
    Time,
    /// Quantity
    Quantity,
    /// Any: what all others specialise
    Any,
    /// What `type()` gives
    TypeInfo,
}

impl SystemType {
    const ALL: [(SystemType, &'static str); 10] = [
        (SystemType::Boolean, "Boolean"),
        (SystemType::Integer, "Integer"),
        (SystemType::Decimal, "Decimal"),
        (SystemType::String, "String"),
        (SystemType::Date, "Date"),
        (SystemType::DateTime, "DateTime"),
        (SystemType::Time, "Time"),
        (SystemType::Quantity, "Quantity"),
        (SystemType::Any, "Any"),
        (SystemType::TypeInfo, "TypeInfo"),
    ];

    /// The type of that name, without `System.`.
    #[must_use]
    pub fn named(name: &str) -> Option<SystemType> {
        SystemType::ALL.iter().find(|(_, it)| *it == name).map(|(it, _)| *it)
    }

    /// Its name, without `System.`.
    #[must_use]
    pub fn name(self) -> &'static str {
        SystemType::ALL.iter().find(|(it, _)| *it == self).map_or("Any", |(_, name)| name)
    }
}

impl Value<'_> {
    /// Its type.
    #[must_use]
    pub fn system_type(&self) -> SystemType {
        match self {
            Value::Boolean(_) => SystemType::Boolean,
            Value::Integer(_) => SystemType::Integer,
            Value::Decimal(_) => SystemType::Decimal,
            Value::String(_) => SystemType::String,
            Value::Date(text) if text.contains('T') => SystemType::DateTime,
            Value::Date(_) => SystemType::Date,
            Value::Time(_) => SystemType::Time,
            Value::Quantity(..) => SystemType::Quantity,
            Value::Type(..) => SystemType::TypeInfo,
        }
    }

    /// The value as `toString()` writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Value::Boolean(it) => it.to_string(),
            Value::Integer(it) => it.to_string(),
            Value::Decimal(it) => it.to_string(),
            Value::String(it) | Value::Date(it) | Value::Time(it) => it.to_string(),
            Value::Quantity(number, unit) if super::quantity::calendar_word(unit).is_some() => {
                format!("{number} {unit}")
            }
            Value::Quantity(number, unit) => format!("{number} '{unit}'"),
            Value::Type(space, name) => format!("{space}.{name}"),
        }
    }
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

    /// The name of its type, with its name space: `FHIR.Patient`, `System.String`.
    #[must_use]
    pub fn type_name(&self, types: &Types) -> String {
        match self {
            Item::Element(element) => format!("FHIR.{}", types.name(element.type_id)),
            Item::Value(value) => format!("System.{}", value.system_type().name()),
        }
    }
}

impl<'a> Element<'a> {
    /// The value, if it is a primitive or a Quantity.
    pub(super) fn value(&self, types: &Types) -> Option<Value<'a>> {
        let node = self.node?;
        match node.kind() {
            Kind::Boolean => node.as_bool().map(Value::Boolean),
            Kind::Number if types.name(self.type_id) == "decimal" => decimal(node.raw()).map(Value::Decimal),
            Kind::Number => node.raw().parse().ok().map(Value::Integer),
            Kind::String => {
                let text = node.as_str()?;
                Some(match types.name(self.type_id) {
                    "date" | "dateTime" | "instant" => Value::Date(text),
                    "time" => Value::Time(text),
                    _ => Value::String(text),
                })
            }
            Kind::Object => self.quantity(types, node),
            Kind::Null | Kind::Array => None,
        }
    }

    /// <https://hl7.org/fhir/R4/fhirpath.html#quantity>
    fn quantity(&self, types: &Types, node: Node<'a>) -> Option<Value<'a>> {
        let is_quantity = matches!(
            types.name(self.type_id),
            "Quantity" | "Age" | "Distance" | "Duration" | "Count" | "MoneyQuantity" | "SimpleQuantity"
        );
        if !is_quantity {
            return None;
        }
        let number = decimal(node.get("value")?.as_number()?)?;
        let unit = match node.string("code") {
            // Of UCUM's year and month R4 says that they are calendar units here.
            Some(code) if code == "a" => "year".into(),
            Some(code) if code == "mo" => "month".into(),
            Some(code) => code,
            None => node.string("unit").unwrap_or("1".into()),
        };
        Some(Value::Quantity(number, unit))
    }
}

/// Digits as JSON writes them, exponents included; what has too many of them is rounded.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    text.parse().or_else(|_| Decimal::from_scientific(text)).ok()
}
