//! The FHIR RESTful API without HTTP.
//!
//! [`perform`] is the one door: decide, act, record. There is no other way to touch a resource.

pub mod context;
pub mod request;
pub mod response;

use crate::fhir::outcome::Outcome;
use context::Context;
use request::Interaction;
use response::Response;

/// Every touch of a resource comes through here: decide, act, record.
///
/// # Errors
/// The interaction is refused or fails. What may not be known of is [`Outcome::not_found`].
#[expect(clippy::unused_async, reason = "being built")]
pub async fn perform(_ctx: &Context, _interaction: Interaction) -> Result<Response, Outcome> {
    Err(Outcome::not_supported("being built"))
}
