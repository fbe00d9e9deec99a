//! Which codes are known to be codes: a name that stands where a code should is not let through.
//!
//! HL7's own code systems are small, and the facts of the packages list their codes. The large ones are known by the
//! shape of their codes and, where they have one, by their check digit.

use super::policy::{Policy, Shape};
use crate::conformance::definitions::Definitions;
use crate::terminology;
use std::collections::{HashMap, HashSet};

const UCUM: &str = "http://unitsofmeasure.org";

/// The codes that the packages list.
#[derive(Default)]
pub(super) struct Codes {
    by_system: HashMap<Box<str>, HashSet<Box<str>>>,
    /// The codes of HL7's own systems, whichever it is.
    words: HashSet<Box<str>>,
}

impl Codes {
    pub(super) fn of(definitions: &Definitions) -> Codes {
        let mut codes = Codes::default();
        for guide in definitions.guides() {
            let blocks = guide.value_sets().filter_map(|url| guide.value_set(url));
            for line in blocks.flat_map(|block| block.lines().skip(1)) {
                let mut fields = line.split('\t').skip(1);
                let system = fields.next().unwrap_or_default();
                codes.add(system, fields.filter(|it| !matches!(*it, "?" | "*")));
            }
        }
        codes
    }

    fn add<'c>(&mut self, system: &str, listed: impl Iterator<Item = &'c str>) {
        let is_open = system == "?" || system.is_empty();
        if is_open {
            return;
        }
        let is_own =
            ["http://hl7.org/fhir/", "http://terminology.hl7.org/", "urn:iso:std:iso:", "urn:ietf:bcp:"]
                .iter()
                .any(|it| system.starts_with(it));
        let of_system = self.by_system.entry(system.into()).or_default();
        for code in listed {
            of_system.insert(code.into());
            if is_own {
                self.words.insert(code.into());
            }
        }
    }

    /// Whether a value of an element of the type `code` is one.
    pub(super) fn is_word(&self, policy: &Policy, code: &str) -> bool {
        self.words.contains(code) || policy.is_word(code)
    }

    /// Whether that is a country.
    pub(super) fn is_country(&self, code: &str) -> bool {
        let listed = self.by_system.get("urn:iso:std:iso:3166");
        matches!(code, "US" | "USA" | "United States") || listed.is_some_and(|it| it.contains(code))
    }

    /// Whether a code is one of that system.
    pub(super) fn is_known(&self, policy: &Policy, system: &str, code: &str) -> bool {
        match policy.shape(system) {
            Some(Shape::Ucum) => is_unit(policy, code),
            Some(Shape::Listed) | None => self.by_system.get(system).is_some_and(|it| it.contains(code)),
            Some(shape) => has_shape(shape, code),
        }
    }
}

/// Whether that is a unit, without an annotation that could say anything.
pub(super) fn is_unit(policy: &Policy, code: &str) -> bool {
    let mut rest = code;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((annotation, after)) = after.split_once('}') else { return false };
        if !policy.is_unit_annotation(annotation) {
            return false;
        }
        rest = after;
    }
    // Numbers alone are units, too, by the grammar: 10.99.88.77 is a product.
    let is_named = code.bytes().any(|it| it.is_ascii_alphabetic() || matches!(it, b'%' | b'{'));
    let digits = code.bytes().filter(u8::is_ascii_digit).count();
    is_named && digits <= 4 && code.len() <= 30 && terminology::is_code_of(UCUM, code) == Some(true)
}

