//! A unit of work that looks before it writes: conditional interactions, transactions that read.
//!
//! [`Store::begin`] opens a transaction and takes a lock for each of some criteria, in one order. Whoever
//! looks for the same thing at the same time waits here, and then sees what the other made: fifty identical
//! conditional creates give one resource. Every question in the unit sees what is committed when it is asked,
//! and what the unit itself has written.
//!
//! A unit that is dropped before [`Unit::commit`] closes its connection, and the database rolls back.

use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::store::Store;
use crate::store::audit_log::AuditRow;
use crate::store::connection::Pooled;
use crate::store::error::StoreError;
use crate::store::resources::{Current, Deed};
use crate::store::sql::Sql;
use crate::store::{audit_log, write_many};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::sync::OwnedSemaphorePermit;

/// An open transaction.
pub struct Unit {
    store: Store,
    tenant: TenantId,
    /// Gone once the unit has ended.
    connection: Option<Pooled>,
    _permit: OwnedSemaphorePermit,
}

impl Store {
    /// Opens a unit, when nobody else holds one on any of these criteria. Criteria are equal when their
    /// texts are, so they must be normalised, and name the resource type.
    ///
    /// # Errors
    /// The database fails, or the others take too long.
    pub async fn begin(&self, tenant: TenantId, criteria: &[String]) -> Result<Unit, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        let mut locks: Vec<i64> = criteria
            .iter()
            .map(|text| keys.name("criteria", text.as_bytes()))
            .map(|hash| hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first)))
            .collect();
        locks.sort_unstable();
        locks.dedup();
        let permit = self.shared.pools.permit_unit(tenant).await?;
        let connection = self.connection(tenant).await?;
        let unit = Unit { store: self.clone(), tenant, connection: Some(connection), _permit: permit };
        let connection = unit.connection()?;
        let mut shared: &AsyncPgConnection = connection;
        let lock = Sql::new(
            "select pg_advisory_xact_lock(it) from (select it from unnest($1::bigint[]) as it order by it) as it",
        );
        let lock = lock.with(locks);
        let (begun, locked) = futures_util::join!(shared.batch_execute("begin"), lock.execute(connection));
        begun.and(locked.map(|_| ()))?;
        Ok(unit)
    }
}

impl Unit {
    /// The tenant it is for.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Which versions are current now, as [`Store::current`].
    ///
    /// # Errors
    /// The database fails.
    pub async fn current(
        &mut self,
        resources: &[(ResourceType, ResourceId)],
    ) -> Result<Vec<Option<Current>>, StoreError> {
        let types: Vec<ResourceType> = resources.iter().map(|(resource_type, _)| *resource_type).collect();
        self.store.ensure(self.tenant, &types).await?;
        let (store, tenant) = (self.store.clone(), self.tenant);
        store.current_on(self.connection()?, tenant, resources).await
    }

    /// Does all of these within the unit.
    ///
    /// # Errors
    /// As [`Store::write`]; the unit can then only be dropped.
    pub async fn write(&mut self, deeds: Vec<Deed>, audit: Vec<AuditRow>) -> Result<(), StoreError> {
        let prepared = self.store.prepare(self.tenant, deeds, audit).await?;
        self.store.ensure(self.tenant, &prepared.types()).await?;
        let connection = self.connection()?;
        let result = match prepared.rows.as_slice() {
            [] => {
                let trail = audit_log::insert(&prepared.audit, prepared.tenant, false);
                if !prepared.audit.is_empty() {
                    trail.execute(connection).await?;
                }
                Ok(())
            }
            [row] => prepared.flush_one(connection, row).await,
            _ => write_many::flush(connection, &prepared).await,
        };
        result.map_err(|error| prepared.explain(error))?;
        self.store.count_deeds(&prepared);
        Ok(())
    }

    /// Makes it so. It goes on to its end even if the caller does not wait for it.
    ///
    /// # Errors
    /// The database fails: it is then not certain what was stored.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let Some(mut connection) = self.connection.take() else {
            return Err(StoreError::broken("the unit has ended"));
        };
        let task = self.store.runtime().spawn(async move {
            let result = connection.batch_execute("commit").await;
            if result.is_err() {
                drop(Pooled::take(connection));
            }
            result
        });
        Ok(task.await.map_err(|_| StoreError::broken("a commit ended before its end"))??)
    }

    /// Undoes it.
    ///
    /// # Errors
    /// The database fails: it has then undone it by itself.
    pub async fn roll_back(mut self) -> Result<(), StoreError> {
        let Some(mut connection) = self.connection.take() else {
            return Err(StoreError::broken("the unit has ended"));
        };
        let task = self.store.runtime().spawn(async move {
            let result = connection.batch_execute("rollback").await;
            if result.is_err() {
                drop(Pooled::take(connection));
            }
            result
        });
        Ok(task.await.map_err(|_| StoreError::broken("a rollback ended before its end"))??)
    }

    /// The store that it is a unit of.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The connection that holds the transaction.
    pub(super) fn connection(&self) -> Result<&Pooled, StoreError> {
        self.connection.as_ref().ok_or(StoreError::broken("the unit has ended"))
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Pooled::take(connection));
        }
    }
}
