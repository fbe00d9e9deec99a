//! Fixed values and patterns: whether a value is, or holds, another.

use crate::fhir::date_time::DateTime;
use crate::fhir::json::{Kind, Node};
use crate::fhirpath::is_less_quantity;
use rust_decimal::Decimal;

const UCUM: &str = "http://unitsofmeasure.org";

/// The same value: members in any order, numbers by value.
pub(super) fn is_equal(value: Node<'_>, fixed: Node<'_>) -> bool {
    match (value.kind(), fixed.kind()) {
        (Kind::Object, Kind::Object) => {
            let is_there = |(key, member): (Node<'_>, Node<'_>)| {
                key.as_str().is_some_and(|key| value.get(&key).is_some_and(|it| is_equal(it, member)))
            };
            value.members().count() == fixed.members().count() && fixed.members().all(is_there)
        }
        (Kind::Array, Kind::Array) => {
            value.items().count() == fixed.items().count()
                && value.items().zip(fixed.items()).all(|(one, other)| is_equal(one, other))
        }
        _ => is_same_leaf(value, fixed),
    }
}

/// At least what the pattern says: every member of it, and for every item of it one that holds it.
pub(super) fn holds(value: Node<'_>, pattern: Node<'_>) -> bool {
    match (value.kind(), pattern.kind()) {
        (Kind::Object, Kind::Object) => pattern.members().all(|(key, member)| {
            key.as_str().is_some_and(|key| value.get(&key).is_some_and(|it| holds(it, member)))
        }),
        (Kind::Array, Kind::Array) => {
            pattern.items().all(|wanted| value.items().any(|item| holds(item, wanted)))
        }
        _ => is_same_leaf(value, pattern),
    }
}

fn is_same_leaf(one: Node<'_>, other: Node<'_>) -> bool {
    if one.kind() != other.kind() {
        return false;
    }
    match one.kind() {
        Kind::String => one.as_str() == other.as_str(),
        Kind::Number => number(one).is_some() && number(one) == number(other),
        _ => one.raw() == other.raw(),
    }
}

/// Whether a number, a date or a quantity is certainly less than another.
pub(super) fn is_less(one: Node<'_>, other: Node<'_>) -> bool {
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return one < other;
    }
    if let (Some(one), Some(other)) = (one.as_str(), other.as_str()) {
        return match (DateTime::parse_date_time(&one), DateTime::parse_date_time(&other)) {
            (Some(one), Some(other)) => one.interval().high < other.interval().low,
            _ => false,
        };
    }
    match (one.get("value"), other.get("value")) {
        (Some(value), Some(than)) => {
            let is_same_unit = ["system", "code"].iter().all(|name| one.string(name) == other.string(name));
            if is_same_unit {
                return is_less(value, than);
            }
            let quantity = |of: Node<'_>, value| {
                of.get("system").filter(|it| it.is(UCUM))?;
                Some((number(value)?, of.string("code")?.into_owned()))
            };
            match (quantity(one, value), quantity(other, than)) {
                (Some((one, unit)), Some((other, other_unit))) => {
                    is_less_quantity((one, &unit), (other, &other_unit))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// The value of a number; nothing for one beyond what can be computed with.
pub(super) fn number(node: Node<'_>) -> Option<Decimal> {
    let digits = node.as_number()?;
    digits.parse().ok().or_else(|| Decimal::from_scientific(digits).ok())
}
