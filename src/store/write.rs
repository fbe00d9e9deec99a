//! Writing: a deed, its older version, its postings, its place in the change feed and its audit row are one.
//!
//! A single deed is one statement. Several are one transaction: for each type one statement for all that is
//! new and one for all that changes, on arrays, sent without waiting for each other. Types come in order, and
//! within one the rows are locked in order, so two bundles cannot wait for each other; where they still do,
//! the database picks one, which is tried again.
//!
//! The version that must still stand is checked by the update itself: whoever comes second changes nothing,
//! and nothing of theirs is stored, the audit row neither.

use crate::crypto::key_ring::{SubjectKey, TenantKeys};
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::store::Store;
use crate::store::audit_log::{AuditRow, SealedRow};
use crate::store::connection::Pooled;
use crate::store::error::{Retry, StoreError, retry};
use crate::store::keys::NOBODY;
use crate::store::resources::{Deed, DeedKind};
use crate::store::sealed_body::{self, Place};
use crate::store::search_index::{self, Entries};
use crate::store::sql::Sql;
use crate::store::{logical_id, write_many, write_one};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// How often a write is tried that the database rolled back.
const ATTEMPTS: u32 = 6;

/// Everything a write stores, sealed and hashed.
pub(super) struct Prepared {
    pub(super) tenant: TenantId,
    /// In the order of types and ids.
    pub(super) rows: Vec<Row>,
    pub(super) audit: Vec<SealedRow>,
}

/// One deed as it is stored.
pub(super) struct Row {
    pub(super) resource_type: ResourceType,
    pub(super) rid: i64,
    pub(super) id: Uuid,
    pub(super) id_text: Option<String>,
    pub(super) version: i32,
    pub(super) expected: Option<i32>,
    pub(super) updated: i64,
    pub(super) deed: i16,
    pub(super) entries: Entries,
    pub(super) body: Vec<u8>,
}

impl Store {
    /// Does all of these, with their audit rows, or nothing. No resource may be named twice. It goes on to
    /// its end even if the caller does not wait for it.
    ///
    /// # Errors
    /// A version that must still stand does not, an id that must be free is not, or the database fails.
    pub async fn write(
        &self,
        tenant: TenantId,
        deeds: Vec<Deed>,
        audit: Vec<AuditRow>,
    ) -> Result<(), StoreError> {
        if deeds.is_empty() {
            return self.append_audit(tenant, audit).await;
        }
        let prepared = self.prepare(tenant, deeds, audit).await?;
        let store = self.clone();
        let task = self.runtime().spawn(async move { store.write_prepared(prepared).await });
        task.await.unwrap_or_else(|_| Err(StoreError::broken("a write ended before its end")))
    }

    async fn write_prepared(&self, mut prepared: Prepared) -> Result<(), StoreError> {
        let types = prepared.types();
        let mut attempt = 1;
        loop {
            let connection = self.connection_for(prepared.tenant, &types).await?;
            let error = match prepared.flush(connection).await {
                Ok(()) => {
                    self.count_deeds(&prepared);
                    return Ok(());
                }
                Err(error) => error,
            };
            if error.retry() == Retry::Reading {
                self.forget_idle(prepared.tenant);
            }
            if attempt == ATTEMPTS || error.retry() != Retry::Always {
                return Err(prepared.explain(error));
            }
            tokio::time::sleep(Duration::from_millis(u64::from(3 * attempt * attempt))).await;
            attempt += 1;
            for row in &mut prepared.rows {
                row.rid = self.next_row_id();
            }
        }
    }

    /// Counts what was done, and has the statistics renewed of what has outgrown them, while nobody waits.
    pub(super) fn count_deeds(&self, prepared: &Prepared) {
        for rows in prepared.rows.chunk_by(|one, other| one.resource_type == other.resource_type) {
            let Some(row) = rows.first() else { continue };
            if !self.shared.tables.grow(row.resource_type, u64::try_from(rows.len()).unwrap_or(0)) {
                continue;
            }
            let (store, tenant, resource_type) = (self.clone(), prepared.tenant, row.resource_type);
            self.runtime().spawn(async move {
                let sql = Sql::new("select refresh_statistics($1)").with(resource_type.name()).uncached();
                let renewed = match store.upkeep(tenant).await {
                    Ok(connection) => sql.execute(&connection).await.map_err(StoreError::from),
                    Err(error) => Err(error),
                };
                if let Err(error) = renewed {
                    tracing::warn!(resource.type = resource_type.name(), "no new statistics: {error}");
                }
            });
        }
    }

    /// Seals and hashes.
    pub(super) async fn prepare(
        &self,
        tenant: TenantId,
        deeds: Vec<Deed>,
        audit: Vec<AuditRow>,
    ) -> Result<Prepared, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        let subjects: BTreeSet<i64> = deeds.iter().map(|deed| subject(&keys, deed)).collect();
        let sealing = self.sealing_keys(tenant, &subjects.into_iter().collect::<Vec<_>>()).await?;
        let mut rows = Vec::with_capacity(deeds.len());
        for deed in deeds {
            let key = sealing.get(&subject(&keys, &deed)).and_then(|keys| keys.active());
            let key = key.ok_or(StoreError::unavailable("a patient has no key to seal with"))?;
            rows.push(self.row(&keys, key, deed)?);
        }
        rows.sort_by_key(|row| (row.resource_type, row.id));
        if rows.windows(2).any(|pair| matches!(pair, [one, other] if one.place() == other.place())) {
            return Err(StoreError::broken("one write names a resource twice"));
        }
        Ok(Prepared { tenant, rows, audit: self.seal_audit(tenant, audit).await? })
    }
}

