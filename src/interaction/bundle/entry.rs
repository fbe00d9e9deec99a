//! One entry of a bundle, read: what it asks for.

use crate::fhir::bundle::Method;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::{Json, Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::request::{
    HistoryOf, Instance, Interaction, Operation, Parameters, Patch, Statement, Target,
};
use base64::Engine as _;
use url::form_urlencoded;

/// What an entry asks for, with its resource parsed on its own.
pub(super) struct Asked {
    /// Where it stands in the bundle.
    pub(super) place: usize,
    /// `fullUrl`
    pub(super) full_url: Option<String>,
    /// The method.
    pub(super) method: Method,
    /// The URL, relative to the base.
    pub(super) url: String,
    /// The resource.
    pub(super) resource: Option<Resource>,
    /// `request.ifNoneExist`, decoded.
    pub(super) if_none_exist: Option<Parameters>,
    /// `request.ifMatch`: the version.
    pub(super) if_match: Option<String>,
    /// `request.ifNoneMatch`
    pub(super) if_none_match: Option<String>,
}

/// Reads an entry.
pub(super) fn read(base: &str, place: usize, entry: Node<'_>) -> Result<Asked, Outcome> {
    let at = |name: &str| format!("Bundle.entry[{place}].{name}");
    let request = entry.get("request").filter(|it| it.is_object());
    let request = request.ok_or_else(|| Outcome::required("a request is required").at(at("request")))?;
    let method = request.string("method").and_then(|it| Method::parse(&it)).ok_or_else(|| {
        Outcome::value("method is one of GET, HEAD, POST, PUT, DELETE, PATCH").at(at("request.method"))
    })?;
    let url = request.string("url").filter(|it| !it.is_empty());
    let url = url.ok_or_else(|| Outcome::required("a url is required").at(at("request.url")))?;
    let url = url.strip_prefix(base).map_or(&*url, |rest| rest.trim_start_matches('/'));
    let resource = match entry.get("resource") {
        None => None,
        Some(node) => {
            let json = Json::parse(node.raw(), &Limits::ACCEPTED)?;
            Some(Resource::from_json(json).map_err(|outcome| located(outcome, place))?)
        }
    };
    let criteria = request.string("ifNoneExist").map(|it| decode(it.trim_start_matches('?')));
    Ok(Asked {
        place,
        full_url: entry.string("fullUrl").map(std::borrow::Cow::into_owned),
        method,
        url: url.to_owned(),
        resource,
        if_none_exist: criteria,
        if_match: request.string("ifMatch").map(|it| version(&it)),
        if_none_match: request.string("ifNoneMatch").map(std::borrow::Cow::into_owned),
    })
}

/// The version in an entity tag: `W/"3"`, `"3"`, `3`.
fn version(tag: &str) -> String {
    tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

/// The same issues, as seen from the bundle: `Patient.name` becomes `Bundle.entry[3].resource.name`.
pub(super) fn located(outcome: Outcome, place: usize) -> Outcome {
    outcome.relocated(|expression| {
        let entry = format!("Bundle.entry[{place}]");
        match expression {
            [] => vec![entry],
            several => several
                .iter()
                .map(|it| match it.split_once('.') {
                    Some((name, rest)) if ResourceType::parse(name).is_some() => {
                        format!("{entry}.resource.{rest}")
                    }
                    _ if it.starts_with("Bundle.entry[") => it.clone(),
                    _ => format!("{entry}.resource"),
                })
                .collect(),
        }
    })
}

/// A query string, decoded.
pub(super) fn decode(query: &str) -> Parameters {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

impl Asked {
    /// A complaint about the URL.
    fn bad_url(&self) -> Outcome {
        let at = format!("Bundle.entry[{}].request.url", self.place);
        Outcome::value("this url is not one of the RESTful API").at(at)
    }

    fn resource(&mut self) -> Result<Resource, Outcome> {
        let at = format!("Bundle.entry[{}].resource", self.place);
        self.resource.take().ok_or_else(|| Outcome::required("a resource is required").at(at))
    }

    /// Path segments and query of the URL.
    fn parts(&self) -> (Vec<&str>, Parameters) {
        let (path, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let segments = path.split('/').filter(|it| !it.is_empty()).collect();
        (segments, decode(query))
    }

    /// What is written: `Patient/1` or `Patient?identifier=…`.
    pub(super) fn target(&self) -> Result<Target, Outcome> {
        let (segments, parameters) = self.parts();
        match segments.as_slice() {
            [name, id] => {
                let of = ResourceType::parse(name).zip(ResourceId::parse(id));
                let (resource_type, id) = of.ok_or_else(|| self.bad_url())?;
                Ok(Target::Instance(Instance { resource_type, id }))
            }
            [name] if !parameters.is_empty() => {
                let resource_type = ResourceType::parse(name).ok_or_else(|| self.bad_url())?;
                Ok(Target::Criteria { resource_type, parameters })
            }
            _ => Err(self.bad_url()),
        }
    }

    /// The type that is created: `Patient`.
    pub(super) fn created_type(&self) -> Result<ResourceType, Outcome> {
        let (segments, _) = self.parts();
        match segments.as_slice() {
            [name] => ResourceType::parse(name).ok_or_else(|| self.bad_url()),
            _ => Err(self.bad_url()),
        }
    }

    /// Whether an operation is asked for.
    pub(super) fn is_operation(&self) -> bool {
        self.parts().0.iter().any(|it| it.starts_with('$'))
    }

    /// Whether it is a search by POST.
    pub(super) fn is_post_search(&self) -> bool {
        self.parts().0.last() == Some(&"_search")
    }

    /// How the resource is patched: a Binary with a JSON Patch, or Parameters.
    pub(super) fn patch(&mut self) -> Result<Patch, Outcome> {
        let resource = self.resource()?;
        let at = |name: &str| format!("Bundle.entry[{}].resource.{name}", self.place);
        match resource.resource_type().name() {
            "Parameters" => Ok(Patch::FhirPath(resource)),
            "Binary" => {
                let root = resource.root();
                let kind = root.string("contentType").unwrap_or_default();
                if !kind.starts_with("application/json-patch+json") {
                    return Err(Outcome::not_supported("application/json-patch+json is expected")
                        .at(at("contentType")));
                }
                let data = root.string("data").unwrap_or_default();
                let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_bytes()).ok();
                let text = bytes.and_then(|it| String::from_utf8(it).ok());
                text.map(Patch::Json).ok_or_else(|| Outcome::value("not base64 of a patch").at(at("data")))
            }
            _ => Err(Outcome::invalid("a patch is a Binary or Parameters").at(at("resourceType"))),
        }
    }

    /// The entry as an interaction of its own.
    pub(super) fn into_interaction(mut self) -> Result<Interaction, Outcome> {
        if self.is_operation() {
            return self.operation();
        }
        if self.is_post_search() {
            return self.search();
        }
        match self.method {
            Method::Get | Method::Head => self.search_or_read(),
            Method::Post => {
                let resource_type = self.created_type()?;
                let resource = self.resource()?;
                if resource.resource_type() != resource_type {
                    let at = format!("Bundle.entry[{}].resource.resourceType", self.place);
                    return Err(Outcome::invalid("the resource is not of the type in the url").at(at));
                }
                Ok(Interaction::Create { resource, if_none_exist: self.if_none_exist })
            }
            Method::Put => {
                let target = self.target()?;
                let resource = self.resource()?;
                let if_none_match_any = self.if_none_match.as_deref() == Some("*");
                Ok(Interaction::Update { target, resource, if_match: self.if_match, if_none_match_any })
            }
            Method::Patch => {
                let target = self.target()?;
                Ok(Interaction::Patch { target, patch: self.patch()?, if_match: self.if_match })
            }
            Method::Delete => Ok(Interaction::Delete { target: self.target()?, if_match: self.if_match }),
        }
    }

    /// A read, a history or a search.
    pub(super) fn search_or_read(self) -> Result<Interaction, Outcome> {
        let (segments, parameters) = self.parts();
        let bad = || self.bad_url();
        let a_type = |name: &str| ResourceType::parse(name).ok_or_else(bad);
        let instance = |name: &str, id: &str| {
            let of = ResourceType::parse(name).zip(ResourceId::parse(id));
            of.map(|(resource_type, id)| Instance { resource_type, id }).ok_or_else(bad)
        };
        match *segments.as_slice() {
            ["metadata"] if parameters.iter().any(|it| it.0 == "mode" && it.1 == "terminology") => {
                Ok(Interaction::Capabilities { statement: Statement::Terminology })
            }
            ["metadata"] => Ok(Interaction::Capabilities { statement: Statement::Full }),
            [] => Ok(Interaction::Search { resource_type: None, compartment: None, parameters }),
            ["_history"] => Ok(Interaction::History { of: HistoryOf::System, parameters }),
            [name] => {
                Ok(Interaction::Search { resource_type: Some(a_type(name)?), compartment: None, parameters })
            }
            [name, "_history"] => Ok(Interaction::History { of: HistoryOf::Type(a_type(name)?), parameters }),
            [name, id] => Ok(Interaction::Read { of: instance(name, id)?, parameters }),
            [name, id, "_history"] => {
                Ok(Interaction::History { of: HistoryOf::Instance(instance(name, id)?), parameters })
            }
            [name, id, "*"] => Ok(Interaction::Search {
                resource_type: None,
                compartment: Some(instance(name, id)?),
                parameters,
            }),
            [name, id, inside] => Ok(Interaction::Search {
                resource_type: Some(a_type(inside)?),
                compartment: Some(instance(name, id)?),
                parameters,
            }),
            [name, id, "_history", version] => {
                Ok(Interaction::Vread { of: instance(name, id)?, version: version.to_owned(), parameters })
            }
            _ => Err(bad()),
        }
    }

    /// `POST Patient/_search`: the parameters stand in the URL, since an entry has no form.
    fn search(self) -> Result<Interaction, Outcome> {
        let url = self.url.replacen("/_search", "", 1).replacen("_search", "", 1);
        Asked { url, method: Method::Get, ..self }.search_or_read()
    }

    fn operation(self) -> Result<Interaction, Outcome> {
        let (segments, parameters) = self.parts();
        let (name, of) = segments.split_last().ok_or_else(|| self.bad_url())?;
        let name = name.strip_prefix('$').ok_or_else(|| self.bad_url())?.to_owned();
        let (resource_type, id) = match *of {
            [] => (None, None),
            [it] => (Some(ResourceType::parse(it).ok_or_else(|| self.bad_url())?), None),
            [it, id] => {
                let of = ResourceType::parse(it).zip(ResourceId::parse(id));
                let (resource_type, id) = of.ok_or_else(|| self.bad_url())?;
                (Some(resource_type), Some(id))
            }
            _ => return Err(self.bad_url()),
        };
        Ok(Interaction::Operation(Operation { name, resource_type, id, parameters, body: self.resource }))
    }
}
