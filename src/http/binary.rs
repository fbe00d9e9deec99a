//! Binary: raw content in and out, or the resource, as the client says.
//!
//! <https://hl7.org/fhir/R4/binary.html#rest>: content goes out as it is unless a FHIR type is asked for, and
//! comes in as it is unless it is a Binary resource. `X-Security-Context` is `Binary.securityContext`.

use super::edge::Call;
use super::extract::format::Format;
use super::extract::{conditions, format};
use super::respond::outcome::Refusal;
use super::respond::resource::{self, Asked};
use super::respond::{plain, validators};
use crate::access::principal::Principal;
use crate::fhir::id::ResourceType;
use crate::fhir::json::{Json, Limits, quote};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::request::{Instance, Interaction, Target};
use crate::interaction::response::Response;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SECURITY_CONTEXT: HeaderName = HeaderName::from_static("x-security-context");

pub(super) async fn read(call: Call, principal: Principal) -> Result<HttpResponse, Refusal> {
    let interaction = Interaction::Read { of: instance(&call)?, parameters: call.parameters()? };
    show(&call, principal, interaction).await
}

pub(super) async fn vread(call: Call, principal: Principal) -> Result<HttpResponse, Refusal> {
    let version = call.path("version").to_owned();
    let interaction = Interaction::Vread { of: instance(&call)?, version, parameters: call.parameters()? };
    show(&call, principal, interaction).await
}

pub(super) async fn create(mut call: Call, principal: Principal) -> Result<HttpResponse, Refusal> {
    let asked = Asked::of(&call).unwrap_or_else(|_| Asked::nothing(&call));
    let if_none_exist = conditions::if_none_exist(&call)?;
    let resource = content(&mut call, None).await?;
    let response = call.perform(principal, Interaction::Create { resource, if_none_exist }).await?;
    resource::render(&call, &asked, response)
}

pub(super) async fn update(mut call: Call, principal: Principal) -> Result<HttpResponse, Refusal> {
    let asked = Asked::of(&call).unwrap_or_else(|_| Asked::nothing(&call));
    let instance = instance(&call)?;
    let resource = content(&mut call, Some(instance.id.as_str())).await?;
    if resource.id() != Some(&instance.id) {
        return Err(Outcome::value("the id in the resource must be the one in the URL")
            .at("Binary.id")
            .into());
    }
    let if_match = conditions::if_match(&call)?;
    let if_none_match_any = conditions::if_none_match_any(&call)?;
    let target = Target::Instance(instance);
    let interaction = Interaction::Update { target, resource, if_match, if_none_match_any };
    let response = call.perform(principal, interaction).await?;
    resource::render(&call, &asked, response)
}

fn instance(call: &Call) -> Result<Instance, Refusal> {
    let resource_type = ResourceType::parse("Binary").ok_or_else(Refusal::unknown_type)?;
    Ok(Instance { resource_type, id: call.resource_id()? })
}

/// What was sent, as a Binary resource.
async fn content(call: &mut Call, id: Option<&str>) -> Result<Resource, Refusal> {
    let media_type = call.header("content-type")?.unwrap_or("application/octet-stream").to_owned();
    let context = call.header("x-security-context")?.map(str::to_owned);
    let bytes = call.body().await?;
    let limits = call.json_limits();
    // "except for the special case where the content is actually a Binary resource"
    if let Some(syntax) = format::syntax_of(&call.content_type())
        && let Ok(resource) = call.parse(syntax, bytes.clone())
        && resource.resource_type().name() == "Binary"
    {
        return Ok(resource);
    }
    let mut text = String::from("{\"resourceType\":\"Binary\"");
    let reference = context.map(|it| format!("{{\"reference\":{}}}", quote(&it)));
    for (name, value) in [
        ("id", id.map(quote)),
        ("contentType", Some(quote(&media_type))),
        ("securityContext", reference),
        ("data", Some(format!("\"{}\"", STANDARD.encode(&bytes))).filter(|_| !bytes.is_empty())),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(",\"{name}\":{value}"));
        }
    }
    text.push('}');
    // The limits are those of a body; in base64 it is a third longer.
    let limits = Limits { size_bytes: text.len(), ..limits };
    Ok(Resource::parse(text, &limits)?)
}

async fn show(call: &Call, principal: Principal, interaction: Interaction) -> Result<HttpResponse, Refusal> {
    let accept = call.list_header("accept");
    if format::asks_for_fhir(call.request.query_string(), &accept) {
        let asked = Asked::of(call)?;
        let response = call.perform(principal, interaction).await?;
        return resource::render(call, &asked, response);
    }
    let response = call.perform(principal, interaction).await?;
    if let Some(unchanged) = validators::unchanged(call, &response)? {
        return Ok(unchanged);
    }
    raw(&accept, &response)
}

fn raw(accept: &str, response: &Response) -> Result<HttpResponse, Refusal> {
    let broken = || Outcome::exception("a stored Binary does not parse");
    let text = response.body.clone().ok_or_else(broken)?;
    let limits = Limits { size_bytes: text.len(), ..Default::default() };
    let json = Json::parse(text, &limits).map_err(|_| broken())?;
    let root = json.root();
    let stated = root.string("contentType").unwrap_or_default();
    let media_type = if stated.is_empty() { "application/octet-stream" } else { &stated };
    if !Format::accepts(accept, media_type) {
        return Err(Refusal::not_acceptable());
    }
    let data = root.string("data").unwrap_or_default();
    let bytes = STANDARD.decode(data.as_bytes()).map_err(|_| broken())?;
    let mut answer = plain::bytes(StatusCode::OK, media_type, bytes);
    let headers = answer.headers_mut();
    validators::set(headers, response);
    // Content of strangers: a browser must not run it in our name.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    let context = root.get("securityContext").and_then(|it| it.string("reference"));
    if let Some(context) = context.and_then(|it| HeaderValue::from_str(&it).ok()) {
        headers.insert(SECURITY_CONTEXT, context);
    }
    Ok(answer)
}
