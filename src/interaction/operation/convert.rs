//! `$convert`: a resource in, the same resource out, in the format that the client asks for.
//!
//! <https://hl7.org/fhir/R4/resource-operation-convert.html>
//!
//! The edge reads and writes formats; nothing is stored, and nothing that is stored is looked at.

use crate::access::scope::Permission;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::permission;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;

pub(super) fn run(ctx: &Context, operation: Operation) -> Result<Done, Outcome> {
    let given = operation.body.ok_or_else(|| Outcome::required("a resource to convert is required"))?;
    let permit = permission::ask(ctx, Permission::Read, &[given.resource_type()])?;
    Ok(Done { response: Response::ok(given.text().to_owned()), trail: Some(Trail::under(&permit)) })
}
