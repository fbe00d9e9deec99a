//! Whether the trail is well: it takes events, and they are chained.

use crate::app::App;
use crate::fhir::id::TenantId;

/// Events may wait this long for the sealer, in microseconds, before health says so.
const PATIENCE: i64 = 30 * 1_000_000;

/// How the trail is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It takes events, and they are chained.
    Well,
    /// It takes events, but the sealer is behind.
    Unchained,
    /// It takes events, but what was signed is not there any more.
    Tampered,
    /// It takes no events: nothing that needs a record is released.
    Unwritable,
}

/// How the trail of that tenant is. A database that does not answer takes no events.
pub async fn health(app: &App, tenant: TenantId) -> Health {
    if !matches!(app.store.takes_audit(tenant).await, Ok(true)) {
        return Health::Unwritable;
    }
    if app.is_tampered(tenant) {
        return Health::Tampered;
    }
    match app.store.oldest_unchained(tenant).await {
        Ok(None) => Health::Well,
        Ok(Some(recorded)) if recorded > app.clock.now_microseconds() - PATIENCE => Health::Well,
        Ok(Some(_)) => Health::Unchained,
        Err(_) => Health::Unwritable,
    }
}
