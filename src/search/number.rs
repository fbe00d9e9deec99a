//! Numbers and quantities: what a decimal means, and units that are comparable.
//!
//! <https://hl7.org/fhir/R4/search.html#number>, <https://hl7.org/fhir/R4/search.html#quantity>
//!
//! # Decision 2026-11-24
//! A *searched* decimal is the interval of its significant digits where it is compared for equality
//! (`5.4` is 5.35 to 5.45), and exactly itself after `gt`, `lt`, `ge`, `le`, `sa`, `eb`. A *found* decimal is
//! exactly itself: were it an interval too, `gt100` would find 100 and `5.40` would not find 5.4, against
//! the specification's own examples.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// The system of UCUM's units.
pub(super) const UCUM: &str = "http://unitsofmeasure.org";

/// More units than are in use anywhere; beyond them nothing is remembered.
const MOST_UNITS: usize = 10_000;

/// A unit as it is indexed: a name, and how a value comes to it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Unit {
    /// `http://unitsofmeasure.org|g.m-3` or `system|code`.
    pub(super) name: Arc<str>,
    factor: f64,
    offset: f64,
}

impl Unit {
    /// The unit with that system and code.
    pub(super) fn of(system: Option<&str>, code: &str) -> Unit {
        if system != Some(UCUM) {
            let name = format!("{}|{code}", system.unwrap_or_default());
            return Unit { name: name.into(), factor: 1.0, offset: 0.0 };
        }
        static KNOWN: LazyLock<RwLock<HashMap<Box<str>, Unit>>> = LazyLock::new(RwLock::default);
        if let Some(unit) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(code) {
            return unit.clone();
        }
        let unit = canonical(code);
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_UNITS && code.len() < 100 {
            known.insert(code.into(), unit.clone());
        }
        unit
    }

    /// A value in this unit, in the unit that is indexed. Twelve digits are kept, so that the same amount in
    /// two units is the same number.
    pub(super) fn convert(&self, value: f64) -> f64 {
        if self.factor == 1.0 && self.offset == 0.0 {
            return value;
        }
        let converted = value * self.factor + self.offset;
        if converted.is_finite() {
            format!("{converted:.11e}").parse().unwrap_or(converted)
        } else {
            converted
        }
    }
}

fn canonical(code: &str) -> Unit {
    match octofhir_ucum::get_canonical_units(code) {
        Ok(it) if it.factor.to_f64().is_normal() => Unit {
            name: format!("{UCUM}|{}", it.unit).into(),
            factor: it.factor.to_f64(),
            offset: it.offset.to_f64(),
        },
        // No unit of UCUM, or one on a scale that is not linear: comparable with itself.
        _ => Unit { name: format!("{UCUM}|{code}").into(), factor: 1.0, offset: 0.0 },
    }
}

/// A searched decimal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decimal {
    /// The number itself.
    pub(super) exact: f64,
    /// Where its significant digits let it begin.
    pub(super) low: f64,
    /// Where they let it end; that number is not meant any more.
    pub(super) end: f64,
}

impl Decimal {
    /// Reads a decimal of FHIR, as it is written in a search.
    pub(super) fn parse(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || text.len() > 60 || exponent.abs() > 400 {
            return None;
        }
        let places = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let exact: f64 = text.parse().ok().filter(|it: &f64| it.is_finite())?;
        // Half of the last digit, by way of text: 5.4 - 0.05 would not be 5.35.
        let last = exponent - i32::try_from(places).ok()?;
        let scaled: i128 = mantissa.replace(['.', '+'], "").parse().ok()?;
        let half = |by: i128| -> Option<f64> {
            let value = scaled.checked_mul(10)?.checked_add(by)?;
            format!("{value}e{}", last - 1).parse().ok()
        };
        Some(Decimal { exact, low: half(-5)?, end: half(5)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_say_how_precise_a_number_is() {
        for (text, exact, low, end) in [
            ("100", 100.0, 99.5, 100.5),
            ("100.00", 100.0, 99.995, 100.005),
            ("5.4", 5.4, 5.35, 5.45),
            ("-5.40", -5.4, -5.405, -5.395),
            ("5.40e-3", 0.0054, 0.005395, 0.005405),
            ("1e2", 100.0, 50.0, 150.0),
            ("0", 0.0, -0.5, 0.5),
        ] {
            assert_eq!(Decimal::parse(text), Some(Decimal { exact, low, end }), "{text}");
        }
        for bad in ["", "-", "1.", ".5", "1,5", "0x1", "NaN", "inf", "1e999", "1e5e5", "1 ", &"9".repeat(61)]
        {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_same_amount_in_two_units_is_the_same_number() {
        let convert = |value: f64, code: &str| {
            let unit = Unit::of(Some(UCUM), code);
            (unit.name.to_string(), unit.convert(value))
        };
        assert_eq!(convert(5.4, "mg"), convert(5400.0, "ug"));
        assert_eq!(convert(120.0, "mm[Hg]"), convert(12.0, "cm[Hg]"));
        assert_eq!(convert(72.0, "/min"), convert(1.2, "/s"));
        assert_eq!(convert(37.0, "Cel"), convert(310.15, "K"));
        assert_ne!(convert(1.0, "mg").0, convert(1.0, "mm").0);
        assert_eq!(convert(7.4, "[pH]"), ("http://unitsofmeasure.org|[pH]".to_owned(), 7.4));
        assert_eq!(convert(1.0, "no unit"), ("http://unitsofmeasure.org|no unit".to_owned(), 1.0));
        assert_eq!(&*Unit::of(None, "mg").name, "|mg");
        assert_eq!(&*Unit::of(Some("http://x"), "mg").name, "http://x|mg");
    }
}
