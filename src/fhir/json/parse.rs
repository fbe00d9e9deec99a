//! Text to tape, in one pass.
//!
//! <https://www.rfc-editor.org/rfc/rfc8259>, stricter where FHIR is: <https://hl7.org/fhir/R4/json.html>

use super::{Entry, Json, Kind};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashSet;

/// How much a document may ask of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest text, in bytes.
    pub size_bytes: usize,
    /// The deepest nesting of objects and arrays.
    pub depth: usize,
    /// The most items in one array.
    pub array_length: usize,
    /// The most values in the whole document.
    pub values: usize,
}

impl Limits {
    /// For a text that kept its client's limits when it came: what was stored, and what we made of it, which
    /// may be a few bytes longer.
    pub const ACCEPTED: Limits =
        Limits { size_bytes: usize::MAX, depth: 64, array_length: 200_000, values: 8_000_000 };
}

impl Default for Limits {
    /// 50 MB, 64 levels, 200,000 items an array, 8 million values.
    fn default() -> Limits {
        Limits { size_bytes: 50 << 20, ..Limits::ACCEPTED }
    }
}

/// Why a text was not accepted, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct ParseError {
    /// What is wrong, in one clause; never a piece of the text.
    pub reason: &'static str,
    /// The byte where it was noticed.
    pub offset: usize,
    /// The way from the root to the value that was being read: `name[0].family`.
    pub path: String,
    /// Whether the text was refused for its size, not its form.
    pub is_too_costly: bool,
}

type Parsed<T> = Result<T, Box<ParseError>>;

pub(super) fn parse(bytes: Vec<u8>, limits: &Limits) -> Result<Json, ParseError> {
    let refuse =
        |reason, offset, is_too_costly| ParseError { reason, offset, path: String::new(), is_too_costly };
    if bytes.len() > limits.size_bytes || u32::try_from(bytes.len()).is_err() {
        return Err(refuse("the document is too large", bytes.len(), true));
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(refuse("not valid UTF-8", error.utf8_error().valid_up_to(), false)),
    };
    let mut reader = Reader {
        text: &text,
        bytes: text.as_bytes(),
        at: 0,
        // One value takes about 14 bytes of a resource; a growth of the tape costs a copy.
        tape: Vec::with_capacity(text.len() / 12 + 4),
        limits,
    };
    reader.document().map_err(|error| *error)?;
    let tape = reader.tape.into_boxed_slice();
    Ok(Json { text: text.into_boxed_str(), tape })
}

