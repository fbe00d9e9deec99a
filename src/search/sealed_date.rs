//! Dates that are sealed: found by the century, decade, year, month and day they lie in, never by order.
//!
//! A [`Unit`] is one of those. A found date is the smallest unit that holds it, with all that hold that
//! one: `1974-12-25` lies within `19`, `197`, `1974`, `1974-12` and itself; `1974` lies within `19`, `197`
//! and itself, and spans just `1974`. A comparison becomes the few units whose every date passes, and
//! those at its border, which are looked at one by one.

use crate::fhir::date_time::{self, DateTime, Interval};
use crate::search::index::KeyKind;
use crate::search::range::{Bounds, RangeTest};
use jiff::civil::Date;

/// A century, a decade, a year, a month or a day, of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `19`: 1900 to 1999
    Century(i16),
    /// `197`
    Decade(i16),
    /// `1974`
    Year(i16),
    /// `1974-12`
    Month(i16, i8),
    /// `1974-12-25`
    Day(Date),
}

/// What must be known of a date: a key that decides, or one that only lets it be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cover {
    /// Every date with this key passes.
    pub(super) sure: Vec<(KeyKind, String)>,
    /// Some dates with this key may pass.
    pub(super) maybe: Vec<(KeyKind, String)>,
}

impl Unit {
    /// `19`, `197`, `1974`, `1974-12`, `1974-12-25`
    pub(super) fn text(self) -> String {
        match self {
            Unit::Century(it) => format!("{it:02}"),
            Unit::Decade(it) => format!("{it:03}"),
            Unit::Year(it) => format!("{it:04}"),
            Unit::Month(year, month) => format!("{year:04}-{month:02}"),
            Unit::Day(it) => it.to_string(),
        }
    }

    fn interval(self) -> Option<Interval> {
        let (first, last) = match self {
            Unit::Century(it) => (start(it * 100)?, end(it * 100 + 99)?),
            Unit::Decade(it) => (start(it * 10)?, end(it * 10 + 9)?),
            Unit::Year(it) => (start(it)?, end(it)?),
            Unit::Month(year, month) => {
                let first = Date::new(year, month, 1).ok()?;
                (first, first.last_of_month())
            }
            Unit::Day(it) => (it, it),
        };
        let low = DateTime::parse_date(&first.to_string())?.interval().low;
        let high = DateTime::parse_date(&last.to_string())?.interval().high;
        Some(Interval { low, high })
    }

    fn children(self) -> Vec<Unit> {
        match self {
            Unit::Century(it) => (it * 10..it * 10 + 10).map(Unit::Decade).collect(),
            Unit::Decade(it) => (it * 10..it * 10 + 10).map(Unit::Year).collect(),
            Unit::Year(it) => (1..=12).map(|month| Unit::Month(it, month)).collect(),
            Unit::Month(year, month) => {
                let Ok(first) = Date::new(year, month, 1) else { return Vec::new() };
                (1..=first.days_in_month())
                    .filter_map(|day| Date::new(year, month, day).ok())
                    .map(Unit::Day)
                    .collect()
            }
            Unit::Day(_) => Vec::new(),
        }
    }

    /// The units that hold a day, the largest first, the day itself last.
    fn around(day: Date) -> [Unit; 5] {
        let year = day.year();
        [
            Unit::Century(year / 100),
            Unit::Decade(year / 10),
            Unit::Year(year),
            Unit::Month(year, day.month()),
            Unit::Day(day),
        ]
    }
}

// The year 0 is not a year of FHIR, but the century 00 and the decade 000 begin with it.
fn start(year: i16) -> Option<Date> {
    Date::new(year.max(1), 1, 1).ok()
}

fn end(year: i16) -> Option<Date> {
    Date::new(year, 12, 31).ok()
}

fn day(micros: i64) -> Option<Date> {
    date_time::day_of(micros).filter(|it| (1..=9999).contains(&it.year()))
}

/// The keys of a found date or period.
pub(super) fn keys(interval: Interval) -> Vec<(KeyKind, String)> {
    let (Some(first), Some(last)) = (day(interval.low), day(interval.high)) else {
        return vec![(KeyKind::Spans, String::new())];
    };
    let shared =
        Unit::around(first).into_iter().zip(Unit::around(last)).take_while(|(one, other)| one == other);
    let mut keys: Vec<_> = shared.map(|(unit, _)| (KeyKind::Within, unit.text())).collect();
    if first != last {
        let smallest = keys.last().map(|(_, text)| text.clone()).unwrap_or_default();
        keys.push((KeyKind::Spans, smallest));
    }
    keys
}