/// Whose key seals it: the patient's, if there is one alone.
fn subject(keys: &TenantKeys, deed: &Deed) -> i64 {
    match deed.index.patients.as_slice() {
        [only] => search_index::patient(keys, only),
        _ => NOBODY,
    }
}

impl Store {
    fn row(&self, keys: &TenantKeys, key: &SubjectKey, deed: Deed) -> Result<Row, StoreError> {
        let (id, id_text) = logical_id::stored(keys, &deed.id);
        let body = match deed.kind {
            DeedKind::Delete => Vec::new(),
            _ => {
                let place = Place {
                    tenant: keys.tenant(),
                    resource_type: deed.resource_type.name(),
                    id: deed.id.as_str(),
                    version: deed.version,
                };
                let body = sealed_body::encode(&place, &deed.text, &deed.sealed, key);
                body.map_err(|error| StoreError::Broken(Box::new(error)))?
            }
        };
        Ok(Row {
            resource_type: deed.resource_type,
            rid: self.next_row_id(),
            id,
            id_text,
            version: deed.version,
            expected: deed.expected,
            updated: deed.last_updated,
            deed: deed.kind.code(),
            entries: search_index::entries(keys, deed.resource_type, &deed.id, &deed.index),
            body,
        })
    }
}

impl Row {
    pub(super) fn place(&self) -> (ResourceType, Uuid) {
        (self.resource_type, self.id)
    }

    fn resource_id(&self) -> Option<ResourceId> {
        logical_id::read(self.id, self.id_text.clone())
    }
}

/// Why a write failed.
pub(super) enum WriteError {
    /// The version that must still stand does not.
    Lost(ResourceType, Uuid),
    /// The database says so.
    Database(DieselError),
}

impl From<DieselError> for WriteError {
    fn from(error: DieselError) -> WriteError {
        WriteError::Database(error)
    }
}

impl WriteError {
    fn retry(&self) -> Retry {
        match self {
            WriteError::Lost(..) => Retry::Never,
            WriteError::Database(error) => retry(error),
        }
    }
}

impl Prepared {
    pub(super) fn types(&self) -> Vec<ResourceType> {
        let mut types: Vec<ResourceType> = self.rows.iter().map(|row| row.resource_type).collect();
        types.dedup();
        types
    }

    /// One statement, or one transaction.
    async fn flush(&self, mut connection: Pooled) -> Result<(), WriteError> {
        if let [row] = self.rows.as_slice() {
            return self.flush_one(&connection, row).await;
        }
        let (begun, flushed) = {
            let mut shared: &AsyncPgConnection = &connection;
            futures_util::join!(shared.batch_execute("begin"), write_many::flush(&connection, self))
        };
        let result = begun.map_err(WriteError::from).and(flushed);
        if let Err(error) = finish(&mut connection, result.is_ok()).await {
            // Neither committed nor rolled back for sure: nobody may use this connection again.
            drop(Pooled::take(connection));
            return Err(error.into());
        }
        result
    }

    pub(super) async fn flush_one(&self, connection: &Pooled, row: &Row) -> Result<(), WriteError> {
        let sql = write_one::sql(self.tenant, row, &self.audit);
        match sql.rows::<(BigInt,), (i64,)>(connection).await?.as_slice() {
            [] => Err(WriteError::Lost(row.resource_type, row.id)),
            _ => Ok(()),
        }
    }

    /// What that means for whoever wanted it.
    pub(super) fn explain(&self, error: WriteError) -> StoreError {
        match error {
            WriteError::Lost(resource_type, id) => match self.named(resource_type, id) {
                Some(id) => StoreError::Conflict { resource_type, id },
                None => StoreError::broken("a row was lost that was not written"),
            },
            WriteError::Database(error) => match self.taken(&error) {
                Some((resource_type, id)) => StoreError::AlreadyExists { resource_type, id },
                None => error.into(),
            },
        }
    }

    fn named(&self, resource_type: ResourceType, id: Uuid) -> Option<ResourceId> {
        self.rows.iter().find(|row| row.place() == (resource_type, id))?.resource_id()
    }

    /// The resource whose id is taken. PostgreSQL names the table and, in the details, the key.
    fn taken(&self, error: &DieselError) -> Option<(ResourceType, ResourceId)> {
        let DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, at) = error else { return None };
        let table = at.constraint_name()?.strip_suffix("_id_unique")?;
        let is_taken = |row: &&Row| {
            row.expected.is_none()
                && row.resource_type.name().eq_ignore_ascii_case(table)
                && at.details().is_none_or(|details| details.contains(&row.id.hyphenated().to_string()))
        };
        let row = self.rows.iter().find(is_taken)?;
        Some((row.resource_type, row.resource_id()?))
    }
}

/// Commits, or rolls back.
pub(super) async fn finish(connection: &mut AsyncPgConnection, is_good: bool) -> Result<(), DieselError> {
    connection.batch_execute(if is_good { "commit" } else { "rollback" }).await
}
