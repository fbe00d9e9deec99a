//! Strings. <http://hl7.org/fhirpath/N1/#string-manipulation>, `#additional-string-functions`

use super::{Given, Table, count, given_one};
use crate::fhirpath::EvaluationError;
use crate::fhirpath::evaluate::{Items, Result};
use crate::fhirpath::value::{Item, Value};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    IndexOf,
    LastIndexOf,
    Substring,
    StartsWith,
    EndsWith,
    Contains,
    Upper,
    Lower,
    Replace,
    Matches,
    MatchesFull,
    ReplaceMatches,
    Length,
    ToChars,
    Trim,
    Split,
    Join,
    Encode,
    Decode,
    Escape,
    Unescape,
}

pub(super) const TABLE: &Table<Name> = &[
    ("indexOf", Name::IndexOf, 1, 1),
    ("lastIndexOf", Name::LastIndexOf, 1, 1),
    ("substring", Name::Substring, 1, 2),
    ("startsWith", Name::StartsWith, 1, 1),
    ("endsWith", Name::EndsWith, 1, 1),
    ("contains", Name::Contains, 1, 1),
    ("upper", Name::Upper, 0, 0),
    ("lower", Name::Lower, 0, 0),
    ("replace", Name::Replace, 2, 2),
    ("matches", Name::Matches, 1, 2),
    ("matchesFull", Name::MatchesFull, 1, 2),
    ("replaceMatches", Name::ReplaceMatches, 2, 3),
    ("length", Name::Length, 0, 0),
    ("toChars", Name::ToChars, 0, 0),
    ("trim", Name::Trim, 0, 0),
    ("split", Name::Split, 1, 1),
    ("join", Name::Join, 0, 1),
    ("encode", Name::Encode, 1, 1),
    ("decode", Name::Decode, 1, 1),
    ("escape", Name::Escape, 1, 1),
    ("unescape", Name::Unescape, 1, 1),
];

impl Name {
    /// Whether the first argument is a regular expression.
    pub(in crate::fhirpath) fn takes_a_pattern(self) -> bool {
        matches!(self, Name::Matches | Name::MatchesFull | Name::ReplaceMatches)
    }
}

/// A regular expression, compiled within bounds: `.` matches line ends too, which the
/// specification calls single-line mode.
pub(in crate::fhirpath) fn pattern(text: &str, name: Name) -> Option<Regex> {
    let text = match name {
        Name::MatchesFull => Cow::Owned(format!("^(?:{text})$")),
        _ => Cow::Borrowed(text),
    };
    RegexBuilder::new(&text).size_limit(1 << 20).dot_matches_new_line(true).build().ok()
}

pub(super) fn call<'a>(name: Name, focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    if name == Name::Join {
        return join(focus, given);
    }
    let Some(subject) = given.on.text(focus)? else { return Ok(Items::new()) };
    let subject = &*subject;
    let string = |text: String| -> Result<Items<'a>> {
        given.on.charge_text(text.len())?;
        Ok(given_one(Some(Value::String(text.into()))))
    };
    match name {
        Name::Upper => return string(subject.to_uppercase()),
        Name::Lower => return string(subject.to_lowercase()),
        Name::Trim => return string(subject.trim().to_owned()),
        Name::Length => return Ok(given_one(Some(count(subject.chars().count())))),
        Name::ToChars => {
            given.on.charge(u32::try_from(subject.len()).unwrap_or(u32::MAX))?;
            return Ok(subject.chars().map(|it| Item::Value(Value::String(it.to_string().into()))).collect());
        }
        Name::Substring => return substring(subject, given),
        Name::Matches | Name::MatchesFull | Name::ReplaceMatches => return matches(name, subject, given),
        _ => {}
    }
    let Some(wanted) = given.text(0)? else { return Ok(Items::new()) };
    let wanted = &*wanted;
    let place = |at: Option<usize>| match at.and_then(|at| subject.get(..at)) {
        Some(before) => count(before.chars().count()),
        None => Value::Integer(-1),
    };
    Ok(given_one(Some(match name {
        Name::StartsWith => Value::Boolean(subject.starts_with(wanted)),
        Name::EndsWith => Value::Boolean(subject.ends_with(wanted)),
        Name::Contains => Value::Boolean(subject.contains(wanted)),
        Name::IndexOf => place(subject.find(wanted)),
        Name::LastIndexOf => place(subject.rfind(wanted)),
        Name::Replace => {
            let Some(with) = given.text(1)? else { return Ok(Items::new()) };
            given.on.charge_text(subject.len().saturating_mul(1 + with.len()))?;
            // Between all letters and before the first, but not after the last.
            if wanted.is_empty() {
                return string(
                    subject.chars().flat_map(|it| with.chars().chain([it])).chain(with.chars()).collect(),
                );
            }
            return string(subject.replace(wanted, &with));
        }
        Name::Split => {
            given.on.charge(u32::try_from(subject.len()).unwrap_or(u32::MAX))?;
            if wanted.is_empty() {
                return Ok(subject
                    .chars()
                    .map(|it| Item::Value(Value::String(it.to_string().into())))
                    .collect());
            }
            let parts = subject.split(wanted);
            return Ok(parts.map(|it| Item::Value(Value::String(it.to_owned().into()))).collect());
        }
        _ => match recode(name, subject, wanted)? {
            Some(text) => return string(text),
            None => return Ok(Items::new()),
        },
    })))
}

