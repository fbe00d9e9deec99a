//! Whether the process lives, whether it can answer, and what it counted.

use super::edge::Call;
use super::respond::outcome::Refusal;
use super::respond::plain;
use crate::telemetry;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;

/// The process answers.
pub(super) async fn live(_: Call) -> Result<HttpResponse, Refusal> {
    Ok(plain::json(StatusCode::OK, r#"{"status":"live"}"#))
}

/// The database answers, so requests can be answered and recorded.
pub(super) async fn ready(call: Call) -> Result<HttpResponse, Refusal> {
    call.edge.app.ready().await?;
    Ok(plain::json(StatusCode::OK, r#"{"status":"ready"}"#))
}

/// What was counted, as Prometheus reads it.
pub(super) async fn metrics(call: Call) -> Result<HttpResponse, Refusal> {
    telemetry::count_process();
    let text = call.edge.metrics.as_ref().map(|it| it.render()).unwrap_or_default();
    Ok(plain::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}
