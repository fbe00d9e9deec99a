//! Whether the process lives, whether it can answer, and what it counted.

use super::edge::Call;
use super::respond::outcome::Refusal;
use super::respond::plain;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::Issue;
use crate::interaction::readiness::{self, Readiness};
use crate::telemetry;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use std::sync::Arc;

/// The process answers.
pub(super) async fn live(_: Call) -> Result<HttpResponse, Refusal> {
    Ok(plain::json(StatusCode::OK, r#"{"status":"live"}"#))
}

/// The database answers and the trail takes events, so requests can be answered and recorded.
pub(super) async fn ready(call: Call) -> Result<HttpResponse, Refusal> {
    let edge = Arc::clone(&call.edge);
    let asking = async move {
        match edge.tenancy.all().await {
            Ok(apps) => readiness::readiness(&apps).await,
            Err(_) => Readiness::Not("the database does not answer"),
        }
    };
    let stands = call.edge.runtime.spawn(asking).await;
    match stands.unwrap_or(Readiness::Not("the server cannot tell how it is")) {
        Readiness::Ready => Ok(plain::json(StatusCode::OK, r#"{"status":"ready"}"#)),
        Readiness::Behind => {
            let behind = r#"{"status":"ready","trail":"events wait to be chained"}"#;
            Ok(plain::json(StatusCode::OK, behind))
        }
        Readiness::Not(reason) => Err(Issue::error(IssueType::Transient, reason).into()),
    }
}

/// What was counted, as Prometheus reads it.
pub(super) async fn metrics(call: Call) -> Result<HttpResponse, Refusal> {
    telemetry::count_process();
    let text = call.edge.metrics.as_ref().map(|it| it.render()).unwrap_or_default();
    Ok(plain::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}
