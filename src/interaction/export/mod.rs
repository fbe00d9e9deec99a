//! Bulk export, as far as the door has to do with it: asking for one, its status, its files, its end; and reading
//! for the worker that makes the files.
//!
//! <https://hl7.org/fhir/uv/bulkdata/export.html>
//!
//! An export is a job that holds what was asked for and by whom, never a decision. Asking, looking, fetching and
//! each page that is read ask `access` anew, and leave their row in the trail before anything leaves.
//! A job is known to the client that asked for it; to all others it is not there.

pub mod asker;
pub mod progress;
pub mod read;
pub mod request;

mod manifest;

use super::context::Context;
use super::permission::denied;
use super::record::{self, Asked, Trail};
use super::request::{Instance, Interaction, Parameters};
use super::{facts, perform_inside, permission};
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::deidentify;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::outcome::Outcome;
use crate::store::files::OpenFile;
use crate::store::jobs::{Job, JobState, NewJob};
use crate::views::writing::Format;
use asker::{Asker, require_system};
use progress::{ExportJob, KIND, List, Progress};
use request::{ExportRequest, Level};
use serde_json::json;
use uuid::Uuid;

/// The kind of job that removes an export when it is old.
pub const EXPIRY: &str = "export-expiry";
/// Types that are sent and never kept, and the trail, which is read by itself.
const NOT_EXPORTED: [&str; 3] = ["Parameters", "OperationOutcome", "AuditEvent"];
/// Types that records refer to and are not readable without; they hold nothing of any patient.
const SUPPORTING: [&str; 7] = [
    "Endpoint",
    "HealthcareService",
    "Location",
    "Medication",
    "Organization",
    "Practitioner",
    "PractitionerRole",
];
/// How long a worker may still write after its job was removed.
const LINGERING: i64 = 120_000_000;

/// A file on its way to a client.
pub type SentFile = OpenFile;

/// How an export stands.
#[derive(Clone, Debug)]
pub enum ExportStatus {
    /// It is under way.
    Running {
        /// How much is done, in percent.
        percent: u8,
        /// How many resources are in files.
        count: u64,
    },
    /// It is done.
    Done {
        /// The manifest, JSON.
        manifest: String,
        /// When the files go, in microseconds since 1970.
        expires: i64,
    },
    /// It failed, for that reason.
    Failed(String),
}

/// Asks for an export: the id of its job.
///
/// # Errors
/// The caller may not, or has too many under way; a filter is not understood; there is no such group.
pub async fn kick_off(ctx: &Context, request: ExportRequest) -> Result<Uuid, Outcome> {
    let entity = match &request.level {
        Level::Group(id) => group(id).map(|of| record::entity(of.resource_type, &of.id, None)),
        _ => None,
    };
    let method = request.deidentify.map_or(String::new(), |it| format!(" de-identified: {}", it.name()));
    let asked = Asked::for_kind(Kind::ExportRequested, entity, Some(request.url.clone() + &method));
    let ctx = &Context { deidentifies: request.deidentify.is_some(), ..ctx.clone() };
    let result = start(ctx, request).await;
    record::settle_as(ctx, &asked, result).await
}

