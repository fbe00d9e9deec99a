//! Media types (BCP 13), languages (BCP 47), names of time zones: by their grammar.

/// <https://www.rfc-editor.org/rfc/rfc6838#section-4.2>, with parameters. FHIR's own examples and its
/// specification also use bare names (`xml`), which no registry holds but every server must expect.
pub(super) fn is_media_type(text: &str) -> bool {
    let is_token = |it: &str| {
        !it.is_empty()
            && it.len() <= 127
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&it))
    };
    let plain = text.split(';').next().unwrap_or_default().trim();
    match plain.split_once('/') {
        Some((kind, subtype)) => is_token(kind) && is_token(subtype),
        None => is_token(plain) && plain == text,
    }
}

/// <https://www.rfc-editor.org/rfc/rfc5646#section-2.1>
pub(super) fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let is_primary = (2..=8).contains(&first.len()) && first.bytes().all(|it| it.is_ascii_alphabetic());
    let is_private = matches!(first, "x" | "X" | "i" | "I");
    if !is_primary && !is_private {
        return false;
    }
    let mut count = 0;
    for part in parts {
        count += 1;
        if part.is_empty() || part.len() > 8 || !part.bytes().all(|it| it.is_ascii_alphanumeric()) {
            return false;
        }
    }
    is_primary || count > 0
}

/// `Europe/Zurich`, `Etc/GMT+1`, `UTC`: the grammar of the names, which outlives any copy of the list.
pub(super) fn is_time_zone(text: &str) -> bool {
    text.split('/').all(|part| {
        part.starts_with(|it: char| it.is_ascii_alphabetic())
            && part.bytes().all(|it| it.is_ascii_alphanumeric() || b"_+-".contains(&it))
    })
}

#[cfg(test)]
mod tests {
    use crate::terminology::is_code_of;

    fn check(system: &str, good: &[&str], bad: &[&str]) {
        for (codes, expected) in [(good, true), (bad, false)] {
            for code in codes {
                assert_eq!(is_code_of(system, code), Some(expected), "{system} {code}");
            }
        }
    }

    #[test]
    fn knows_the_grammars() {
        check(
            "urn:ietf:bcp:13",
            &["text/plain", "application/fhir+json; fhirVersion=4.0", "image/*", "application/hl7-v3+xml"],
            &["text/", "/plain", "text plain", "a/b/c"],
        );
        check(
            "urn:ietf:bcp:47",
            &["en", "en-US", "de-CH-1996", "zh-Hant-TW", "x-own"],
            &["e", "en_US", "en-", "x"],
        );
        check(
            "http://unitsofmeasure.org",
            &["mg/dL", "mm[Hg]", "10*3/uL", "%", "{score}"],
            &["mgs per dl", "blah"],
        );
        check("https://www.iana.org/time-zones", &["Europe/Zurich", "Etc/GMT+1", "UTC"], &["Europe/", "1/2"]);
        assert_eq!(is_code_of("http://loinc.org", "x"), None);
    }
}
