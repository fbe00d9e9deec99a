//! On whose behalf a job works: whoever asked for it, as far as their rights stand when it works.
//!
//! A job holds what was granted, never a decision: it asks anew for each page, so a right that is lost is lost
//! for it, too. And a client that was disabled or revoked after it asked gets no more.

use crate::access::principal::Principal;
use crate::access::scope::{Level, Permission, Scopes};
use crate::app::App;
use crate::fhir::id::TenantId;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::facts;
use crate::interaction::permission::denied;
use crate::store::revocations::RevocationKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Who asked for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    tenant: i32,
    subject: String,
    client: String,
    scopes: String,
    purpose: Option<String>,
    role: Option<String>,
    token: String,
    request: String,
    network: Option<String>,
    /// When, in microseconds since 1970.
    pub at: i64,
}

impl Asker {
    /// Whoever asks now.
    pub(in crate::interaction) fn of(ctx: &Context) -> Asker {
        let it = &ctx.principal;
        Asker {
            tenant: it.tenant.0,
            subject: it.subject.clone(),
            client: it.client_id.clone(),
            scopes: it.scopes.to_string(),
            purpose: it.purpose.clone(),
            role: it.role.clone(),
            token: it.token_id.clone(),
            request: ctx.request_id.to_string(),
            network: ctx.network.clone(),
            at: ctx.now,
        }
    }

    /// Whether a job is that client's: nobody else may know of it.
    #[must_use]
    pub fn is(&self, principal: &Principal) -> bool {
        self.client == principal.client_id && self.tenant == principal.tenant.0
    }

    /// The client that asked.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// On their behalf, now.
    ///
    /// # Errors
    /// What is legal cannot be found out now.
    pub async fn context(&self, app: &Arc<App>) -> Result<Context, Outcome> {
        let tenant = TenantId(self.tenant);
        let principal = Principal {
            tenant,
            subject: self.subject.clone(),
            client_id: self.client.clone(),
            fhir_user: None,
            patient: None,
            scopes: Scopes::parse(&self.scopes),
            role: self.role.clone(),
            strong_since: None,
            purpose: self.purpose.clone(),
            token_id: self.token.clone(),
        };
        let rules = app.rules(tenant).await?;
        Ok(Context {
            request_id: Uuid::parse_str(&self.request).unwrap_or_default(),
            network: self.network.clone(),
            respond_async: true,
            ..Context::new(app, rules, principal, app.clock.now_microseconds())
        })
    }

    /// Whether nobody has taken the client's rights since.
    ///
    /// # Errors
    /// Somebody has; or it cannot be found out now.
    pub async fn check(&self, ctx: &Context) -> Result<(), Outcome> {
        facts::learn(ctx).await?;
        let store = &ctx.app.store;
        let revoked = store.revocations(ctx.tenant()).await?;
        let disabled = store.client(ctx.tenant(), &self.client).await?.and_then(|it| it.disabled);
        if disabled.is_some()
            || revoked.cover(RevocationKind::Client, &self.client, self.at)
            || revoked.cover(RevocationKind::User, &self.subject, self.at)
        {
            return Err(denied("the client was disabled or revoked"));
        }
        Ok(())
    }
}

/// Bulk data is for systems: their scopes, and no user.
///
/// # Errors
/// The caller is none, or was granted nothing of the kind.
pub(in crate::interaction) fn require_system(ctx: &Context, permission: Permission) -> Result<(), Outcome> {
    let principal = &ctx.principal;
    let mut scopes = principal.scopes.resources().iter();
    let is_granted = scopes.any(|it| it.level == Level::System && it.permissions.allow(permission));
    if principal.fhir_user.is_none() && is_granted {
        return Ok(());
    }
    Err(denied("bulk data is for systems"))
}