async fn start(ctx: &Context, mut request: ExportRequest) -> Result<(Uuid, Trail), Outcome> {
    facts::learn(ctx).await?;
    require_system(ctx, Permission::Search)?;
    if ctx.facts.get()?.is_deidentified_only && singles_out(&request) {
        return Err(denied("who is asked for by name is known"));
    }
    let mut asked = types_of(&request)?;
    if request.with_provenance {
        asked.extend(ResourceType::parse("Provenance"));
    }
    if request.by_patient {
        asked.extend(ResourceType::parse("Patient"));
    }
    let permit = permission::ask(ctx, Permission::Search, &asked)?;
    let mut types = if request.types.is_empty() { permit.narrowing().types() } else { types_of(&request)? };
    let asked = types.len();
    types.retain(|it| is_exported(ctx, &request.level, *it));
    if request.deidentify.is_some() && !request.views.is_empty() {
        return Err(Outcome::not_supported("views are not de-identified").at("_deidentify"));
    }
    if request.deidentify.is_some() {
        types.retain(|it| !deidentify::is_withheld(ctx.definitions(), *it));
    }
    if types.is_empty() || (!request.views.is_empty() && types.len() < asked) {
        return Err(Outcome::not_supported("none of these types is part of such an export").at("_type"));
    }
    for of in &types {
        read::filter(ctx, &request, *of)?;
    }
    if let Level::Group(id) = &request.level {
        let of = group(id).ok_or_else(Outcome::not_found)?;
        perform_inside(ctx, Interaction::Read { of, parameters: Parameters::new() }).await?;
    }
    request.types = types.iter().map(|it| it.name().to_owned()).collect();
    let job = ExportJob { request, asker: Asker::of(ctx), at: ctx.app.clock.now_microseconds() };
    let parameters = serde_json::to_vec(&job).map_err(Outcome::exception)?;
    let store = &ctx.app.store;
    let quota = ctx.app.config.bulk.jobs_per_client;
    for slot in 0..quota {
        let lock = format!("{} {slot}", ctx.principal.client_id);
        let new = NewJob { kind: KIND, lock: Some(&lock), parameters: &parameters, due: job.at };
        if let Some(id) = store.enqueue(ctx.tenant(), new).await? {
            expire(ctx, id, kept(ctx)).await?;
            return Ok((id, Trail::under(&permit)));
        }
    }
    Err(Outcome::throttled("as many exports as a client may have are under way"))
}

/// Whether somebody could tell from the request, or from another like it, who a pseudonym is; a recipient of such data
/// has its own pseudonyms, and says nothing about which people it wants beside the group.
fn singles_out(request: &ExportRequest) -> bool {
    !request.filters.is_empty()
        || request.patients.is_some()
        || request.until.is_some()
        || request.recipient.is_some()
}

/// How an export stands.
///
/// # Errors
/// There is none that the caller may know of.
pub async fn status(ctx: &Context, id: Uuid) -> Result<ExportStatus, Outcome> {
    let asked = Asked::for_kind(Kind::Operation, None, Some(format!("$export/{id}")));
    let found = async {
        let (job, parameters) = own(ctx, id).await?;
        let progress = Progress::read(&job.progress);
        Ok(match job.state {
            JobState::Waiting | JobState::Running => {
                ExportStatus::Running { percent: progress.percent.min(99), count: progress.count() }
            }
            JobState::Failed => ExportStatus::Failed(job.problem.unwrap_or_default()),
            JobState::Cancelled => return Err(Outcome::not_found()),
            JobState::Done => ExportStatus::Done {
                manifest: manifest::manifest(&ctx.app.fhir_base(), id, &parameters, &progress),
                expires: expires(ctx, &job),
            },
        })
    };
    match found.await {
        // A status says nothing of anybody, and is asked for again and again.
        Ok(status) => Ok(status),
        Err(outcome) => record::settle_as(ctx, &asked, Err::<(ExportStatus, Trail), _>(outcome)).await,
    }
}

/// Calls an export off, or shreds its files.
///
/// # Errors
/// There is none that the caller may know of.
pub async fn remove(ctx: &Context, id: Uuid) -> Result<(), Outcome> {
    let asked = Asked::for_kind(Kind::ExportDeleted, None, Some(format!("$export/{id}")));
    let removed = async {
        own(ctx, id).await?;
        let store = &ctx.app.store;
        store.cancel_job(ctx.tenant(), id).await?;
        ctx.app.files.remove_all(ctx.tenant(), id).await?;
        store.delete_job(ctx.tenant(), id).await?;
        expire(ctx, id, LINGERING).await?;
        Ok(((), Trail { rule: "its own client".to_owned(), ..Trail::default() }))
    };
    let removed = removed.await;
    record::settle_as(ctx, &asked, removed).await
}

