//! Which format: of an answer by `_format` and `Accept`, of a body by `Content-Type`.
//!
//! <https://hl7.org/fhir/R4/http.html#mime-type>

use super::query;
use crate::http::respond::outcome::Refusal;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Its `Content-Type`.
    pub(crate) content_type: &'static str,
    /// Its spelling.
    pub(crate) syntax: Syntax,
    /// `_pretty=true`: with line breaks and indents, in JSON.
    pub(crate) is_pretty: bool,
}

/// FHIR's two spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// <https://hl7.org/fhir/R4/json.html>
    Json,
    /// <https://hl7.org/fhir/R4/xml.html>
    Xml,
}

const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
const PLAIN_JSON: &str = "application/json; charset=utf-8";
const FHIR_XML: &str = "application/fhir+xml; charset=utf-8";
const PLAIN_XML: &str = "application/xml; charset=utf-8";
const TEXT_XML: &str = "text/xml; charset=utf-8";
/// What a client may accept, and what it then gets; the first where all are as welcome.
const OFFERS: [(&str, &str, Syntax); 6] = [
    ("application/fhir+json", FHIR_JSON, Syntax::Json),
    ("application/json", PLAIN_JSON, Syntax::Json),
    ("text/json", FHIR_JSON, Syntax::Json),
    ("application/fhir+xml", FHIR_XML, Syntax::Xml),
    ("application/xml", PLAIN_XML, Syntax::Xml),
    ("text/xml", TEXT_XML, Syntax::Xml),
];
/// The only version that we speak: <https://hl7.org/fhir/R4/http.html#version-parameter>
const FHIR_VERSION: &str = "4.0";

impl Format {
    /// What is written where nothing is said, and for refusals of what was said.
    pub(crate) fn default_for(query: &str) -> Format {
        let is_pretty = query::find(query, "_pretty").is_some_and(|it| it == "true");
        Format { content_type: FHIR_JSON, syntax: Syntax::Json, is_pretty }
    }

    /// The best that both sides can do; `_format` counts more than `Accept`.
    ///
    /// # Errors
    /// There is none (406).
    pub(crate) fn negotiate(query: &str, accept: &str) -> Result<Format, Refusal> {
        let default = Format::default_for(query);
        if let Some(format) = query::find(query, "_format") {
            // A + that was not escaped arrives as a space.
            let format = format.replace(' ', "+");
            let format = format.split(';').next().unwrap_or_default().to_ascii_lowercase();
            return match syntax_of(&format) {
                Some(syntax) => Ok(default.in_syntax(syntax)),
                None if format == "json" => Ok(default),
                None if format == "xml" => Ok(default.in_syntax(Syntax::Xml)),
                None => Err(Refusal::not_acceptable()),
            };
        }
        if accept.trim().is_empty() {
            return Ok(default);
        }
        let mut best = (0.0, 0);
        let mut format = None;
        for (media_type, content_type, syntax) in OFFERS {
            let wanted = quality(accept, media_type);
            // Of two that are as welcome, the one that is named.
            if wanted.0 > 0.0 && wanted > best {
                best = wanted;
                format = Some(Format { content_type, syntax, ..default });
            }
        }
        format.ok_or_else(Refusal::not_acceptable)
    }

    /// The same in another spelling.
    pub(crate) fn in_syntax(self, syntax: Syntax) -> Format {
        let content_type = match syntax {
            Syntax::Json => FHIR_JSON,
            Syntax::Xml => FHIR_XML,
        };
        Format { content_type, syntax, ..self }
    }

    /// Whether content of that type may be sent; everything may where nothing is said.
    pub(crate) fn accepts(accept: &str, media_type: &str) -> bool {
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        accept.trim().is_empty() || quality(accept, &media_type).0 > 0.0
    }
}

/// Whether the client leaves the format of the answer to us.
pub(crate) fn is_left_to_us(query: &str, accept: &str) -> bool {
    query::find(query, "_format").is_none() && matches!(accept.trim(), "" | "*/*")
}

