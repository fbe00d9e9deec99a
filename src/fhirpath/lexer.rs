//! Text to tokens. <http://hl7.org/fhirpath/N1/#lexical-elements>

use super::value::Value;
use crate::fhir::date_time::{DateTime, Time};

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, keyword or operator word.
    Word(String),
    /// A name in backticks: never a keyword.
    Quoted(String),
    /// `$this`
    Dollar(String),
    /// `%name`
    Percent(String),
    Literal(Value<'static>),
    /// One of the operators and brackets.
    Sign(&'static str),
}

const SIGNS: [&str; 24] = [
    "<=", ">=", "!=", "!~", ".", ",", "(", ")", "[", "]", "{", "}", "+", "-", "*", "/", "|", "&", "<", ">",
    "=", "~", "?", ":",
];

/// Splits an expression into tokens, each with the byte where it starts; on failure the byte where
/// it cannot go on.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, usize> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(first) = rest.chars().next() else { break };
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        if rest.starts_with("/*") {
            at += rest.find("*/").ok_or(at)? + 2;
            continue;
        }
        let (token, length) = token(rest).ok_or(at)?;
        tokens.push((token, at));
        at += length;
    }
    Ok(tokens)
}

fn token(rest: &str) -> Option<(Token, usize)> {
    let first = rest.chars().next()?;
    match first {
        '\'' | '"' => {
            let (text, length) = quoted(rest, first)?;
            Some((Token::Literal(Value::String(text.into())), length))
        }
        '`' => {
            let (text, length) = quoted(rest, '`')?;
            Some((Token::Quoted(text), length))
        }
        '@' => moment(rest),
        '$' => {
            let length = 1 + word_length(rest.get(1..)?);
            Some((Token::Dollar(rest.get(1..length)?.to_owned()), length))
        }
        '%' => {
            let after = rest.get(1..)?;
            if let Some(quote) = after.chars().next().filter(|it| matches!(it, '`' | '\'' | '"')) {
                let (text, length) = quoted(after, quote)?;
                return Some((Token::Percent(text), length + 1));
            }
            // Names such as `%vs-administrative-gender` stand without quotes in R4's own examples.
            let length = after
                .find(|it: char| !(it.is_alphanumeric() || it == '_' || it == '-'))
                .filter(|length| *length > 0)
                .or((!after.is_empty()).then_some(after.len()))?;
            Some((Token::Percent(after.get(..length)?.to_owned()), length + 1))
        }
        '0'..='9' => number(rest),
        _ if first.is_ascii_alphabetic() || first == '_' => {
            let length = word_length(rest);
            Some((Token::Word(rest.get(..length)?.to_owned()), length))
        }
        _ => SIGNS.iter().find(|sign| rest.starts_with(**sign)).map(|sign| (Token::Sign(sign), sign.len())),
    }
}

fn number(rest: &str) -> Option<(Token, usize)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(rest);
    let mut is_decimal = false;
    if let Some(fraction) = rest.get(length..)?.strip_prefix('.')
        && digits(fraction) > 0
    {
        length += 1 + digits(fraction);
        is_decimal = true;
    }
    let text = rest.get(..length)?;
    let value =
        if is_decimal { Value::Decimal(text.parse().ok()?) } else { Value::Integer(text.parse().ok()?) };
    Some((Token::Literal(value), length))
}

fn word_length(text: &str) -> usize {
    text.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_')).unwrap_or(text.len())
}

fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, letter)) = chars.next() {
        match letter {
            _ if letter == quote => return Some((out, at + 1)),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                'f' => out.push('\u{c}'),
                'u' => {
                    let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                    let is_hex = digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_hexdigit());
                    let code = if is_hex { u32::from_str_radix(&digits, 16).ok()? } else { return None };
                    out.push(char::from_u32(code)?);
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    None
}

/// `@2026-11-24T10:20:30Z`, `@T10:20`.
fn moment(rest: &str) -> Option<(Token, usize)> {
    let after = rest.get(1..)?;
    let allowed = |it: char| it.is_ascii_digit() || matches!(it, '-' | ':' | '.' | 'T' | 'Z' | '+');
    let mut length = after.find(|it| !allowed(it)).unwrap_or(after.len());
    // A dot that no digit follows begins a member: `@2026.toString()`.
    while let Some(text) = after.get(..length) {
        let Some(last) = text.rfind('.') else { break };
        if after.get(last + 1..).is_some_and(|it| it.starts_with(|it: char| it.is_ascii_digit()))
            && text.contains('T')
        {
            break;
        }
        length = last;
    }
    let text = after.get(..length)?;
    let value = match text.strip_prefix('T') {
        Some(time) => {
            Time::parse_literal(time)?;
            Value::Time(time.to_owned().into())
        }
        None => {
            DateTime::parse_literal(text)?;
            Value::Date(text.to_owned().into())
        }
    };
    Some((Token::Literal(value), length + 1))
}
