//! Quantities: calendar durations and UCUM.
//!
//! <http://hl7.org/fhirpath/N1/#quantity>, <https://ucum.org/ucum>

use super::EvaluationError;
use super::value::Value;
use octofhir_ucum::Number;
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::cmp::Ordering;

/// A unit longer than this is of nobody's making but a tester's.
const LONGEST_UNIT: usize = 256;

/// The calendar units: their names, and UCUM's code where the length is always the same.
const CALENDAR: [(&str, &str, Option<&str>); 8] = [
    ("year", "years", None),
    ("month", "months", None),
    ("week", "weeks", Some("wk")),
    ("day", "days", Some("d")),
    ("hour", "hours", Some("h")),
    ("minute", "minutes", Some("min")),
    ("second", "seconds", Some("s")),
    ("millisecond", "milliseconds", Some("ms")),
];

/// A calendar unit in the singular, of `day` or `days`.
pub(super) fn calendar_word(word: &str) -> Option<&'static str> {
    CALENDAR.iter().find(|(one, many, _)| *one == word || *many == word).map(|(one, ..)| *one)
}

/// The calendar unit that a quantity added to a date means: of UCUM only units of definite length,
/// <http://hl7.org/fhirpath/N1/#datetime-arithmetic>
pub(super) fn calendar_unit(unit: &str) -> Option<&'static str> {
    calendar_word(unit)
        .or_else(|| CALENDAR.iter().find(|(_, _, code)| *code == Some(unit)).map(|(one, ..)| *one))
}

