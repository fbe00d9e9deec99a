//! What is equal, equivalent, less.
//!
//! <http://hl7.org/fhirpath/N1/#equality>, `#comparison`

use super::EvaluationError;
use super::evaluate::{Evaluator, Items};
use super::value::{Item, Value};
use super::{moment, quantity};
use crate::fhir::json::{Kind, Node};
use rust_decimal::Decimal;
use std::cmp::Ordering;
use std::collections::HashSet;

impl<'a> Evaluator<'_, 'a> {
    /// `=`: nothing where nobody knows.
    pub(super) fn equal_all(
        &self,
        left: &[Item<'a>],
        right: &[Item<'a>],
    ) -> Result<Option<bool>, EvaluationError> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        let mut is_known = true;
        for (left, right) in left.iter().zip(right) {
            match self.equal(left, right)? {
                Some(false) => return Ok(Some(false)),
                Some(true) => {}
                None => is_known = false,
            }
        }
        Ok(is_known.then_some(true))
    }

    /// Whether two items are equal; nothing where nobody knows.
    pub(super) fn equal(&self, left: &Item<'a>, right: &Item<'a>) -> Result<Option<bool>, EvaluationError> {
        self.charge(1)?;
        let types = self.env.types;
        match (left.value(types), right.value(types)) {
            (Some(left), Some(right)) => Ok(equal_values(&left, &right)),
            (None, None) => match (left, right) {
                (Item::Element(left), Item::Element(right)) => {
                    self.same(left.node, right.node, false).and_then(|it| {
                        Ok(Some(
                            it && (left.node.is_some()
                                || self.same(left.companion, right.companion, false)?),
                        ))
                    })
                }
                _ => Ok(Some(false)),
            },
            _ => Ok(Some(false)),
        }
    }

    /// `~`: always known, whatever the order.
    pub(super) fn equivalent_all(
        &self,
        left: &[Item<'a>],
        right: &[Item<'a>],
    ) -> Result<bool, EvaluationError> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut free: Vec<&Item<'a>> = right.iter().collect();
        for item in left {
            let mut found = None;
            for (place, other) in free.iter().enumerate() {
                if self.equivalent(item, other)? {
                    found = Some(place);
                    break;
                }
            }
            match found {
                Some(place) => drop(free.swap_remove(place)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn equivalent(&self, left: &Item<'a>, right: &Item<'a>) -> Result<bool, EvaluationError> {
        self.charge(1)?;
        let types = self.env.types;
        Ok(match (left.value(types), right.value(types)) {
            (Some(left), Some(right)) => equivalent_values(&left, &right),
            (None, None) => match (left, right) {
                (Item::Element(left), Item::Element(right)) => self.same(left.node, right.node, true)?,
                _ => false,
            },
            _ => false,
        })
    }

    /// Whether two trees hold the same, whatever the order of members.
    fn same(
        &self,
        left: Option<Node<'_>>,
        right: Option<Node<'_>>,
        is_lenient: bool,
    ) -> Result<bool, EvaluationError> {
        match (left, right) {
            (Some(left), Some(right)) if left.is_same(right) => Ok(true),
            (Some(left), Some(right)) => {
                // The spans bound what the comparison can cost.
                let size = left.span().len().max(right.span().len());
                self.charge(u32::try_from(size / 64).unwrap_or(u32::MAX))?;
                Ok(same_node(left, right, is_lenient))
            }
            (None, None) => Ok(true),
            _ => Ok(false),
        }
    }

    /// Without those that equal an earlier one.
    pub(super) fn distinct(
        &self,
        items: impl Iterator<Item = Item<'a>>,
    ) -> Result<Items<'a>, EvaluationError> {
        let mut out = Items::new();
        // Strings are most of what is ever compared like this, and there may be thousands.
        let mut texts = HashSet::new();
        let mut others: Vec<usize> = Vec::new();
        for item in items {
            self.charge(1)?;
            if let Some(Value::String(text)) = item.value(self.env.types) {
                if texts.insert(text) {
                    out.push(item);
                }
                continue;
            }
            let mut is_new = true;
            for place in &others {
                if let Some(other) = out.get(*place)
                    && self.equal(&item, other)? == Some(true)
                {
                    is_new = false;
                    break;
                }
            }
            if is_new {
                others.push(out.len());
                out.push(item);
            }
        }
        Ok(out)
    }

    /// Whether an item equals one of a list.
    pub(super) fn is_in(&self, item: &Item<'a>, list: &[Item<'a>]) -> Result<bool, EvaluationError> {
        for other in list {
            if self.equal(item, other)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether two values are equal; nothing where nobody knows.
pub(super) fn equal_values(left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left == right),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left == right),
        (Value::Date(left), Value::Date(right)) => moment::compare(left, right).map(Ordering::is_eq),
        (Value::Time(left), Value::Time(right)) => moment::compare_times(left, right).map(Ordering::is_eq),
        (Value::Type(..), Value::Type(..)) => Some(left == right),
        _ => match (as_quantity(left), as_quantity(right)) {
            (Some(left), Some(right)) => match quantity::compare(left, right) {
                Some(order) => Some(order.is_eq()),
                // Nobody knows how long a month is; but a gram is never a metre.
                None if is_calendar(left.1) != is_calendar(right.1) => None,
                None => Some(false),
            },
            _ => Some(false),
        },
    }
}

fn is_calendar(unit: &str) -> bool {
    quantity::calendar_word(unit).is_some_and(|it| it == "year" || it == "month")
}

/// Whether two values are equivalent.
pub(super) fn equivalent_values(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right)) => folded(left) == folded(right),
        (Value::Date(left), Value::Date(right)) => moment::is_equivalent(left, right),
        (Value::Integer(left), Value::Integer(right)) => left == right,
        _ => match (decimal(left), decimal(right)) {
            // To the precision of the less precise.
            (Some(left), Some(right)) => {
                let places = left.normalize().scale().min(right.normalize().scale());
                left.round_dp(places) == right.round_dp(places)
            }
            _ => match (as_quantity(left), as_quantity(right)) {
                (Some(left), Some(right)) => quantity::equivalent(left, right),
                _ => equal_values(left, right) == Some(true),
            },
        },
    }
}

