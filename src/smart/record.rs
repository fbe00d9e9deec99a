//! What happened here, for the trail: durable before any answer leaves.

use crate::access::principal::Principal;
use crate::audit::event::{self, Kind, Occasion};
use crate::smart::error::OAuthError;
use crate::smart::request::Request;

/// Whom an event is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Who<'a> {
    /// The user, by the id of the account or the resource that stands for them; empty where nobody knows.
    pub(super) user: &'a str,
    /// The client; empty for our own pages.
    pub(super) client: &'a str,
}

/// Appends an event: by which rule, and how it ended.
pub(super) async fn record(
    request: &Request,
    who: Who<'_>,
    kind: Kind,
    (result, rule): (event::Result, &str),
) -> Result<(), OAuthError> {
    let client = if who.client.is_empty() { "vesta" } else { who.client };
    let user = if who.user.is_empty() { "unknown" } else { who.user };
    let principal = request.principal(user, client, None, "");
    // Who administers did it; whom it was done to stands in the rule.
    let (principal, rule) = match &request.actor {
        Some(actor) => (Principal::clone(actor), format!("{rule}: {user} {client}")),
        None => (principal, rule.to_owned()),
    };
    let occasion = Occasion {
        principal: &principal,
        request: request.id,
        network: request.network.as_deref(),
        now: request.now,
    };
    let row = event::row(&occasion, kind, result, &rule);
    Ok(request.app.store.append_audit(request.tenant, vec![row]).await?)
}

/// The same for something that went well.
pub(super) async fn success(
    request: &Request,
    who: Who<'_>,
    kind: Kind,
    rule: &str,
) -> Result<(), OAuthError> {
    record(request, who, kind, (event::Result::Success, rule)).await
}

/// Records a refusal, and gives it back.
pub(super) async fn refused(
    request: &Request,
    who: Who<'_>,
    (kind, rule): (Kind, &str),
    error: OAuthError,
) -> OAuthError {
    match record(request, who, kind, (event::Result::MinorFailure, rule)).await {
        Ok(()) => error,
        Err(failure) => failure,
    }
}
