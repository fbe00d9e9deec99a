//! Writing for an import: the door as its worker uses it. Some lines at a time, each a deed like any other, and all
//! of them one transaction with its row in the trail.

use super::progress::{ImportJob, Tally};
use super::request::Conflict;
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::date_time::{DateTime, instant};
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::codes;
use crate::interaction::context::Context;
use crate::interaction::create::New;
use crate::interaction::permission;
use crate::interaction::prepare;
use crate::interaction::request::Instance;
use crate::interaction::update::{before_next_attempt, next};
use crate::search::predicate::Predicate;
use crate::store::audit_log::AuditRow;
use crate::store::resources::{Current, Deed};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// A line of a source.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// What it says; nothing where it is longer than it may be.
    pub text: Option<String>,
}

/// What came of some lines.
#[derive(Debug, Default)]
pub struct Written {
    /// How many of each.
    pub tally: Tally,
    /// The lines that were refused, and why.
    pub refused: Vec<(u64, Outcome)>,
}

/// A line that may be stored.
struct Candidate {
    line: u64,
    of: Instance,
    resource: Resource,
    has_id: bool,
}

/// What leave the client has, by type.
struct Permits<'a> {
    ctx: &'a Context,
    known: HashMap<(ResourceType, bool), Option<Permit>>,
}

/// Stores these lines of a source.
///
/// # Errors
/// The client may not import any more; the database fails. What was not stored may be asked for again.
pub async fn write(
    ctx: &Context,
    job: (&ImportJob, Uuid),
    source: usize,
    lines: Vec<Line>,
) -> Result<Written, Outcome> {
    let (job, id) = job;
    job.asker.check(ctx).await?;
    let mut permits = Permits { ctx, known: HashMap::new() };
    let of = job.request.sources.get(source).and_then(|it| it.of.as_deref()).and_then(ResourceType::parse);
    let mut written = Written::default();
    let mut candidates = Vec::with_capacity(lines.len());
    for line in lines {
        let number = line.number;
        match candidate(ctx, line, of, |line| name(job, id, source, line)).await {
            Ok(it) => match permits.get(&it) {
                Ok(_) => candidates.push(it),
                Err(outcome) => written.refuse(number, outcome),
            },
            Err(outcome) => written.refuse(number, outcome),
        }
    }
    // A resource that comes twice is stored twice, one after the other.
    while !candidates.is_empty() {
        let mut seen = HashSet::new();
        let (round, later) = candidates.into_iter().partition(|it: &Candidate| seen.insert(it.of.clone()));
        candidates = later;
        store(ctx, job, &mut permits, round, &mut written).await?;
    }
    Ok(written)
}

async fn candidate(
    ctx: &Context,
    line: Line,
    of: Option<ResourceType>,
    name: impl FnOnce(u64) -> ResourceId,
) -> Result<Candidate, Outcome> {
    let text = line.text.ok_or_else(|| Outcome::too_costly("the line is longer than a resource may be"))?;
    let limits = Limits { size_bytes: ctx.app.config.limits.body_bytes, ..Limits::default() };
    let resource = Resource::parse(text, &limits)?;
    if of.is_some_and(|it| it != resource.resource_type()) {
        return Err(
            Outcome::invalid("the resource is not of the type that the manifest names").at("resourceType")
        );
    }
    prepare::validated(ctx, &resource).await?;
    let id = resource.id().cloned();
    let has_id = id.is_some();
    let of =
        Instance { resource_type: resource.resource_type(), id: id.unwrap_or_else(|| name(line.number)) };
    Ok(Candidate { line: line.number, of, resource, has_id })
}

/// The id of a resource that has none: the same whenever the line is read.
fn name(job: &ImportJob, id: Uuid, source: usize, line: u64) -> ResourceId {
    let mut hash = Sha256::new();
    hash.update(id.as_bytes());
    hash.update((source as u64).to_be_bytes());
    hash.update(line.to_be_bytes());
    let hash = hash.finalize();
    let random = hash.first_chunk().copied().map_or(0, u64::from_be_bytes);
    let milliseconds = u64::try_from(job.at / 1000).unwrap_or(0);
    // Ordered by time like those that we mint, and by line within the job as far as that goes.
    let high = (milliseconds << 16) | 0x7000 | (line & 0xfff);
    ResourceId::from(Uuid::from_u64_pair(high, (random >> 2) | 1 << 63))
}

