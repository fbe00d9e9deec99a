//! After a purge: what was on its way into the database while the key was destroyed is removed, too.

use crate::app::App;
use crate::jobs::Working;
use crate::store::jobs::{JobFailure, Lease};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Parameters {
    subject: i64,
    at: i64,
}

/// Removes it, and says how many rows there were.
pub(super) fn run(app: Arc<App>, lease: Lease) -> Working {
    Box::pin(async move {
        let of: Parameters = serde_json::from_slice(&lease.job.parameters)
            .map_err(|_| JobFailure::Never("the job does not say whose".to_owned()))?;
        let removed = app.store.shred_stragglers(lease.tenant, of.subject, of.at).await?;
        Ok(format!("{{\"removed\":{removed}}}").into_bytes())
    })
}
