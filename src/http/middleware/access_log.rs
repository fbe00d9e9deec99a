//! One line and one measure for each request.
//!
//! Of the path only its template, of the query nothing: what is asked for may say who somebody is.

use crate::access::principal::Principal;
use crate::http::respond::outcome::Refusal;
use actix_web::http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};
use std::time::Duration;
use tracing::{error, info, warn};
use uuid::Uuid;

/// What is said about a request.
pub(crate) struct Line<'a> {
    /// Its id.
    pub(crate) request_id: Uuid,
    /// Its method.
    pub(crate) method: &'a Method,
    /// The template of its path.
    pub(crate) route: &'static str,
    /// What came of it.
    pub(crate) status: StatusCode,
    /// How long it took.
    pub(crate) duration: Duration,
    /// Who asked.
    pub(crate) principal: Option<&'a Principal>,
}

/// Writes the line and counts the request.
pub(crate) fn write(line: &Line<'_>) {
    let method = name(line.method);
    let status = line.status.as_u16();
    let milliseconds = line.duration.as_secs_f64() * 1000.0;
    let client = line.principal.map(|it| it.client_id.as_str()).unwrap_or_default();
    info!(
        request.id = %line.request_id,
        http.method = method,
        http.route = line.route,
        http.status = status,
        duration.milliseconds = milliseconds,
        client.id = client,
        "answered {method} {} with {status}",
        line.route
    );
    let labels =
        [("route", line.route.to_owned()), ("method", method.to_owned()), ("status", status.to_string())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", "route" => line.route, "method" => method)
        .record(line.duration.as_secs_f64());
}

/// Says why the server itself failed: here, once, and nowhere else.
pub(crate) fn cause(request_id: Uuid, refusal: &Refusal) {
    let Some(cause) = refusal.outcome().cause() else { return };
    let mut chain = cause.to_string();
    let mut next = cause.source();
    while let Some(error) = next {
        chain.push_str(": ");
        chain.push_str(&error.to_string());
        next = error.source();
    }
    match refusal.status() {
        StatusCode::INTERNAL_SERVER_ERROR => {
            error!(request.id = %request_id, cause = chain, "a request failed")
        }
        _ => warn!(request.id = %request_id, cause = chain, "a request could not be answered now"),
    }
}

/// Methods that nobody knows must not become labels without end.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A request under way, counted as long as it is.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn new() -> InFlight {
        gauge!("http_requests_in_flight").increment(1.0);
        InFlight(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("http_requests_in_flight").decrement(1.0);
    }
}
