//! Strings as search compares them: without case, accents, punctuation and superfluous white space.
//!
//! <https://hl7.org/fhir/R4/search.html#string>

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A text, normalised. A text of punctuation alone stays as it is, in lower case.
pub(super) fn normalised(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    if text.is_ascii() {
        text.chars().for_each(|letter| push(&mut normal, letter.to_ascii_lowercase()));
    } else {
        for letter in text.nfkd().filter(|it| !is_combining_mark(*it)).flat_map(char::to_lowercase) {
            match letter {
                '\u{df}' => normal.push_str("ss"),
                '\u{3c2}' => normal.push('\u{3c3}'),
                _ => push(&mut normal, letter),
            }
        }
    }
    if normal.ends_with(' ') {
        normal.pop();
    }
    if normal.is_empty() { text.trim().to_lowercase() } else { normal }
}

fn push(normal: &mut String, letter: char) {
    if letter.is_alphanumeric() {
        normal.push(letter);
    } else if letter.is_whitespace() && !normal.is_empty() && !normal.ends_with(' ') {
        normal.push(' ');
    }
}

/// The first characters of a text, and whether that is all of it.
pub(super) fn first(text: &str, count: usize) -> (&str, bool) {
    match text.char_indices().nth(count) {
        Some((end, _)) => (text.get(..end).unwrap_or(text), false),
        None => (text, true),
    }
}

/// Every three adjacent characters.
pub(super) fn trigrams(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.char_indices().map(|(place, letter)| place + letter.len_utf8()).skip(2);
    text.char_indices().zip(ends).filter_map(|((start, _), end)| text.get(start..end))
}

/// The words of a text, normalised.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|it: char| !it.is_alphanumeric() && !is_combining_mark(it))
        .filter(|it| !it.is_empty())
        .map(normalised)
}

/// The text of a narrative, without its tags.
pub(super) fn without_tags(xhtml: &str) -> String {
    let mut text = String::with_capacity(xhtml.len() / 2);
    let mut is_tag = false;
    for letter in xhtml.chars() {
        match letter {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                text.push(' ');
            }
            _ if !is_tag => text.push(letter),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case_accents_and_punctuation() {
        for (text, expected) in [
            ("Peter", "peter"),
            ("  José \t María ", "jose maria"),
            ("O'Brien-Smith", "obriensmith"),
            ("Müller", "muller"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("\u{ff21}\u{ff22}", "ab"),
            ("***", "***"),
            ("St. John", "st john"),
        ] {
            assert_eq!(normalised(text), expected, "{text}");
        }
    }

    #[test]
    fn cuts_by_characters() {
        assert_eq!(first("añb", 2), ("añ", false));
        assert_eq!(first("añ", 2), ("añ", true));
        assert_eq!(trigrams("añbc").collect::<Vec<_>>(), ["añb", "ñbc"]);
        assert_eq!(trigrams("ab").count(), 0);
        assert_eq!(
            words(&without_tags("<p>One,<b>two</b> Three</p>")).collect::<Vec<_>>(),
            ["one", "two", "three"]
        );
    }
}
