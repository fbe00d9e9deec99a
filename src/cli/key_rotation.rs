//! The keys of the store: how they stand, and changing them.
//!
//! A change of patients' or index keys is a job. Whoever asks for it here works on it, too, so it goes on where
//! no server runs; when this command ends, or is killed, a server takes it up from its last page.

use super::keys::Level;
use super::operator;
use crate::app::App;
use crate::audit::event::{self, Kind};
use crate::config::Config;
use crate::crypto::key_ring::Purpose;
use crate::crypto::sign::CheckpointKey;
use crate::fhir::id::TenantId;
use crate::jobs::rotation::{self, Progress, Rotation};
use crate::jobs::{self, Work};
use crate::store::jobs::JobState;
use crate::store::rotation::KeyCount;
use crate::store::tenants::Tenant;
use crate::store::walk::{Cursor, Shelf, Walked};
use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// As many rows are looked at together.
const PAGE: usize = 500;
/// How often progress is shown.
const EVERY: Duration = Duration::from_secs(1);
/// How long a worker here may be silent before a server takes its job.
const LEASE: Duration = Duration::from_secs(30);
/// The only kind that this command works on.
const KINDS: &[(&str, Work)] = &[(rotation::KIND, rotation::run)];
/// How long tokens that were signed before can still be checked: longer than any of them lives.
const TOKENS_STAY: i64 = 24 * 3600 * 1_000_000;

pub(super) async fn status(config: &Config) -> Result<()> {
    let app = operator::request(config).await?.app;
    let older = match app.store.older_root_keys() {
        0 => String::new(),
        count => format!(", and {count} older that only unwrap"),
    };
    println!("root key {}{older}", app.store.root_key());
    for Tenant { id: tenant, slug: name } in app.store.tenants().await? {
        println!("tenant {name}");
        for count in app.store.key_counts(tenant).await? {
            println!("  {}", told(&count));
        }
        let waiting = app.store.keys_under_older_root(tenant).await?;
        if waiting > 0 {
            println!("  {waiting} keys are wrapped under an older root key: vesta keys rotate root");
        }
        if let Some(job) = app.store.jobs(tenant, rotation::KIND, 1).await?.first() {
            let how = match job.state {
                JobState::Waiting => format!("waits until {}", time(job.due)),
                JobState::Running => "is under way".to_owned(),
                JobState::Done => format!("was done {}", job.finished.map(time).unwrap_or_default()),
                JobState::Failed => {
                    format!("failed: {}", job.problem.as_deref().unwrap_or("nobody said why"))
                }
                JobState::Cancelled => "was called off".to_owned(),
            };
            let progress = Progress::parse(&job.progress);
            println!(
                "  the last change {how}{}",
                progress.map(|it| format!(" ({})", line(&it))).unwrap_or_default()
            );
        }
    }
    Ok(())
}

pub(super) async fn rotate(config: &Config, level: Level, drop_older: bool) -> Result<()> {
    if drop_older && level != Level::Root {
        bail!("--drop-older is for the root key");
    }
    let app = operator::request(config).await?.app;
    match level {
        Level::Root if drop_older => match app.store.drop_older_root_keys().await? {
            None => bail!("keys are still wrapped under an older root key: vesta keys rotate root"),
            Some(count) => {
                record(&app, "root-keys-dropped").await?;
                println!("forgot {count} older root keys");
                Ok(())
            }
        },
        Level::Root => root(&app).await,
        Level::Token => {
            let until = app.clock.now_microseconds().saturating_add(TOKENS_STAY);
            for Tenant { id: tenant, slug: name } in app.store.tenants().await? {
                app.store.rotate_signing_keys(tenant, until).await?;
                println!("tenant {name}: new keys sign; those before check until {}", time(until));
            }
            record(&app, "token-keys-rotated").await
        }
        Level::Checkpoint => {
            let file = app.config.keys.checkpoint_key_file.as_ref();
            let file = file.ok_or_else(|| anyhow!("VESTA_CHECKPOINT_KEY_FILE is missing"))?;
            let key = CheckpointKey::rotate(file)?;
            record(&app, "checkpoint-key-rotated").await?;
            println!(
                "made the checkpoint key {}; servers sign with it when they are started again",
                key.public().id()
            );
            println!(
                "the public keys before it stand in {}.older: give both to whoever checks",
                file.display()
            );
            Ok(())
        }
        Level::Tenant => by_job(&app, Rotation::Tenant).await,
        Level::Patients => by_job(&app, Rotation::Patients).await,
        Level::Index => by_job(&app, Rotation::Index).await,
    }
}

async fn root(app: &Arc<App>) -> Result<()> {
    if app.store.rotate_root_key().await? {
        println!("made a new root key: {}", app.store.root_key());
    }
    for Tenant { id: tenant, slug: name } in app.store.tenants().await? {
        let moved = app.store.rewrap_tenant_keys(tenant).await?;
        println!("tenant {name}: wrapped {moved} keys anew");
    }
    record(app, "root-key-rotated").await?;
    if app.store.older_root_keys() > 0 {
        println!("the older one stays until: vesta keys rotate root --drop-older");
    }
    Ok(())
}

