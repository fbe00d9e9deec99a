//! `$validate`: what would be said of a resource, without storing it.
//!
//! <https://hl7.org/fhir/R4/resource-operation-validate.html>
//!
//! Beside the specification's `mode` and `profile`: `best-practice=true` adds advice, and `refuse` names what is
//! refused although R4 allows it. Who asks whether something may be done must be allowed to do it.

use crate::access::scope::Permission;
use crate::conformance::validate::refusal::Refusal;
use crate::conformance::validate::{Mode, Options};
use crate::fhir::id::ResourceId;
use crate::fhir::json::{Json, Limits};
use crate::fhir::outcome::{self, Issue, Outcome, Severity};
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::{beside, codes, permission, redact};

/// What the caller means to do with the resource. <https://hl7.org/fhir/R4/valueset-resource-validation-mode.html>
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Create,
    Update,
    Delete,
    /// Nothing but to know, perhaps by one profile.
    Know,
}

impl Purpose {
    fn of(operation: &Operation) -> Result<Purpose, Outcome> {
        match asked(operation, "mode").first().map(String::as_str) {
            None | Some("profile") => Ok(Purpose::Know),
            Some("create") => Ok(Purpose::Create),
            Some("update") => Ok(Purpose::Update),
            Some("delete") => Ok(Purpose::Delete),
            Some(_) => Err(Outcome::value("mode is create, update, delete or profile").at("mode")),
        }
    }

    /// What the caller would have to be allowed.
    fn permission(self) -> Permission {
        match self {
            Purpose::Create => Permission::Create,
            Purpose::Update => Permission::Update,
            Purpose::Delete => Permission::Delete,
            Purpose::Know => Permission::Read,
        }
    }
}

pub(super) async fn run(ctx: &Context, operation: Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$validate is asked on a type or an instance"));
    };
    let purpose = Purpose::of(&operation)?;
    permission::ask(ctx, purpose.permission(), &[resource_type])?;
    let permit = permission::ask(ctx, Permission::Read, &[resource_type])?;
    let mut trail = Trail::under(&permit);
    let profiles = asked(&operation, "profile");
    let mode = match asked(&operation, "best-practice").first().map(String::as_str) {
        None | Some("false") => Mode::Full,
        Some("true") => Mode::BestPractice,
        Some(_) => return Err(Outcome::value("true or false is expected").at("best-practice")),
    };
    let refusals = refusals(&operation)?;
    let given = operation.body.as_ref().map(|body| given(ctx, body)).transpose()?;
    let is_parameters = operation.body.as_ref().is_some_and(|it| it.resource_type().name() == "Parameters");
    let id = operation.id.clone();
    let resource = match (given.flatten(), operation.body, &id) {
        (Some(resource), ..) if purpose != Purpose::Delete => resource,
        (None, Some(body), _) if !is_parameters && purpose != Purpose::Delete => body,
        (_, _, Some(id)) => {
            let narrowing = permit.narrowing().of(resource_type);
            let store = &ctx.app.store;
            let stored = store.read(ctx.tenant(), resource_type, id, narrowing, permit.classes()).await?;
            let Some(stored) = stored.filter(|it| !it.is_deleted()) else {
                return Err(Outcome::not_found());
            };
            trail.add(ctx, &stored);
            if purpose == Purpose::Delete {
                let issues = [Issue::information("the resource may be deleted")];
                return Ok(Done { response: Response::ok(outcome::to_json(&issues)), trail: Some(trail) });
            }
            let stored = redact::shown(ctx, &permit, stored)?;
            Resource::parse(stored.text, &Limits::ACCEPTED)?
        }
        _ if purpose == Purpose::Delete => {
            return Err(Outcome::required("the id of what would be deleted is required"));
        }
        _ => return Err(Outcome::required("a resource to validate is required")),
    };
    if resource.resource_type() != resource_type {
        return Err(Outcome::invalid("the resource is not of the type in the URL").at("resourceType"));
    }
    let profiles: Vec<&str> = profiles.iter().map(String::as_str).collect();
    let beside = beside::for_judgement(ctx, &resource).await?;
    let options = Options { profiles: &profiles, mode, beside: Some(&beside), refusals: &refusals };
    let mut issues = codes::validate(ctx, &resource, &options).await?;
    if purpose == Purpose::Update
        && let Some(outcome) = wrong_id(&resource, id.as_ref())
    {
        issues.extend(outcome.issues().iter().cloned());
    }
    if !issues.iter().any(|issue| issue.severity >= Severity::Error) {
        issues.push(Issue::information("the resource is valid"));
    }
    Ok(Done { response: Response::ok(outcome::to_json(&issues)), trail: Some(trail) })
}

/// An update names the resource in its URL and in the resource itself.
fn wrong_id(resource: &Resource, id: Option<&ResourceId>) -> Option<Outcome> {
    let place = format!("{}.id", resource.resource_type());
    match (resource.id(), id) {
        (None, _) => Some(Outcome::required("an update needs the id of the resource").at(place)),
        (Some(own), Some(id)) if own != id => {
            Some(Outcome::invalid("the id is not the one in the URL").at(place))
        }
        _ => None,
    }
}

/// What is to be refused beyond R4: `refuse`, as often as needed.
fn refusals(operation: &Operation) -> Result<Vec<Refusal>, Outcome> {
    let named = asked(operation, "refuse").into_iter();
    let named = named.flat_map(|it| it.split(',').map(str::to_owned).collect::<Vec<_>>());
    let message = "unknown-extensions, html-in-markdown, example-urls or unresolved-references is expected";
    named.map(|it| Refusal::parse(&it).ok_or_else(|| Outcome::value(message).at("refuse"))).collect()
}

/// The values of a parameter: in the query, or inside of Parameters.
fn asked(operation: &Operation, name: &str) -> Vec<String> {
    let in_query = operation.parameters.iter().filter(|(it, _)| it == name).map(|(_, value)| value.clone());
    let body = operation.body.as_ref().filter(|it| it.resource_type().name() == "Parameters");
    let inside = body.and_then(|it| it.root().get("parameter")).into_iter().flat_map(|it| it.items());
    let inside = inside.filter(|it| it.get("name").is_some_and(|it| it.is(name)));
    let inside = inside.filter_map(|it| {
        let (_, value) = it.members().find(|(key, _)| key.raw().starts_with("\"value"))?;
        Some(value.as_str().map_or_else(|| value.raw().to_owned(), |it| it.into_owned()))
    });
    in_query.chain(inside).collect()
}

/// The parameter `resource` of a Parameters resource.
fn given(ctx: &Context, body: &Resource) -> Result<Option<Resource>, Outcome> {
    if body.resource_type().name() != "Parameters" {
        return Ok(None);
    }
    let limits = Limits { size_bytes: ctx.app.config.limits.body_bytes, ..Limits::default() };
    let parameters = body.root().get("parameter").into_iter().flat_map(|it| it.items());
    let mut resources = parameters.filter(|it| it.string("name").as_deref() == Some("resource"));
    let Some(resource) = resources.next().and_then(|it| it.get("resource")) else { return Ok(None) };
    Resource::from_json(Json::parse(resource.raw(), &limits)?).map(Some)
}
