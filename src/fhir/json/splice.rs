//! Changes to a document as cuts in its text, so that everything else stays byte for byte.

use super::Json;
use std::ops::Range;

/// A set of replacements over one document, applied together.
#[derive(Default, Debug)]
pub struct Splices {
    cuts: Vec<(Range<usize>, String)>,
}

impl Splices {
    /// Puts `text` in the place of the bytes in `span`; an empty span inserts.
    pub fn replace(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.cuts.push((span, text.into()));
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The document's text with every replacement made. Where two overlap, the later in the text
    /// is dropped; insertions at one place keep the order in which they were asked for.
    #[must_use]
    pub fn apply(mut self, json: &Json) -> String {
        self.cuts.sort_by_key(|(span, _)| (span.start, span.end));
        let text = json.text();
        let grown: usize = self.cuts.iter().map(|(_, text)| text.len()).sum();
        let mut out = String::with_capacity(text.len() + grown);
        let mut copied = 0;
        for (span, replacement) in &self.cuts {
            let Some(before) = text.get(copied..span.start) else { continue };
            out.push_str(before);
            out.push_str(replacement);
            copied = span.end;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        out
    }
}

/// A string as JSON, with its quotes.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
