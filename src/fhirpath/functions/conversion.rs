//! Conversion. <http://hl7.org/fhirpath/N1/#conversion>

use super::{Given, Table, given_one};
use crate::fhir::date_time::{DateTime, Time};
use crate::fhirpath::evaluate::{Items, Result, boolean};
use crate::fhirpath::quantity;
use crate::fhirpath::value::{Item, Value};
use rust_decimal::Decimal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) struct Name {
    to: Target,
    /// `convertsToX`: only whether it could be done.
    is_question: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Boolean,
    Integer,
    Long,
    Decimal,
    String,
    Date,
    DateTime,
    Time,
    Quantity,
}

const fn to(to: Target) -> Name {
    Name { to, is_question: false }
}

const fn asks(to: Target) -> Name {
    Name { to, is_question: true }
}

pub(super) const TABLE: &Table<Name> = &[
    ("toBoolean", to(Target::Boolean), 0, 0),
    ("toInteger", to(Target::Integer), 0, 0),
    ("toLong", to(Target::Long), 0, 0),
    ("toDecimal", to(Target::Decimal), 0, 0),
    ("toString", to(Target::String), 0, 0),
    ("toDate", to(Target::Date), 0, 0),
    ("toDateTime", to(Target::DateTime), 0, 0),
    ("toTime", to(Target::Time), 0, 0),
    ("toQuantity", to(Target::Quantity), 0, 1),
    ("convertsToBoolean", asks(Target::Boolean), 0, 0),
    ("convertsToInteger", asks(Target::Integer), 0, 0),
    ("convertsToLong", asks(Target::Long), 0, 0),
    ("convertsToDecimal", asks(Target::Decimal), 0, 0),
    ("convertsToString", asks(Target::String), 0, 0),
    ("convertsToDate", asks(Target::Date), 0, 0),
    ("convertsToDateTime", asks(Target::DateTime), 0, 0),
    ("convertsToTime", asks(Target::Time), 0, 0),
    ("convertsToQuantity", asks(Target::Quantity), 0, 1),
];

pub(super) fn call<'a>(name: Name, focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let value = match focus {
        [] => return Ok(Items::new()),
        [item] => item.value(given.on.env.types),
        _ => return Err(crate::fhirpath::EvaluationError::NotSingle),
    };
    let mut converted = value.and_then(|value| convert(name.to, value));
    // A unit that is asked for: only what measures the same can be converted.
    if name.to == Target::Quantity && given.has(0) {
        let unit = given.text(0)?;
        converted = converted.filter(|it| match (it, &unit) {
            (Value::Quantity(_, has), Some(unit)) => quantity::is_comparable(has, unit),
            _ => false,
        });
    }
    Ok(if name.is_question { boolean(converted.is_some()) } else { given_one(converted) })
}

fn convert(to: Target, value: Value<'_>) -> Option<Value<'_>> {
    match to {
        Target::Boolean => to_boolean(&value).map(Value::Boolean),
        Target::Integer | Target::Long => {
            let number = match &value {
                Value::Integer(it) => *it,
                Value::Boolean(it) => i64::from(*it),
                Value::String(text) => text.parse().ok()?,
                _ => return None,
            };
            let is_in_range = to == Target::Long || i32::try_from(number).is_ok();
            is_in_range.then_some(Value::Integer(number))
        }
        Target::Decimal => match &value {
            Value::Integer(it) => Some(Value::Decimal(Decimal::from(*it))),
            Value::Decimal(it) => Some(Value::Decimal(*it)),
            Value::Boolean(it) => {
                Some(Value::Decimal(if *it { Decimal::new(10, 1) } else { Decimal::new(0, 1) }))
            }
            Value::String(text) => plain_decimal(text).map(Value::Decimal),
            _ => None,
        },
        Target::String => match value {
            Value::Type(..) => None,
            value => Some(Value::String(value.to_text().into())),
        },
        Target::Date => match &value {
            Value::Date(text) | Value::String(text) => {
                // A date with a time loses it.
                DateTime::parse_literal(text)?;
                let date = text.split('T').next().unwrap_or_default();
                let is_string = matches!(value, Value::String(_));
                (!is_string || date == &**text).then(|| Value::Date(date.to_owned().into()))
            }
            _ => None,
        },
        Target::DateTime => match value {
            Value::Date(text) | Value::String(text) => {
                DateTime::parse_literal(&text)?;
                let text = if text.contains('T') { text } else { format!("{text}T").into() };
                Some(Value::Date(text))
            }
            _ => None,
        },
        Target::Time => match value {
            Value::Time(text) => Some(Value::Time(text)),
            Value::String(text) => {
                Time::parse_literal(&text)?;
                Some(Value::Time(text))
            }
            _ => None,
        },
        Target::Quantity => match value {
            Value::Quantity(..) => Some(value),
            Value::Integer(it) => Some(Value::Quantity(Decimal::from(it), "1".into())),
            Value::Decimal(it) => Some(Value::Quantity(it, "1".into())),
            Value::Boolean(it) => Some(Value::Quantity(Decimal::new(if it { 10 } else { 0 }, 1), "1".into())),
            Value::String(text) => quantity::parse(&text),
            _ => None,
        },
    }
}

fn to_boolean(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Boolean(it) => Some(*it),
        Value::Integer(1) => Some(true),
        Value::Integer(0) => Some(false),
        Value::Decimal(it) if *it == Decimal::ONE => Some(true),
        Value::Decimal(it) if it.is_zero() => Some(false),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// `(\+|-)?\d+(\.\d+)?`
fn plain_decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits(whole) && is_digits(fraction) { text.parse().ok() } else { None }
}
