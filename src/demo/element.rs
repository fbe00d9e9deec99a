//! The small parts of resources: references, quantities, dates, addresses, identifiers.

use super::code::{NPI, UCUM};
use super::random::{Random, decimal};
use jiff::civil::DateTime;
use jiff::{Span, ToSpan as _};
use serde_json::{Value, json};

/// `{ "reference": … }`
pub(super) fn reference(to: &str) -> Value {
    json!({ "reference": to })
}

/// A reference that says in words what it points at.
pub(super) fn named(to: &str, display: &str) -> Value {
    json!({ "reference": to, "display": display })
}

/// A quantity whose unit is spelled as its code.
pub(super) fn quantity(value: f64, places: i32, unit: &str) -> Value {
    json!({ "value": decimal(value, places), "unit": unit, "system": UCUM, "code": unit })
}

/// A quantity with a unit as people say it.
pub(super) fn spelled(value: f64, places: i32, unit: &str, code: &str) -> Value {
    json!({ "value": decimal(value, places), "unit": unit, "system": UCUM, "code": code })
}

/// A moment of the practice, whose clocks never change: `2026-03-02T09:30:00-05:00`.
pub(super) fn moment(at: DateTime) -> String {
    format!("{at}-05:00")
}

/// So many minutes later.
pub(super) fn minutes_after(at: DateTime, minutes: i64) -> DateTime {
    shifted(at, minutes.minutes())
}

/// So many days later, or earlier.
pub(super) fn days_after(at: DateTime, days: i64) -> DateTime {
    shifted(at, days.days())
}

fn shifted(at: DateTime, by: Span) -> DateTime {
    at.saturating_add(by)
}

/// A National Provider Identifier: nine digits and the one that checks them.
/// <https://www.cms.gov/Regulations-and-Guidance/Administrative-Simplification/NationalProvIdentStand/Downloads/NPIcheckdigit.pdf>
pub(super) fn npi(random: &mut Random) -> Value {
    let nine = format!("1{}", random.digits(8));
    // 24 stands for the prefix 80840.
    let sum: u32 = nine.chars().enumerate().fold(24, |sum, (at, letter)| {
        let digit = letter.to_digit(10).unwrap_or_default();
        let doubled = if at % 2 == 0 { digit * 2 } else { digit };
        sum + if doubled > 9 { doubled - 9 } else { doubled }
    });
    json!({ "system": NPI, "value": format!("{nine}{}", (10 - sum % 10) % 10) })
}

/// A phone number that no exchange hands out.
pub(super) fn phone(random: &mut Random, kind: &str) -> Value {
    let number = format!("{}-555-01{}", random.range(201, 989), random.digits(2));
    json!({ "system": "phone", "value": number, "use": kind })
}

/// A street, a city and its state.
pub(super) fn address(random: &mut Random, kind: &str) -> Value {
    const STREETS: [&str; 12] = [
        "Hearth Street",
        "Temple Avenue",
        "Lantern Lane",
        "Mill Road",
        "Orchard Way",
        "Quarry Street",
        "Harbor Drive",
        "Willow Court",
        "Chestnut Street",
        "Meadow Lane",
        "Station Road",
        "Summit Avenue",
    ];
    const CITIES: [(&str, &str, &str); 10] = [
        ("Springfield", "MA", "011"),
        ("Riverton", "NY", "120"),
        ("Fairview", "OH", "441"),
        ("Georgetown", "TX", "786"),
        ("Salem", "OR", "973"),
        ("Clinton", "IA", "527"),
        ("Madison", "WI", "537"),
        ("Franklin", "TN", "370"),
        ("Oxford", "MS", "386"),
        ("Aurora", "CO", "800"),
    ];
    let (city, state, zip) = random.pick(&CITIES, ("Springfield", "MA", "011"));
    let street = random.pick(&STREETS, "Hearth Street");
    let line = format!("{} {street}", random.range(1, 990));
    let lines = match random.chance(25) {
        true => json!([line, format!("Apt {}", random.range(1, 40))]),
        false => json!([line]),
    };
    let zip = format!("{zip}{}", random.digits(2));
    let mut address =
        json!({ "line": lines, "city": city, "state": state, "postalCode": zip, "country": "US" });
    if !kind.is_empty()
        && let Some(members) = address.as_object_mut()
    {
        members.insert("use".to_owned(), kind.into());
    }
    address
}

/// Text as `Attachment.data` and `Binary.data` hold it.
pub(super) fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_providers_check_out() {
        let mut random = Random::new(1, 1);
        for _ in 0..50 {
            let identifier = npi(&mut random);
            let digits: Vec<u32> =
                identifier["value"].as_str().unwrap().chars().map(|it| it.to_digit(10).unwrap()).collect();
            assert_eq!(digits.len(), 10);
            let luhn: u32 = [8, 0, 8, 4, 0]
                .iter()
                .chain(&digits)
                .rev()
                .enumerate()
                .map(|(at, digit)| {
                    let doubled = if at % 2 == 1 { digit * 2 } else { *digit };
                    doubled / 10 + doubled % 10
                })
                .sum();
            assert_eq!(luhn % 10, 0, "{digits:?}");
        }
    }
}
