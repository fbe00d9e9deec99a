//! The FHIR RESTful API: each function is one row of the table of endpoints.
//!
//! <https://hl7.org/fhir/R4/http.html>

use super::edge::Call;
use super::extract::{body, conditions, format, query};
use super::respond::outcome::Refusal;
use super::respond::resource::{self, Asked};
use super::respond::validators;
use crate::access::principal::Principal;
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::resource::Resource;
use crate::interaction;
use crate::interaction::request::{
    HistoryOf, Instance, Interaction, Operation, Parameters, Patch, Statement, Target,
};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use std::sync::Arc;

type Answer = Result<HttpResponse, Refusal>;

pub(super) async fn capabilities(call: Call) -> Answer {
    let asked = Asked::of(&call)?;
    let (app, tenant) = (Arc::clone(&call.app), call.app.tenant);
    let terminology = call.parameters()?.iter().any(|(name, value)| name == "mode" && value == "terminology");
    let statement = if terminology { Statement::Terminology } else { Statement::Full };
    let told = async move { interaction::capabilities(&app, tenant, statement).await };
    let told = call.edge.runtime.spawn(told).await;
    let response = told.map_err(|_| Outcome::exception("the CapabilityStatement cannot be told"))?;
    let tag = validators::tag_of(response.body.as_deref().unwrap_or_default());
    let mut answer = match conditions::names(&call.list_header("if-none-match"), &tag) {
        true => HttpResponse::new(StatusCode::NOT_MODIFIED),
        false => resource::render(&call, &asked, response)?,
    };
    validators::set_public(answer.headers_mut(), &tag);
    Ok(answer)
}

pub(super) async fn read(call: Call, principal: Principal) -> Answer {
    let interaction = Interaction::Read { of: call.instance()?, parameters: call.parameters()? };
    perform(&call, principal, interaction).await
}

pub(super) async fn vread(call: Call, principal: Principal) -> Answer {
    let version = call.path("version").to_owned();
    let interaction = Interaction::Vread { of: call.instance()?, version, parameters: call.parameters()? };
    perform(&call, principal, interaction).await
}

pub(super) async fn create(mut call: Call, principal: Principal) -> Answer {
    let resource_type = call.resource_type()?;
    let if_none_exist = conditions::if_none_exist(&call)?;
    let resource = call.resource().await?;
    require_type(&resource, resource_type)?;
    perform(&call, principal, Interaction::Create { resource, if_none_exist }).await
}

pub(super) async fn update(mut call: Call, principal: Principal) -> Answer {
    let instance = call.instance()?;
    let resource = call.resource().await?;
    require_type(&resource, instance.resource_type)?;
    // http.html#update: the resource SHALL contain an id element that has an identical value to the [id]
    // in the URL.
    if resource.id() != Some(&instance.id) {
        let outcome = Outcome::value("the id in the resource must be the one in the URL");
        return Err(outcome.at(format!("{}.id", instance.resource_type)).into());
    }
    put(&call, principal, Target::Instance(instance), resource).await
}

pub(super) async fn conditional_update(mut call: Call, principal: Principal) -> Answer {
    let target = criteria(&call)?;
    let resource = call.resource().await?;
    require_type(&resource, target.resource_type())?;
    put(&call, principal, target, resource).await
}

async fn put(call: &Call, principal: Principal, target: Target, resource: Resource) -> Answer {
    let if_match = conditions::if_match(call)?;
    let if_none_match_any = conditions::if_none_match_any(call)?;
    perform(call, principal, Interaction::Update { target, resource, if_match, if_none_match_any }).await
}

pub(super) async fn patch(call: Call, principal: Principal) -> Answer {
    let target = Target::Instance(call.instance()?);
    patch_target(call, principal, target).await
}

pub(super) async fn conditional_patch(call: Call, principal: Principal) -> Answer {
    let target = criteria(&call)?;
    patch_target(call, principal, target).await
}

async fn patch_target(mut call: Call, principal: Principal, target: Target) -> Answer {
    let if_match = conditions::if_match(&call)?;
    let patch = match call.content_type().as_str() {
        "application/json-patch+json" => {
            let text = String::from_utf8(call.body().await?);
            Patch::Json(text.map_err(|_| Outcome::structure("not valid UTF-8"))?)
        }
        _ => {
            let parameters = call.resource().await?;
            require_parameters(&parameters)?;
            Patch::FhirPath(parameters)
        }
    };
    perform(&call, principal, Interaction::Patch { target, patch, if_match }).await
}

pub(super) async fn delete(call: Call, principal: Principal) -> Answer {
    let target = Target::Instance(call.instance()?);
    let if_match = conditions::if_match(&call)?;
    perform(&call, principal, Interaction::Delete { target, if_match }).await
}

pub(super) async fn conditional_delete(call: Call, principal: Principal) -> Answer {
    let target = criteria(&call)?;
    let if_match = conditions::if_match(&call)?;
    perform(&call, principal, Interaction::Delete { target, if_match }).await
}