fn has_shape(shape: Shape, code: &str) -> bool {
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit())
    };
    let is_upper = |text: &str| text.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_uppercase());
    let starts = |text: &str| text.bytes().next().unwrap_or_default();
    match shape {
        Shape::Loinc => is_loinc(code),
        Shape::Snomed => (6..=18).contains(&code.len()) && is_verhoeff(code),
        Shape::Digits(most) => digits(code, most),
        Shape::Icd9 => {
            let (front, back) = code.split_once('.').unwrap_or((code, "0"));
            let front = front.strip_prefix(['V', 'E']).unwrap_or(front);
            digits(front, 3) && digits(back, 2)
        }
        Shape::Icd10 => {
            let (front, back) = code.split_once('.').unwrap_or((code, "0"));
            let second = front.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
            front.len() == 3
                && starts(front).is_ascii_uppercase()
                && second
                && is_upper(front)
                && (1..=4).contains(&back.len())
                && is_upper(back)
        }
        Shape::Pcs => {
            let count = code.bytes().filter(u8::is_ascii_digit).count();
            code.len() == 7 && is_upper(code) && count >= 3 && !code.contains(['I', 'O'])
        }
        Shape::Cpt => code.len() == 5 && code.get(..4).is_some_and(|it| digits(it, 4)) && is_upper(code),
        Shape::Hcpcs => {
            let rest = code.get(1..).unwrap_or_default();
            starts(code).is_ascii_uppercase() && rest.len() == 4 && digits(rest, 4)
        }
        Shape::Ndc => {
            let parts: Vec<&str> = code.split('-').collect();
            match parts.as_slice() {
                [labeler, product, package] => {
                    (4..=5).contains(&labeler.len())
                        && (3..=4).contains(&product.len())
                        && digits(labeler, 5)
                        && digits(product, 4)
                        && digits(package, 2)
                }
                _ => false,
            }
        }
        Shape::Nucc => {
            code.len() == 10
                && code.get(..3).is_some_and(|it| digits(it, 3))
                && is_upper(code)
                && code.ends_with('X')
        }
        Shape::Race => {
            let parts = code.split_once('-');
            parts.is_some_and(|(front, back)| front.len() == 4 && digits(front, 4) && digits(back, 1))
        }
        Shape::Ucum | Shape::Listed => false,
    }
}

/// A number and its check digit, modulo 10. Of parts and answers, told by their letters, only the shape is known.
fn is_loinc(code: &str) -> bool {
    let lettered = code.strip_prefix("LP").or_else(|| code.strip_prefix("LA"));
    let Some((number, check)) = lettered.unwrap_or(code).split_once('-') else { return false };
    let is_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if !(1..=7).contains(&number.len()) || check.len() != 1 || !is_digits(number) || !is_digits(check) {
        return false;
    }
    if lettered.is_some() {
        return true;
    }
    let mut sum = 0;
    for (place, digit) in number.chars().rev().enumerate() {
        let Some(digit) = digit.to_digit(10) else { return false };
        let digit = if place % 2 == 0 { digit * 2 } else { digit };
        sum += digit / 10 + digit % 10;
    }
    check.parse::<u32>() == Ok((10 - sum % 10) % 10)
}

/// Digits of which the last one checks the others, by Verhoeff.
fn is_verhoeff(code: &str) -> bool {
    // The dihedral group of order ten: 0 to 4 turn, 5 to 9 also flip.
    let multiply = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut check = 0;
    for (place, digit) in code.chars().rev().enumerate() {
        let Some(mut digit) = digit.to_digit(10) else { return false };
        for _ in 0..place % 8 {
            digit = usize::try_from(digit).ok().and_then(|it| PERMUTATION.get(it)).copied().unwrap_or(0);
        }
        check = multiply(check, digit);
    }
    check == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_codes_from_names_and_numbers() {
        let definitions = Definitions::embedded().unwrap();
        let policy = Policy::embedded(&definitions.types).unwrap();
        let codes = Codes::of(&definitions);
        let loinc = "http://loinc.org";
        let snomed = "http://snomed.info/sct";
        let icd = "http://hl7.org/fhir/sid/icd-10-cm";
        let condition = "http://terminology.hl7.org/CodeSystem/condition-clinical";
        for (system, code) in [
            (loinc, "8302-2"),
            (loinc, "29463-7"),
            (loinc, "72166-2"),
            (loinc, "LA6112-2"),
            (snomed, "38341003"),
            (snomed, "44054006"),
            (snomed, "444814009"),
            (icd, "E11.9"),
            (icd, "S72.001A"),
            (condition, "active"),
            (UCUM, "mm[Hg]"),
            (UCUM, "{score}"),
            ("http://hl7.org/fhir/sid/cvx", "140"),
            ("urn:oid:2.16.840.1.113883.6.238", "2106-3"),
            ("http://hl7.org/fhir/sid/ndc", "0069-2587-10"),
        ] {
            assert!(codes.is_known(&policy, system, code), "{system} {code}");
        }
        for (system, code) in [
            (loinc, "Lovelace"),
            (loinc, "8302-1"),
            (loinc, "123-45-6789"),
            (snomed, "38341004"),
            (snomed, "Lovelace"),
            (icd, "Lovelace"),
            (condition, "Lovelace"),
            (UCUM, "{Lovelace}"),
            (UCUM, "Lovelace"),
            (UCUM, "10.99.88.77"),
            (UCUM, "424242424"),
            ("http://hospital.example/codes", "active"),
        ] {
            assert!(!codes.is_known(&policy, system, code), "{system} {code}");
        }
        assert!(codes.is_word(&policy, "final") && codes.is_word(&policy, "male"));
        assert!(!codes.is_word(&policy, "Lovelace"));
    }
}
