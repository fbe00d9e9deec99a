//! Changing keys, as a job: page by page in the background, with progress, resumed where it was left.
//!
//! Each change is a list of steps ([`Step`]). A step that walks reports its cursor after every page, and rests
//! for as long as the page took, so that it takes at most half of one connection's time. Servers keep unwrapped
//! keys for a lease, so before an old key is destroyed the job waits for that long and walks once more: then
//! nobody seals with it any more, and nothing is sealed with it.
//!
//! The root key is not among them: wrapping a handful of rows anew takes no job (`cli/keys`).

use crate::app::{App, KEY_LEASE};
use crate::audit::event::{self, Kind};
use crate::crypto::key_ring::Purpose;
use crate::fhir::id::{ResourceType, TenantId};
use crate::jobs::Working;
use crate::search::extract;
use crate::store::error::StoreError;
use crate::store::jobs::{JobFailure, Lease, NewJob};
use crate::store::walk::{Cursor, Shelf, Walked};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The kind of these jobs.
pub const KIND: &str = "key rotation";

/// As many rows go into one page.
const PAGE: usize = 200;
/// As many keys go into one page.
const KEYS: i64 = 1000;
/// How long after the lease nobody can hold an old key any more.
const GRACE: Duration = Duration::from_secs(60);
/// Longer than this the job does not rest after a page.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Which keys are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// The tenant's key that wraps those of its patients.
    Tenant,
    /// The keys of all patients, and of what belongs to no single one.
    Patients,
    /// The key of the blind indexes.
    Index,
}

/// How far a change got: what the job reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which keys.
    pub rotation: Rotation,
    /// When it began, in microseconds since 1970.
    pub began: i64,
    /// The step at hand, from 0.
    pub step: usize,
    /// How many there are.
    pub steps: usize,
    /// What the step does.
    pub doing: String,
    /// How many rows were looked at.
    pub seen: u64,
    /// How many were changed.
    pub changed: u64,
    /// How many keys were made or wrapped anew.
    pub keys: u64,
    /// How many old keys were destroyed.
    pub destroyed: u64,
    /// How many rows cannot be opened: damaged. Where there is one, no old key is destroyed.
    pub broken: u64,
    at: Place,
}

/// Where within a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    is_superseded: bool,
    resource_type: i16,
    row: Option<i64>,
    version: i32,
    subject: Option<i64>,
    is_waiting: bool,
}

/// What a change is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A new epoch that new things are sealed with.
    Add(Purpose),
    /// A new epoch that is known, but not used yet.
    AddUnused(Purpose),
    /// The newest epoch is used from now on.
    Activate(Purpose),
    /// Every subject key is wrapped under the newest wrapping key.
    Rewrap,
    /// Every subject gets a new key.
    Renew,
    /// Every body is sealed with the newest key of its subject.
    Reseal,
    /// Every row is indexed with the newest index key.
    Rekey,
    /// Nobody holds older keys any more.
    Wait,
    /// The older epochs are destroyed.
    Destroy(Purpose),
}

impl Rotation {
    fn steps(self) -> &'static [Step] {
        match self {
            Rotation::Tenant => &[
                Step::Add(Purpose::Wrapping),
                Step::Rewrap,
                Step::Wait,
                Step::Rewrap,
                Step::Destroy(Purpose::Wrapping),
            ],
            Rotation::Patients => {
                &[Step::Renew, Step::Reseal, Step::Wait, Step::Reseal, Step::Destroy(Purpose::Subject)]
            }
            // Whoever does not know the new key yet would not find what is keyed with it: so all get to know
            // it before the first row is.
            Rotation::Index => &[
                Step::AddUnused(Purpose::Blind),
                Step::Wait,
                Step::Activate(Purpose::Blind),
                Step::Rekey,
                Step::Wait,
                Step::Rekey,
                Step::Destroy(Purpose::Blind),
            ],
        }
    }

    /// Its word on the command line and in the trail.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rotation::Tenant => "tenant",
            Rotation::Patients => "patients",
            Rotation::Index => "index",
        }
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Add(_) | Step::AddUnused(_) => "making a key",
            Step::Activate(_) => "activating the key",
            Step::Rewrap => "wrapping keys anew",
            Step::Renew => "making new keys",
            Step::Reseal => "sealing bodies anew",
            Step::Rekey => "indexing anew",
            Step::Wait => "waiting until no server holds older keys",
            Step::Destroy(_) => "destroying older keys",
        }
    }
}