/// How a body of that type, in lower case and without parameters, is spelled, where it is FHIR.
pub(crate) fn syntax_of(media_type: &str) -> Option<Syntax> {
    match media_type {
        "application/fhir+json" | "application/json" | "text/json" | "application/json+fhir" => {
            Some(Syntax::Json)
        }
        "application/fhir+xml" | "application/xml" | "text/xml" | "application/xml+fhir" => Some(Syntax::Xml),
        _ => None,
    }
}

/// Whether FHIR is asked for by name: for Binary, whose content goes out raw otherwise.
pub(crate) fn asks_for_fhir(query: &str, accept: &str) -> bool {
    let is_named = |text: &str| text.contains("fhir+json") || text.contains("fhir+xml");
    match query::find(query, "_format") {
        Some(format) => {
            let format = format.replace(' ', "+");
            is_named(&format) || matches!(format.as_str(), "json" | "xml")
        }
        None => is_named(accept),
    }
}

/// How much the client wants a type, by the most specific range that fits, and how specific that is:
/// RFC 9110 12.5.1.
fn quality(accept: &str, media_type: &str) -> (f32, u8) {
    let group = media_type.split('/').next().unwrap_or_default();
    let mut best = (0.0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let rank = match name.as_str() {
            "*/*" | "*" => 1,
            _ if name == media_type => 3,
            _ if name.strip_suffix("/*") == Some(group) => 2,
            _ => continue,
        };
        let mut wanted = 1.0;
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => wanted = value.parse().unwrap_or(0.0),
                "fhirversion" if value != FHIR_VERSION => wanted = 0.0,
                _ => {}
            }
        }
        if rank > best.1 || (rank == best.1 && wanted > best.0) {
            best = (wanted, rank);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_type(query: &str, accept: &str) -> Option<&'static str> {
        Format::negotiate(query, accept).ok().map(|it| it.content_type)
    }

    #[test]
    fn the_best_for_both_is_taken() {
        for accept in ["", "*/*", "application/*", "application/fhir+json", "text/html, */*;q=0.1"] {
            assert_eq!(content_type("", accept), Some(FHIR_JSON), "{accept}");
        }
        assert_eq!(content_type("", "application/json"), Some(PLAIN_JSON));
        for (accept, expected) in [
            ("application/fhir+xml", FHIR_XML),
            ("application/xml", PLAIN_XML),
            ("text/xml;q=0.5, image/png", TEXT_XML),
            ("application/fhir+json;q=0.5, application/fhir+xml", FHIR_XML),
            ("application/fhir+xml;q=0.9, application/fhir+json", FHIR_JSON),
            ("application/fhir+xml, */*", FHIR_XML),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PLAIN_XML),
            ("application/fhir+xml;q=0, */*", FHIR_JSON),
            ("application/fhir+xml; fhirVersion=4.0", FHIR_XML),
        ] {
            assert_eq!(content_type("", accept), Some(expected), "{accept}");
        }
        for format in ["xml", "application/fhir+xml", "application/fhir%2Bxml", "text/xml", "application/xml"]
        {
            assert_eq!(content_type(&format!("_format={format}"), ""), Some(FHIR_XML), "{format}");
        }
        assert_eq!(content_type("", "application/json;q=0.9, application/fhir+json"), Some(FHIR_JSON));
        assert_eq!(content_type("", "application/fhir+json; fhirVersion=4.0"), Some(FHIR_JSON));
        for format in ["json", "application/fhir+json", "application/fhir%2Bjson", "text/json"] {
            assert_eq!(content_type(&format!("_format={format}"), "text/html"), Some(FHIR_JSON), "{format}");
        }
    }

    #[test]
    fn what_we_cannot_write_is_refused() {
        for accept in
            ["text/html", "application/fhir+json;q=0", "application/fhir+json; fhirVersion=5.0", "image/*"]
        {
            assert_eq!(content_type("", accept), None, "{accept}");
        }
        assert_eq!(content_type("_format=ttl", "application/fhir+json"), None);
    }

    #[test]
    fn a_binary_is_raw_unless_fhir_is_named() {
        assert!(asks_for_fhir("", "application/fhir+json") && asks_for_fhir("_format=json", ""));
        assert!(!asks_for_fhir("", "*/*") && !asks_for_fhir("", "application/json"));
    }
}