/// Letters in lower case, white space as one blank.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The order of two values; nothing where nobody knows.
pub(super) fn compare(left: &Value<'_>, right: &Value<'_>) -> Result<Option<Ordering>, EvaluationError> {
    Ok(match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Date(right)) => moment::compare(left, right),
        (Value::Time(left), Value::Time(right)) => moment::compare_times(left, right),
        _ => match (decimal(left), decimal(right)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => match (as_quantity(left), as_quantity(right)) {
                (Some(left), Some(right)) => quantity::compare(left, right),
                _ => return Err(EvaluationError::Operand),
            },
        },
    })
}

/// A number, if it is one.
pub(super) fn decimal(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Integer(it) => Some(Decimal::from(*it)),
        Value::Decimal(it) => Some(*it),
        _ => None,
    }
}

/// A quantity, or a number as one without a unit.
pub(super) fn as_quantity<'v>(value: &'v Value<'_>) -> Option<(Decimal, &'v str)> {
    match value {
        Value::Quantity(number, unit) => Some((*number, unit)),
        other => Some((decimal(other)?, "1")),
    }
}

fn same_node(left: Node<'_>, right: Node<'_>, is_lenient: bool) -> bool {
    if left.kind() != right.kind() {
        return false;
    }
    match left.kind() {
        Kind::Null => true,
        Kind::Boolean => left.raw() == right.raw(),
        Kind::Number => {
            left.raw() == right.raw()
                || super::value::decimal(left.raw())
                    .is_some_and(|it| super::value::decimal(right.raw()) == Some(it))
        }
        Kind::String => match (left.as_str(), right.as_str()) {
            (Some(left), Some(right)) => left == right || is_lenient && folded(&left) == folded(&right),
            _ => false,
        },
        Kind::Array if is_lenient => {
            let mut free: Vec<Node<'_>> = right.items().collect();
            left.items().count() == free.len()
                && left.items().all(|item| {
                    let place = free.iter().position(|other| same_node(item, *other, true));
                    place.map(|place| free.swap_remove(place)).is_some()
                })
        }
        Kind::Array => {
            left.items().count() == right.items().count()
                && left.items().zip(right.items()).all(|(left, right)| same_node(left, right, false))
        }
        Kind::Object => {
            left.members().count() == right.members().count()
                && left.members().all(|(name, value)| {
                    let other = name.as_str().and_then(|name| right.get(&name));
                    other.is_some_and(|other| same_node(value, other, is_lenient))
                })
        }
    }
}