impl Progress {
    fn new(rotation: Rotation, began: i64) -> Progress {
        Progress {
            rotation,
            began,
            step: 0,
            steps: rotation.steps().len(),
            doing: String::new(),
            seen: 0,
            changed: 0,
            keys: 0,
            destroyed: 0,
            broken: 0,
            at: Place::default(),
        }
    }

    /// What a job of this kind reported; none before its first report.
    #[must_use]
    pub fn parse(progress: &[u8]) -> Option<Progress> {
        serde_json::from_slice(progress).ok()
    }

    fn to_json(&self) -> Result<Vec<u8>, JobFailure> {
        serde_json::to_vec(self).map_err(|_| JobFailure::Never("the progress cannot be written".to_owned()))
    }

    fn count(&mut self, walked: Walked) {
        self.seen += walked.seen;
        self.changed += walked.changed;
        self.broken += walked.broken;
    }
}

/// Asks for a change of keys; none if one is under way.
///
/// # Errors
/// The database fails.
pub async fn ask(app: &App, tenant: TenantId, rotation: Rotation) -> Result<Option<Uuid>, StoreError> {
    let now = app.clock.now_microseconds();
    let parameters = format!("{{\"rotation\":\"{}\"}}", rotation.name());
    // One at a time: a change waits for servers to forget older keys, and would not know of another's.
    let job = NewJob { kind: KIND, lock: Some("keys"), parameters: parameters.as_bytes(), due: now };
    app.store.enqueue(tenant, job).await
}

/// Does it, from where it was left.
pub fn run(app: Arc<App>, lease: Lease) -> Working {
    Box::pin(async move { rotate(&app, &lease).await })
}

#[derive(Deserialize)]
struct Parameters {
    rotation: Rotation,
}

async fn rotate(app: &Arc<App>, lease: &Lease) -> Result<Vec<u8>, JobFailure> {
    let mut progress = match Progress::parse(&lease.job.progress) {
        Some(progress) => progress,
        None => {
            let parameters: Parameters = serde_json::from_slice(&lease.job.parameters)
                .map_err(|_| JobFailure::Never("the job does not say which keys".to_owned()))?;
            record(app, lease, parameters.rotation, "rotation-begun").await?;
            Progress::new(parameters.rotation, app.clock.now_microseconds())
        }
    };
    let steps = progress.rotation.steps();
    while let Some(step) = steps.get(progress.step).copied() {
        progress.doing = step.name().to_owned();
        take(app, lease, step, &mut progress).await?;
        progress.step += 1;
        progress.at = Place::default();
        progress.doing = "done".to_owned();
        lease.report(&progress.to_json()?).await?;
    }
    record(app, lease, progress.rotation, "rotation-done").await?;
    progress.to_json()
}

