//! `ETag` and `Last-Modified`, and the answer to whoever has this version already.
//!
//! <https://hl7.org/fhir/R4/http.html#cread>, <https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2>

use crate::fhir::outcome::Outcome;
use crate::http::edge::Call;
use crate::http::extract::conditions;
use crate::interaction::response::Response;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED, VARY};
use actix_web::http::{Method, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use sha2::{Digest as _, Sha256};

/// Says which version the answer is about.
pub(crate) fn set(headers: &mut HeaderMap, response: &Response) {
    let Some(about) = &response.about else { return };
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{}\"", about.version)) {
        headers.insert(ETAG, tag);
    }
    let date = Timestamp::from_microsecond(about.last_updated).ok();
    let date = date.and_then(|it| DateTimePrinter::new().timestamp_to_rfc9110_string(&it).ok());
    if let Some(date) = date.and_then(|it| HeaderValue::from_str(&it).ok()) {
        headers.insert(LAST_MODIFIED, date);
    }
}

/// A tag for what has no version: it changes with the text.
pub(crate) fn tag_of(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// Says which state of something public the answer is about: it may be kept, and asked for again.
pub(crate) fn set_public(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{tag}\"")) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    headers.append(VARY, HeaderValue::from_static("Accept"));
}

/// 304, where the client reads what it has already.
///
/// # Errors
/// A condition cannot be read.
pub(crate) fn unchanged(call: &Call, response: &Response) -> Result<Option<HttpResponse>, Outcome> {
    let Some(about) = &response.about else { return Ok(None) };
    if !matches!(*call.request.method(), Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let tags = call.list_header("if-none-match");
    let is_unchanged = if tags.is_empty() {
        // RFC 9110 13.1.3: a date that does not parse is no condition, and If-None-Match counts more.
        let since = call.header("if-modified-since")?;
        let since = since.and_then(|it| DateTimeParser::new().parse_timestamp(it).ok());
        since.is_some_and(|since| about.last_updated.div_euclid(1_000_000) <= since.as_second())
    } else {
        conditions::names(&tags, &about.version.to_string())
    };
    if !is_unchanged {
        return Ok(None);
    }
    let mut answer = HttpResponse::new(StatusCode::NOT_MODIFIED);
    set(answer.headers_mut(), response);
    Ok(Some(answer))
}
