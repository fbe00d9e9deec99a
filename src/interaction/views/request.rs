//! Which views are asked for, of whom, and how they are written.
//!
//! A ViewDefinition is no type of R4, so the Parameters that hold one are read apart here: each parameter by its name,
//! a resource in it as text.

use crate::fhir::date_time::DateTime;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::{Json, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::reference::Reference;
use crate::fhir::types::Types;
use crate::interaction::export::request::{ExportRequest, Level};
use crate::interaction::request::Parameters;
use crate::views::definition::View;
use crate::views::standard::{self, Standard};
use crate::views::writing::Format;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// As many views may be asked for at once.
const MOST_VIEWS: usize = 50;
/// As many patients may be named.
const MOST_PATIENTS: usize = 10_000;
/// As many resources may be sent along.
const MOST_RESOURCES: usize = 100_000;

/// A view that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedView {
    /// What its files are named.
    pub name: String,
    /// Of which type it is.
    pub of: String,
    /// The ViewDefinition, JSON.
    pub text: String,
}

/// Some views, of whom, and how they are written.
#[derive(Clone, Debug)]
pub struct ViewRequest {
    /// The URL that was asked.
    pub(super) url: String,
    pub(super) views: Vec<AskedView>,
    pub(super) format: Format,
    pub(super) limit: Option<u64>,
    pub(super) resources: Vec<String>,
    /// Whether resources were sent along, if none at all.
    pub(super) has_resources: bool,
    patients: Vec<String>,
    group: Option<String>,
    since: Option<i64>,
}

/// What was given, while it is read.
#[derive(Default)]
struct Given {
    views: Vec<(Option<String>, String)>,
    format: Option<String>,
    header: Option<bool>,
    limit: Option<u64>,
    resources: Vec<String>,
    patients: Vec<String>,
    group: Option<String>,
    since: Option<i64>,
}

impl ViewRequest {
    /// Reads what is asked: the view in the path, if one is, the parameters of the URL, and the body: Parameters, or
    /// a ViewDefinition alone. The format may also be what the client accepts.
    ///
    /// # Errors
    /// A value is bad, no view is named or one that is not there, or one is none.
    pub fn read(
        types: &Types,
        url: String,
        id: &str,
        query: &Parameters,
        body: Option<&Json>,
        accepted: &str,
    ) -> Result<ViewRequest, Outcome> {
        let mut given = Given::default();
        if !id.is_empty() {
            given.views.push((None, found(id)?.text.to_owned()));
        }
        for (name, value) in query {
            given.take(name, value)?;
        }
        if let Some(body) = body {
            given.take_body(body.root())?;
        }
        let asked = match &given.format {
            Some(name) => Some(Format::named(name).ok_or_else(|| {
                Outcome::not_supported("rows are written as json, ndjson, csv or parquet").at("_format")
            })?),
            None => accepted.split(',').find_map(Format::named),
        };
        let format = match asked.unwrap_or(Format::Ndjson) {
            Format::Csv if given.header == Some(false) => Format::CsvWithoutHeader,
            format => format,
        };
        if given.views.is_empty() || given.views.len() > MOST_VIEWS {
            let outcome = Outcome::required("a viewReference or a viewResource is required");
            return Err(outcome.at("viewReference"));
        }
        let (mut views, mut names) = (Vec::new(), HashSet::new());
        for (name, text) in given.views {
            let view = View::parse(types, &text)?;
            let name = name.unwrap_or(view.name);
            if !is_file_name(&name) {
                return Err(Outcome::value("a name has letters, digits, - and _").at("view.name"));
            }
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(Outcome::value("each view needs a name of its own").at("view.name"));
            }
            views.push(AskedView { name, of: view.resource_type.name().to_owned(), text });
        }
        given.patients.sort_unstable();
        given.patients.dedup();
        Ok(ViewRequest {
            url,
            views,
            format,
            limit: given.limit,
            has_resources: !given.resources.is_empty(),
            resources: given.resources,
            patients: given.patients,
            group: given.group,
            since: given.since,
        })
    }

    /// What is asked, as the trail keeps it.
    pub(super) fn place(&self, operation: &str) -> String {
        let names: Vec<&str> = self.views.iter().map(|it| it.name.as_str()).collect();
        format!("ViewDefinition/{operation}?view={}", names.join(","))
    }

    /// The same as an export.
    pub(super) fn into_export(self) -> ExportRequest {
        let level = match (self.group, self.patients.is_empty()) {
            (Some(group), _) => Level::Group(group),
            (None, false) => Level::Patients,
            (None, true) => Level::System,
        };
        let mut types: Vec<String> = self.views.iter().map(|it| it.of.clone()).collect();
        types.sort_unstable();
        types.dedup();
        ExportRequest {
            types,
            since: self.since,
            patients: Some(self.patients).filter(|it| !it.is_empty()),
            views: self.views,
            format: Some(self.format),
            ..ExportRequest::whole(level, self.url)
        }
    }
}