async fn take(app: &Arc<App>, lease: &Lease, step: Step, progress: &mut Progress) -> Result<(), JobFailure> {
    let (store, tenant) = (&app.store, lease.tenant);
    match step {
        Step::Add(purpose) => {
            store.add_tenant_key(tenant, purpose).await?;
            store.activate_newest(tenant, purpose).await?;
            progress.keys += 1;
            Ok(())
        }
        Step::AddUnused(purpose) => {
            store.add_tenant_key(tenant, purpose).await?;
            progress.keys += 1;
            Ok(())
        }
        Step::Activate(purpose) => Ok(store.activate_newest(tenant, purpose).await?),
        Step::Rewrap | Step::Renew => loop {
            let begun = Instant::now();
            let after = progress.at.subject;
            let (last, keys) = match step {
                Step::Rewrap => store.rewrap_subject_keys(tenant, after, KEYS).await?,
                _ => store.renew_subject_keys(tenant, progress.began, after, KEYS).await?,
            };
            progress.keys += u64::try_from(keys).unwrap_or_default();
            if last.is_none() {
                return Ok(());
            }
            progress.at.subject = last;
            lease.report(&progress.to_json()?).await?;
            rest(begun).await;
        },
        Step::Reseal | Step::Rekey => walk(app, lease, step, progress).await,
        Step::Wait if progress.at.is_waiting => Ok(()),
        Step::Wait => {
            progress.at.is_waiting = true;
            let wait = i64::try_from((KEY_LEASE + GRACE).as_micros()).unwrap_or(i64::MAX);
            let due = app.clock.now_microseconds().saturating_add(wait);
            Err(JobFailure::NotYet { due, progress: progress.to_json()? })
        }
        Step::Destroy(_) if progress.broken > 0 => Err(JobFailure::Never(format!(
            "{} rows cannot be opened: no old key was destroyed",
            progress.broken
        ))),
        Step::Destroy(purpose) => {
            let destroyed = match purpose {
                Purpose::Subject => store.destroy_older_subject_keys(tenant, progress.began).await?,
                _ => store.destroy_older(tenant, purpose).await?,
            };
            progress.destroyed += u64::try_from(destroyed).unwrap_or_default();
            Ok(())
        }
    }
}

/// Walks over everything that is stored: the current rows of all types, and then the superseded ones.
async fn walk(app: &Arc<App>, lease: &Lease, step: Step, progress: &mut Progress) -> Result<(), JobFailure> {
    while let Some(resource_type) = next_type(app, lease.tenant, step, progress).await? {
        let base = app.fhir_base();
        loop {
            let begun = Instant::now();
            let at = progress.at;
            let after = at.row.map_or(Cursor::START, |row| Cursor { row, version: at.version });
            let walked = match step {
                Step::Rekey => {
                    let rules = app.rules(lease.tenant).await;
                    let rules =
                        rules.map_err(|_| JobFailure::Later("the rules cannot be read now".into()))?;
                    let index = |resource: &_| extract::index(&rules.definitions, &base, resource);
                    app.store.reindex_page(lease.tenant, resource_type, (after, PAGE), &index).await?
                }
                _ => {
                    let shelf = match at.is_superseded {
                        true => Shelf::Superseded(resource_type),
                        false => Shelf::Current(resource_type),
                    };
                    app.store.reseal_page(lease.tenant, shelf, after, PAGE).await?
                }
            };
            progress.count(walked);
            let Some(next) = walked.next else { break };
            progress.at.row = Some(next.row);
            progress.at.version = next.version;
            lease.report(&progress.to_json()?).await?;
            rest(begun).await;
        }
        progress.at.row = None;
        progress.at.resource_type = resource_type.code().saturating_add(1);
    }
    Ok(())
}

/// The type to walk over now; types that came to be meanwhile are met in their turn.
async fn next_type(
    app: &App,
    tenant: TenantId,
    step: Step,
    progress: &mut Progress,
) -> Result<Option<ResourceType>, JobFailure> {
    let types = app.store.stored_types(tenant).await?;
    let find = |from: i16| types.iter().copied().find(|it| it.code() >= from);
    if let Some(found) = find(progress.at.resource_type) {
        return Ok(Some(found));
    }
    if step == Step::Rekey || progress.at.is_superseded {
        return Ok(None);
    }
    progress.at = Place { is_superseded: true, ..Place::default() };
    Ok(find(0))
}

async fn rest(begun: Instant) {
    tokio::time::sleep(begun.elapsed().min(LONGEST_REST)).await;
}

async fn record(app: &App, lease: &Lease, rotation: Rotation, rule: &str) -> Result<(), JobFailure> {
    let rule = format!("{rule}:{}", rotation.name());
    let now = app.clock.now_microseconds();
    let row = event::row_of("vesta", Kind::KeyChanged, event::Result::Success, &rule, now);
    Ok(app.store.append_audit(lease.tenant, vec![row]).await?)
}
