//! Primitive values: the right JSON type, and the right letters.
//!
//! <https://hl7.org/fhir/R4/datatypes.html#primitive>. Scanners by hand: no pattern is compiled or run.

use crate::fhir::date_time::{DateTime, Time};
use crate::fhir::id::ResourceId;
use crate::fhir::json::{Kind, Node};

/// Checks a value against its primitive type.
pub(super) fn check(type_name: &str, node: Node<'_>) -> Result<(), &'static str> {
    let kind = match type_name {
        "boolean" => Kind::Boolean,
        "integer" | "positiveInt" | "unsignedInt" | "decimal" => Kind::Number,
        _ => Kind::String,
    };
    if node.kind() != kind {
        return Err(match kind {
            Kind::Boolean => "true or false is expected",
            Kind::Number => "a number is expected",
            _ => "a string is expected",
        });
    }
    match kind {
        Kind::Number => number(type_name, node.raw()),
        Kind::String => text(type_name, &node.as_str().unwrap_or_default()),
        _ => Ok(()),
    }
}

fn number(type_name: &str, digits: &str) -> Result<(), &'static str> {
    if type_name == "decimal" {
        // More digits than anybody measures cost whoever computes with them.
        return if digits.len() > 256 { Err("a decimal with too many digits") } else { Ok(()) };
    }
    match (digits.parse::<i32>(), type_name) {
        (Ok(1..), _) | (Ok(0), "unsignedInt") | (Ok(_), "integer") => Ok(()),
        (Ok(_), "positiveInt") => Err("a positive integer is expected"),
        (Ok(_), _) => Err("an integer of zero or more is expected"),
        (Err(_), _) => Err("an integer of 32 bits is expected"),
    }
}

fn text(type_name: &str, text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("a string must not be empty");
    }
    let is_valid = match type_name {
        "date" => DateTime::parse_date(text).is_some(),
        "dateTime" => DateTime::parse_date_time(text).is_some(),
        "instant" => DateTime::parse_instant(text).is_some(),
        "time" => Time::parse(text).is_some(),
        "code" => is_code(text),
        "id" => ResourceId::parse(text).is_some(),
        "uri" | "url" | "canonical" => is_uri(text),
        "oid" => text.strip_prefix("urn:oid:").is_some_and(is_oid),
        "uuid" => text.strip_prefix("urn:uuid:").is_some_and(is_uuid),
        "base64Binary" => is_base64(text),
        "string" | "markdown" => {
            text.len() <= 1 << 20 && text.contains(|letter: char| !letter.is_whitespace())
        }
        _ => true,
    };
    if is_valid { Ok(()) } else { Err(problem(type_name)) }
}

fn problem(type_name: &str) -> &'static str {
    match type_name {
        "date" => "not a valid date: YYYY, YYYY-MM or YYYY-MM-DD is expected",
        "dateTime" => "not a valid dateTime: a date, or a time to the second with an offset, is expected",
        "instant" => "not a valid instant: a time to the second with an offset is expected",
        "time" => "not a valid time: hh:mm:ss is expected",
        "code" => "not a valid code: no white space at the ends, single spaces inside",
        "id" => "not a valid id",
        "uri" | "url" | "canonical" => "not a valid URI: it must not hold white space",
        "oid" => "not a valid OID",
        "uuid" => "not a valid UUID",
        "base64Binary" => "not valid base64",
        _ => "not a valid string: up to 1 MB, and not only white space",
    }
}

/// Any URI, but a UUID or OID must be one.
fn is_uri(text: &str) -> bool {
    if let Some(uuid) = text.strip_prefix("urn:uuid:") {
        return is_uuid(uuid);
    }
    match text.strip_prefix("urn:oid:") {
        Some(oid) => is_oid(oid),
        None => !text.contains(char::is_whitespace),
    }
}

fn is_code(text: &str) -> bool {
    text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
}

fn is_oid(text: &str) -> bool {
    let is_arc = |arc: &str| {
        arc == "0" || (!arc.starts_with('0') && !arc.is_empty() && arc.bytes().all(|it| it.is_ascii_digit()))
    };
    text.starts_with(['0', '1', '2']) && text.contains('.') && text.split('.').all(is_arc)
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit())
}

/// White space may stand between; padding only at the end.
fn is_base64(text: &str) -> bool {
    let mut count = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        count += 1;
    }
    count.is_multiple_of(4) && padding <= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Json, Limits};

    fn check_all(type_name: &str, good: &[&str], bad: &[&str]) {
        for (values, expected) in [(good, true), (bad, false)] {
            for value in values {
                let json = Json::parse(*value, &Limits::default()).unwrap();
                assert_eq!(check(type_name, json.root()).is_ok(), expected, "{type_name} {value}");
            }
        }
    }

    #[test]
    fn knows_the_letters_of_each_type() {
        check_all("boolean", &["true"], &["\"true\"", "1"]);
        check_all("integer", &["0", "-5", "2147483647"], &["2147483648", "1.0", "\"1\"", "1e2"]);
        check_all("positiveInt", &["1"], &["0", "-1"]);
        check_all("unsignedInt", &["0"], &["-1"]);
        check_all("decimal", &["1.00", "1e5", "-0.1"], &["\"1\""]);
        check_all(
            "date",
            &["\"2020\"", "\"2020-02\"", "\"2020-02-29\""],
            &["\"2021-02-29\"", "\"2020-2\"", "\"2020-01-01T00:00:00Z\""],
        );
        check_all(
            "dateTime",
            &["\"2020-01-01T10:00:00Z\"", "\"2020-01-01T10:00:00.123+02:00\""],
            &["\"2020-01-01T10:00\"", "\"2020-01-01T10:00:00\"", "\"2020-01-01T25:00:00Z\""],
        );
        check_all("instant", &["\"2020-01-01T10:00:00Z\""], &["\"2020-01-01\""]);
        check_all("time", &["\"10:00:00\""], &["\"10:00\"", "\"24:00:00\""]);
        check_all("code", &["\"a b\""], &["\" a\"", "\"a  b\"", "\"\""]);
        check_all("oid", &["\"urn:oid:1.2.3\""], &["\"urn:oid:3.1\"", "\"1.2\"", "\"urn:oid:1.02\""]);
        check_all("uuid", &["\"urn:uuid:c757873d-ec9a-4326-a141-556f43239520\""], &["\"urn:uuid:x\""]);
        check_all("base64Binary", &["\"aGk=\"", "\"aG\\nk=\""], &["\"aGk\"", "\"a=Gk\"", "\"*\""]);
        check_all("string", &["\"x\""], &["\"\"", "\" \"", "7"]);
    }
}
