//! The `Prefer` header: <https://hl7.org/fhir/R4/http.html#ops>, <https://www.rfc-editor.org/rfc/rfc7240>.

/// What the client would like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preferences {
    /// `return=`, if anything is said.
    pub(crate) body: Option<Body>,
    /// `handling=strict`: lenient where nothing is said.
    pub(crate) is_strict: bool,
    /// `respond-async`
    pub(crate) respond_async: bool,
}

/// What a write answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing.
    Minimal,
    /// The resource.
    Representation,
    /// What there is to say about it.
    OperationOutcome,
}

impl Preferences {
    /// Reads the header; of a preference that is stated twice the first counts, an unknown one is none.
    pub(crate) fn parse(text: &str) -> Preferences {
        let (mut body, mut is_strict, mut respond_async) = (None, None, false);
        for preference in text.split([',', ';']) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            match (name.trim().to_ascii_lowercase().as_str(), value) {
                ("return", "minimal") => body = body.or(Some(Body::Minimal)),
                ("return", "representation") => body = body.or(Some(Body::Representation)),
                ("return", "OperationOutcome") => body = body.or(Some(Body::OperationOutcome)),
                ("handling", "strict") => is_strict = is_strict.or(Some(true)),
                ("handling", "lenient") => is_strict = is_strict.or(Some(false)),
                ("respond-async", _) => respond_async = true,
                _ => {}
            }
        }
        Preferences { body, is_strict: is_strict.unwrap_or(false), respond_async }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_preferred() {
        let read =
            Preferences::parse("respond-async, return=minimal; handling=\"strict\", return=representation");
        let expected = Preferences { body: Some(Body::Minimal), is_strict: true, respond_async: true };
        assert_eq!(read, expected);
        let nothing = Preferences::parse("return=everything, wait=5");
        assert_eq!((nothing.body, nothing.is_strict), (None, false));
    }
}