/// Decodes the inside of a string that the reader has accepted.
pub(super) fn unescape(inside: &str) -> String {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        let character = match chars.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let (character, used) = unicode_escape(after.as_bytes()).unwrap_or(('\u{fffd}', 5));
                chars = after.get(used..).unwrap_or_default().chars();
                character
            }
            Some(other) => other,
            None => break,
        };
        out.push(character);
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// Reads `uXXXX` or `uXXXX\uXXXX`: the character and how many bytes it took.
fn unicode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(bytes.get(at..at + 4)?).ok()?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit(1)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high)?, 5));
    }
    if bytes.get(5..7) != Some(br"\u") {
        return None;
    }
    let low = unit(7)?;
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 11))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tape: Vec<Entry>,
    limits: &'a Limits,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Parsed<()> {
        // RFC 8259 8.1: a byte order mark may be ignored rather than refused; we refuse it, since
        // the stored bytes would carry it into every answer.
        self.value(0)?;
        self.white_space();
        if self.at < self.bytes.len() { self.fail("text after the end of the document") } else { Ok(()) }
    }

    fn value(&mut self, depth: usize) -> Parsed<()> {
        self.white_space();
        if self.tape.len() >= self.limits.values {
            return self.too_costly("too many values");
        }
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::Boolean),
            Some(b'f') => self.literal("false", Kind::Boolean),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(_) => self.fail("not the start of a value"),
            None => self.fail("the document ends too early"),
        }
    }

    fn object(&mut self, depth: usize) -> Parsed<()> {
        let index = self.open(Kind::Object, depth)?;
        let mut names = Names::default();
        self.white_space();
        if self.take(b'}') {
            return self.close(index);
        }
        loop {
            self.white_space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return self.fail("a member name is expected");
            }
            let name_index = self.tape.len();
            self.string()?;
            let name = self.name_at(name_index);
            if !names.insert(name.clone()) {
                let mut error = self.error("a duplicate member", false);
                error.path = name.into_owned();
                return Err(error);
            }
            self.white_space();
            if !self.take(b':') {
                return self.fail("a colon is expected");
            }
            self.value(depth + 1).map_err(|error| within(error, &self.name_at(name_index)))?;
            self.white_space();
            if self.take(b',') {
                continue;
            }
            if self.take(b'}') {
                return self.close(index);
            }
            return self.fail("a comma or a closing brace is expected");
        }
    }

    fn array(&mut self, depth: usize) -> Parsed<()> {
        let index = self.open(Kind::Array, depth)?;
        self.white_space();
        if self.take(b']') {
            return self.close(index);
        }
        for position in 0..self.limits.array_length {
            self.value(depth + 1).map_err(|error| within(error, &format!("[{position}]")))?;
            self.white_space();
            if self.take(b',') {
                continue;
            }
            if self.take(b']') {
                return self.close(index);
            }
            return self.fail("a comma or a closing bracket is expected");
        }
        self.too_costly("too many items in one array")
    }

    fn string(&mut self) -> Parsed<()> {
        let start = self.at;
        self.at += 1;
        let mut is_escaped = false;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(0..=0x1f) => return self.fail("a control character in a string"),
                Some(_) => self.at += 1,
                None => return self.fail("a string without an end"),
            }
        }
        self.at += 1;
        self.push(Kind::String, start, is_escaped);
        Ok(())
    }

    fn escape(&mut self) -> Parsed<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match unicode_escape(self.bytes.get(self.at + 1..).unwrap_or_default()) {
                Some(('\0', _)) => return self.fail("a NUL character in a string"),
                Some((_, used)) => self.at += 1 + used,
                None => return self.fail("not a valid unicode escape"),
            },
            _ => return self.fail("not a valid escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<()> {
        let start = self.at;
        self.take(b'-');
        if self.take(b'0') {
            if matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
                return self.fail("a number with a leading zero");
            }
        } else {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        self.push(Kind::Number, start, false);
        Ok(())
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit is expected") } else { Ok(()) }
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Parsed<()> {
        let start = self.at;
        if !self.text.get(start..).is_some_and(|rest| rest.starts_with(word)) {
            return self.fail("not the start of a value");
        }
        self.at += word.len();
        self.push(kind, start, false);
        Ok(())
    }

    fn open(&mut self, kind: Kind, depth: usize) -> Parsed<usize> {
        if depth >= self.limits.depth {
            return self.too_costly("nested too deeply");
        }
        let index = self.tape.len();
        self.push(kind, self.at, false);
        self.at += 1;
        Ok(index)
    }

    fn close(&mut self, index: usize) -> Parsed<()> {
        let next = offset(self.tape.len());
        let end = offset(self.at);
        if let Some(entry) = self.tape.get_mut(index) {
            entry.end = end;
            entry.next = next;
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, start: usize, is_escaped: bool) {
        let next = offset(self.tape.len() + 1);
        self.tape.push(Entry { start: offset(start), end: offset(self.at), next, kind, is_escaped });
    }

    fn name_at(&self, index: usize) -> Cow<'a, str> {
        let Some(entry) = self.tape.get(index) else { return Cow::Borrowed("") };
        let inside = entry.start as usize + 1..(entry.end as usize).saturating_sub(1);
        let name = self.text.get(inside).unwrap_or_default();
        if entry.is_escaped { Cow::Owned(unescape(name)) } else { Cow::Borrowed(name) }
    }

    fn white_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn error(&self, reason: &'static str, is_too_costly: bool) -> Box<ParseError> {
        Box::new(ParseError { reason, offset: self.at, path: String::new(), is_too_costly })
    }

    fn fail<T>(&self, reason: &'static str) -> Parsed<T> {
        Err(self.error(reason, false))
    }

    fn too_costly<T>(&self, reason: &'static str) -> Parsed<T> {
        Err(self.error(reason, true))
    }
}

/// The member names of one object. Objects are small: compare first, hash when they are not.
#[derive(Default)]
struct Names<'a> {
    few: SmallVec<[Cow<'a, str>; 24]>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// Adds a name; false if it was there.
    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < self.few.inline_size() {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

/// Puts a segment in front of the path of an error on its way out.
fn within(mut error: Box<ParseError>, segment: &str) -> Box<ParseError> {
    let joint = if error.path.is_empty() || error.path.starts_with('[') { "" } else { "." };
    error.path = format!("{segment}{joint}{}", error.path);
    error
}

/// The document's length was checked to fit before reading began.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
