//! The FHIR RESTful API without HTTP.

pub mod request;
pub mod response;
