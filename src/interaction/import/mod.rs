//! Bulk import, as far as the door has to do with it: asking for one, its status, its errors, its end; and writing
//! for the worker that reads the lines ([`mod@write`]).
//!
//! Where the lines come from is named in a manifest of URLs, each of which must lie below one of the sources that
//! the settings allow; or the lines are sent with the request itself. Each line is validated, sealed and indexed
//! like any write, and what is wrong with one is told in a file of OperationOutcomes that name it; the others are
//! stored. A line that is stored already as it stands makes no new version, so an import may be asked for again.

pub mod progress;
pub mod request;
pub mod write;

use super::context::Context;
use super::export::EXPIRY;
use super::export::asker::{Asker, require_system};
use super::record::{self, Asked, Trail};
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::date_time::instant;
use crate::fhir::outcome::Outcome;
use crate::store::files::OpenFile;
use crate::store::jobs::{Job, JobState, NewJob};
use progress::{ImportJob, KIND, Progress};
use request::{ImportRequest, Place, Source};
use serde_json::{Value, json};
use uuid::Uuid;

/// The name of the one file of an upload.
pub const UPLOAD: &str = "upload.ndjson";

/// How an import stands.
#[derive(Clone, Debug)]
pub enum ImportStatus {
    /// It is under way.
    Running {
        /// How much is done, in percent.
        percent: u8,
        /// How many lines were dealt with.
        lines: u64,
    },
    /// It is done: what came of it, JSON.
    Done(String),
    /// It failed, for that reason.
    Failed(String),
}

/// Asks for an import: the id of its job.
///
/// # Errors
/// The caller may not, or has too many under way, or a source is not allowed.
pub async fn kick_off(
    ctx: &Context,
    mut request: ImportRequest,
    upload: Option<Vec<u8>>,
) -> Result<Uuid, Outcome> {
    let asked = Asked::for_kind(Kind::Import, None, Some(request.url.clone()));
    let started = async {
        may_write(ctx)?;
        for source in &request.sources {
            source.check(&ctx.app.config.bulk.import_sources)?;
        }
        if let Some(upload) = upload {
            let id = ctx.app.new_id();
            let mut file = ctx.app.files.create(ctx.tenant(), id, UPLOAD).await?;
            file.write(&upload);
            file.finish().await?;
            request.sources.push(Source { of: None, place: Place::Upload(id.to_string()) });
        }
        if request.sources.is_empty() {
            return Err(Outcome::required("an import needs lines, or a manifest that says where they are"));
        }
        let uploads = request.uploads();
        let job = ImportJob { request, asker: Asker::of(ctx), at: ctx.app.clock.now_microseconds(), uploads };
        let id = enqueue(ctx, &job).await;
        if id.is_err() {
            for upload in job.uploads.iter().filter_map(|it| Uuid::parse_str(it).ok()) {
                ctx.app.files.remove_all(ctx.tenant(), upload).await?;
            }
        }
        Ok((id?, Trail { rule: "system scopes".to_owned(), ..Trail::default() }))
    };
    let started = started.await;
    record::settle_as(ctx, &asked, started).await
}

async fn enqueue(ctx: &Context, job: &ImportJob) -> Result<Uuid, Outcome> {
    let parameters = serde_json::to_vec(job).map_err(Outcome::exception)?;
    let store = &ctx.app.store;
    for slot in 0..ctx.app.config.bulk.jobs_per_client {
        let lock = format!("{} {slot}", ctx.principal.client_id);
        let new = NewJob { kind: KIND, lock: Some(&lock), parameters: &parameters, due: job.at };
        if let Some(id) = store.enqueue(ctx.tenant(), new).await? {
            let kept = i64::from(ctx.app.config.bulk.kept_hours) * 3_600_000_000;
            let removal = json!({ "job": id.to_string(), "uploads": job.uploads }).to_string();
            let due = job.at.saturating_add(kept);
            let new = NewJob { kind: EXPIRY, lock: None, parameters: removal.as_bytes(), due };
            store.enqueue(ctx.tenant(), new).await?;
            return Ok(id);
        }
    }
    Err(Outcome::throttled("as many imports as a client may have are under way"))
}

