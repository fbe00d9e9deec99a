//! Whether an access token that is in order is also still wanted: asked of memory at every request.
//!
//! A token that is bound to a visit dies when the encounter ends. Its status is read through the door, on
//! our own behalf and with a row in the trail, and believed for two seconds.

use crate::access::principal::Principal;
use crate::access::role;
use crate::access::scope::Scopes;
use crate::app::{App, GoodToken};
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::request::{Instance, Interaction, Parameters};
use crate::smart::error::OAuthError;
use crate::smart::grant;
use crate::smart::request::Request;
use crate::store::revocations::{RevocationKind, Revocations};
use moka::sync::Cache;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static VISITS: LazyLock<Cache<(TenantId, String, String), bool>> =
    LazyLock::new(|| Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(2)).build());

/// Whether nobody has taken the token back: not its user, client, grant or itself, and its visit goes on.
///
/// # Errors
/// That cannot be found out now: then the token must not be taken.
pub async fn is_live(app: &Arc<App>, token: &GoodToken) -> Result<bool, Outcome> {
    let tenant = token.principal.tenant;
    if is_revoked(&*app.store.revocations(tenant).await?, token) {
        return Ok(false);
    }
    match &token.visit {
        Some(encounter) => visit_goes_on(app, tenant, encounter).await,
        None => Ok(true),
    }
}

/// Whether memory alone can tell that a token is live: what was revoked is known, and no visit is to be asked of.
#[must_use]
pub fn is_known_to_be_live(app: &App, token: &GoodToken) -> bool {
    let revoked = app.store.known_revocations(token.principal.tenant);
    token.visit.is_none() && revoked.is_some_and(|it| !is_revoked(&it, token))
}

fn is_revoked(revoked: &Revocations, token: &GoodToken) -> bool {
    let principal = &token.principal;
    // The claim is in seconds: of the second in which something was revoked, all is dead.
    let issued = token.issued_seconds.saturating_mul(1_000_000);
    revoked.cover(RevocationKind::User, &principal.subject, issued)
        || revoked.cover(RevocationKind::Client, &principal.client_id, issued)
        || revoked.cover(RevocationKind::Token, &principal.token_id, issued)
        || token.family.as_ref().is_some_and(|it| revoked.cover(RevocationKind::Family, it, issued))
}

/// Whether an encounter has not come to its end.
pub(super) async fn is_under_way(request: &Request, encounter: &str) -> Result<bool, OAuthError> {
    Ok(visit_goes_on(&request.app, request.tenant, encounter).await?)
}

async fn visit_goes_on(app: &Arc<App>, tenant: TenantId, encounter: &str) -> Result<bool, Outcome> {
    let place = (tenant, app.fhir_base(), encounter.to_owned());
    if let Some(known) = VISITS.get(&place) {
        return Ok(known);
    }
    let (Some(resource_type), Some(id)) = (ResourceType::parse("Encounter"), ResourceId::parse(encounter))
    else {
        return Ok(false);
    };
    let principal = Principal {
        tenant,
        subject: "vesta".to_owned(),
        client_id: "vesta-visit".to_owned(),
        fhir_user: None,
        patient: None,
        scopes: Scopes::parse("system/Encounter.r"),
        role: Some(role::SERVER.to_owned()),
        strong_since: None,
        purpose: None,
        token_id: String::new(),
    };
    let ctx = Context::new(app, app.rules(tenant).await?, principal, app.clock.now_microseconds());
    let read = Interaction::Read { of: Instance { resource_type, id }, parameters: Parameters::new() };
    let goes_on = match crate::interaction::perform(&ctx, read).await {
        Ok(response) => {
            let encounter: Value =
                serde_json::from_str(response.body.as_deref().unwrap_or_default()).unwrap_or_default();
            encounter.get("status").and_then(Value::as_str).is_some_and(|status| !grant::is_over(status))
        }
        Err(outcome) if outcome.cause().is_some() => return Err(outcome),
        // It is gone: so is the visit.
        Err(_) => false,
    };
    VISITS.insert(place, goes_on);
    Ok(goes_on)
}
