//! Dates and times: comparison as far as both are written, arithmetic, boundaries.
//!
//! <http://hl7.org/fhirpath/N1/#datetime-equality>, `#datetime-arithmetic`, `#lowboundary`

use super::EvaluationError;
use super::quantity;
use crate::fhir::date_time::{DateTime, Interval, Precision, Time};
use jiff::civil;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use std::cmp::Ordering;

/// No clock on Earth is further from UTC.
const WIDEST_OFFSET: i64 = 14 * 3_600_000_000;

/// Dates compare as far as both are written; beyond that nobody knows.
pub(super) fn compare(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (DateTime::parse_literal(left)?, DateTime::parse_literal(right)?);
    let have_time = [&left, &right].iter().all(|it| it.precision() > Precision::Day);
    let (mut one, mut other) = (left.interval(), right.interval());
    let is_mixed = have_time && left.offset_minutes().is_some() != right.offset_minutes().is_some();
    if !have_time {
        // A day has no offset: it is compared with the day that the other's clock showed.
        (one, other) = (shifted(one, &left), shifted(other, &right));
    }
    let slack = if is_mixed { WIDEST_OFFSET } else { 0 };
    if one.high.saturating_add(slack) < other.low {
        return Some(Ordering::Less);
    }
    if one.low > other.high.saturating_add(slack) {
        return Some(Ordering::Greater);
    }
    let is_known = !is_mixed && clipped(left.precision()) == clipped(right.precision());
    is_known.then(|| one.low.cmp(&other.low))
}

/// Times compare as far as both are written.
pub(super) fn compare_times(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (Time::parse_literal(left)?, Time::parse_literal(right)?);
    if clipped(left.precision()) == clipped(right.precision()) {
        return Some(left.civil().cmp(&right.civil()));
    }
    let coarser = clipped(left.precision()).min(clipped(right.precision()));
    let start = |it: &Time| {
        let it = it.civil();
        (it.hour(), if coarser > Precision::Hour { it.minute() } else { 0 })
    };
    Some(start(&left).cmp(&start(&right))).filter(|it| it.is_ne())
}

/// Whether two dates are written to the same precision and are equal.
pub(super) fn is_equivalent(left: &str, right: &str) -> bool {
    let precision = |text| DateTime::parse_literal(text).map(|it| clipped(it.precision()));
    precision(left) == precision(right) && compare(left, right) == Some(Ordering::Equal)
}

fn shifted(interval: Interval, by: &DateTime) -> Interval {
    let offset = i64::from(by.offset_minutes().unwrap_or(0)) * 60_000_000;
    Interval { low: interval.low + offset, high: interval.high + offset }
}

/// Seconds and their fractions are one precision.
fn clipped(precision: Precision) -> Precision {
    precision.min(Precision::Second)
}

/// A date and a duration: `@2026-11-24 + 3 days`. Nothing beyond the calendar.
pub(super) fn add(text: &str, number: Decimal, unit: &str) -> Result<Option<String>, EvaluationError> {
    let unit = quantity::calendar_unit(unit).ok_or(EvaluationError::Operand)?;
    let Some(date) = DateTime::parse_literal(text) else { return Ok(None) };
    let Some((number, unit)) = to_precision(number, unit, date.precision()) else { return Ok(None) };
    Ok(shift(date.civil(), number, unit).map(|civil| {
        let written =
            Written { precision: date.precision(), offset: offset_of(text), has_t: text.contains('T') };
        written.date_time(civil)
    }))
}

/// A time and a duration, around the clock.
pub(super) fn add_to_time(
    text: &str,
    number: Decimal,
    unit: &str,
) -> Result<Option<String>, EvaluationError> {
    let unit = quantity::calendar_unit(unit).ok_or(EvaluationError::Operand)?;
    if matches!(unit, "year" | "month" | "week" | "day") {
        return Err(EvaluationError::Operand);
    }
    let Some(time) = Time::parse_literal(text) else { return Ok(None) };
    let Some((number, unit)) = to_precision(number, unit, time.precision()) else { return Ok(None) };
    let Some(micros) = micros(number, unit) else { return Ok(None) };
    let moved = time.civil().wrapping_add(jiff::SignedDuration::from_micros(micros));
    Ok(Some(time_text(moved, time.precision())))
}

/// A duration in units that the date has: `23 months` are one year to a date that is only a year.
fn to_precision(
    number: Decimal,
    unit: &'static str,
    precision: Precision,
) -> Option<(Decimal, &'static str)> {
    let finest = match precision {
        Precision::Year => "year",
        Precision::Month => "month",
        Precision::Day => "day",
        Precision::Hour => "hour",
        Precision::Minute => "minute",
        Precision::Second | Precision::Fraction(_) => return Some((number, unit)),
    };
    let seconds = |unit| {
        Decimal::from(match unit {
            "year" => 31_536_000,
            "month" => 2_592_000,
            "week" => 604_800,
            "day" => 86_400,
            "hour" => 3_600,
            "minute" => 60,
            _ => 1,
        })
    };
    let number =
        if unit == "millisecond" { number.checked_div(Decimal::from(1000))? } else { number.trunc() };
    if seconds(unit) >= seconds(finest) && unit != "millisecond" {
        return Some((number, unit));
    }
    let months_of_year = unit == "month" && finest == "year";
    let converted = if months_of_year {
        number.checked_div(Decimal::from(12))?
    } else {
        number.checked_mul(seconds(unit))?.checked_div(seconds(finest))?
    };
    Some((converted.trunc(), finest))
}

