//! The input of an operation by name, from the query string and from a Parameters resource alike.

use crate::fhir::json::Node;
use crate::fhir::outcome::Outcome;
use crate::interaction::request::Operation;
use crate::terminology::validate_code::Coding;
use serde_json::{Value, json};

/// What an operation was given.
pub(super) struct Given<'a> {
    operation: &'a Operation,
}

impl<'a> Given<'a> {
    pub(super) fn of(operation: &'a Operation) -> Given<'a> {
        Given { operation }
    }

    /// Every value of that name, as text.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let asked = self.operation.parameters.iter().filter(|(it, _)| it == name).map(|(_, it)| it.clone());
        let inside = self.parameters(name).filter_map(value);
        asked
            .chain(inside.map(|it| it.as_str().map_or_else(|| it.raw().to_owned(), |it| it.into_owned())))
            .collect()
    }

    /// The one value of that name, as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.texts(name).into_iter().next()
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<String, Outcome> {
        self.text(name).ok_or_else(|| Outcome::required(format!("the parameter {name} is required")).at(name))
    }

    /// A truth value; nothing where it is not given.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Outcome> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Outcome::value(format!("{name} is true or false")).at(name)),
        }
    }

    /// A number; nothing where it is not given.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Outcome> {
        let read = |it: String| {
            it.parse().map_err(|_| Outcome::value(format!("{name} is a whole number of at least 0")).at(name))
        };
        self.text(name).map(read).transpose()
    }

    /// The object or resource of that name.
    pub(super) fn object(&self, name: &str) -> Option<Node<'a>> {
        self.parameters(name)
            .find_map(|it| value(it).or_else(|| it.get("resource")))
            .filter(|it| it.is_object())
    }

    /// Every object of that name.
    pub(super) fn objects(&self, name: &str) -> impl Iterator<Item = Node<'a>> {
        self.parameters(name).filter_map(value).filter(|it| it.is_object())
    }

    /// The resource of that name, which may also be the whole body.
    pub(super) fn resource(&self, name: &str, of: &str) -> Option<Node<'a>> {
        let body = self.operation.body.as_ref().filter(|it| it.resource_type().name() == of);
        body.map(|it| it.root()).or_else(|| self.object(name))
    }

    /// The codings asked about: `coding`, those of `codeableConcept`, or `code` with `system`.
    pub(super) fn codings(&self, system: &str) -> Result<Vec<Coding>, Outcome> {
        if let Some(it) = self.object("coding") {
            return Ok(vec![coding(it)]);
        }
        if let Some(it) = self.object("codeableConcept") {
            let codings: Vec<Coding> =
                it.get("coding").into_iter().flat_map(Node::items).map(coding).collect();
            return match codings.is_empty() {
                true => Err(Outcome::required("the codeableConcept has no coding").at("codeableConcept")),
                false => Ok(codings),
            };
        }
        let Some(code) = self.text("code") else {
            return Err(Outcome::required("one of code, coding and codeableConcept is required").at("code"));
        };
        let version = self.text("version").filter(|_| system == "url").or_else(|| self.text("systemVersion"));
        Ok(vec![Coding { system: self.text(system), version, code, display: self.text("display") }])
    }

    fn parameters(&self, name: &str) -> impl Iterator<Item = Node<'a>> {
        let body = self.operation.body.as_ref().filter(|it| it.resource_type().name() == "Parameters");
        let all = body.and_then(|it| it.root().get("parameter")).into_iter().flat_map(Node::items);
        let name = name.to_owned();
        all.filter(move |it| it.string("name").as_deref() == Some(&name))
    }
}

/// A Coding.
pub(super) fn coding(node: Node<'_>) -> Coding {
    let text = |name: &str| node.string(name).map(|it| it.into_owned());
    Coding {
        system: text("system"),
        version: text("version"),
        code: text("code").unwrap_or_default(),
        display: text("display"),
    }
}

/// The value of a parameter.
fn value(parameter: Node<'_>) -> Option<Node<'_>> {
    let mut members = parameter.members();
    members.find(|(key, _)| key.as_str().is_some_and(|it| it.starts_with("value"))).map(|(_, it)| it)
}

/// A Parameters resource.
pub(super) fn parameters(list: &[Value]) -> String {
    json!({ "resourceType": "Parameters", "parameter": list }).to_string()
}

/// A part of one.
pub(super) fn part(name: &str, kind: &str, value: impl Into<Value>) -> Value {
    let mut part = json!({ "name": name });
    if let Some(members) = part.as_object_mut() {
        members.insert(format!("value{kind}"), value.into());
    }
    part
}