fn join<'a>(focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let joint = if given.has(0) { given.text(0)?.unwrap_or_default() } else { Cow::Borrowed("") };
    if focus.is_empty() {
        return Ok(Items::new());
    }
    let mut out = String::new();
    for (place, item) in focus.iter().enumerate() {
        let Some(part) = given.on.text(std::slice::from_ref(item))? else { continue };
        if place > 0 {
            out.push_str(&joint);
        }
        out.push_str(&part);
        given.on.charge_text(out.len())?;
    }
    Ok(given_one(Some(Value::String(out.into()))))
}

fn substring<'a>(subject: &str, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let Some(start) = given.integer(0)? else { return Ok(Items::new()) };
    let length = if given.has(1) {
        match given.integer(1)? {
            Some(length) => usize::try_from(length).unwrap_or(0),
            // An empty length is no length: <http://hl7.org/fhirpath/N1/#substring>
            None => usize::MAX,
        }
    } else {
        usize::MAX
    };
    let Ok(start) = usize::try_from(start) else { return Ok(Items::new()) };
    let mut rest = subject.chars().skip(start).peekable();
    if rest.peek().is_none() {
        return Ok(Items::new());
    }
    let part: String = rest.take(length).collect();
    Ok(given_one(Some(Value::String(part.into()))))
}

fn matches<'a>(name: Name, subject: &str, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let made;
    let pattern = match &given.call.pattern {
        Some(pattern) => pattern,
        None => {
            let Some(text) = given.text(0)? else { return Ok(Items::new()) };
            // Compiling a pattern costs as much as thousands of steps.
            given.on.charge(2_000)?;
            made = pattern(&text, name).ok_or(EvaluationError::Argument)?;
            &made
        }
    };
    given.on.charge_text(subject.len())?;
    if name != Name::ReplaceMatches {
        return Ok(given_one(Some(Value::Boolean(pattern.is_match(subject)))));
    }
    let Some(with) = given.text(1)? else { return Ok(Items::new()) };
    // The empty pattern matches nothing that could be replaced.
    if pattern.as_str().is_empty() {
        return Ok(given_one(Some(Value::String(subject.to_owned().into()))));
    }
    given.on.charge_text(subject.len().saturating_mul(1 + with.len()))?;
    Ok(given_one(Some(Value::String(pattern.replace_all(subject, &*with).into_owned().into()))))
}

/// `encode`, `decode`, `escape`, `unescape`; nothing where the text is not of that coding.
fn recode(name: Name, subject: &str, coding: &str) -> Result<Option<String>> {
    let utf8 = |bytes: Option<Vec<u8>>| bytes.and_then(|it| String::from_utf8(it).ok());
    Ok(match (name, coding) {
        (Name::Encode, "hex") => Some(subject.bytes().map(|byte| format!("{byte:02x}")).collect()),
        (Name::Encode, "base64") => Some(STANDARD.encode(subject)),
        (Name::Encode, "urlbase64") => Some(URL_SAFE.encode(subject)),
        (Name::Decode, "hex") => utf8(from_hex(subject)),
        (Name::Decode, "base64") => utf8(STANDARD.decode(subject).ok()),
        (Name::Decode, "urlbase64") => utf8(URL_SAFE.decode(subject).ok()),
        (Name::Escape, "html") => {
            let escaped = subject.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            Some(escaped.replace('"', "&quot;").replace('\'', "&#39;"))
        }
        (Name::Unescape, "html") => {
            let plain = subject.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            Some(plain.replace("&#39;", "'").replace("&amp;", "&"))
        }
        (Name::Escape, "json") => {
            let quoted = crate::fhir::json::quote(subject);
            quoted.get(1..quoted.len().saturating_sub(1)).map(str::to_owned)
        }
        (Name::Unescape, "json") => serde_json::from_str(&format!("\"{subject}\"")).ok(),
        _ => return Err(EvaluationError::Argument),
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|it| it.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    bytes.collect()
}