/// The keys of the dates that pass. `are_single` says that no found date is a period: then what spans a unit
/// is just that unit.
pub(super) fn cover(test: &RangeTest<i64>, are_single: bool) -> Cover {
    let mut cover = Cover { sure: Vec::new(), maybe: Vec::new() };
    if !are_single {
        cover.maybe.push((KeyKind::Spans, String::new()));
    }
    for century in 0..100 {
        descend(Unit::Century(century), test, are_single, &mut cover);
    }
    cover
}

fn descend(unit: Unit, test: &RangeTest<i64>, are_single: bool, cover: &mut Cover) {
    let Some(interval) = unit.interval() else { return };
    let (first, second) = test.bounds();
    let each = || std::iter::once(first).chain(second);
    if each().any(|it| holds_all(&it, interval)) {
        cover.sure.push((KeyKind::Within, unit.text()));
    } else if each().any(|it| may_hold(&it, interval)) {
        let children = unit.children();
        if children.is_empty() {
            cover.maybe.push((KeyKind::Within, unit.text()));
        } else if !are_single {
            cover.maybe.push((KeyKind::Spans, unit.text()));
        } else if test.passes(interval.low, interval.high) {
            cover.sure.push((KeyKind::Spans, unit.text()));
        }
        children.into_iter().for_each(|child| descend(child, test, are_single, cover));
    }
}

/// Whether everything inside an interval keeps the bounds.
fn holds_all(bounds: &Bounds<i64>, within: Interval) -> bool {
    bounds.low_from.is_none_or(|it| it <= within.low)
        && bounds.low_to.is_none_or(|it| it >= within.high)
        && bounds.high_from.is_none_or(|it| it <= within.low)
        && bounds.high_to.is_none_or(|it| it >= within.high)
}

/// Whether something inside an interval may keep the bounds.
fn may_hold(bounds: &Bounds<i64>, within: Interval) -> bool {
    let low = bounds.low_from.unwrap_or(i64::MIN).max(within.low);
    let high = bounds.high_to.unwrap_or(i64::MAX).min(within.high);
    low <= high && bounds.low_to.is_none_or(|it| low <= it) && bounds.high_from.is_none_or(|it| high >= it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::range::Comparator;

    fn interval(text: &str) -> Interval {
        DateTime::parse_search(text).unwrap().interval()
    }

    fn test(text: &str) -> RangeTest<i64> {
        let (prefix, date) = text.split_at(2);
        let Interval { low, high } = interval(date);
        RangeTest { comparator: Comparator::parse(prefix).unwrap(), low, high }
    }

    #[test]
    fn a_date_lies_within_its_units() {
        let shown = |text: &str| {
            let keys = keys(interval(text));
            keys.iter().map(|(kind, text)| format!("{} {text}", kind.name())).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            shown("1974-12-25"),
            "within 19, within 197, within 1974, within 1974-12, within 1974-12-25"
        );
        assert_eq!(shown("1974"), "within 19, within 197, within 1974, spans 1974");
        assert_eq!(
            shown("2015-02-14T23:42:00-10:00"),
            "within 20, within 201, within 2015, within 2015-02, within 2015-02-15"
        );
        let open = keys(Interval { low: 0, high: i64::MAX });
        assert_eq!(open, [(KeyKind::Spans, String::new())]);
    }

    #[test]
    fn an_equal_date_is_one_key() {
        let found = cover(&test("eq1974"), true);
        assert_eq!(found.sure, [(KeyKind::Within, "1974".to_owned())]);
        assert!(found.maybe.is_empty());
    }

    /// Whatever the comparison: keys say yes exactly where the intervals do.
    #[test]
    fn keys_agree_with_intervals() {
        let found = [
            "1899-12-31",
            "1900",
            "1969-12-31",
            "1970",
            "1974",
            "1974-06",
            "1974-06-14",
            "1974-06-15",
            "1974-06-15T08:00:00Z",
            "1974-06-16",
            "1974-07",
            "1975",
            "1980-01-01",
            "2001-01-01",
            "0001",
            "9999-12-31",
        ];
        for searched in ["1974", "1974-06", "1974-06-15", "1970", "2000", "1974-06-15T12:00Z"] {
            for prefix in ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"] {
                let test = test(&format!("{prefix}{searched}"));
                let cover = cover(&test, true);
                for date in found {
                    let Interval { low, high } = interval(date);
                    let keys = keys(interval(date));
                    let is_sure = keys.iter().any(|it| cover.sure.contains(it));
                    let is_maybe = keys.iter().any(|it| cover.maybe.contains(it));
                    let passes = test.passes(low, high);
                    assert!(is_sure <= passes, "{prefix}{searched} {date}: too much");
                    assert!(passes <= (is_sure || is_maybe), "{prefix}{searched} {date}: too little");
                    let is_by_day = !searched.contains('T');
                    assert!(!is_by_day || is_sure == passes, "{prefix}{searched} {date}: not exact");
                }
            }
        }
    }
}
