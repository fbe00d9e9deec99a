//! The CapabilityStatement: what is mounted, and nothing else.
//!
//! <https://hl7.org/fhir/R4/http.html#capabilities>
//!
//! Public by specification: it holds nothing of anybody, so it asks for no permit and leaves no row.

use super::context::Context;
use super::record::Done;
use super::response::{Response, Status};

pub(super) fn statement(ctx: &Context) -> Done {
    let statement = serde_json::json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": crate::fhir::date_time::instant(ctx.now),
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{ "mode": "server" }],
    });
    let body = Some(statement.to_string());
    Done::recorded(Response { status: Status::Ok, body, about: None, issues: Vec::new() })
}
