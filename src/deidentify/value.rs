//! What becomes of dates, places and numbers.

use super::Method;
use super::policy::Policy;
use crate::fhir::date_time::DateTime;
use jiff::ToSpan as _;
use jiff::civil::Date;

/// Whoever is older belongs to one group: 164.514(b)(2)(i)(C).
pub(super) const OLDEST: i16 = 89;

/// A date, dateTime or instant as it may stand; nothing where it may not.
pub(super) fn date(method: Method, text: &str, is_instant: bool, (year, days): (i16, i64)) -> Option<String> {
    DateTime::parse_date_time(text).or_else(|| DateTime::parse_instant(text))?;
    match method {
        Method::SafeHarbor => {
            let written = text.get(..4)?;
            // Whoever was alive in such a year may be 90 by now.
            if written.parse::<i16>().ok()? < year - OLDEST {
                return None;
            }
            Some(if is_instant { format!("{written}-01-01T00:00:00Z") } else { written.to_owned() })
        }
        Method::Limited { shifts_dates: false } => Some(text.to_owned()),
        Method::Limited { shifts_dates: true } => shifted(text, days),
    }
}

/// The same so many days before; of a mere month, the month in which its first day then lies.
fn shifted(text: &str, days: i64) -> Option<String> {
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let before = |text: &str| text.parse::<Date>().ok()?.checked_sub(days.days()).ok();
    let day = match day.len() {
        4 => day.to_owned(),
        7 => before(&format!("{day}-01"))?.to_string().get(..7)?.to_owned(),
        _ => before(day)?.to_string(),
    };
    Some(match time {
        Some(time) => format!("{day}T{time}"),
        None => day,
    })
}

/// A ZIP code as it may stand.
pub(super) fn zip(policy: &Policy, method: Method, text: &str) -> Option<String> {
    let text = text.trim();
    let (front, back) = text.split_once('-').unwrap_or((text, "0000"));
    let is_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if !is_digits(front) || !is_digits(back) || front.len() != 5 || back.len() != 4 {
        return None;
    }
    if matches!(method, Method::Limited { .. }) {
        return Some(text.to_owned());
    }
    let area = front.get(..3)?;
    Some(if policy.is_small_area(area) { "000".to_owned() } else { area.to_owned() })
}

/// Whether a text could be the name of a town: letters and what joins them, and not many.
pub(super) fn is_town(text: &str) -> bool {
    let is_part = |it: char| it.is_alphabetic() || matches!(it, ' ' | '.' | '-' | '\'');
    (1..=40).contains(&text.chars().count()) && text.chars().all(is_part)
}

/// Whether a number has so few digits before the point that it counts or measures, and names nobody.
pub(super) fn is_measure(raw: &str, most: usize) -> bool {
    let whole = raw.trim_start_matches('-').split(['.', 'e', 'E']).next().unwrap_or_default();
    raw.len() <= most + 8 && whole.len() <= most && !raw.contains(['e', 'E'])
}

/// Whether a number is small enough to be no year, age of the oldest, or number of a record.
pub(super) fn is_small(raw: &str) -> bool {
    is_measure(raw, 2) && raw.parse::<f64>().is_ok_and(|it| it.abs() <= f64::from(OLDEST))
}

/// The most that an age may be in that unit; nothing for a unit that is none of time.
pub(super) fn oldest_in(unit: &str) -> Option<u32> {
    Some(match unit {
        "a" => 89,
        "mo" => 89 * 12,
        "wk" => 89 * 52,
        "d" => 89 * 365,
        "h" => 89 * 365 * 24,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::definitions::Definitions;

    #[test]
    fn dates_become_years_and_the_oldest_go() {
        let harbor = |text: &str| date(Method::SafeHarbor, text, false, (2026, 0));
        assert_eq!(harbor("2020-03-04").as_deref(), Some("2020"));
        assert_eq!(harbor("2020-03-04T10:00:00+01:00").as_deref(), Some("2020"));
        assert_eq!(harbor("1937").as_deref(), Some("1937"));
        assert_eq!(harbor("1936-12-31"), None);
        assert_eq!(harbor("Lovelace"), None);
        let instant = date(Method::SafeHarbor, "2020-03-04T10:00:00Z", true, (2026, 0));
        assert_eq!(instant.as_deref(), Some("2020-01-01T00:00:00Z"));
    }

    #[test]
    fn limited_dates_stay_or_are_shifted() {
        let limited =
            |text: &str, shifts_dates| date(Method::Limited { shifts_dates }, text, false, (2026, 40));
        assert_eq!(limited("1901-03-04", false).as_deref(), Some("1901-03-04"));
        assert_eq!(limited("2020-03-04", true).as_deref(), Some("2020-01-24"));
        assert_eq!(limited("2020-03-04T10:00:00Z", true).as_deref(), Some("2020-01-24T10:00:00Z"));
        assert_eq!(limited("2020-03", true).as_deref(), Some("2020-01"));
        assert_eq!(limited("2020", true).as_deref(), Some("2020"));
    }

    #[test]
    fn areas_of_few_people_are_not_told() {
        let policy = Policy::embedded(&Definitions::embedded().unwrap().types).unwrap();
        let harbor = |text: &str| zip(&policy, Method::SafeHarbor, text);
        assert_eq!(harbor("02139").as_deref(), Some("021"));
        assert_eq!(harbor("02139-1234").as_deref(), Some("021"));
        assert_eq!(harbor("03601").as_deref(), Some("000"));
        assert_eq!(harbor("8001"), None);
        assert_eq!(harbor("02139 Lovelace"), None);
        let limited = zip(&policy, Method::Limited { shifts_dates: false }, "03601");
        assert_eq!(limited.as_deref(), Some("03601"));
    }
}
