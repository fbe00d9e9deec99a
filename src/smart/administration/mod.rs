//! Administration over HTTP: accounts, clients and launches, for those whose scope and role allow it
//! ([`crate::access::administration`]). Whoever changes something stands in the trail as its agent, and whom it was
//! done to in the rule.
//!
//! # Decision (2026-11-25)
//! An account is told as a FHIR `Person`: that is what R4 has for somebody who signs in, with links to the patient or
//! practitioner that they are. A client is told in the words of RFC 7591, as it registers itself: `Device` and
//! `Endpoint` have no place for redirect URIs, keys or grant types, and extensions for all of them would be a format of
//! our own behind a familiar name. Neither lies among the resources: a search must not find accounts.

pub mod clients;
pub mod users;

use crate::access::administration::{self, Matter};
use crate::access::principal::Principal;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use serde_json::Value;
use std::sync::Arc;

/// The longest page of a list.
pub const MOST: i64 = 100;

/// The request, as one of whoever administers, if they may.
///
/// # Errors
/// They may not: by which rule stands in the trail.
pub async fn permitted(
    request: Request,
    principal: &Principal,
    (matter, permission): (Matter, Permission),
) -> Result<Request, OAuthError> {
    let request = Request { actor: Some(Arc::new(principal.clone())), ..request };
    let facts = request.app.facts(principal).await?;
    let asked = (matter, permission);
    let Err(rule) = administration::decide(principal, &facts.role, asked, request.now_seconds()) else {
        if matches!(permission, Permission::Read | Permission::Search) {
            let rule = format!("administration: {matter:?} looked at");
            record::success(&request, Who::default(), Kind::Operation, &rule).await?;
        }
        return Ok(request);
    };
    let kind = match matter {
        Matter::Users => Kind::UserChanged,
        Matter::Clients | Matter::Approval => Kind::ClientChanged,
    };
    Err(record::refused(&request, Who::default(), (kind, rule), OAuthError::access_denied(rule)).await)
}

/// There is no such thing.
fn unknown() -> OAuthError {
    OAuthError::new("not_found", "there is nothing of that name")
}

/// What was sent, as a JSON object.
fn object(body: &[u8]) -> Result<Value, OAuthError> {
    serde_json::from_slice::<Value>(body)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| OAuthError::invalid_request("the body must be a JSON object"))
}

/// An administrator does not take themselves out, nor give themselves a role: another one does that.
fn not_oneself(request: &Request, account: &str) -> Result<(), OAuthError> {
    match &request.actor {
        Some(actor) if actor.subject == account => {
            Err(OAuthError::access_denied("this is your own account: another administrator changes it"))
        }
        _ => Ok(()),
    }
}
