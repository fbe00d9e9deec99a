//! Pages of other origins may call us, where the settings say so: <https://fetch.spec.whatwg.org/#http-cors-protocol>
//!
//! Never with credentials: a token travels in a header that the page must set itself.

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue,
    ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const ALLOWED: &str = "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-Modified-Since, \
                       If-None-Exist, X-Request-Id, X-Correlation-Id, X-Security-Context, X-Purpose-Of-Use, DPoP";
const EXPOSED: &str = "ETag, Last-Modified, Location, Content-Location, Link, X-Request-Id, X-Correlation-Id, \
                       X-Progress, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, \
                       X-Security-Context";

/// Lets a page of an allowed origin read the answer, and answers what it asks beforehand.
pub(crate) fn allow(request: &HttpRequest, origins: &[String], response: &mut HttpResponse) {
    let Some(origin) = request.headers().get(ORIGIN) else { return };
    let is_any = origins.iter().any(|it| it == "*");
    let headers = response.headers_mut();
    if !is_any {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if !origins.iter().any(|it| it.as_bytes() == origin.as_bytes()) {
            return;
        }
    }
    let allowed = if is_any { HeaderValue::from_static("*") } else { origin.clone() };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    }
}
