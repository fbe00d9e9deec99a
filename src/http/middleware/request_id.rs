//! The id of a request, in the answer, the log and the trail.
//!
//! <https://hl7.org/fhir/R4/http.html#custom>: a client's own `X-Request-Id` is kept if it is a UUID, which is
//! what the trail can hold; `X-Correlation-Id` is given back as it came.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The longest correlation id that is given back.
const LONGEST: usize = 128;

/// The ids of one request.
pub(crate) struct Ids {
    /// Its own.
    pub(crate) request: Uuid,
    correlation: Option<HeaderValue>,
}

impl Ids {
    /// Those that were sent, or a new one.
    pub(crate) fn of(request: &HttpRequest, new_id: impl FnOnce() -> Uuid) -> Ids {
        let sent = request.headers().get(&REQUEST_ID).and_then(|it| it.to_str().ok());
        let sent = sent.filter(|it| it.len() == 36).and_then(|it| Uuid::parse_str(it).ok());
        let correlation = request.headers().get(&CORRELATION_ID);
        let correlation = correlation.filter(|it| it.len() <= LONGEST && it.to_str().is_ok()).cloned();
        Ids { request: sent.unwrap_or_else(new_id), correlation }
    }

    /// Names them in the answer.
    pub(crate) fn set(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.request.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(correlation) = &self.correlation {
            headers.insert(CORRELATION_ID, correlation.clone());
        }
    }
}
