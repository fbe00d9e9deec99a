//! Answers that are no resources.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};

/// JSON.
pub(crate) fn json(status: StatusCode, text: impl Into<String>) -> HttpResponse {
    self::text(status, "application/json", text.into())
}

/// Text of some type.
pub(crate) fn text(status: StatusCode, content_type: &'static str, text: String) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, text).map_into_boxed_body();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Bytes of a type that a client stated.
pub(crate) fn bytes(status: StatusCode, content_type: &str, bytes: Vec<u8>) -> HttpResponse {
    let unknown = HeaderValue::from_static("application/octet-stream");
    let content_type = HeaderValue::from_str(content_type).unwrap_or(unknown);
    let mut response = HttpResponse::with_body(status, bytes).map_into_boxed_body();
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