/// How an import stands.
///
/// # Errors
/// There is none that the caller may know of.
pub async fn status(ctx: &Context, id: Uuid) -> Result<ImportStatus, Outcome> {
    let (job, parameters) = own(ctx, id).await?;
    let progress = Progress::read(&job.progress);
    Ok(match job.state {
        JobState::Waiting | JobState::Running => {
            ImportStatus::Running { percent: progress.percent.min(99), lines: progress.lines() }
        }
        JobState::Failed => ImportStatus::Failed(job.problem.unwrap_or_default()),
        JobState::Cancelled => return Err(Outcome::not_found()),
        JobState::Done => ImportStatus::Done(result(ctx, id, &parameters, &progress)),
    })
}

/// Calls an import off, or forgets what came of it. What is stored stays.
///
/// # Errors
/// There is none that the caller may know of.
pub async fn remove(ctx: &Context, id: Uuid) -> Result<(), Outcome> {
    let asked = Asked::for_kind(Kind::Import, None, Some(format!("$import/{id}")));
    let removed = async {
        let (_, parameters) = own(ctx, id).await?;
        let (store, files) = (&ctx.app.store, &ctx.app.files);
        store.cancel_job(ctx.tenant(), id).await?;
        for upload in parameters.uploads.iter().filter_map(|it| Uuid::parse_str(it).ok()) {
            files.remove_all(ctx.tenant(), upload).await?;
        }
        files.remove_all(ctx.tenant(), id).await?;
        store.delete_job(ctx.tenant(), id).await?;
        Ok(((), Trail { rule: "its own client".to_owned(), ..Trail::default() }))
    };
    let removed = removed.await;
    record::settle_as(ctx, &asked, removed).await
}

/// A file of errors. It names lines and elements, and holds nothing of anybody.
///
/// # Errors
/// There is none that the caller may know of.
pub async fn fetch(ctx: &Context, id: Uuid, name: &str) -> Result<OpenFile, Outcome> {
    let (_, _) = own(ctx, id).await?;
    let file = ctx.app.files.open(ctx.tenant(), id, name).await?;
    file.ok_or_else(Outcome::not_found)
}

async fn own(ctx: &Context, id: Uuid) -> Result<(Job, ImportJob), Outcome> {
    may_write(ctx)?;
    let job = ctx.app.store.job(ctx.tenant(), id).await?.filter(|it| it.kind == KIND);
    let job = job.ok_or_else(Outcome::not_found)?;
    let parameters: ImportJob = serde_json::from_slice(&job.parameters).map_err(Outcome::exception)?;
    if !parameters.asker.is(&ctx.principal) {
        return Err(Outcome::not_found());
    }
    Ok((job, parameters))
}

fn may_write(ctx: &Context) -> Result<(), Outcome> {
    require_system(ctx, Permission::Update).or_else(|_| require_system(ctx, Permission::Create))
}

/// What came of an import, in the form that exports are told in.
fn result(ctx: &Context, id: Uuid, job: &ImportJob, progress: &Progress) -> String {
    let base = ctx.app.fhir_base();
    let sources = job.request.sources.iter().zip(&progress.tallies);
    let output: Vec<Value> = sources
        .map(|(source, tally)| {
            json!({
                "type": source.of, "inputUrl": source.url(), "count": tally.created + tally.updated + tally.unchanged,
                "created": tally.created, "updated": tally.updated, "unchanged": tally.unchanged,
                "refused": tally.refused,
            })
        })
        .collect();
    let error: Vec<Value> = progress
        .errors
        .iter()
        .map(|file| {
            let source = job.request.sources.get(file.source).map(Source::url);
            let url = format!("{base}/$import/{id}/{}", file.name);
            json!({ "type": "OperationOutcome", "inputUrl": source, "count": file.count, "url": url })
        })
        .collect();
    json!({
        "transactionTime": instant(job.at), "request": job.request.url, "requiresAccessToken": true,
        "output": output, "error": error,
    })
    .to_string()
}
