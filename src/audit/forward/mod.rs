//! The trail on its way to others: a SIEM, a witness on another machine, a file on another disk.
//!
//! Events go in the order of the chain, and each receiver has a cursor in the database that moves only after it
//! acknowledged: what is lost on the way is sent again, nothing is left out, nothing overtakes. A receiver that is
//! slow or away holds up its own cursor and nothing else: requests never wait for it. Of several servers one sends.
//!
//! What leaves is the AuditEvent without the query: who did what, when, to which resource by its id, and what came
//! of it. Checkpoints go the same way, so that a copy of the trail can be held against what left the machine.

mod otlp;
mod syslog;
mod target;
mod webhook;

use crate::app::App;
use crate::audit::balp;
use crate::audit::forward::target::{Batch, Sent, Target};
use crate::fhir::id::{ResourceId, TenantId};
use crate::store::audit_forward::{Cursor, PlacedEvent};
use crate::store::error::StoreError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::{info, warn};
use uuid::Uuid;

/// As many events go at once.
const TOGETHER: usize = 500;
/// How often it is looked for what is new.
const EVERY: Duration = Duration::from_millis(500);
/// The longest pause after a failure; the first is as long as [`EVERY`].
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one server keeps the cursor of a receiver, in microseconds.
const LEASE: i64 = 120 * 1_000_000;

/// Sends the trails of these tenants to every receiver that is set, until the tasks are aborted.
///
/// # Errors
/// A setting cannot be used.
pub fn start(app: &Arc<App>, tenants: &[TenantId]) -> Result<Vec<JoinHandle<()>>, String> {
    let mut tasks = Vec::new();
    for tenant in tenants {
        for target in target::of(&app.config, *tenant)? {
            tasks.push(tokio::spawn(run(Arc::clone(app), *tenant, target)));
        }
    }
    Ok(tasks)
}

async fn run(app: Arc<App>, tenant: TenantId, target: Target) {
    let holder = app.new_id();
    let mut pause = EVERY;
    loop {
        match round(&app, tenant, &target, holder).await {
            Ok(0) => tokio::time::sleep(EVERY).await,
            Ok(_) => {
                if pause > EVERY {
                    info!(audit.receiver = target.name, "the receiver takes the trail again");
                }
                pause = EVERY;
            }
            Err(reason) => {
                if pause == EVERY {
                    warn!(audit.receiver = target.name, reason, "the receiver does not take the trail now");
                }
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// Sends what is new: how much that was. Nothing where another server does it.
async fn round(app: &App, tenant: TenantId, target: &Target, holder: Uuid) -> Result<usize, String> {
    let told = |error: StoreError| error.to_string();
    let store = &app.store;
    let cursor = store.take_cursor(tenant, (target.name, holder), LEASE).await.map_err(told)?;
    let Some(cursor) = cursor else { return Ok(0) };
    let placed = match target.takes_events {
        true => store.events_after(tenant, cursor.place, TOGETHER).await.map_err(told)?,
        false => Vec::new(),
    };
    let place = placed.last().map_or(cursor.place, |it| it.place);
    let events = shown(app, tenant, placed).await.map_err(told)?;
    let checkpoints = store.checkpoints_after(tenant, cursor.checkpoint).await.map_err(told)?;
    if events.is_empty() && checkpoints.is_empty() {
        return Ok(0);
    }
    let checkpoint = checkpoints.last().map_or(cursor.checkpoint, |it| it.head.count);
    let host = host_of(&app.config.public_url());
    let batch = Batch { tenant, host, events, checkpoints };
    target.send(&batch).await?;
    let moved = Cursor { place, checkpoint };
    match store.move_cursor(tenant, (target.name, holder), moved).await.map_err(told)? {
        true => Ok(batch.events.len() + batch.checkpoints.len()),
        false => Ok(0),
    }
}

/// As they leave: without the query.
async fn shown(app: &App, tenant: TenantId, placed: Vec<PlacedEvent>) -> Result<Vec<Sent>, StoreError> {
    let subjects: Vec<i64> =
        placed.iter().filter_map(|it| it.event.as_ref()).flat_map(|it| it.row.subjects.clone()).collect();
    let names = app.store.patients_of_subjects(tenant, &subjects).await?;
    let base = app.fhir_base();
    Ok(placed.into_iter().filter_map(|it| sent(&base, &names, it)).collect())
}

fn sent(base: &str, names: &HashMap<i64, ResourceId>, placed: PlacedEvent) -> Option<Sent> {
    let PlacedEvent { place, hash, event } = placed;
    let mut event = event?;
    event.row.detail = None;
    let patients: Vec<ResourceId> =
        event.row.subjects.iter().filter_map(|subject| names.get(subject).cloned()).collect();
    let text = balp::render(base, &event, &patients);
    Some(Sent {
        place,
        hash,
        kind: event.row.kind,
        outcome: event.row.outcome,
        recorded: event.row.recorded,
        text,
    })
}

/// The host of a URL, as a name in a message.
fn host_of(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or(url).split(['/', ':']).next().unwrap_or_default();
    host.chars().filter(|it| it.is_ascii_graphic()).collect()
}
