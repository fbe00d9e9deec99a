//! References of every kind: relative, absolute, versioned, contained, conditional, by urn.
//!
//! <https://hl7.org/fhir/R4/references.html>

use super::id::{ResourceId, ResourceType};

/// What the text of a `Reference.reference` points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// `Patient/1`, `https://us/fhir/Patient/1/_history/2`: a resource by type and id.
    Resource {
        /// The server's base for an absolute reference; nothing for a relative one.
        base: Option<&'a str>,
        /// The type.
        resource_type: ResourceType,
        /// The id.
        id: ResourceId,
        /// The version, where one is named.
        version: Option<&'a str>,
    },
    /// `#p1`: a contained resource; `#` alone is the container.
    Contained(&'a str),
    /// `Patient?identifier=…`: to be resolved within a transaction.
    Conditional {
        /// The type searched.
        resource_type: ResourceType,
        /// The query after the question mark.
        query: &'a str,
    },
    /// `urn:uuid:…`, `urn:oid:…`: by identity within a bundle.
    Urn(&'a str),
    /// Any other URL.
    Url(&'a str),
}

impl<'a> Reference<'a> {
    /// Reads a reference; nothing for a text that can be none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Reference<'a>> {
        if let Some(id) = text.strip_prefix('#') {
            return Some(Reference::Contained(id));
        }
        if text.starts_with("urn:") {
            return Some(Reference::Urn(text));
        }
        if let Some((name, query)) = text.split_once('?')
            && let Some(resource_type) = ResourceType::parse(name)
        {
            return Some(Reference::Conditional { resource_type, query });
        }
        let (path, version) = match text.split_once("/_history/") {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let by_id = path.rsplit_once('/').and_then(|(front, id)| {
            let (base, name) = match front.rsplit_once('/') {
                Some((base, name)) => (Some(base), name),
                None => (None, front),
            };
            let resource_type = ResourceType::parse(name)?;
            Some(Reference::Resource { base, resource_type, id: ResourceId::parse(id)?, version })
        });
        match by_id {
            // `x/Patient/1` is neither relative nor absolute.
            Some(Reference::Resource { base: Some(base), .. }) if !base.contains("://") => None,
            Some(reference) => Some(reference),
            None if text.contains("://") => Some(Reference::Url(text)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Reference::parse(text) {
            None => "nothing".to_owned(),
            Some(Reference::Resource { base, resource_type, id, version }) => {
                format!("{} {resource_type} {id} {}", base.unwrap_or("-"), version.unwrap_or("-"))
            }
            Some(other) => format!("{other:?}"),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn reads_every_kind() {
        check("Patient/1", "- Patient 1 -");
        check("Patient/1/_history/2", "- Patient 1 2");
        check("https://a.org/fhir/Patient/1", "https://a.org/fhir Patient 1 -");
        check("https://a.org/Patient", "Url(\"https://a.org/Patient\")");
        check("#p", "Contained(\"p\")");
        check("#", "Contained(\"\")");
        check("urn:uuid:1", "Urn(\"urn:uuid:1\")");
        check(
            "Patient?identifier=x|y/z",
            "Conditional { resource_type: Patient, query: \"identifier=x|y/z\" }",
        );
        check("Nothing/1", "nothing");
        check("x/Patient/1", "nothing");
        check("Patient/a b", "nothing");
        check("", "nothing");
    }
}
