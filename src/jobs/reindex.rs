//! Makes index rows anew, type by type, and says when a new search parameter can be searched with. Whatever lacks a
//! security label that its codes ask for now gets it on the way.
//!
//! It walks the rows in the order of their numbers and reports after each page, so whoever takes it up goes on
//! there; a page that is done twice is no worse. Rows that somebody changes meanwhile are found by what that
//! write gave them: servers knew of the parameter before the walk began. A request that had begun before and took
//! its time did not; what was written in these minutes is therefore walked once more, a while later.

use super::Working;
use crate::app::App;
use crate::app::rules::hexadecimal;
use crate::audit::event::{self, Kind};
use crate::fhir::id::ResourceType;
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::relabel;
use crate::search::extract;
use crate::store::jobs::{JobFailure, Lease, NewJob};
use crate::store::packages::BuiltParameter;
use crate::store::reindex::{KIND, Reindexed, Walk, Walked};
use std::sync::Arc;
use tracing::warn;

/// How many resources are looked at between two reports.
const PAGE: u32 = 200;
/// How long after a walk the second one looks for what slow requests wrote.
const AFTERWARDS: i64 = 120_000_000;
/// How long such a request may have been under way when the walk was asked for.
const SLOWEST: i64 = 600_000_000;

pub(super) fn work(app: Arc<App>, lease: Lease) -> Working {
    Box::pin(run(app, lease))
}

async fn run(app: Arc<App>, lease: Lease) -> Result<Vec<u8>, JobFailure> {
    let walk: Walk = serde_json::from_slice(&lease.job.parameters)
        .map_err(|_| JobFailure::Never("the job does not say what to walk".to_owned()))?;
    let mut walked: Walked = serde_json::from_slice(&lease.job.progress).unwrap_or_default();
    if walked.types.is_empty() {
        walked.types = types(&app, &lease, &walk).await?;
    }
    while let Some(of) = walked.types.get(walked.place) {
        if let Some(of) = ResourceType::parse(of) {
            walk_type(&app, &lease, (of, walk.since), &mut walked).await?;
        }
        walked = Walked { place: walked.place + 1, after: 0, until: 0, ..walked };
        lease.report(&json(&walked)).await?;
    }
    if !walk.build.is_empty() {
        say_built(&app, &lease, &walk).await?;
        walk_afterwards(&app, &lease, &walk).await?;
    }
    Ok(json(&walked))
}

/// Those asked for, as far as anything of them is stored.
async fn types(app: &App, lease: &Lease, walk: &Walk) -> Result<Vec<String>, JobFailure> {
    let used = app.store.stored_types(lease.tenant).await?.into_iter().map(|it| it.to_string());
    Ok(used.filter(|it| walk.types.is_empty() || walk.types.contains(it)).collect())
}

async fn walk_type(
    app: &Arc<App>,
    lease: &Lease,
    (of, since): (ResourceType, Option<i64>),
    walked: &mut Walked,
) -> Result<(), JobFailure> {
    if walked.until == 0 {
        walked.until = app.store.last_row(lease.tenant, of).await?.unwrap_or(0);
    }
    let base = app.fhir_base();
    while walked.after < walked.until {
        let page = match since {
            None => app.store.rows_after(lease.tenant, of, walked.after, PAGE).await?,
            Some(since) => {
                app.store.rows_written_since(lease.tenant, of, (walked.after, since), PAGE).await?
            }
        };
        let Some(last) = page.last else { return Ok(()) };
        let rules = app.rules(lease.tenant).await.map_err(later)?;
        let mut rows = Vec::with_capacity(page.rows.len());
        let mut found = Vec::with_capacity(page.rows.len());
        for (row, stored) in page.rows {
            let Ok(resource) = Resource::parse(stored.text, &Limits::ACCEPTED) else { continue };
            let index = extract::index(&rules.definitions, &base, &resource);
            rows.push(Reindexed { row, id: stored.id, version: stored.version, index });
            found.push((resource, stored.version));
        }
        let replaced = app.store.replace_index(lease.tenant, of, &rows).await?;
        walked.after = last;
        walked.done += rows.len() as u64;
        walked.skipped += rows.len().saturating_sub(replaced) as u64;
        for (resource, version) in found {
            if let Err(outcome) = relabel::relabel(app, lease.tenant, resource, version).await {
                let reason = outcome.worst().map(|it| it.code);
                warn!(resource.type = %of, ?reason, "a stored resource could not be labelled, look into it");
            }
        }
        lease.report(&json(walked)).await?;
    }
    Ok(())
}

/// What the walk was for is built, unless it was changed or removed meanwhile.
async fn say_built(app: &App, lease: &Lease, walk: &Walk) -> Result<(), JobFailure> {
    app.rules_changed(lease.tenant);
    let rules = app.rules(lease.tenant).await.map_err(later)?;
    let is_meant = |of: &str, code: &str, digest: &str| {
        walk.build.iter().any(|it| (it.0.as_str(), it.1.as_str(), it.2.as_str()) == (of, code, digest))
    };
    let built: Vec<BuiltParameter> = rules
        .definitions
        .added_parameters()
        .into_iter()
        .filter(|it| is_meant(it.resource_type.name(), &it.code, &hexadecimal(&it.digest)))
        .map(|it| (it.resource_type, it.code.to_string(), it.digest.to_vec()))
        .collect();
    if built.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = built.iter().map(|(of, code, _)| format!("{of}.{code}")).collect();
    let now = app.clock.now_microseconds();
    let mut row = event::row_of("vesta", Kind::ConfigurationChanged, event::Result::Success, "reindex", now);
    row.detail = Some(format!("search parameters built: {}", names.join(" ")));
    app.store.search_parameters_are_built(lease.tenant, &built, row).await?;
    app.rules_changed(lease.tenant);
    Ok(())
}

/// Asks for the second walk.
async fn walk_afterwards(app: &App, lease: &Lease, walk: &Walk) -> Result<(), JobFailure> {
    let since = Some(lease.job.created.saturating_sub(SLOWEST));
    let again = Walk { types: walk.types.clone(), build: Vec::new(), since };
    let parameters = serde_json::to_vec(&again).unwrap_or_default();
    let due = app.clock.now_microseconds().saturating_add(AFTERWARDS);
    let lock = format!("after {}", lease.job.id);
    let job = NewJob { kind: KIND, lock: Some(&lock), parameters: &parameters, due };
    app.store.enqueue(lease.tenant, job).await?;
    Ok(())
}

fn json(walked: &Walked) -> Vec<u8> {
    serde_json::to_vec(walked).unwrap_or_default()
}

fn later(outcome: Outcome) -> JobFailure {
    JobFailure::Later(format!("{outcome:?}").into())
}
