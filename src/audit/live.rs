//! Checks the trail where it is: in the database.

use crate::audit::verify::{Check, Report};
use crate::crypto::sign::CheckpointPublicKey;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_chain::{Checkpoint, Link};
use crate::store::error::StoreError;

/// As many ids are compared at a time.
const TOGETHER: u32 = 50_000;

/// Reads the whole trail of a tenant and checks it, also against checkpoints that were kept elsewhere
/// (witnesses). Events may be written meanwhile. `now` is when it began.
///
/// # Errors
/// The database fails.
pub async fn verify(
    store: &Store,
    tenant: TenantId,
    keys: &[CheckpointPublicKey],
    witnesses: Vec<Checkpoint>,
    now: i64,
) -> Result<Report, StoreError> {
    // The checkpoints first: the chain that is read after them is at least as long.
    let mut checkpoints = store.checkpoints(tenant).await?;
    checkpoints.extend(witnesses);
    let mut check = Check::new(tenant, keys, checkpoints);
    check.archives(tenant, keys, &store.audit_archives(tenant).await?);
    walk(store, tenant, &mut check, |_| {}).await?;
    Ok(check.end(now))
}

/// Reads the whole trail and has it checked; `see` is shown every link.
pub(super) async fn walk(
    store: &Store,
    tenant: TenantId,
    check: &mut Check,
    mut see: impl FnMut(&Link),
) -> Result<(), StoreError> {
    let mut links = store.chain_links(tenant, i64::MIN).await?;
    while let Some(last) = links.last() {
        // The next stretch is read while this one is hashed.
        let (reader, after) = (store.clone(), last.first);
        let next = tokio::spawn(async move { reader.chain_links(tenant, after).await });
        for link in &links {
            check.link(link);
            see(link);
        }
        if let Some((above, to)) = check.comparable() {
            compare(store, tenant, check, above, to).await?;
        }
        links = next.await.unwrap_or_else(|_| Err(StoreError::broken("a read of the trail ended early")))?;
    }
    let (above, to) = check.rest();
    compare(store, tenant, check, above, to).await?;
    let mut above = to;
    loop {
        let ids = store.audit_ids(tenant, above, i64::MAX, TOGETHER).await?;
        let Some(last) = ids.last() else { return Ok(()) };
        above = *last;
        check.compare_young(ids);
    }
}

/// Compares the ids above one and up to another, some at a time.
async fn compare(
    store: &Store,
    tenant: TenantId,
    check: &mut Check,
    mut above: i64,
    to: i64,
) -> Result<(), StoreError> {
    loop {
        let ids = store.audit_ids(tenant, above, to, TOGETHER).await?;
        let is_last = ids.len() < usize::try_from(TOGETHER).unwrap_or(usize::MAX);
        let end = if is_last { to } else { ids.last().copied().unwrap_or(to) };
        check.compare(ids, end);
        if is_last {
            return Ok(());
        }
        above = end;
    }
}
