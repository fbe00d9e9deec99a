//! Dates as FHIR means them: as precise as they are written, and the interval that leaves open.
//!
//! <https://hl7.org/fhir/R4/datatypes.html#date>, `#dateTime`, `#instant`, `#time`

use jiff::civil::{Date, DateTime as Civil};

/// Microseconds since 1970-01-01T00:00:00Z, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first microsecond meant.
    pub low: i64,
    /// The last microsecond meant.
    pub high: i64,
}

/// How much of a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2026`
    Year,
    /// `2026-11`
    Month,
    /// `2026-11-23`
    Day,
    /// `2026-11-23T10`: only in FHIRPath
    Hour,
    /// `2026-11-23T10:20`: only in searches and FHIRPath
    Minute,
    /// `2026-11-23T10:20:30`
    Second,
    /// So many digits of a second, at most nine
    Fraction(u8),
}

/// A date, dateTime or instant, partial or whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    civil: Civil,
    precision: Precision,
    offset_minutes: Option<i16>,
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    time: jiff::civil::Time,
    precision: Precision,
}

impl DateTime {
    /// A FHIR `date`: year, month or day.
    #[must_use]
    pub fn parse_date(text: &str) -> Option<DateTime> {
        if text.len() > 10 { None } else { parse(text, false) }
    }

    /// A FHIR `dateTime`: a date, or a time to the second with an offset.
    #[must_use]
    pub fn parse_date_time(text: &str) -> Option<DateTime> {
        let it = parse(text, false)?;
        let has_time = it.precision > Precision::Day;
        let is_whole = it.precision >= Precision::Second && it.offset_minutes.is_some();
        (!has_time || is_whole).then_some(it)
    }

    /// A FHIR `instant`: to the second at least, with an offset.
    #[must_use]
    pub fn parse_instant(text: &str) -> Option<DateTime> {
        DateTime::parse_date_time(text).filter(|it| it.precision >= Precision::Second)
    }

    /// A date in a search: as a dateTime, but seconds and offset may be left out.
    /// <https://hl7.org/fhir/R4/search.html#date>
    #[must_use]
    pub fn parse_search(text: &str) -> Option<DateTime> {
        parse(text, false).filter(|it| it.precision != Precision::Hour)
    }

    /// A date as FHIRPath writes it, without the `@`: parts may be left out from the right.
    #[must_use]
    pub fn parse_literal(text: &str) -> Option<DateTime> {
        parse(text, true)
    }

    /// What the date leaves open. Without an offset it is taken as UTC.
    #[must_use]
    pub fn interval(&self) -> Interval {
        let low = micros(self.civil, self.offset_minutes);
        let next = match self.precision {
            Precision::Year => self.date().year().checked_add(1).and_then(|year| start(year, 1)),
            Precision::Month => match self.date().month() {
                12 => self.date().year().checked_add(1).and_then(|year| start(year, 1)),
                month => start(self.date().year(), month + 1),
            },
            _ => None,
        };
        let length = match self.precision {
            Precision::Year | Precision::Month => match next {
                Some(next) => micros(next, self.offset_minutes) - low,
                // The year 9999 ends with the calendar.
                None => i64::from(366 - i32::from(self.date().day_of_year() - 1)) * DAY,
            },
            Precision::Day => DAY,
            Precision::Hour => 3_600_000_000,
            Precision::Minute => 60_000_000,
            Precision::Second => 1_000_000,
            Precision::Fraction(digits) => 10_i64.pow(6_u32.saturating_sub(u32::from(digits))),
        };
        Interval { low, high: low + length - 1 }
    }

    /// How much is written.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The offset from UTC in minutes, where one is written.
    #[must_use]
    pub fn offset_minutes(&self) -> Option<i16> {
        self.offset_minutes
    }

    /// The first moment meant, on the clock that the date was written by.
    #[must_use]
    pub fn civil(&self) -> Civil {
        self.civil
    }

    fn date(&self) -> Date {
        self.civil.date()
    }
}

/// A FHIR instant for a time in microseconds since 1970, UTC, to the microsecond.
#[must_use]
pub fn instant(microseconds: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(microseconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.6}")
}

const DAY: i64 = 86_400_000_000;

fn start(year: i16, month: i8) -> Option<Civil> {
    Some(Date::new(year, month, 1).ok()?.at(0, 0, 0, 0))
}

fn micros(civil: Civil, offset_minutes: Option<i16>) -> i64 {
    let time = civil.time();
    let clock = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    let local = days(civil.date()) * DAY + clock * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000;
    local - i64::from(offset_minutes.unwrap_or(0)) * 60_000_000
}