async fn store(
    ctx: &Context,
    job: &ImportJob,
    permits: &mut Permits<'_>,
    round: Vec<Candidate>,
    written: &mut Written,
) -> Result<(), Outcome> {
    let resources: Vec<_> = round.iter().map(|it| (it.of.resource_type, it.of.id.clone())).collect();
    for attempt in 1.. {
        let current = ctx.app.store.current(ctx.tenant(), &resources).await?;
        let mut trial = Written::default();
        let (mut deeds, mut row): (Vec<Deed>, Option<AuditRow>) = (Vec::new(), None);
        for (it, current) in round.iter().zip(&current) {
            let permit = permits.get(it)?;
            let wanted = match current {
                None => Ok(true),
                Some(current) => is_wanted(ctx, job, &permit, it, current).await,
            };
            let new = match wanted {
                Ok(false) => {
                    trial.tally.unchanged += 1;
                    continue;
                }
                Ok(true) => {
                    let version = next(&it.of, current.as_ref(), ctx.deed_time());
                    New::version(ctx, &permit, &it.resource, &version, Kind::Import).await
                }
                Err(outcome) => Err(outcome),
            };
            match new {
                Ok(new) => {
                    match current {
                        Some(current) if !current.is_deleted => trial.tally.updated += 1,
                        _ => trial.tally.created += 1,
                    }
                    deeds.push(new.deed);
                    add(&mut row, new.row);
                }
                // Whoever cannot look now cannot store either.
                Err(outcome) if outcome.status() >= 500 => return Err(outcome),
                Err(outcome) => trial.refuse(it.line, outcome),
            }
        }
        if deeds.is_empty() {
            written.add(trial);
            return Ok(());
        }
        let defines = deeds.iter().any(|it| codes::is_definition(it.resource_type));
        match ctx.app.store.write(ctx.tenant(), deeds, row.into_iter().collect()).await {
            Ok(()) => {
                if defines {
                    ctx.app.untold_sets.forget();
                }
                // A Consent or a CareTeam among them decides from now on.
                ctx.app.facts_changed(ctx.tenant());
                written.add(trial);
                return Ok(());
            }
            Err(error) => before_next_attempt(error, false, attempt).await?,
        }
    }
    Err(Outcome::conflict("others keep changing the resources"))
}

/// Whether a line is to take the place of what stands.
async fn is_wanted(
    ctx: &Context,
    job: &ImportJob,
    permit: &Permit,
    it: &Candidate,
    current: &Current,
) -> Result<bool, Outcome> {
    let of = &it.of;
    let narrowing = permit.narrowing().of(of.resource_type);
    if current.is_deleted && *narrowing == Predicate::True {
        return Ok(true);
    }
    let store = &ctx.app.store;
    let stored = store.read(ctx.tenant(), of.resource_type, &of.id, narrowing, permit.classes()).await?;
    // Nobody takes over what they may not touch.
    let stored = stored.ok_or_else(Outcome::not_found)?;
    if stored.is_deleted() {
        return Ok(true);
    }
    let restamped = it.resource.stamped(&of.id, stored.version, &instant(stored.last_updated));
    if restamped == stored.text {
        return Ok(false);
    }
    let meta = it.resource.root().get("meta");
    match job.request.conflict {
        Conflict::Overwrite => Ok(true),
        Conflict::Skip => Ok(false),
        Conflict::Version => {
            match meta.and_then(|it| it.string("versionId")) {
                Some(version) if version == stored.version.to_string() => Ok(true),
                _ => Err(Outcome::conflict("another version stands than the line is based on")
                    .at("meta.versionId")),
            }
        }
        Conflict::LastUpdated => {
            let updated = meta.and_then(|it| it.string("lastUpdated"));
            let updated = updated.and_then(|it| DateTime::parse_instant(&it)).map(|it| it.interval().low);
            let missing =
                || Outcome::required("by when it was changed, conflicts are decided").at("meta.lastUpdated");
            Ok(updated.ok_or_else(missing)? > stored.last_updated)
        }
    }
}

/// One row for all: it names every resource and patient.
fn add(all: &mut Option<AuditRow>, row: AuditRow) {
    let Some(all) = all else {
        *all = Some(row);
        return;
    };
    all.entities.extend(row.entities);
    for patient in row.patients {
        if !all.patients.contains(&patient) {
            all.patients.push(patient);
        }
    }
}

impl Written {
    fn refuse(&mut self, line: u64, outcome: Outcome) {
        self.tally.refused += 1;
        self.refused.push((line, outcome));
    }

    fn add(&mut self, other: Written) {
        self.tally.add(other.tally);
        self.refused.extend(other.refused);
    }
}

impl Permits<'_> {
    fn get(&mut self, it: &Candidate) -> Result<Permit, Outcome> {
        let (of, permission) =
            (it.of.resource_type, if it.has_id { Permission::Update } else { Permission::Create });
        let known = self.known.entry((of, it.has_id));
        let permit = known.or_insert_with(|| permission::ask(self.ctx, permission, &[of]).ok());
        permit
            .clone()
            .ok_or_else(|| Outcome::forbidden("the access token does not permit to store this type"))
    }
}
