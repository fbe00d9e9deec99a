//! Wrapped keys in the database: fetched when first needed, made when there are none.
//!
//! A tenant's own keys are made with its first request, a patient's with their first resource. Two servers
//! may try at once: the table lets one active key in, and both read it back. A key that was destroyed keeps
//! its row, so that the next one gets the next epoch.

use crate::crypto::key_ring::{Purpose, SubjectKeys, TenantKeys, UnwrapError, WrappedKey};
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::connection::Pooled;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, SmallInt};
use std::collections::HashMap;
use std::sync::Arc;

/// The number under which the keys of no single patient are stored.
pub(super) const NOBODY: i64 = 0;

impl Store {
    /// The tenant's own keys.
    ///
    /// # Errors
    /// They cannot be fetched, or do not unwrap.
    pub async fn tenant_keys(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, StoreError> {
        if let Some(keys) = self.ring().tenant(tenant.0) {
            return Ok(keys);
        }
        let connection = self.upkeep(tenant).await?;
        let mut rows = tenant_rows(&connection, tenant).await?;
        let mut missing = Vec::new();
        for purpose in TenantKeys::PURPOSES {
            if !rows.iter().any(|row| row.purpose == purpose && row.is_active) {
                missing.push(self.new_tenant_key(tenant, purpose, next_epoch(&rows, purpose)).await?);
            }
        }
        if !missing.is_empty() {
            insert(&connection, tenant, self.now(), missing).await?;
            rows = tenant_rows(&connection, tenant).await?;
        }
        let keys = Arc::new(self.ring().unwrap_tenant(tenant.0, &rows).await.map_err(unavailable)?);
        self.ring().keep_tenant(keys.clone());
        Ok(keys)
    }

    /// The keys to seal with: every subject has an active one afterwards.
    pub(super) async fn sealing_keys(
        &self,
        tenant: TenantId,
        subjects: &[i64],
    ) -> Result<HashMap<i64, Arc<SubjectKeys>>, StoreError> {
        let mut found = self.subject_keys(tenant, subjects).await?;
        let missing: Vec<i64> = subjects
            .iter()
            .copied()
            .filter(|subject| found.get(subject).is_none_or(|keys| keys.active().is_none()))
            .collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let tenant_keys = self.tenant_keys(tenant).await?;
        let made = missing.iter().map(|subject| {
            let epoch = found.get(subject).map_or(1, |keys| keys.last_epoch().saturating_add(1));
            tenant_keys.new_subject_key(*subject, epoch)
        });
        let made = made.collect();
        let connection = self.upkeep(tenant).await?;
        insert(&connection, tenant, self.now(), made).await?;
        drop(connection);
        for subject in &missing {
            self.ring().forget_subject(tenant.0, *subject);
        }
        found.extend(self.subject_keys(tenant, &missing).await?);
        Ok(found)
    }

    /// The keys to open with: those that are there.
    pub(super) async fn subject_keys(
        &self,
        tenant: TenantId,
        subjects: &[i64],
    ) -> Result<HashMap<i64, Arc<SubjectKeys>>, StoreError> {
        let mut found = HashMap::with_capacity(subjects.len());
        let mut missing = Vec::new();
        for subject in subjects {
            match self.ring().subject(tenant.0, *subject) {
                Some(keys) => drop(found.insert(*subject, keys)),
                None => missing.push(*subject),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let mut tenant_keys = self.tenant_keys(tenant).await?;
        let connection = self.upkeep(tenant).await?;
        let rows = subject_rows(&connection, tenant, missing).await?;
        drop(connection);
        for group in rows.chunk_by(|one, other| one.subject == other.subject) {
            let mut keys = tenant_keys.unwrap_subject(group);
            if matches!(keys, Err(UnwrapError::OtherKey)) {
                // The tenant's wrapping key was changed since we fetched it.
                self.ring().forget_tenant(tenant.0);
                tenant_keys = self.tenant_keys(tenant).await?;
                keys = tenant_keys.unwrap_subject(group);
            }
            let keys = Arc::new(keys.map_err(unavailable)?);
            let Some(subject) = group.first().map(|row| row.subject) else { continue };
            self.ring().keep_subject(tenant.0, subject, keys.clone());
            found.insert(subject, keys);
        }
        Ok(found)
    }

    /// The keys with these names: subject and epoch. A key that is newer than those that are kept is fetched.
    pub(super) async fn keys_named(
        &self,
        tenant: TenantId,
        names: &[(i64, u16)],
    ) -> Result<HashMap<i64, Arc<SubjectKeys>>, StoreError> {
        let mut subjects: Vec<i64> = names.iter().map(|(subject, _)| *subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut found = self.subject_keys(tenant, &subjects).await?;
        let is_newer =
            |(subject, epoch): &&(i64, u16)| found.get(subject).is_none_or(|keys| keys.last_epoch() < *epoch);
        let newer: Vec<i64> = names.iter().filter(is_newer).map(|(subject, _)| *subject).collect();
        if !newer.is_empty() {
            newer.iter().for_each(|subject| self.ring().forget_subject(tenant.0, *subject));
            found.extend(self.subject_keys(tenant, &newer).await?);
        }
        Ok(found)
    }

    pub(super) async fn new_tenant_key(
        &self,
        tenant: TenantId,
        purpose: Purpose,
        epoch: u16,
    ) -> Result<WrappedKey, StoreError> {
        self.ring().new_key(tenant.0, purpose, epoch).await.map_err(unavailable)
    }
}

/// A key does not unwrap now: its provider is away, or the key that wraps it is elsewhere.
pub(super) fn unavailable(error: UnwrapError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

pub(super) fn next_epoch(rows: &[WrappedKey], purpose: Purpose) -> u16 {
    let epochs = rows.iter().filter(|row| row.purpose == purpose).map(|row| row.epoch);
    epochs.max().unwrap_or(0).saturating_add(1)
}

pub(super) type Row = (i16, i64, i16, bool, Option<Vec<u8>>);
pub(super) type RowTypes = (SmallInt, BigInt, SmallInt, Bool, Nullable<Binary>);

pub(super) async fn tenant_rows(
    connection: &Pooled,
    tenant: TenantId,
) -> Result<Vec<WrappedKey>, StoreError> {
    let sql = Sql::new(
        "select purpose, subject, epoch, is_active, wrapped from keys \
         where tenant = $1 and subject = $2 and purpose <> $3",
    );
    let sql = sql.with(tenant.0).with(NOBODY).with(i16::from(Purpose::Subject.code()));
    sql.rows::<RowTypes, Row>(connection).await?.into_iter().map(wrapped).collect()
}

async fn subject_rows(
    connection: &Pooled,
    tenant: TenantId,
    subjects: Vec<i64>,
) -> Result<Vec<WrappedKey>, StoreError> {
    let sql = Sql::new(
        "select purpose, subject, epoch, is_active, wrapped from keys \
         where tenant = $1 and purpose = $2 and subject = any($3) order by subject, epoch",
    );
    let sql = sql.with(tenant.0).with(i16::from(Purpose::Subject.code())).with(subjects);
    sql.rows::<RowTypes, Row>(connection).await?.into_iter().map(wrapped).collect()
}

pub(super) async fn insert(
    connection: &Pooled,
    tenant: TenantId,
    now: i64,
    keys: Vec<WrappedKey>,
) -> Result<(), StoreError> {
    let sql = Sql::new(
        "insert into keys (tenant, created, is_active, purpose, subject, epoch, wrapped) \
         select $1, $2, true, purpose, subject, epoch, wrapped \
         from unnest($3::smallint[], $4::bigint[], $5::smallint[], $6::bytea[]) \
           as made (purpose, subject, epoch, wrapped) \
         order by purpose, subject on conflict do nothing",
    );
    let sql = sql
        .with(tenant.0)
        .with(now)
        .with(keys.iter().map(|key| i16::from(key.purpose.code())).collect::<Vec<_>>())
        .with(keys.iter().map(|key| key.subject).collect::<Vec<_>>())
        .with(keys.iter().map(|key| i16::try_from(key.epoch).unwrap_or(i16::MAX)).collect::<Vec<_>>())
        .with(keys.into_iter().map(|key| key.wrapped.unwrap_or_default()).collect::<Vec<_>>());
    sql.execute(connection).await?;
    Ok(())
}

pub(super) fn wrapped((purpose, subject, epoch, is_active, wrapped): Row) -> Result<WrappedKey, StoreError> {
    let purpose =
        Purpose::from_code(purpose).ok_or(StoreError::broken("a stored key has no known purpose"))?;
    let epoch = u16::try_from(epoch).map_err(|_| StoreError::broken("a stored key has no epoch"))?;
    Ok(WrappedKey { purpose, subject, epoch, is_active, wrapped })
}
