//! Whether the process lives, and whether it can answer.

use actix_web::HttpResponse;

/// The process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "live" }))
}
