//! One value of a row, of the type that its column says.
//!
//! # Decision 2026-11-25
//! A column without a type takes each value as it is, and is text where a format wants one type for all. A value
//! that is not of its column's type refuses the run: a column of numbers that quietly lost one would be worse. Only
//! text takes every primitive, as it is written.

use crate::fhir::date_time::DateTime;
use crate::fhir::json::quote;
use crate::fhir::types::Types;
use crate::fhirpath::value::{Item, Value};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `boolean`
    Boolean,
    /// `integer`, `positiveInt`, `unsignedInt`
    Integer,
    /// `integer64`
    Long,
    /// `decimal`
    Decimal,
    /// `date`
    Date,
    /// `dateTime`, `instant`
    Moment,
    /// Every other primitive.
    Text,
    /// No type is said.
    Any,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// true or false
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal, with the digits that it was written with.
    Decimal(Box<str>),
    /// Text, and dates as they are written.
    Text(Box<str>),
    /// Several: of a column that is a collection.
    List(Vec<Cell>),
}

impl Kind {
    /// The kind of a type's name, or of its URL; nothing where it is no primitive.
    #[must_use]
    pub fn named(types: &Types, name: &str) -> Option<Kind> {
        let fhir = name.strip_prefix("http://hl7.org/fhir/StructureDefinition/");
        let system = name.strip_prefix("http://hl7.org/fhirpath/System.");
        Some(match fhir.or(system).unwrap_or(name) {
            "boolean" | "Boolean" => Kind::Boolean,
            "integer" | "positiveInt" | "unsignedInt" | "Integer" => Kind::Integer,
            "integer64" => Kind::Long,
            "decimal" | "Decimal" => Kind::Decimal,
            "date" | "Date" => Kind::Date,
            "dateTime" | "instant" | "DateTime" => Kind::Moment,
            "String" | "Time" => Kind::Text,
            name if types.id(name).is_some_and(|it| types.is_primitive(it)) => Kind::Text,
            _ => return None,
        })
    }

    /// The value of an item for such a column; nothing where it is not of the kind.
    pub(super) fn cell(self, types: &Types, item: &Item<'_>) -> Option<Cell> {
        let raw = match item {
            Item::Element(element) if !types.is_primitive(element.type_id) => return None,
            Item::Element(element) => element.node.and_then(|it| it.as_number()),
            Item::Value(_) => None,
        };
        let Some(value) = item.value(types) else { return Some(Cell::Null) };
        let whole = |it: i64| match self {
            Kind::Integer => i32::try_from(it).is_ok(),
            _ => true,
        };
        Some(match (self, value) {
            (Kind::Boolean | Kind::Any, Value::Boolean(it)) => Cell::Boolean(it),
            (Kind::Integer | Kind::Long | Kind::Any, Value::Integer(it)) if whole(it) => Cell::Integer(it),
            (Kind::Decimal, Value::Integer(it)) => Cell::Decimal(it.to_string().into()),
            (Kind::Decimal | Kind::Any, Value::Decimal(it)) => {
                Cell::Decimal(raw.map_or_else(|| it.to_string().into(), Into::into))
            }
            (Kind::Date, Value::Date(it)) if !it.contains('T') => date(&it)?,
            (Kind::Moment, Value::Date(it)) => date(&it)?,
            (Kind::Any, Value::Date(it)) => Cell::Text(it.into()),
            (Kind::Any, Value::String(it) | Value::Time(it)) => Cell::Text(it.into()),
            (Kind::Text, Value::Decimal(it)) => {
                Cell::Text(raw.map_or_else(|| it.to_string().into(), Into::into))
            }
            (Kind::Text, Value::Quantity(..) | Value::Type(..)) => return None,
            (Kind::Text, value) => Cell::Text(value.to_text().into()),
            _ => return None,
        })
    }
}

/// A date as it is written, if it can be read.
fn date(text: &str) -> Option<Cell> {
    DateTime::parse_search(text).map(|_| Cell::Text(text.into()))
}

impl Cell {
    /// Adds the cell as JSON.
    pub fn push_json(&self, out: &mut String) {
        match self {
            Cell::Null => out.push_str("null"),
            Cell::Boolean(it) => out.push_str(if *it { "true" } else { "false" }),
            Cell::Integer(it) => out.push_str(&it.to_string()),
            Cell::Decimal(it) => out.push_str(it),
            Cell::Text(it) => out.push_str(&quote(it)),
            Cell::List(cells) => {
                out.push('[');
                for (place, cell) in cells.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    cell.push_json(out);
                }
                out.push(']');
            }
        }
    }

    /// The cell as text; nothing for nothing. Several are an array of JSON.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Cell::Null => None,
            Cell::Text(it) | Cell::Decimal(it) => Some(it.to_string()),
            cell => {
                let mut text = String::new();
                cell.push_json(&mut text);
                Some(text)
            }
        }
    }
}