impl Given {
    fn take(&mut self, name: &str, value: &str) -> Result<(), Outcome> {
        match name {
            "viewReference" => self.views.push((None, found(value)?.text.to_owned())),
            "_format" => self.format = Some(value.to_owned()),
            "header" => {
                self.header = match value {
                    "true" | "present" => Some(true),
                    "false" | "absent" => Some(false),
                    _ => return Err(Outcome::value("true or false").at(name)),
                };
            }
            "_limit" => {
                let limit = value.parse().ok().filter(|it| *it > 0);
                self.limit = Some(limit.ok_or_else(|| Outcome::value("a number of at least 1").at(name))?);
            }
            "patient" => {
                self.patients.push(
                    id_of("Patient", value)
                        .ok_or_else(|| Outcome::value("patient is a reference to a Patient").at(name))?,
                );
                if self.patients.len() > MOST_PATIENTS {
                    return Err(Outcome::too_costly("too many patients: use a Group").at(name));
                }
            }
            "group" if self.group.is_some() => return Err(Outcome::not_supported("one group").at(name)),
            "group" => {
                let id = id_of("Group", value);
                self.group =
                    Some(id.ok_or_else(|| Outcome::value("group is a reference to a Group").at(name))?);
            }
            "_since" => {
                let moment = DateTime::parse_search(&value.replace(' ', "+")).map(|it| it.interval().low);
                let reason = "an instant such as 2026-11-24T12:00:00Z is needed";
                self.since = Some(moment.ok_or_else(|| Outcome::value(reason).at(name))?);
            }
            // It is only for the client.
            "_pretty" | "clientTrackingId" => {}
            _ => return Err(Outcome::not_supported("the operation has no such parameter").at(name)),
        }
        Ok(())
    }

    fn take_body(&mut self, body: Node<'_>) -> Result<(), Outcome> {
        match body.string("resourceType").as_deref() {
            Some("ViewDefinition") => {
                self.views.push((None, body.raw().to_owned()));
                return Ok(());
            }
            Some("Parameters") => {}
            _ => return Err(Outcome::invalid("Parameters, or a ViewDefinition, is expected")),
        }
        for parameter in body.get("parameter").into_iter().flat_map(Node::each) {
            let name = parameter.string("name").unwrap_or_default();
            match (&*name, parameter.get("resource")) {
                ("viewResource", Some(view)) => self.views.push((None, view.raw().to_owned())),
                ("resource", Some(resource)) => {
                    self.resources.push(resource.raw().to_owned());
                    if self.resources.len() > MOST_RESOURCES {
                        return Err(Outcome::too_costly("too many resources").at("resource"));
                    }
                }
                ("view", _) => self.take_view(parameter)?,
                _ => match text(parameter) {
                    Some(value) => self.take(&name, &value)?,
                    None => return Err(Outcome::value("a value is missing").at(&*name)),
                },
            }
        }
        Ok(())
    }

    /// `view`: the parts `name`, `viewReference` and `viewResource`.
    fn take_view(&mut self, parameter: Node<'_>) -> Result<(), Outcome> {
        let (mut view, mut named) = (None, None);
        for part in parameter.get("part").into_iter().flat_map(Node::each) {
            match (part.string("name").as_deref(), part.get("resource"), text(part)) {
                (Some("name"), _, Some(name)) => named = Some(name),
                (Some("viewReference"), _, Some(value)) => view = Some(found(&value)?.text.to_owned()),
                (Some("viewResource"), Some(it), _) => view = Some(it.raw().to_owned()),
                _ => return Err(Outcome::not_supported("a view has no such part").at("view")),
            }
        }
        match view {
            Some(view) => self.views.push((named, view)),
            None => {
                let outcome = Outcome::required("a viewReference or a viewResource is required");
                return Err(outcome.at("view"));
            }
        }
        Ok(())
    }
}

/// The value of a parameter as text.
fn text(parameter: Node<'_>) -> Option<String> {
    let mut members = parameter.members();
    let value = members.find(|(key, _)| key.as_str().is_some_and(|it| it.starts_with("value")))?.1;
    let text = value.as_str().or_else(|| value.string("reference")).unwrap_or_else(|| value.raw().into());
    Some(text.into_owned())
}

fn found(reference: &str) -> Result<Standard, Outcome> {
    standard::named(reference).ok_or_else(Outcome::not_found)
}

fn id_of(of: &str, text: &str) -> Option<String> {
    let id = match Reference::parse(text) {
        Some(Reference::Resource { resource_type, id, .. }) => {
            (ResourceType::parse(of) == Some(resource_type)).then_some(id)?
        }
        _ => ResourceId::parse(text)?,
    };
    Some(id.to_string())
}

/// Whether a text is safe as a part of the name of a file.
fn is_file_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'))
}
