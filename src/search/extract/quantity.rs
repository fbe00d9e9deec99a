//! Numbers, quantities and positions as ranges.
//!
//! <https://hl7.org/fhir/R4/search.html#quantity>

use super::Reading;
use crate::fhir::json::Node;
use crate::search::index::{Index, RangeEntry};
use crate::search::number::Unit;
use crate::search::parameters::{Found, Parameter};
use crate::search::range::Step;
use std::sync::Arc;

/// What currencies are codes of.
const CURRENCY: &str = "urn:iso:std:iso:4217";

/// An amount: from, to, and its unit.
struct Amount {
    low: f64,
    high: f64,
    unit: Option<Unit>,
}

pub(super) fn enter(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    let Some(Amount { low, high, unit }) = amount(reading, found) else { return };
    let mut push = |unit: Option<Arc<str>>, low: f64, high: f64| {
        index.numbers.push(RangeEntry { parameter: parameter.code().clone(), unit, low, high });
    };
    push(None, low, high);
    if let Some(unit) = unit {
        push(Some(unit.name.clone()), unit.convert(low), unit.convert(high));
    }
}

pub(super) fn enter_position(parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    let Found::Element(node, _) = found else { return };
    let Some((latitude, longitude)) = position(node) else { return };
    for (name, value) in [("latitude", latitude), ("longitude", longitude)] {
        let unit = Some(name.into());
        index.numbers.push(RangeEntry { parameter: parameter.code().clone(), unit, low: value, high: value });
    }
}

/// Latitude and longitude.
pub(in crate::search) fn position(node: Node<'_>) -> Option<(f64, f64)> {
    Some((number(node.get("latitude"))?, number(node.get("longitude"))?))
}

fn number(node: Option<Node<'_>>) -> Option<f64> {
    node?.as_number()?.parse().ok().filter(|it: &f64| it.is_finite())
}

fn amount(reading: &Reading<'_>, found: Found<'_>) -> Option<Amount> {
    let Found::Element(node, type_id) = found else { return None };
    match reading.types.name(type_id) {
        "Money" => {
            let value = number(node.get("value"))?;
            let unit = node.string("currency").map(|code| Unit::of(Some(CURRENCY), &code));
            Some(Amount { low: value, high: value, unit })
        }
        "Range" => {
            let (low, high) = (node.get("low"), node.get("high"));
            let unit = low.and_then(unit_of).or_else(|| high.and_then(unit_of));
            let end = |side: Option<Node<'_>>| side.and_then(|it| number(it.get("value")));
            let (low, high) = (end(low), end(high));
            (low.is_some() || high.is_some()).then(|| Amount {
                low: low.unwrap_or(f64::NEG_INFINITY),
                high: high.unwrap_or(f64::INFINITY),
                unit,
            })
        }
        "SampledData" => sampled(node),
        _ if node.is_object() => {
            let value = number(node.get("value"))?;
            // A value that is only known to be less or more.
            let (low, high) = match node.string("comparator").as_deref() {
                Some("<") => (f64::NEG_INFINITY, value.previous()),
                Some("<=") => (f64::NEG_INFINITY, value),
                Some(">") => (value.next(), f64::INFINITY),
                Some(">=") => (value, f64::INFINITY),
                _ => (value, value),
            };
            Some(Amount { low, high, unit: unit_of(node) })
        }
        _ => {
            let value = number(Some(node))?;
            Some(Amount { low: value, high: value, unit: None })
        }
    }
}

fn unit_of(node: Node<'_>) -> Option<Unit> {
    Some(Unit::of(node.string("system").as_deref(), &node.string("code")?))
}

/// The bounds of sampled data, as `value-quantity` has it.
fn sampled(node: Node<'_>) -> Option<Amount> {
    let origin = node.get("origin")?;
    let offset = number(origin.get("value"))?;
    let factor = number(node.get("factor")).unwrap_or(1.0);
    let data = node.string("data")?;
    let values = data.split_whitespace().filter_map(|it| it.parse::<f64>().ok()).filter(|it| it.is_finite());
    let (low, high) = values.map(|it| it * factor + offset).fold(None, |bounds, it| {
        Some(bounds.map_or((it, it), |(low, high): (f64, f64)| (low.min(it), high.max(it))))
    })?;
    Some(Amount { low, high, unit: unit_of(origin) })
}

/// The code and the stated unit of a quantity: either may be what is searched.
pub(in crate::search) fn has_unit(found: Found<'_>, text: &str) -> bool {
    let Found::Element(node, _) = found else { return false };
    let sides = [Some(node), node.get("low"), node.get("high"), node.get("origin")];
    sides.into_iter().flatten().any(|it| {
        ["code", "unit", "currency"].iter().any(|member| it.get(member).is_some_and(|it| it.is(text)))
    })
}
