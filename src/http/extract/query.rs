//! Query strings and forms, decoded.
//!
//! <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>, but strict: what does not decode is
//! refused, since a search that silently asks for something else is worse than none.

use crate::fhir::outcome::Outcome;
use crate::interaction::request::Parameters;

/// The parameters in the order received.
///
/// # Errors
/// A `%` is not followed by two hexadecimal digits, or what it spells is not UTF-8 or holds a NUL.
pub(crate) fn decode(text: &str) -> Result<Parameters, Outcome> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_word(name)?, decode_word(value)?))
        })
        .collect()
}

/// The value of a parameter, leniently: what does not decode is not there.
pub(crate) fn find(text: &str, name: &str) -> Option<String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(it, _)| *it == name).map(|(_, value)| value).next()?;
    decode_word(value).ok()
}

fn decode_word(word: &str) -> Result<String, Outcome> {
    let refuse = |reason: &str| Err(Outcome::value(format!("the query does not decode: {reason}")));
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hexadecimal), rest.next().and_then(hexadecimal)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return refuse("% must be followed by two hexadecimal digits"),
            },
            other => other,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => refuse("it holds a NUL"),
        Ok(text) => Ok(text),
        Err(_) => refuse("it is not UTF-8"),
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_in_order() {
        let decoded = decode("name=Mary+Ann&name=%C3%89ve&&code=a%7Cb&flag&eq=a=b").unwrap();
        let expected = [("name", "Mary Ann"), ("name", "Éve"), ("code", "a|b"), ("flag", ""), ("eq", "a=b")];
        let decoded: Vec<_> = decoded.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(decoded, expected);
    }

    #[test]
    fn refuses_what_does_not_decode() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "%00=1", "a=%C3"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
