//! The sealer: within a second every event is chained to the one before, every minute the head is signed.
//!
//! Every server runs one; a lock in the database lets one at a time append (see [`crate::store::audit_chain`]).
//!
//! Before it signs, the sealer looks whether what it signed last is still there. Somebody who rewrites the
//! chain under a running server therefore does not get the rewritten chain signed by it: it says so in the
//! log, in the trail and in the health of the server, and signs nothing more.

use crate::app::App;
use crate::audit::checkpoint::{self, hex, is_genuine};
use crate::audit::event::{self, Kind};
use crate::crypto::sign::CheckpointKey;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_chain::{Hash, Head};
use crate::store::error::StoreError;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How often new events are chained.
const EVERY: Duration = Duration::from_secs(1);
/// How often the head is signed, in microseconds, where there is anything new.
const SIGN_EVERY: i64 = 60 * 1_000_000;
/// As many events go into one link.
const TOGETHER: u32 = 2000;

/// What chains and signs the trail of one tenant.
pub struct Sealer {
    store: Store,
    tenant: TenantId,
    /// What was signed last, by whichever server, as far as this one knows.
    signed: Option<Head>,
    signed_at: i64,
}

/// What one round came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// So many events were chained, and perhaps signed.
    Chained(usize),
    /// What was signed is not there any more: nothing was signed.
    Tampered,
}

/// Chains and signs the trails of these tenants until the task is aborted.
#[must_use]
pub fn start(app: &Arc<App>, tenants: &[TenantId]) -> Vec<JoinHandle<()>> {
    let sealers = tenants.iter().map(|tenant| Sealer::new(app.store.clone(), *tenant));
    sealers.map(|sealer| tokio::spawn(run(sealer, app.clone()))).collect()
}

/// The hash of an event: SHA-256 over the version of this rule, the hash before, and the event's bytes.
#[must_use]
pub fn hash(before: &Hash, canonical: &[u8]) -> Hash {
    Sha256::new().chain_update([1]).chain_update(before).chain_update(canonical).finalize().into()
}

impl Sealer {
    /// A sealer that has done nothing yet.
    #[must_use]
    pub fn new(store: Store, tenant: TenantId) -> Sealer {
        Sealer { store, tenant, signed: None, signed_at: i64::MIN }
    }

    /// Chains what waits, and signs with that key if it is time to.
    ///
    /// # Errors
    /// The database fails.
    pub async fn round(&mut self, key: &CheckpointKey, now: i64) -> Result<Round, StoreError> {
        let mut chained = 0;
        loop {
            let more = self.store.chain_audit(self.tenant, TOGETHER, hash).await?;
            chained += more;
            if more < usize::try_from(TOGETHER).unwrap_or(usize::MAX) {
                break;
            }
        }
        // A clock that went back must not silence the signer.
        if now.saturating_sub(self.signed_at) < SIGN_EVERY && now >= self.signed_at {
            return Ok(Round::Chained(chained));
        }
        if self.sign(key, now).await? { Ok(Round::Chained(chained)) } else { Ok(Round::Tampered) }
    }

    /// Signs the head if it moved; `false` if what was signed before is not there.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sign(&mut self, key: &CheckpointKey, now: i64) -> Result<bool, StoreError> {
        let store = &self.store;
        let own_key = [key.public().clone()];
        let latest = store.last_checkpoint(self.tenant).await?;
        if let Some(latest) = &latest
            && latest.key_id == key.public().id()
            && !is_genuine(&own_key, self.tenant, latest)
        {
            return Ok(false);
        }
        let latest = latest.map(|it| it.head);
        for signed in [self.signed, latest].into_iter().flatten() {
            if !still_there(store, self.tenant, signed).await? {
                return Ok(false);
            }
        }
        // Both stand in the chain, so the longer one holds the shorter.
        self.signed = [self.signed, latest].into_iter().flatten().max_by_key(|it| it.count);
        let head = store.audit_head(self.tenant).await?;
        if head.count > self.signed.map_or(0, |it| it.count) {
            let checkpoint = checkpoint::sign(key, self.tenant, head, now);
            store.append_checkpoint(self.tenant, &checkpoint).await?;
            info!(
                tenant = self.tenant.0,
                audit.checkpoint.count = head.count,
                audit.checkpoint.head = hex(&head.hash),
                audit.checkpoint.signed = now,
                audit.checkpoint.key = checkpoint.key_id,
                audit.checkpoint.signature = hex(&checkpoint.signature),
                "the trail holds {} events",
                head.count
            );
            self.signed = Some(head);
        }
        self.signed_at = now;
        Ok(true)
    }
}

/// What was said last of a trail: each change is said once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Chained,
    Failing,
    Tampered,
}

async fn run(mut sealer: Sealer, app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = Said::Chained;
    loop {
        ticks.tick().await;
        let tenant = sealer.tenant;
        match sealer.round(&app.checkpoint_key, app.clock.now_microseconds()).await {
            Ok(Round::Chained(_)) => {
                app.found_whole(tenant);
                if said != Said::Chained {
                    info!(tenant = tenant.0, "the trail is chained again");
                }
                said = Said::Chained;
            }
            Ok(Round::Tampered) => {
                app.found_tampered(tenant);
                // Said again until it is in the trail itself.
                if said != Said::Tampered && tell(&app, tenant).await {
                    said = Said::Tampered;
                }
            }
            // A tampered trail stays one while the database is away.
            Err(failure) if said == Said::Chained => {
                warn!(tenant = tenant.0, "the trail cannot be chained now: {failure}");
                said = Said::Failing;
            }
            Err(_) => {}
        }
    }
}

/// Says that a trail is not what was signed, in the log and in the trail; `false` if that takes no events.
async fn tell(app: &App, tenant: TenantId) -> bool {
    error!(
        tenant = tenant.0,
        "the chain of the trail is not the one that was signed: run vesta audit verify"
    );
    let now = app.clock.now_microseconds();
    let row = event::row_of("vesta", Kind::TamperFound, event::Result::SeriousFailure, "checkpoint", now);
    app.store.append_audit(tenant, vec![row]).await.is_ok()
}

async fn still_there(store: &Store, tenant: TenantId, signed: Head) -> Result<bool, StoreError> {
    Ok(store.chain_hash(tenant, signed.count).await? == Some(signed.hash))
}
