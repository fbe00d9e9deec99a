//! The answer to an interaction: status, headers, and a body by preference.
//!
//! <https://hl7.org/fhir/R4/http.html#ops>

use super::outcome::{Refusal, all_well};
use super::pretty::pretty;
use super::validators;
use crate::fhir::json::{Json, Limits};
use crate::fhir::outcome::Outcome;
use crate::fhir::types::Types;
use crate::fhir::xml;
use crate::http::edge::Call;
use crate::http::extract::format::{self, Format, Syntax};
use crate::http::extract::preferences::{Body, Preferences};
use crate::interaction::response::{Response, Status};
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use actix_web::http::{Method, StatusCode};

/// What kind of answer the client asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    format: Format,
    preferences: Preferences,
    is_write: bool,
}

impl Asked {
    /// What the request says.
    ///
    /// # Errors
    /// No format that we can write is acceptable.
    pub(crate) fn of(call: &Call) -> Result<Asked, Refusal> {
        Ok(Asked { format: call.format()?, ..Asked::nothing(call) })
    }

    /// The format is left to us: then it is the other one than that of the body.
    ///
    /// # Errors
    /// No format that we can write is acceptable.
    pub(crate) fn converted(call: &Call, given: Syntax) -> Result<Asked, Refusal> {
        let asked = Asked::of(call)?;
        if !format::is_left_to_us(call.request.query_string(), &call.list_header("accept")) {
            return Ok(asked);
        }
        let other = match given {
            Syntax::Json => Syntax::Xml,
            Syntax::Xml => Syntax::Json,
        };
        Ok(Asked { format: asked.format.in_syntax(other), ..asked })
    }

    /// No body, for a client that would take none of ours.
    pub(crate) fn nothing(call: &Call) -> Asked {
        let method = call.request.method();
        let is_write = matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
        let format = Format::default_for(call.request.query_string());
        Asked { format, preferences: call.preferences(), is_write }
    }
}

/// The answer.
///
/// # Errors
/// A condition of the request cannot be read.
pub(crate) fn render(call: &Call, asked: &Asked, response: Response) -> Result<HttpResponse, Refusal> {
    if let Some(unchanged) = validators::unchanged(call, &response)? {
        return Ok(unchanged);
    }
    // Only what a write leaves behind is a matter of preference: a search by POST is a search.
    let is_about_a_write = asked.is_write && response.about.is_some();
    let body = match (asked.preferences.body, is_about_a_write) {
        (Some(Body::Minimal), true) => None,
        (Some(Body::OperationOutcome), true) => Some(all_well(&response.issues)),
        _ => response.body.clone(),
    };
    let status = match (response.status, &body) {
        (Status::NoContent, Some(_)) => StatusCode::OK,
        (status, _) => StatusCode::from_u16(status.code()).unwrap_or(StatusCode::OK),
    };
    let mut answer = match body {
        Some(body) => text(status, &asked.format, call.edge.types(), body)?,
        None => HttpResponse::new(status),
    };
    validators::set(answer.headers_mut(), &response);
    if let (Some(about), true) = (&response.about, response.status == Status::Created) {
        let location = format!("{}/{}", call.app.fhir_base(), about.versioned());
        if let Ok(location) = HeaderValue::from_str(&location) {
            answer.headers_mut().insert(LOCATION, location);
        }
    }
    Ok(answer)
}

/// A resource, or what stands for one, in the format that was asked for.
///
/// # Errors
/// It holds what that format cannot (406).
pub(crate) fn text(
    status: StatusCode,
    format: &Format,
    types: &Types,
    text: String,
) -> Result<HttpResponse, Refusal> {
    let text = match format.syntax {
        Syntax::Json if format.is_pretty => pretty(&text),
        Syntax::Json => text,
        Syntax::Xml => in_xml(types, text)?,
    };
    let mut answer = HttpResponse::with_body(status, text).map_into_boxed_body();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type));
    Ok(answer)
}

fn in_xml(types: &Types, text: String) -> Result<String, Refusal> {
    let limits = Limits { size_bytes: text.len(), ..Limits::ACCEPTED };
    let json = Json::parse(text, &limits).map_err(Outcome::from)?;
    xml::from_json(types, &json).map_err(|outcome| Refusal::new(StatusCode::NOT_ACCEPTABLE, outcome))
}
