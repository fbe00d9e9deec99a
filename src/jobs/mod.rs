//! The queue's workers: they claim jobs, hold their leases, and run what each kind stands for.
//!
//! A kind is a name and a function ([`KINDS`]). The function gets the server and the [`Lease`]; it reports as it
//! goes, so that another worker can go on from there, and gives what came of it. A job that was cancelled or
//! taken over is stopped within a third of its lease. Work must be safe to do twice from its last report on.

mod reindex;
pub mod rotation;
mod stragglers;

use crate::app::App;
use crate::bulk;
use crate::compliance::review;
use crate::fhir::id::TenantId;
use crate::interaction::{export, import};
use crate::store::jobs::{JobFailure, Lease};
use crate::store::shredding::STRAGGLERS;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// Running work: what came of it, or why it stopped.
pub type Working = Pin<Box<dyn Future<Output = Result<Vec<u8>, JobFailure>> + Send>>;

/// What a kind of job does.
pub type Work = fn(Arc<App>, Lease) -> Working;

/// Every kind of job that there is.
pub const KINDS: &[(&str, Work)] = &[
    (crate::store::reindex::KIND, reindex::work),
    (rotation::KIND, rotation::run),
    (review::REVIEW, |app, lease| Box::pin(review::review_job(app, lease))),
    (review::REPORT, |app, lease| Box::pin(review::report_job(app, lease))),
    (STRAGGLERS, stragglers::run),
    (export::progress::KIND, |app, lease| Box::pin(bulk::export::run(app, lease))),
    (import::progress::KIND, |app, lease| Box::pin(bulk::import::run(app, lease))),
    (export::EXPIRY, |app, lease| Box::pin(bulk::expiry::run(app, lease))),
];

/// How many jobs of a tenant run at once on one server.
const WORKERS: usize = 3;
/// How long a worker may be silent before another takes its job.
const LEASE: Duration = Duration::from_secs(30);
/// How often an idle worker asks for what other servers were asked to do.
const EVERY: Duration = Duration::from_secs(2);

/// Works for these tenants until the tasks are aborted.
#[must_use]
pub fn start(app: &Arc<App>, tenants: &[TenantId]) -> Vec<JoinHandle<()>> {
    let each = tenants.iter().flat_map(|tenant| std::iter::repeat_n(*tenant, WORKERS));
    let workers = each.map(|tenant| tokio::spawn(work(Arc::clone(app), tenant, KINDS)));
    workers.chain(tenants.iter().map(|tenant| tokio::spawn(build(Arc::clone(app), *tenant)))).collect()
}

/// Sees to it that new search parameters are built, also where nobody asks for anything meanwhile.
async fn build(app: Arc<App>, tenant: TenantId) {
    loop {
        if let Err(outcome) = app.build_search_parameters(tenant).await {
            debug!(tenant = tenant.0, ?outcome, "search parameters cannot be built now");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn work(app: Arc<App>, tenant: TenantId, kinds: &'static [(&'static str, Work)]) {
    let mut is_well = true;
    loop {
        match once(&app, tenant, kinds, LEASE).await {
            Ok(true) => is_well = true,
            Ok(false) => app.store.job_news(EVERY).await,
            Err(error) => {
                if is_well {
                    warn!(tenant = tenant.0, "jobs cannot be claimed now: {error}");
                }
                is_well = false;
                tokio::time::sleep(EVERY).await;
            }
        }
    }
}

/// Claims one job and works on it to its end; false if none was due.
///
/// # Errors
/// The database fails, or the keys cannot be fetched.
pub async fn once(
    app: &Arc<App>,
    tenant: TenantId,
    kinds: &'static [(&'static str, Work)],
    length: Duration,
) -> Result<bool, JobFailure> {
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    let Some(lease) = app.store.claim(tenant, &names, length).await? else { return Ok(false) };
    let Some((kind, work)) = kinds.iter().find(|(name, _)| *name == lease.job.kind) else {
        return Ok(false);
    };
    let id = lease.job.id;
    info!(job.id = %id, job.kind = kind, job.attempt = lease.job.attempts, "a job begins");
    let ended = held(&lease, work(Arc::clone(app), lease.clone())).await;
    let told = match ended {
        Ok(result) => {
            info!(job.id = %id, job.kind = kind, "a job is done");
            lease.finish(&result).await
        }
        Err(JobFailure::Lost) => {
            info!(job.id = %id, job.kind = kind, "a job was cancelled or taken over");
            Ok(())
        }
        Err(JobFailure::NotYet { due, progress }) => {
            info!(job.id = %id, job.kind = kind, "a job waits for its time");
            lease.postpone(due, &progress).await
        }
        Err(JobFailure::Never(problem)) => {
            warn!(job.id = %id, job.kind = kind, problem, "a job failed");
            lease.fail(&problem).await
        }
        Err(JobFailure::Later(cause)) => {
            warn!(job.id = %id, job.kind = kind, %cause, "a job will be tried again");
            lease.give_back("the database or the keys could not be reached").await
        }
    };
    match told {
        Ok(()) | Err(JobFailure::Lost) => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// Runs the work in a task of its own, and holds the lease on meanwhile. A task that panics is given back.
async fn held(lease: &Lease, working: Working) -> Result<Vec<u8>, JobFailure> {
    let mut task = Aborting(tokio::spawn(working));
    loop {
        match tokio::time::timeout(lease.length / 3, &mut task.0).await {
            Ok(Ok(result)) => return result,
            Ok(Err(ended)) => return Err(JobFailure::Later(Box::new(ended))),
            // Where the database fails: the lease is longer than one beat, and the next may go better.
            Err(_) => {
                if let Err(JobFailure::Lost) = lease.renew().await {
                    return Err(JobFailure::Lost);
                }
            }
        }
    }
}

/// A task that ends with whoever waits for it.
struct Aborting(JoinHandle<Result<Vec<u8>, JobFailure>>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
