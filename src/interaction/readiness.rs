//! Whether requests can be answered now, and recorded. Without a trail nothing is released, so without a trail
//! the server is not ready.

use crate::app::App;
use crate::audit::health::{self, Health};
use std::sync::Arc;

/// How the server stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// It answers, and the trail is chained.
    Ready,
    /// It answers, but the trail waits to be chained.
    Behind,
    /// It does not answer, and why.
    Not(&'static str),
}

/// How the servers of all tenants stand: no better than the worst.
pub async fn readiness(apps: &[Arc<App>]) -> Readiness {
    let mut is_behind = false;
    for app in apps {
        if app.ready().await.is_err() {
            return Readiness::Not("the database does not answer");
        }
        match health::health(app, app.tenant).await {
            Health::Well => {}
            Health::Unchained => is_behind = true,
            Health::Tampered => {
                return Readiness::Not("the trail was tampered with: run vesta audit verify");
            }
            Health::Unwritable => {
                return Readiness::Not("the trail cannot be written, so nothing is released");
            }
        }
    }
    if is_behind { Readiness::Behind } else { Readiness::Ready }
}
