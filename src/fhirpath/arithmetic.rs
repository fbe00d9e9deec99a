//! `+ - * / div mod`. <http://hl7.org/fhirpath/N1/#math-2>
//!
//! What overflows has no result: the specification makes it empty.

use super::EvaluationError;
use super::ast::Operator;
use super::equality::{as_quantity, decimal};
use super::value::Value;
use super::{moment, quantity};
use rust_decimal::Decimal;

type Result<T> = std::result::Result<T, EvaluationError>;

/// `-x`, `+x`
pub(super) fn sign(value: Value<'_>, is_negated: bool) -> Result<Value<'_>> {
    Ok(match value {
        Value::Integer(it) if is_negated => Value::Integer(it.checked_neg().ok_or(EvaluationError::Operand)?),
        Value::Decimal(it) if is_negated => Value::Decimal(-it),
        Value::Quantity(it, unit) if is_negated => Value::Quantity(-it, unit),
        Value::Integer(_) | Value::Decimal(_) | Value::Quantity(..) => value,
        _ => return Err(EvaluationError::Operand),
    })
}

/// One of the operators on two values; nothing where there is no result.
pub(super) fn compute<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
) -> Result<Option<Value<'a>>> {
    match (&left, &right) {
        (Value::String(one), Value::String(other)) if operator == Operator::Add => {
            Ok(Some(Value::String(format!("{one}{other}").into())))
        }
        (Value::Date(_) | Value::Time(_), Value::Quantity(number, unit)) => {
            let number = match operator {
                Operator::Add => *number,
                Operator::Subtract => -*number,
                _ => return Err(EvaluationError::Operand),
            };
            Ok(match &left {
                Value::Time(text) => {
                    moment::add_to_time(text, number, unit)?.map(|it| Value::Time(it.into()))
                }
                Value::Date(text) => moment::add(text, number, unit)?.map(|it| Value::Date(it.into())),
                _ => None,
            })
        }
        (Value::Integer(one), Value::Integer(other)) if operator != Operator::Divide => {
            Ok(integers(operator, *one, *other).map(Value::Integer))
        }
        _ => match (decimal(&left), decimal(&right)) {
            (Some(one), Some(other)) => Ok(decimals(operator, one, other)),
            _ => quantities(operator, left, right),
        },
    }
}

fn integers(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Div => left.checked_div(right),
        Operator::Mod => left.checked_rem(right),
        _ => None,
    }
}

fn decimals<'a>(operator: Operator, left: Decimal, right: Decimal) -> Option<Value<'a>> {
    match operator {
        Operator::Add => left.checked_add(right).map(Value::Decimal),
        Operator::Subtract => left.checked_sub(right).map(Value::Decimal),
        Operator::Multiply => left.checked_mul(right).map(Value::Decimal),
        Operator::Divide => left.checked_div(right).map(Value::Decimal),
        Operator::Div => {
            let whole = left.checked_div(right)?.trunc();
            i64::try_from(whole).ok().map(Value::Integer)
        }
        Operator::Mod => left.checked_rem(right).map(Value::Decimal),
        _ => None,
    }
}

fn quantities<'a>(operator: Operator, left: Value<'a>, right: Value<'a>) -> Result<Option<Value<'a>>> {
    match operator {
        Operator::Multiply | Operator::Divide => {
            let one = as_quantity(&left).ok_or(EvaluationError::Operand)?;
            let other = as_quantity(&right).ok_or(EvaluationError::Operand)?;
            quantity::scale(one, other, operator == Operator::Divide)
        }
        Operator::Add | Operator::Subtract => {
            let sign = if operator == Operator::Add { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
            match (left, right) {
                (Value::Quantity(one, unit), Value::Quantity(other, other_unit)) => {
                    quantity::add((one, unit), (other, other_unit), sign)
                }
                _ => Err(EvaluationError::Operand),
            }
        }
        _ => Err(EvaluationError::Operand),
    }
}