async fn by_job(app: &Arc<App>, rotation: Rotation) -> Result<()> {
    for Tenant { id: tenant, slug: name } in app.store.tenants().await? {
        let id = match rotation::ask(app, tenant, rotation).await? {
            Some(id) => id,
            None => match app.store.jobs(tenant, rotation::KIND, 1).await?.first() {
                Some(job) => job.id,
                None => bail!("a change of keys is under way and cannot be found"),
            },
        };
        println!("tenant {name}: job {id}");
        match tenant == app.tenant {
            true => follow(app, tenant, id).await?,
            false => follow(&Arc::new(app.for_tenant(tenant, &name)), tenant, id).await?,
        }
    }
    Ok(())
}

/// Works on the job, or watches a server that does, until it is done or has to wait.
async fn follow(app: &Arc<App>, tenant: TenantId, id: Uuid) -> Result<()> {
    let worker = {
        let app = Arc::clone(app);
        tokio::spawn(async move {
            loop {
                if !matches!(jobs::once(&app, tenant, KINDS, LEASE).await, Ok(true)) {
                    tokio::time::sleep(EVERY).await;
                }
            }
        })
    };
    let mut shown = String::new();
    let ended = loop {
        let Some(job) = app.store.job(tenant, id).await? else { break Err("the job is gone".to_owned()) };
        let progress = Progress::parse(&job.progress);
        let now = progress.as_ref().map(line).unwrap_or_default();
        if now != shown {
            println!("  {now}");
            shown = now;
        }
        match job.state {
            JobState::Done => break Ok(()),
            JobState::Failed => break Err(job.problem.unwrap_or_default()),
            JobState::Cancelled => break Err("the change was called off".to_owned()),
            JobState::Waiting if progress.is_some() && job.due > app.clock.now_microseconds() => {
                println!("  it goes on at {}, in a server or with this command again", time(job.due));
                break Ok(());
            }
            JobState::Waiting | JobState::Running => tokio::time::sleep(EVERY).await,
        }
    };
    worker.abort();
    ended.map_err(anyhow::Error::msg)
}

pub(super) async fn verify(config: &Config, sample: Option<u64>) -> Result<()> {
    let app = operator::request(config).await?.app;
    let mut is_whole = true;
    for Tenant { id: tenant, slug: name } in app.store.tenants().await? {
        let mut all = Walked::default();
        for resource_type in app.store.stored_types(tenant).await? {
            for shelf in [Shelf::Current(resource_type), Shelf::Superseded(resource_type)] {
                let (mut after, mut seen) = (Some(Cursor::START), 0);
                while let Some(from) = after {
                    let left =
                        sample.map_or(PAGE, |most| usize::try_from(most - seen).unwrap_or(PAGE).min(PAGE));
                    if left == 0 {
                        break;
                    }
                    let page = app.store.check_page(tenant, shelf, from, left).await?;
                    seen += page.seen;
                    all.seen += page.seen;
                    all.shredded += page.shredded;
                    all.broken += page.broken;
                    after = page.next;
                }
            }
        }
        is_whole &= all.broken == 0;
        println!(
            "tenant {name}: {} bodies, {} whole, {} of destroyed keys, {} damaged",
            all.seen,
            all.seen - all.shredded - all.broken,
            all.shredded,
            all.broken
        );
    }
    if is_whole { Ok(()) } else { bail!("some bodies are damaged") }
}

async fn record(app: &App, rule: &str) -> Result<()> {
    let now = app.clock.now_microseconds();
    let row = event::row_of("operator", Kind::KeyChanged, event::Result::Success, rule, now);
    Ok(app.store.append_audit(TenantId::FIRST, vec![row]).await?)
}

fn told(count: &KeyCount) -> String {
    let what = match (count.purpose, count.is_tenants) {
        (Purpose::Wrapping, _) => "wraps patients' keys",
        (Purpose::Blind, _) => "finds sealed values",
        (Purpose::Names, _) => "names things",
        (Purpose::Subject, true) => "seals what is no single patient's",
        (Purpose::Subject, false) => "seals patients",
    };
    format!(
        "{what}: {} in use, {} older, {} destroyed; the newest of {}",
        count.active,
        count.older,
        count.destroyed,
        time(count.newest)
    )
}

fn line(it: &Progress) -> String {
    format!(
        "{} {}/{}: {}; {} rows seen, {} changed, {} keys changed, {} destroyed",
        it.rotation.name(),
        (it.step + 1).min(it.steps),
        it.steps,
        it.doing,
        it.seen,
        it.changed,
        it.keys,
        it.destroyed
    )
}

fn time(microseconds: i64) -> String {
    let time = Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