pub(super) async fn history(call: Call, principal: Principal) -> Answer {
    let of = match (call.path("type"), call.path("id")) {
        ("", _) => HistoryOf::System,
        (_, "") => HistoryOf::Type(call.resource_type()?),
        _ => HistoryOf::Instance(call.instance()?),
    };
    let interaction = Interaction::History { of, parameters: call.parameters()? };
    perform(&call, principal, interaction).await
}

pub(super) async fn search(call: Call, principal: Principal) -> Answer {
    let parameters = call.parameters()?;
    search_for(&call, principal, parameters).await
}

/// <https://hl7.org/fhir/R4/http.html#search>: the parameters of the URL and of the form are one list.
pub(super) async fn search_by_post(mut call: Call, principal: Principal) -> Answer {
    let mut parameters = call.parameters()?;
    match call.content_type().as_str() {
        "application/x-www-form-urlencoded" => {
            let form = call.body().await?;
            let form = std::str::from_utf8(&form).map_err(|_| Outcome::value("the form is not UTF-8"))?;
            parameters.extend(query::decode(form)?);
            parameters.retain(|(name, _)| name != "_format" && name != "_pretty");
        }
        "" if call.body().await?.is_empty() => {}
        _ => return Err(Refusal::unsupported_media_type("application/x-www-form-urlencoded")),
    }
    search_for(&call, principal, parameters).await
}

async fn search_for(call: &Call, principal: Principal, parameters: Parameters) -> Answer {
    let (resource_type, compartment) = match (call.path("type"), call.path("id")) {
        ("", _) => (None, None),
        (_, "") => (Some(call.resource_type()?), None),
        _ => {
            let member = match call.path("member") {
                "" | "*" => None,
                _ => Some(call.type_at("member")?),
            };
            (member, Some(compartment(call)?))
        }
    };
    perform(call, principal, Interaction::Search { resource_type, compartment, parameters }).await
}

/// <https://hl7.org/fhir/R4/compartmentdefinition.html>
fn compartment(call: &Call) -> Result<Instance, Refusal> {
    match call.path("type") {
        "Patient" | "Encounter" | "RelatedPerson" | "Practitioner" | "Device" => call.instance(),
        _ => Err(Issue::error(IssueType::NotFound, "there is no compartment of this type").into()),
    }
}

pub(super) async fn bundle(mut call: Call, principal: Principal) -> Answer {
    let bundle = call.resource().await?;
    if bundle.resource_type().name() != "Bundle" {
        return Err(Outcome::invalid("the base takes a Bundle of type batch or transaction").into());
    }
    perform(&call, principal, Interaction::Bundle { bundle }).await
}

/// <https://hl7.org/fhir/R4/operations.html>
pub(super) async fn operation(call: Call, principal: Principal) -> Answer {
    let asked = Asked::of(&call)?;
    operate(&call, principal, (asked, None)).await
}

pub(super) async fn operation_by_post(mut call: Call, principal: Principal) -> Answer {
    let mut asked = Asked::of(&call)?;
    let body = match call.content_type().as_str() {
        "" if call.body().await?.is_empty() => None,
        _ => Some(call.resource().await?),
    };
    if let ("convert", Some(given)) = (call.path("operation"), format::syntax_of(&call.content_type())) {
        asked = Asked::converted(&call, given)?;
    }
    operate(&call, principal, (asked, body)).await
}

async fn operate(call: &Call, principal: Principal, (asked, body): (Asked, Option<Resource>)) -> Answer {
    let resource_type = match call.path("type") {
        "" => None,
        _ => Some(call.resource_type()?),
    };
    let id = match call.path("id") {
        "" => None,
        _ => Some(call.resource_id()?),
    };
    let name = call.path("operation").to_owned();
    let parameters = call.parameters()?;
    let operation = Operation { name, resource_type, id, parameters, body };
    let response = call.perform(principal, Interaction::Operation(operation)).await?;
    resource::render(call, &asked, response)
}

/// Through the door and back. What the answer may look like is settled before anything is done.
async fn perform(call: &Call, principal: Principal, interaction: Interaction) -> Answer {
    let asked = Asked::of(call)?;
    let response = call.perform(principal, interaction).await?;
    resource::render(call, &asked, response)
}

/// The criteria of a conditional interaction: never none, for that would be all resources.
fn criteria(call: &Call) -> Result<Target, Refusal> {
    let resource_type = call.resource_type()?;
    let parameters = call.parameters()?;
    if parameters.is_empty() {
        let outcome = Outcome::required("without an id in the path, criteria are needed in the query");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, outcome));
    }
    Ok(Target::Criteria { resource_type, parameters })
}

fn require_type(resource: &Resource, expected: ResourceType) -> Result<(), Refusal> {
    if resource.resource_type() == expected {
        return Ok(());
    }
    Err(Outcome::invalid("the resource must be of the type in the URL").at("resourceType").into())
}

fn require_parameters(resource: &Resource) -> Result<(), Refusal> {
    if resource.resource_type().name() == "Parameters" {
        return Ok(());
    }
    Err(body::unsupported_patch())
}