/// Days since 1970-01-01. A timestamp would not reach the last day of 9999, which people write for ever.
fn days(date: Date) -> i64 {
    // Years begin in March, so that the leap day is the last of its year.
    let (year, month, day) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

/// The day, in UTC, of so many microseconds since 1970.
#[must_use]
pub fn day_of(micros: i64) -> Option<Date> {
    let days = jiff::Span::new().try_days(micros.div_euclid(DAY)).ok()?;
    Date::new(1970, 1, 1).ok()?.checked_add(days).ok()
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn parse(text: &str, is_literal: bool) -> Option<DateTime> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4).filter(|year| *year > 0)?;
    let month = parts.next().map(|it| number(it, 2).ok_or(())).transpose().ok()?;
    let day = parts.next().map(|it| number(it, 2).ok_or(())).transpose().ok()?;
    if parts.next().is_some() {
        return None;
    }
    let small = |it: Option<u32>| i8::try_from(it.unwrap_or(1)).ok();
    let date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let precision = match (month, day) {
        (None, _) => Precision::Year,
        (_, None) => Precision::Month,
        _ => Precision::Day,
    };
    let Some(time) = time else {
        return Some(DateTime { civil: date.at(0, 0, 0, 0), precision, offset_minutes: None });
    };
    if time.is_empty() && is_literal {
        return Some(DateTime { civil: date.at(0, 0, 0, 0), precision, offset_minutes: None });
    }
    if precision != Precision::Day {
        return None;
    }
    let (time, offset_minutes) = split_offset(time)?;
    let time = Time::parse_literal(time)?;
    Some(DateTime { civil: date.to_datetime(time.time), precision: time.precision, offset_minutes })
}

fn split_offset(time: &str) -> Option<(&str, Option<i16>)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, Some(0)));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, None)) };
    let (time, offset) = time.split_at(at);
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 14 || minutes > 59 || (hours == 14 && minutes > 0) {
        return None;
    }
    let total = i16::try_from(hours * 60 + minutes).ok()?;
    Some((time, Some(if offset.starts_with('-') { -total } else { total })))
}

impl Time {
    /// A FHIR `time`: to the second at least.
    #[must_use]
    pub fn parse(text: &str) -> Option<Time> {
        Time::parse_literal(text).filter(|it| it.precision >= Precision::Second)
    }

    /// A time as FHIRPath writes it, without the `@T`.
    #[must_use]
    pub fn parse_literal(text: &str) -> Option<Time> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let mut parts = whole.split(':');
        let mut part = |most: u32| match parts.next() {
            None => Some(None),
            Some(it) => number(it, 2).filter(|it| *it <= most).map(Some),
        };
        let (hour, minute, second) = (part(23)??, part(59)?, part(59)?);
        if parts.next().is_some() || (fraction.is_some() && second.is_none()) {
            return None;
        }
        let nanoseconds = match fraction {
            None => 0,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                return None;
            }
            Some(digits) => format!("{digits:0<9}").get(..9)?.parse().ok()?,
        };
        let precision = match (minute, second, fraction) {
            (None, ..) => Precision::Hour,
            (_, None, _) => Precision::Minute,
            (_, _, None) => Precision::Second,
            (_, _, Some(digits)) => Precision::Fraction(u8::try_from(digits.len().min(9)).ok()?),
        };
        let small = |it: u32| i8::try_from(it).ok();
        let time = jiff::civil::Time::new(
            small(hour)?,
            small(minute.unwrap_or(0))?,
            small(second.unwrap_or(0))?,
            nanoseconds,
        );
        Some(Time { time: time.ok()?, precision })
    }

    /// The first moment meant.
    #[must_use]
    pub fn civil(&self) -> jiff::civil::Time {
        self.time
    }

    /// How much is written.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_fhir_has_its_place() {
        for (text, low) in [
            ("1970-01-01", 0),
            ("1969-12-31", -DAY),
            ("2000-02-29T12:00:00.5+02:00", 951_818_400_500_000),
            ("0001-01-01", -62_135_596_800_000_000),
            ("9999-12-31", 253_402_214_400_000_000),
        ] {
            let interval = DateTime::parse_literal(text).unwrap().interval();
            assert_eq!(interval.low, low, "{text}");
            assert_eq!(day_of(interval.high).unwrap().to_string(), text.get(..10).unwrap(), "{text}");
        }
        assert_eq!(day_of(i64::MAX), None);
    }
}
