//! `$validate`: what would be said of a resource, without storing it.
//!
//! <https://hl7.org/fhir/R4/resource-operation-validate.html>

use crate::access::scope::Permission;
use crate::conformance::validate::{Mode, Options};
use crate::fhir::json::{Json, Limits};
use crate::fhir::outcome::{self, Issue, Outcome, Severity};
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::{codes, permission, redact};

pub(super) async fn run(ctx: &Context, operation: Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$validate is asked on a type or an instance"));
    };
    let permit = permission::ask(ctx, Permission::Read, &[resource_type])?;
    let mut trail = Trail::under(&permit);
    let profiles = profiles(&operation);
    let given = operation.body.as_ref().map(|body| given(ctx, body)).transpose()?;
    let is_parameters = operation.body.as_ref().is_some_and(|it| it.resource_type().name() == "Parameters");
    let resource = match (given.flatten(), operation.body, &operation.id) {
        (Some(resource), ..) => resource,
        (None, Some(body), _) if !is_parameters => body,
        (None, _, Some(id)) => {
            let narrowing = permit.narrowing().of(resource_type);
            let store = &ctx.app.store;
            let stored = store.read(ctx.tenant(), resource_type, id, narrowing, permit.classes()).await?;
            let Some(stored) = stored.filter(|it| !it.is_deleted()) else {
                return Err(Outcome::not_found());
            };
            trail.add(ctx, &stored);
            let stored = redact::shown(ctx, &permit, stored)?;
            Resource::parse(stored.text, &Limits::ACCEPTED)?
        }
        _ => return Err(Outcome::required("a resource to validate is required")),
    };
    if resource.resource_type() != resource_type {
        return Err(Outcome::invalid("the resource is not of the type in the URL").at("resourceType"));
    }
    let profiles: Vec<&str> = profiles.iter().map(String::as_str).collect();
    let options = Options { profiles: &profiles, mode: Mode::Full };
    let mut issues = codes::validate(ctx, &resource, &options).await?;
    if !issues.iter().any(|issue| issue.severity >= Severity::Error) {
        issues.push(Issue::information("the resource is valid"));
    }
    Ok(Done { response: Response::ok(outcome::to_json(&issues)), trail: Some(trail) })
}

/// The profiles to hold it to: `profile`, as a query parameter or inside of Parameters.
fn profiles(operation: &Operation) -> Vec<String> {
    let asked =
        operation.parameters.iter().filter(|(name, _)| name == "profile").map(|(_, value)| value.clone());
    let body = operation.body.as_ref().filter(|it| it.resource_type().name() == "Parameters");
    let inside = body.and_then(|it| it.root().get("parameter")).into_iter().flat_map(|it| it.items());
    let inside = inside.filter(|it| it.string("name").as_deref() == Some("profile"));
    let spelled = ["valueCanonical", "valueUri", "valueString", "valueUrl"];
    let inside =
        inside.filter_map(|it| spelled.iter().find_map(|name| it.string(name)).map(|it| it.into_owned()));
    asked.chain(inside).collect()
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
