//! A resource: a JSON object that knows its type and id.
//!
//! <https://hl7.org/fhir/R4/resource.html>

use super::id::{ResourceId, ResourceType};
use super::json::{Json, Limits, Node, Splices, quote};
use super::outcome::Outcome;
use std::borrow::Cow;

/// A resource as it was received, byte for byte.
///
/// Whether its content is legal is `conformance`'s question; here it is only known to be a JSON
/// object with a `resourceType` of R4 and, if it has an `id`, one that is spelled like an id.
#[derive(Clone, Debug)]
pub struct Resource {
    json: Json,
    resource_type: ResourceType,
    id: Option<ResourceId>,
}

impl Resource {
    /// Reads a resource.
    ///
    /// # Errors
    /// The text is not acceptable JSON, not an object, or its `resourceType` or `id` is wrong.
    pub fn parse(text: impl Into<Vec<u8>>, limits: &Limits) -> Result<Resource, Outcome> {
        Resource::from_json(Json::parse(text, limits)?)
    }

    /// A parsed document as a resource.
    ///
    /// # Errors
    /// As for [`Resource::parse`].
    pub fn from_json(json: Json) -> Result<Resource, Outcome> {
        let root = json.root();
        if !root.is_object() {
            return Err(Outcome::structure("a resource must be a JSON object"));
        }
        let Some(name) = root.string("resourceType") else {
            return Err(Outcome::structure("resourceType is missing").at("resourceType"));
        };
        let Some(resource_type) = ResourceType::parse(&name) else {
            return Err(Outcome::structure("resourceType is not a resource type of R4").at("resourceType"));
        };
        let id = match root.get("id") {
            None => None,
            Some(node) => match node.as_str().and_then(|text| ResourceId::parse(&text)) {
                Some(id) => Some(id),
                None => return Err(Outcome::value("not a valid id").at(format!("{resource_type}.id"))),
            },
        };
        Ok(Resource { json, resource_type, id })
    }

    /// Its type.
    #[must_use]
    pub fn resource_type(&self) -> ResourceType {
        self.resource_type
    }

    /// Its id, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&ResourceId> {
        self.id.as_ref()
    }

    /// Its content.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        self.json.root()
    }

    /// Its content as a document.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.json.text()
    }

    /// Gives the document back.
    #[must_use]
    pub fn into_json(self) -> Json {
        self.json
    }

    /// The version in `meta.versionId`.
    #[must_use]
    pub fn version_id(&self) -> Option<Cow<'_, str>> {
        self.root().get("meta")?.string("versionId")
    }

    /// The instant in `meta.lastUpdated`.
    #[must_use]
    pub fn last_updated(&self) -> Option<Cow<'_, str>> {
        self.root().get("meta")?.string("lastUpdated")
    }

    /// The text with the id, version and time that the server gives it; all else byte for byte.
    /// `id` and `meta` come right after `resourceType` where the client sent none.
    #[must_use]
    pub fn stamped(&self, id: &ResourceId, version: i32, last_updated: &str) -> String {
        let root = self.root();
        let mut splices = Splices::default();
        let mut added = String::new();
        match root.get("id") {
            Some(node) => splices.replace(node.span(), quote(id.as_str())),
            None => added.push_str(&format!(",\"id\":{}", quote(id.as_str()))),
        }
        let version = format!("\"versionId\":\"{version}\"");
        let updated = format!("\"lastUpdated\":{}", quote(last_updated));
        match root.get("meta").filter(|meta| meta.is_object()) {
            None => added.push_str(&format!(",\"meta\":{{{version},{updated}}}")),
            Some(meta) => {
                let old: Vec<Node<'_>> =
                    ["versionId", "lastUpdated"].iter().filter_map(|name| meta.get(name)).collect();
                let rest: Vec<&str> = meta
                    .members()
                    .filter(|(_, value)| !old.iter().any(|it| it.is_same(*value)))
                    .filter_map(|(name, value)| self.text().get(name.span().start..value.span().end))
                    .collect();
                let joint = if rest.is_empty() { "" } else { "," };
                splices.replace(meta.span(), format!("{{{version},{updated}{joint}{}}}", rest.join(",")));
            }
        }
        if let Some(kind) = root.get("resourceType").filter(|_| !added.is_empty()) {
            splices.replace(kind.span().end..kind.span().end, added);
        }
        splices.apply(&self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(text: &str) -> String {
        let resource = Resource::parse(text, &Limits::default()).unwrap();
        resource.stamped(&ResourceId::parse("x").unwrap(), 3, "2026-01-01T00:00:00Z")
    }

    #[test]
    fn stamps_without_touching_the_rest() {
        assert_eq!(
            stamped(r#"{ "resourceType":"Basic" , "n":1.00}"#),
            r#"{ "resourceType":"Basic","id":"x","meta":{"versionId":"3","lastUpdated":"2026-01-01T00:00:00Z"} , "n":1.00}"#
        );
        assert_eq!(
            stamped(r#"{"meta":{"tag":[ ],"versionId":"9","source":"s"},"id":"old","resourceType":"Basic"}"#),
            r#"{"meta":{"versionId":"3","lastUpdated":"2026-01-01T00:00:00Z","tag":[ ],"source":"s"},"id":"x","resourceType":"Basic"}"#
        );
    }

    #[test]
    fn refuses_what_is_not_a_resource() {
        for (text, location) in [
            ("[]", None),
            ("{}", Some("resourceType")),
            (r#"{"resourceType":"Pat"}"#, Some("resourceType")),
            (r#"{"resourceType":"Patient","id":"a b"}"#, Some("Patient.id")),
            (r#"{"resourceType":"Patient","id":7}"#, Some("Patient.id")),
        ] {
            let outcome = Resource::parse(text, &Limits::default()).unwrap_err();
            assert_eq!(outcome.issues()[0].expression.first().map(String::as_str), location, "{text}");
        }
    }
}
