//! What is old goes: the files of a job are shredded, and the job with them.

use crate::app::App;
use crate::interaction::export::EXPIRY;
use crate::store::jobs::{JobFailure, Lease, NewJob};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// Removes the job that the parameters name, unless it is still needed: then later.
///
/// # Errors
/// The database fails.
pub async fn run(app: Arc<App>, lease: Lease) -> Result<Vec<u8>, JobFailure> {
    let parameters: Value = serde_json::from_slice(&lease.job.parameters).unwrap_or_default();
    let id = parameters.get("job").and_then(Value::as_str).and_then(|it| Uuid::parse_str(it).ok());
    let Some(id) = id else { return Err(JobFailure::Never("it names no job".to_owned())) };
    let (store, tenant) = (&app.store, lease.tenant);
    if let Some(job) = store.job(tenant, id).await? {
        let kept = i64::from(app.config.bulk.kept_hours) * 3_600_000_000;
        let now = app.clock.now_microseconds();
        let due = match job.finished {
            Some(finished) => finished.saturating_add(kept),
            None => now.saturating_add(kept),
        };
        if due > now {
            let new = NewJob { kind: EXPIRY, lock: None, parameters: &lease.job.parameters, due };
            store.enqueue(tenant, new).await?;
            return Ok(Vec::new());
        }
    }
    let uploads = parameters.get("uploads").and_then(Value::as_array).into_iter().flatten();
    for upload in uploads.filter_map(|it| Uuid::parse_str(it.as_str()?).ok()) {
        app.files.remove_all(tenant, upload).await?;
    }
    app.files.remove_all(tenant, id).await?;
    store.delete_job(tenant, id).await?;
    Ok(Vec::new())
}
