//! Numbers. <http://hl7.org/fhirpath/N1/#math>, and the boundaries of what is written,
//! <http://hl7.org/fhirpath/#lowboundary-precision-integer-decimal--date--datetime--time>

use super::{Given, Table, count, given_one};
use crate::fhirpath::EvaluationError;
use crate::fhirpath::ast::Operator;
use crate::fhirpath::equality::{as_quantity, compare, decimal};
use crate::fhirpath::evaluate::{Items, Result};
use crate::fhirpath::value::{Element, Item, Value};
use crate::fhirpath::{arithmetic, moment, quantity};
use rust_decimal::prelude::{FromPrimitive as _, ToPrimitive as _};
use rust_decimal::{Decimal, RoundingStrategy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Abs,
    Ceiling,
    Exp,
    Floor,
    Ln,
    Log,
    Power,
    Round,
    Sqrt,
    Truncate,
    Sum,
    Min,
    Max,
    Avg,
    LowBoundary,
    HighBoundary,
    Precision,
    Comparable,
}

pub(super) const TABLE: &Table<Name> = &[
    ("abs", Name::Abs, 0, 0),
    ("ceiling", Name::Ceiling, 0, 0),
    ("exp", Name::Exp, 0, 0),
    ("floor", Name::Floor, 0, 0),
    ("ln", Name::Ln, 0, 0),
    ("log", Name::Log, 1, 1),
    ("power", Name::Power, 1, 1),
    ("round", Name::Round, 0, 1),
    ("sqrt", Name::Sqrt, 0, 0),
    ("truncate", Name::Truncate, 0, 0),
    ("sum", Name::Sum, 0, 0),
    ("min", Name::Min, 0, 0),
    ("max", Name::Max, 0, 0),
    ("avg", Name::Avg, 0, 0),
    ("lowBoundary", Name::LowBoundary, 0, 1),
    ("highBoundary", Name::HighBoundary, 0, 1),
    ("precision", Name::Precision, 0, 0),
    ("comparable", Name::Comparable, 1, 1),
];

pub(super) fn call<'a>(name: Name, focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    if matches!(name, Name::Sum | Name::Min | Name::Max | Name::Avg) {
        return over_all(name, focus, given);
    }
    let Some(value) = given.on.single(focus)? else { return Ok(Items::new()) };
    Ok(given_one(match name {
        Name::LowBoundary | Name::HighBoundary => {
            let digits = if given.has(0) { given.integer(0)? } else { None };
            // FHIR's dateTime is one even where only its year is written.
            let is_date_time = matches!(focus, [Item::Element(Element { type_id, .. })]
                if matches!(given.on.env.types.name(*type_id), "dateTime" | "instant"));
            boundary(&value, is_date_time, digits, name == Name::HighBoundary)?
        }
        Name::Precision => Some(match &value {
            Value::Integer(_) => Value::Integer(0),
            Value::Decimal(it) => Value::Integer(i64::from(it.scale())),
            Value::Date(text) => count(moment::digits(text)),
            Value::Time(text) => count(text.bytes().filter(u8::is_ascii_digit).count()),
            _ => return Err(EvaluationError::Operand),
        }),
        Name::Comparable => match (value, given.on.single(&given.argument(0)?)?) {
            (Value::Quantity(_, one), Some(Value::Quantity(_, other))) => {
                Some(Value::Boolean(quantity::is_comparable(&one, &other)))
            }
            (_, None) => None,
            _ => return Err(EvaluationError::Operand),
        },
        Name::Abs => Some(match value {
            Value::Integer(it) => Value::Integer(it.checked_abs().ok_or(EvaluationError::Operand)?),
            Value::Decimal(it) => Value::Decimal(it.abs()),
            Value::Quantity(it, unit) => Value::Quantity(it.abs(), unit),
            _ => return Err(EvaluationError::Operand),
        }),
        _ => {
            let number = decimal(&value).ok_or(EvaluationError::Operand)?;
            of_number(name, number, matches!(value, Value::Integer(_)), given)?
        }
    }))
}

