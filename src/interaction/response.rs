//! What came of an interaction, without HTTP.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::outcome::Issue;

/// The answer to a successful interaction.
#[derive(Clone, Debug)]
pub struct Response {
    /// What happened.
    pub status: Status,
    /// A resource as JSON text: the one asked for, a bundle, an outcome.
    pub body: Option<String>,
    /// The resource that the answer is about, for `ETag`, `Last-Modified` and `Location`.
    pub about: Option<About>,
    /// Warnings and information, for `Prefer: return=OperationOutcome`.
    pub issues: Vec<Issue>,
}

/// The version of a resource that an answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: ResourceId,
    /// Its version.
    pub version: i32,
    /// When it was made: `meta.lastUpdated` in microseconds since 1970.
    pub last_updated: i64,
}

/// What happened, in the words of HTTP since FHIR's REST API is defined by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200
    Ok,
    /// 201
    Created,
    /// 202
    Accepted,
    /// 204
    NoContent,
}

impl Response {
    /// 200 with that body, about no resource in particular.
    pub(super) fn ok(body: String) -> Response {
        Response { status: Status::Ok, body: Some(body), about: None, issues: Vec::new() }
    }
}

impl Status {
    /// The HTTP status code.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Status::Ok => 200,
            Status::Created => 201,
            Status::Accepted => 202,
            Status::NoContent => 204,
        }
    }
}

impl About {
    /// `Patient/1/_history/2`
    #[must_use]
    pub fn versioned(&self) -> String {
        format!("{}/{}/_history/{}", self.resource_type, self.id, self.version)
    }
}
