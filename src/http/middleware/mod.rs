//! What is done to every request and answer, whatever the endpoint.

pub(super) mod access_log;
pub(super) mod cors;
pub(super) mod large_bodies;
pub(super) mod rate_limit;
pub(super) mod request_id;
pub(super) mod security_headers;