fn of_number<'a>(
    name: Name,
    number: Decimal,
    is_integer: bool,
    given: &Given<'_, '_, 'a>,
) -> Result<Option<Value<'a>>> {
    let whole = |it: Decimal| it.to_i64().map(Value::Integer);
    let argument = || -> Result<Option<Decimal>> {
        match given.on.single(&given.argument(0)?)? {
            None => Ok(None),
            Some(value) => Ok(Some(decimal(&value).ok_or(EvaluationError::Operand)?)),
        }
    };
    Ok(match name {
        Name::Ceiling => whole(number.ceil()),
        Name::Floor => whole(number.floor()),
        Name::Truncate => whole(number.trunc()),
        Name::Round => {
            let places = if given.has(0) { given.integer(0)?.unwrap_or(0) } else { 0 };
            let places = u32::try_from(places).map_err(|_| EvaluationError::Argument)?;
            let rounded =
                number.round_dp_with_strategy(places.min(28), RoundingStrategy::MidpointAwayFromZero);
            Some(Value::Decimal(rounded))
        }
        Name::Sqrt => real(number.to_f64().map(f64::sqrt)),
        Name::Exp => real(number.to_f64().map(f64::exp)),
        Name::Ln => real(number.to_f64().map(f64::ln)),
        Name::Log => match argument()? {
            Some(base) => real(number.to_f64().zip(base.to_f64()).map(|(it, base)| logarithm(it, base))),
            None => None,
        },
        Name::Power => match argument()? {
            Some(exponent) => power(number, exponent, is_integer),
            None => None,
        },
        _ => None,
    })
}

/// The logarithm, exact where the base is one that the processor knows.
fn logarithm(number: f64, base: f64) -> f64 {
    if base == 2.0 {
        number.log2()
    } else if base == 10.0 {
        number.log10()
    } else {
        number.ln() / base.ln()
    }
}

/// What has no real value is empty.
fn real<'a>(number: Option<f64>) -> Option<Value<'a>> {
    number.filter(|it| it.is_finite()).and_then(Decimal::from_f64).map(Value::Decimal)
}

fn power<'a>(base: Decimal, exponent: Decimal, is_integer: bool) -> Option<Value<'a>> {
    let whole = exponent.to_i64().filter(|it| exponent.fract().is_zero() && (0..=256).contains(it));
    let Some(times) = whole else {
        return real(base.to_f64().zip(exponent.to_f64()).map(|(base, exponent)| base.powf(exponent)));
    };
    let product = (0..times).try_fold(Decimal::ONE, |product, _| product.checked_mul(base))?;
    if is_integer { product.to_i64().map(Value::Integer) } else { Some(Value::Decimal(product)) }
}

fn over_all<'a>(name: Name, focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let mut result: Option<Value<'a>> = None;
    let mut many = 0_i64;
    for item in focus {
        let Some(value) = given.on.single(std::slice::from_ref(item))? else { continue };
        many += 1;
        result = Some(match (result, name) {
            (None, _) => value,
            (Some(sum), Name::Sum | Name::Avg) => match arithmetic::compute(Operator::Add, sum, value)? {
                Some(sum) => sum,
                None => return Ok(Items::new()),
            },
            (Some(best), _) => match compare(&value, &best)? {
                Some(order) if order.is_lt() == (name == Name::Min) && order.is_ne() => value,
                Some(_) => best,
                None => return Ok(Items::new()),
            },
        });
    }
    match (result, name) {
        (Some(sum), Name::Avg) => {
            Ok(given_one(arithmetic::compute(Operator::Divide, sum, Value::Integer(many))?))
        }
        (result, _) => Ok(given_one(result)),
    }
}

/// The least or greatest value that what is written may stand for, to so many digits.
fn boundary<'a>(
    value: &Value<'a>,
    is_date_time: bool,
    digits: Option<i64>,
    is_high: bool,
) -> Result<Option<Value<'a>>> {
    Ok(match value {
        Value::Date(text) => {
            let has_time = is_date_time || text.contains('T');
            moment::boundary(text, has_time, digits, is_high).map(|it| Value::Date(it.into()))
        }
        Value::Time(text) => moment::time_boundary(text, digits, is_high).map(|it| Value::Time(it.into())),
        Value::Quantity(number, unit) => {
            decimal_boundary(*number, digits, is_high).map(|it| Value::Quantity(it, unit.clone()))
        }
        other => {
            let (number, _) = as_quantity(other).ok_or(EvaluationError::Operand)?;
            decimal_boundary(number, digits, is_high).map(Value::Decimal)
        }
    })
}

/// Half a unit of the last digit to either side; away from zero it is rounded, towards zero cut, as
/// HL7's own cases have it.
fn decimal_boundary(number: Decimal, digits: Option<i64>, is_high: bool) -> Option<Decimal> {
    let places = u32::try_from(digits.unwrap_or(8)).ok().filter(|it| *it <= 28)?;
    let half = Decimal::try_from_i128_with_scale(5, number.scale().checked_add(1)?).ok()?;
    let is_negative = number.is_sign_negative() && !number.is_zero();
    let size = number.abs();
    let outwards = is_high != is_negative;
    let moved = if outwards { size.checked_add(half)? } else { size.checked_sub(half)? };
    let strategy = if outwards { RoundingStrategy::MidpointAwayFromZero } else { RoundingStrategy::ToZero };
    let mut rounded = moved.round_dp_with_strategy(places, strategy);
    rounded.rescale(places);
    let result = if is_negative { -rounded } else { rounded };
    (result.scale() == places).then_some(result)
}
