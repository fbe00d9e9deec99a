//! JSON as FHIR needs it: the client's bytes, and a map of them.
//!
//! A [`Json`] owns the text exactly as it was received and a flat *tape* of entries that say
//! where every value stands. Nothing is copied, reordered or re-spelled: `1.00` stays `1.00`, a
//! 30-digit decimal keeps its digits, members keep their order. A [`Node`] is a small `Copy`
//! cursor into the tape; every reader of a resource (validation, FHIRPath, search, sealing) walks
//! nodes. Changes are [`splice`]s of the text.
//!
//! What it refuses, in the same pass: invalid UTF-8, NUL and other control characters, lone
//! surrogates, duplicate member names, and anything beyond its [`Limits`].
//!
//! # Decision 2026-11-23
//! A tape of offsets instead of a borrowed tree: the document owns itself (no lifetime travels
//! through the program), costs two allocations whatever its size, and the span of every value is
//! known, which is what sealing and redaction cut along. `serde_json` stays the tool for JSON that
//! is not a resource.

mod parse;
mod splice;

pub use parse::{Limits, ParseError};
pub use splice::{Splices, quote};

use std::borrow::Cow;
use std::ops::Range;

/// A parsed JSON document: its text, byte for byte, and the tape over it.
#[derive(Clone)]
pub struct Json {
    text: Box<str>,
    tape: Box<[Entry]>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number, kept as its text
    Number,
    /// A string
    String,
    /// An array
    Array,
    /// An object
    Object,
}

/// One value of the document: a cursor, as cheap to copy as a pointer.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    json: &'a Json,
    index: u32,
}

/// One entry of the tape. A container's children follow it; `next` is the entry after the last.
/// An object's children are name, value, name, value.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    end: u32,
    next: u32,
    kind: Kind,
    /// For strings: an escape sequence stands inside.
    is_escaped: bool,
}

impl Json {
    /// Parses a document, keeping its text.
    ///
    /// # Errors
    /// Where and why the text is not JSON that may be accepted: see [`ParseError`].
    pub fn parse(text: impl Into<Vec<u8>>, limits: &Limits) -> Result<Json, ParseError> {
        parse::parse(text.into(), limits)
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node { json: self, index: 0 }
    }

    /// The text as it was received.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the text back, dropping the tape.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text.into_string()
    }
}

impl std::fmt::Debug for Json {
    /// Never the content: a resource must not reach a log by accident.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Json({} bytes, {} values)", self.text.len(), self.tape.len())
    }
}

impl<'a> Node<'a> {
    fn entry(self) -> Entry {
        // The index always came from the tape itself; the default keeps the promise not to panic.
        self.json.tape.get(self.index as usize).copied().unwrap_or(Entry {
            start: 0,
            end: 0,
            next: self.index + 1,
            kind: Kind::Null,
            is_escaped: false,
        })
    }

    /// What the value is.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.entry().kind
    }

    /// The document that the value stands in.
    #[must_use]
    pub fn document(self) -> &'a Json {
        self.json
    }

    /// Where the value's text stands in the document, in bytes; a string's quotes are inside.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let entry = self.entry();
        entry.start as usize..entry.end as usize
    }

    /// The value's text as received.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.json.text.get(self.span()).unwrap_or_default()
    }

    /// The member of that name, if this is an object that has one.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Node<'a>> {
        self.members().find(|(key, _)| key.is(name)).map(|(_, value)| value)
    }

    /// The members of an object in the order received; nothing for any other value.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        let entry = self.entry();
        let (at, end) = match entry.kind {
            Kind::Object => (self.index + 1, entry.next),
            _ => (0, 0),
        };
        Members { json: self.json, at, end }
    }

    /// The items of an array in order; nothing for any other value.
    #[must_use]
    pub fn items(self) -> Items<'a> {
        let entry = self.entry();
        let (at, end) = match entry.kind {
            Kind::Array => (self.index + 1, entry.next),
            _ => (0, 0),
        };
        Items { json: self.json, at, end }
    }

    /// The items of an array, or the value itself: FHIR's "one or many" read alike.
    #[must_use]
    pub fn each(self) -> Items<'a> {
        let entry = self.entry();
        let at = match entry.kind {
            Kind::Array => self.index + 1,
            _ => self.index,
        };
        Items { json: self.json, at, end: entry.next }
    }

    /// The text of a string, unescaped.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let entry = self.entry();
        if entry.kind != Kind::String {
            return None;
        }
        let inside = entry.start as usize + 1..(entry.end as usize).saturating_sub(1);
        let text = self.json.text.get(inside)?;
        if entry.is_escaped { Some(Cow::Owned(parse::unescape(text))) } else { Some(Cow::Borrowed(text)) }
    }

    /// Whether this is a string with exactly that text.
    #[must_use]
    pub fn is(self, text: &str) -> bool {
        self.as_str().is_some_and(|it| it == text)
    }

    /// The text of the string member of that name.
    #[must_use]
    pub fn string(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_str()
    }

    /// The value of a boolean.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match (self.kind(), self.raw()) {
            (Kind::Boolean, "true") => Some(true),
            (Kind::Boolean, _) => Some(false),
            _ => None,
        }
    }

    /// The digits of a number, as received.
    #[must_use]
    pub fn as_number(self) -> Option<&'a str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// Whether this is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// Whether this is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.kind() == Kind::Array
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Whether both cursors stand on the same value of the same document.
    #[must_use]
    pub fn is_same(self, other: Node<'_>) -> bool {
        std::ptr::eq(self.json, other.json) && self.index == other.index
    }

    /// The way from the root: `name[0].family`; empty for the root itself.
    ///
    /// Walks down from the root, so it is for messages, not for loops.
    #[must_use]
    pub fn path(self) -> String {
        let mut path = String::new();
        let mut here = self.json.root();
        while here.index != self.index {
            let member = here.members().find(|(_, value)| value.holds(self));
            if let Some((key, value)) = member {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key.as_str().unwrap_or_default());
                here = value;
                continue;
            }
            let Some((position, item)) = here.items().enumerate().find(|(_, item)| item.holds(self)) else {
                break;
            };
            path.push_str(&format!("[{position}]"));
            here = item;
        }
        path
    }

    /// Whether the other value is this one or stands inside it.
    fn holds(self, other: Node<'_>) -> bool {
        (self.index..self.entry().next).contains(&other.index)
    }
}

impl std::fmt::Debug for Node<'_> {
    /// Never the content, only what and where.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {:?}", self.kind(), self.path())
    }
}

/// The members of an object: name and value.
#[derive(Clone)]
pub struct Members<'a> {
    json: &'a Json,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Node<'a>, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let name = Node { json: self.json, index: self.at };
        let value = Node { json: self.json, index: self.at + 1 };
        self.at = value.entry().next;
        Some((name, value))
    }
}

/// The items of an array.
#[derive(Clone)]
pub struct Items<'a> {
    json: &'a Json,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let item = Node { json: self.json, index: self.at };
        self.at = item.entry().next;
        Some(item)
    }
}

#[cfg(test)]
mod tests;
