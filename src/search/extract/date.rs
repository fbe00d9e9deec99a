//! Dates as intervals, or sealed: as the units they lie in.
//!
//! <https://hl7.org/fhir/R4/search.html#date>

use super::{Reading, push};
use crate::fhir::date_time::{DateTime, Interval};
use crate::fhir::json::Node;
use crate::search::index::{Index, RangeEntry};
use crate::search::parameters::{Found, Parameter};
use crate::search::sealed_date;

pub(super) fn enter(reading: &Reading<'_>, parameter: &Parameter, found: Found<'_>, index: &mut Index) {
    if let Some(Interval { low, high }) = interval(reading, found) {
        index.dates.push(RangeEntry { parameter: parameter.code().clone(), unit: None, low, high });
    }
}

pub(super) fn enter_sealed(
    reading: &Reading<'_>,
    parameter: &Parameter,
    found: Found<'_>,
    index: &mut Index,
) {
    for (kind, text) in interval(reading, found).into_iter().flat_map(sealed_date::keys) {
        push(index, parameter, kind, text);
    }
}

/// What a date, a period or a timing covers; an open end reaches to the end of time.
fn interval(reading: &Reading<'_>, found: Found<'_>) -> Option<Interval> {
    let Found::Element(node, type_id) = found else { return None };
    match reading.types.name(type_id) {
        "Period" => period(node),
        "Timing" => timing(node),
        _ => date(node),
    }
}

fn date(node: Node<'_>) -> Option<Interval> {
    Some(DateTime::parse_date_time(&node.as_str()?)?.interval())
}

fn period(node: Node<'_>) -> Option<Interval> {
    let (start, end) = (node.get("start").and_then(date), node.get("end").and_then(date));
    (start.is_some() || end.is_some()).then(|| Interval {
        low: start.map_or(i64::MIN, |it| it.low),
        high: end.map_or(i64::MAX, |it| it.high),
    })
}

/// Only the outer limits count, as R4 has it: of the events, and of the bounds of a repetition.
fn timing(node: Node<'_>) -> Option<Interval> {
    let events = node.get("event").into_iter().flat_map(Node::items).filter_map(date);
    let bounds = node.get("repeat").and_then(|it| it.get("boundsPeriod")).and_then(period);
    events
        .chain(bounds)
        .reduce(|one, other| Interval { low: one.low.min(other.low), high: one.high.max(other.high) })
}
