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
    /// `_pretty=true`: with line breaks and indents.
    pub(crate) is_pretty: bool,
}

const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
const PLAIN_JSON: &str = "application/json; charset=utf-8";
/// The only version that we speak: <https://hl7.org/fhir/R4/http.html#version-parameter>
const FHIR_VERSION: &str = "4.0";

impl Format {
    /// What is written where nothing is said, and for refusals of what was said.
    pub(crate) fn default_for(query: &str) -> Format {
        let is_pretty = query::find(query, "_pretty").is_some_and(|it| it == "true");
        Format { content_type: FHIR_JSON, is_pretty }
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
            let is_json = format == "json" || is_fhir_json(&format);
            return if is_json { Ok(default) } else { Err(Refusal::not_acceptable()) };
        }
        if accept.trim().is_empty() {
            return Ok(default);
        }
        let (fhir, plain) = (quality(accept, "application/fhir+json"), quality(accept, "application/json"));
        let text = quality(accept, "text/json");
        if fhir <= 0.0 && plain <= 0.0 && text <= 0.0 {
            return Err(Refusal::not_acceptable());
        }
        let content_type = if plain > fhir { PLAIN_JSON } else { FHIR_JSON };
        Ok(Format { content_type, ..default })
    }

    /// Whether content of that type may be sent; everything may where nothing is said.
    pub(crate) fn accepts(accept: &str, media_type: &str) -> bool {
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        accept.trim().is_empty() || quality(accept, &media_type) > 0.0
    }
}

/// Whether a body of that type, in lower case and without parameters, is FHIR JSON.
pub(crate) fn is_fhir_json(media_type: &str) -> bool {
    matches!(media_type, "application/fhir+json" | "application/json" | "text/json" | "application/json+fhir")
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

/// How much the client wants a type, by the most specific range that fits: RFC 9110 12.5.1.
fn quality(accept: &str, media_type: &str) -> f32 {
    let group = media_type.split('/').next().unwrap_or_default();
    let mut best = (0, 0.0);
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
        if rank > best.0 || (rank == best.0 && wanted > best.1) {
            best = (rank, wanted);
        }
    }
    best.1
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