/// A quantity as `toQuantity` reads it: `4`, `4.5 'mg'`, `4 days`.
pub(super) fn parse(text: &str) -> Option<Value<'static>> {
    let text = text.trim();
    let end =
        text.find(|it: char| !(it.is_ascii_digit() || matches!(it, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    if number.ends_with('.') || number.starts_with('.') {
        return None;
    }
    let number = number.strip_prefix('+').unwrap_or(number).parse().ok()?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Some(Value::Quantity(number, "1".into()));
    }
    let unit = match unit.strip_prefix('\'') {
        Some(quoted) => quoted.strip_suffix('\'').filter(|it| !it.contains('\''))?.to_owned().into(),
        None => Cow::Owned(calendar_word(unit).map(|_| unit.to_owned())?),
    };
    Some(Value::Quantity(number, unit))
}

/// Compares two quantities; nothing where their units do not measure the same.
pub(super) fn compare(left: (Decimal, &str), right: (Decimal, &str)) -> Option<Ordering> {
    if same_unit(left.1, right.1) {
        return Some(left.0.cmp(&right.0));
    }
    match (months(left), months(right)) {
        (Some(left), Some(right)) => return Some(left.cmp(&right)),
        // A year or month of the calendar has no definite length.
        (Some(_), None) | (None, Some(_)) => return None,
        (None, None) => {}
    }
    let (left, left_unit) = canonical(left)?;
    let (right, right_unit) = canonical(right)?;
    (left_unit == right_unit).then(|| left.cmp(&right))
}

/// Whether two quantities are equivalent: to the precision of the less precise, and a year of the
/// calendar is as good as one of UCUM.
pub(super) fn equivalent(left: (Decimal, &str), right: (Decimal, &str)) -> bool {
    let ucum = |unit| match unit {
        "year" => "a",
        "month" => "mo",
        other => ucum_unit(other),
    };
    let (left_unit, right_unit) = (ucum(left.1), ucum(right.1));
    if left_unit == right_unit {
        let places = left.0.normalize().scale().min(right.0.normalize().scale());
        return left.0.round_dp(places) == right.0.round_dp(places);
    }
    match (canonical((left.0, left_unit)), canonical((right.0, right_unit))) {
        (Some((left, left_unit)), Some((right, right_unit))) => left_unit == right_unit && left == right,
        _ => false,
    }
}

/// Whether two units measure the same.
pub(super) fn is_comparable(left: &str, right: &str) -> bool {
    same_unit(left, right)
        || [left, right].iter().all(|it| it.len() <= LONGEST_UNIT)
            && octofhir_ucum::is_comparable(ucum_unit(left), ucum_unit(right)).unwrap_or(false)
}

/// The sum or difference, in the unit of the left.
pub(super) fn add<'a>(
    left: (Decimal, Cow<'a, str>),
    right: (Decimal, Cow<'a, str>),
    sign: Decimal,
) -> Result<Option<Value<'a>>, EvaluationError> {
    let right_number = if same_unit(&left.1, &right.1) {
        Some(right.0)
    } else if is_comparable(&left.1, &right.1) {
        convert((right.0, &right.1), &left.1)
    } else {
        return Err(EvaluationError::Operand);
    };
    let sum = right_number.and_then(|it| left.0.checked_add(it * sign));
    Ok(sum.map(|sum| Value::Quantity(sum, left.1)))
}

/// The number of a quantity in another unit of the same dimension.
fn convert(of: (Decimal, &str), unit: &str) -> Option<Decimal> {
    let from = octofhir_ucum::get_canonical_units(ucum_unit(of.1)).ok()?;
    let to = octofhir_ucum::get_canonical_units(ucum_unit(unit)).ok()?;
    let value = number(of.0)?.checked_mul(from.factor)?.checked_add(from.offset)?;
    let value = value.checked_sub(to.offset)?.checked_div(to.factor)?;
    super::value::decimal(&value.to_string())
}

/// The product or quotient, with the unit that it has.
pub(super) fn scale<'a>(
    left: (Decimal, &str),
    right: (Decimal, &str),
    is_division: bool,
) -> Result<Option<Value<'a>>, EvaluationError> {
    if left.1.len() > LONGEST_UNIT || right.1.len() > LONGEST_UNIT {
        return Err(EvaluationError::Operand);
    }
    let number = if is_division { left.0.checked_div(right.0) } else { left.0.checked_mul(right.0) };
    let Some(number) = number else { return Ok(None) };
    if right.1 == "1" {
        return Ok(Some(Value::Quantity(number, left.1.to_owned().into())));
    }
    let (one, other) = (ucum_unit(left.1), ucum_unit(right.1));
    let unit = if is_division {
        octofhir_ucum::unit_divide(one, other)
    } else {
        octofhir_ucum::unit_multiply(one, other)
    };
    let unit = unit.map_err(|_| EvaluationError::Operand)?;
    let text =
        if unit.is_dimensionless && unit.factor == Number::ONE { "1".to_owned() } else { unit.expression };
    Ok(Some(Value::Quantity(number, text.into())))
}

fn same_unit(left: &str, right: &str) -> bool {
    left == right || (calendar_word(left).is_some() && calendar_word(left) == calendar_word(right))
}

/// A duration of the calendar in months.
fn months(quantity: (Decimal, &str)) -> Option<Decimal> {
    match calendar_word(quantity.1)? {
        "year" => quantity.0.checked_mul(Decimal::from(12)),
        "month" => Some(quantity.0),
        _ => None,
    }
}

fn ucum_unit(unit: &str) -> &str {
    let of_calendar = |it: &&(&str, &str, Option<&'static str>)| it.0 == unit || it.1 == unit;
    CALENDAR.iter().find(of_calendar).and_then(|(.., code)| *code).unwrap_or(unit)
}

fn canonical(quantity: (Decimal, &str)) -> Option<(Number, String)> {
    if quantity.1.len() > LONGEST_UNIT {
        return None;
    }
    let unit = octofhir_ucum::get_canonical_units(ucum_unit(quantity.1)).ok()?;
    let value = number(quantity.0)?.checked_mul(unit.factor)?.checked_add(unit.offset)?;
    Some((value, unit.unit))
}

fn number(of: Decimal) -> Option<Number> {
    Number::parse(&of.to_string())
}
