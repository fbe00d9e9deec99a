//! The separators of search values, and their escapes: `\,` `\$` `\|` `\\`.
//!
//! <https://hl7.org/fhir/R4/search.html#escaping>

use std::borrow::Cow;

/// The parts between separators that are not escaped; the parts are still escaped.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut is_escaped) = (Vec::new(), 0, false);
    for (place, letter) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if letter == '\\' {
            is_escaped = true;
        } else if letter == separator {
            parts.extend(text.get(start..place));
            start = place + letter.len_utf8();
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// The text without its escapes. A backslash before any other character is itself.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.next_if(|next| letter == '\\' && matches!(next, ',' | '$' | '|' | '\\')) {
            Some(escaped) => plain.push(escaped),
            None => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_hide_separators() {
        assert_eq!(split(r"a\,b,c", ','), [r"a\,b", "c"]);
        assert_eq!(split(r"a\\,b", ','), [r"a\\", "b"]);
        assert_eq!(split("", ','), [""]);
        assert_eq!(split("a||b", '|'), ["a", "", "b"]);
        assert_eq!(unescape(r"a\,b\$c\|d\\e\f"), r"a,b$c|d\e\f");
        assert_eq!(unescape(r"\"), r"\");
    }
}