fn shift(civil: civil::DateTime, number: Decimal, unit: &str) -> Option<civil::DateTime> {
    let whole = number.trunc().to_i64()?;
    let span = jiff::Span::new();
    let span = match unit {
        "year" => span.try_years(whole),
        "month" => span.try_months(whole),
        "week" => span.try_weeks(whole),
        "day" => span.try_days(whole),
        _ => {
            let micros = micros(number, unit)?;
            return civil.checked_add(jiff::SignedDuration::from_micros(micros)).ok().filter(in_calendar);
        }
    };
    civil.checked_add(span.ok()?).ok().filter(in_calendar)
}

/// FHIR's years have four digits.
fn in_calendar(it: &civil::DateTime) -> bool {
    it.year() >= 1
}

/// For precisions above seconds, the decimal portion of a duration is ignored.
fn micros(number: Decimal, unit: &str) -> Option<i64> {
    let (number, length) = match unit {
        "hour" => (number.trunc(), 3_600_000_000_i64),
        "minute" => (number.trunc(), 60_000_000),
        "second" => (number, 1_000_000),
        _ => (number, 1_000),
    };
    number.checked_mul(Decimal::from(length))?.trunc().to_i64()
}

/// The earliest or latest moment that a date may mean, with so many digits.
pub(super) fn boundary(text: &str, is_date_time: bool, digits: Option<i64>, is_high: bool) -> Option<String> {
    let date = DateTime::parse_literal(text)?;
    let precision = match (digits.unwrap_or(if is_date_time { 17 } else { 8 }), is_date_time) {
        (4, _) => Precision::Year,
        (6, _) => Precision::Month,
        (8, _) => Precision::Day,
        (10, true) => Precision::Hour,
        (12, true) => Precision::Minute,
        (14, true) => Precision::Second,
        (17, true) => Precision::Fraction(3),
        _ => return None,
    };
    let interval = shifted(date.interval(), &date);
    let micros = if is_high { interval.high } else { interval.low };
    let civil = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(micros).ok()?);
    let offset = match offset_of(text) {
        "" if is_high => "-12:00",
        "" => "+14:00",
        offset => offset,
    };
    let has_t = precision > Precision::Day;
    Some(Written { precision, offset, has_t }.date_time(civil))
}

/// The earliest or latest time of day that a time may mean, with so many digits.
pub(super) fn time_boundary(text: &str, digits: Option<i64>, is_high: bool) -> Option<String> {
    let time = Time::parse_literal(text)?;
    let precision = match digits.unwrap_or(9) {
        2 => Precision::Hour,
        4 => Precision::Minute,
        6 => Precision::Second,
        9 => Precision::Fraction(3),
        _ => return None,
    };
    let mut civil = time.civil();
    if is_high {
        let minute = if time.precision() < Precision::Minute { 59 } else { civil.minute() };
        let second = if time.precision() < Precision::Second { 59 } else { civil.second() };
        let nanosecond = match time.precision() {
            Precision::Fraction(_) => civil.subsec_nanosecond(),
            _ => 999_999_999,
        };
        civil = civil::Time::new(civil.hour(), minute, second, nanosecond).ok()?;
    }
    Some(time_text(civil, precision))
}

/// How many digits of a date are written, offset aside.
pub(super) fn digits(text: &str) -> usize {
    let time_at = text.find('T').unwrap_or(text.len());
    let (date, time) = text.split_at(time_at);
    let count = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    count(date) + count(time.strip_suffix(offset_of(text)).unwrap_or(time))
}

/// The offset as it is written: `Z`, `+10:00`, or nothing.
pub(super) fn offset_of(text: &str) -> &str {
    let Some((_, time)) = text.split_once('T') else { return "" };
    time.find(['Z', '+', '-']).and_then(|at| time.get(at..)).unwrap_or_default()
}

/// How a date is written.
struct Written<'t> {
    precision: Precision,
    offset: &'t str,
    has_t: bool,
}

impl Written<'_> {
    fn date_time(&self, civil: civil::DateTime) -> String {
        let mut text = format!("{:04}", civil.year());
        if self.precision >= Precision::Month {
            text.push_str(&format!("-{:02}", civil.month()));
        }
        if self.precision >= Precision::Day {
            text.push_str(&format!("-{:02}", civil.day()));
        }
        if self.has_t {
            text.push('T');
        }
        if self.precision > Precision::Day {
            text.push_str(&time_text(civil.time(), self.precision));
            text.push_str(self.offset);
        }
        text
    }
}

pub(super) fn time_text(time: civil::Time, precision: Precision) -> String {
    let mut text = format!("{:02}", time.hour());
    if precision >= Precision::Minute {
        text.push_str(&format!(":{:02}", time.minute()));
    }
    if precision >= Precision::Second {
        text.push_str(&format!(":{:02}", time.second()));
    }
    if let Precision::Fraction(places) = precision {
        let nanoseconds = format!("{:09}", time.subsec_nanosecond());
        text.push('.');
        text.push_str(nanoseconds.get(..usize::from(places)).unwrap_or(&nanoseconds));
    }
    text
}