/// A file of an export, to be sent. That it is fetched stands in the trail by then.
///
/// # Errors
/// There is none that the caller may know of, or they may not read its type any more.
pub async fn fetch(ctx: &Context, id: Uuid, name: &str) -> Result<OpenFile, Outcome> {
    let asked = Asked::for_kind(Kind::ExportFetched, None, Some(format!("$export/{id}/{name}")));
    let fetched = async {
        let (job, parameters) = own(ctx, id).await?;
        let progress = Progress::read(&job.progress);
        let part = progress.parts.iter().find(|it| it.name == name && job.state == JobState::Done);
        let part = part.ok_or_else(Outcome::not_found)?;
        let types = match &part.of {
            Some(of) if part.list == List::Output => ResourceType::parse(of).into_iter().collect(),
            _ if part.list == List::Error => Vec::new(),
            _ => types_of(&parameters.request)?,
        };
        let ctx = &Context { deidentifies: parameters.request.deidentify.is_some(), ..ctx.clone() };
        facts::learn(ctx).await?;
        let permit = permission::ask(ctx, Permission::Search, &types)?;
        let file = ctx.app.files.open(ctx.tenant(), id, name).await?;
        Ok((file.ok_or_else(Outcome::not_found)?, Trail::under(&permit)))
    };
    let fetched = fetched.await;
    record::settle_as(ctx, &asked, fetched).await
}

/// Has an export removed after so many microseconds, whatever became of it.
async fn expire(ctx: &Context, id: Uuid, after: i64) -> Result<(), Outcome> {
    let parameters = json!({ "job": id.to_string() }).to_string();
    let due = ctx.app.clock.now_microseconds().saturating_add(after);
    let new = NewJob { kind: EXPIRY, lock: None, parameters: parameters.as_bytes(), due };
    ctx.app.store.enqueue(ctx.tenant(), new).await?;
    Ok(())
}

/// The job, if it is an export of this client that is still kept.
async fn own(ctx: &Context, id: Uuid) -> Result<(Job, ExportJob), Outcome> {
    facts::learn(ctx).await?;
    require_system(ctx, Permission::Search)?;
    let job = ctx.app.store.job(ctx.tenant(), id).await?.filter(|it| it.kind == KIND);
    let job = job.ok_or_else(Outcome::not_found)?;
    let parameters: ExportJob = serde_json::from_slice(&job.parameters).map_err(Outcome::exception)?;
    let is_old = job.state.is_over() && expires(ctx, &job) <= ctx.app.clock.now_microseconds();
    if is_old || !parameters.asker.is(&ctx.principal) {
        return Err(Outcome::not_found());
    }
    Ok((job, parameters))
}

fn expires(ctx: &Context, job: &Job) -> i64 {
    job.finished.unwrap_or(job.created).saturating_add(kept(ctx))
}

/// How long files are kept, in microseconds.
fn kept(ctx: &Context) -> i64 {
    i64::from(ctx.app.config.bulk.kept_hours) * 3_600_000_000
}

fn group(id: &str) -> Option<Instance> {
    Some(Instance { resource_type: ResourceType::parse("Group")?, id: ResourceId::parse(id)? })
}

/// The types of a request.
fn types_of(request: &ExportRequest) -> Result<Vec<ResourceType>, Outcome> {
    let types = request.types.iter().map(|it| ResourceType::parse(it));
    types.collect::<Option<Vec<_>>>().ok_or_else(|| Outcome::value("not a type of R4").at("_type"))
}

/// Whether a type is part of an export of that level.
///
/// # Decision 2026-11-24
/// Exports of patients and groups hold what is in their compartments; what names a patient outside of them
/// (Device, Task …); and the directories that records refer to, whole. The road not taken, to follow every
/// reference that was exported, would need to remember all of them.
pub(super) fn is_exported(ctx: &Context, level: &Level, of: ResourceType) -> bool {
    if NOT_EXPORTED.contains(&of.name()) {
        return false;
    }
    *level == Level::System || read::is_personal(ctx, of) || is_supporting(of)
}

/// The media type of a file of that name.
#[must_use]
pub fn media_type(name: &str) -> &'static str {
    let format = name.rsplit_once('.').and_then(|(_, extension)| Format::named(extension));
    match format {
        None | Some(Format::Ndjson) => "application/fhir+ndjson",
        Some(format) => format.media_type(),
    }
}

/// Whether a type is exported whole, beside the records that refer to it.
#[must_use]
pub fn is_supporting(of: ResourceType) -> bool {
    SUPPORTING.contains(&of.name())
}
