//! The store: everything SQL, and nothing else.
//!
//! [`Store`] is the facade. A *write* is one statement, or one transaction for several deeds, and holds its
//! audit rows; a *read* is one statement with the narrowing of whoever asks in it; the *trail* of everything
//! else is gathered into group commits. Elements are sealed on the way in and opened, as far as the permit
//! goes, on the way out: no table holds them in the clear.
//!
//! Reading order: what is stored and asked (`resources`, `versions`, `search`), how (`write`, `unit`,
//! `audit_log`), and what it stands on (`connection`, `sql`, `tables`, `keys`).
//!
//! # Decision 2026-11-23
//! Resource tables are not partitioned by tenant: a table can be attached as the default partition of a new
//! parent when the first tenant needs its own, and until then routing would cost every write.

pub mod resources;
pub mod search;
pub mod versions;

pub mod accounts;
pub mod audit_archive;
pub mod audit_chain;
pub mod audit_counts;
pub mod audit_events;
pub mod audit_forward;
pub mod audit_log;
pub mod backup;
pub mod clients;
pub mod closures;
pub mod concepts;
pub mod connection;
pub mod consents;
mod entities;
pub mod error;
pub mod files;
pub mod grants;
pub mod hot;
pub mod identities;
pub mod inspection;
pub mod jobs;
mod keys;
mod logical_id;
pub mod migrate;
mod narrowing;
pub mod packages;
pub mod policy_news;
mod private;
pub mod reindex;
pub mod restore;
pub mod revocations;
pub mod rotation;
mod row_ids;
pub mod sealed_body;
mod search_index;
pub mod sessions;
pub mod shredding;
pub mod sign_in_failures;
pub mod signing_keys;
mod sql;
mod sql_value;
mod tables;
pub mod tenants;
pub mod tickets;
mod tokens;
pub mod unit;
pub mod walk;
mod write;
mod write_many;
mod write_one;

use crate::clock::Clock;
use crate::crypto::key_ring::KeyRing;
use crate::crypto::random;
use crate::fhir::id::{ResourceType, TenantId};
use crate::store::audit_log::AuditWriters;
use crate::store::connection::{Pooled, Pools, Settings};
use crate::store::error::{Retry, StoreError, retry};
use crate::store::revocations::RevocationNews;
use crate::store::row_ids::RowIds;
use crate::store::search::estimate::Estimates;
use crate::store::signing_keys::SigningKeyCache;
use crate::store::sql::{Shapes, Sql};
use crate::store::tables::Tables;
use diesel::deserialize::FromSqlRow;
use diesel::pg::Pg;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// The database, the keys, and the trail. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    pools: Pools,
    ring: Arc<KeyRing>,
    clock: Clock,
    tables: Tables,
    row_ids: RowIds,
    audit_writers: AuditWriters,
    revocations: RevocationNews,
    signing_keys: SigningKeyCache,
    estimates: Estimates,
    shapes: Shapes,
    /// This server was asked for a job.
    job_news: Notify,
    /// Where work goes on that must not end with a request.
    runtime: Handle,
}

impl Store {
    /// A store on that database; connections are made when they are needed. To be called within tokio's
    /// multi-thread runtime, whose tasks then outlive any request.
    #[must_use]
    pub fn new(settings: Settings, ring: Arc<KeyRing>, clock: Clock) -> Store {
        let shared = Shared {
            pools: Pools::new(settings),
            ring,
            clock,
            tables: Tables::new(),
            row_ids: RowIds::new(u16::from_be_bytes(random::nonce())),
            audit_writers: AuditWriters::default(),
            revocations: RevocationNews::default(),
            signing_keys: SigningKeyCache::default(),
            estimates: Estimates::default(),
            shapes: Shapes::default(),
            job_news: Notify::new(),
            runtime: Handle::current(),
        };
        Store { shared: Arc::new(shared) }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self, tenant: TenantId) -> Result<(), StoreError> {
        let connection = self.connection(tenant).await?;
        Sql::new("select 1").execute(&connection).await?;
        Ok(())
    }

    /// A connection that sees that tenant alone.
    async fn connection(&self, tenant: TenantId) -> Result<Pooled, StoreError> {
        self.shared.pools.get(tenant).await
    }

    /// The same, and the tables of these types are there.
    async fn connection_for(&self, tenant: TenantId, types: &[ResourceType]) -> Result<Pooled, StoreError> {
        self.ensure(tenant, types).await?;
        self.connection(tenant).await
    }

    /// Makes the tables of these types that are not there.
    async fn ensure(&self, tenant: TenantId, types: &[ResourceType]) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        if types.iter().all(|it| tables.knows(*it)) {
            return Ok(());
        }
        let connection = self.upkeep(tenant).await?;
        for resource_type in types {
            tables.ensure(&connection, *resource_type).await?;
        }
        Ok(())
    }

    /// A connection for keys, tables and the trail.
    async fn upkeep(&self, tenant: TenantId) -> Result<Pooled, StoreError> {
        self.shared.pools.get_for_upkeep(tenant).await
    }

    /// Asks a question, once more if the connection was lost.
    async fn ask<T, Row>(
        &self,
        tenant: TenantId,
        types: &[ResourceType],
        sql: &Sql,
    ) -> Result<Vec<Row>, StoreError>
    where
        T: 'static,
        Row: FromSqlRow<T, Pg> + Send + 'static,
    {
        let connection = self.connection_for(tenant, types).await?;
        match sql.rows::<T, Row>(&connection).await {
            Err(error) if retry(&error) != Retry::Never => {
                drop(connection);
                self.forget_idle(tenant);
                let connection = self.connection_for(tenant, types).await?;
                Ok(sql.rows::<T, Row>(&connection).await?)
            }
            result => Ok(result?),
        }
    }

    /// Runs one statement that changes something, and says how many rows it touched.
    async fn act(&self, tenant: TenantId, sql: &Sql) -> Result<usize, StoreError> {
        let connection = self.connection(tenant).await?;
        let touched = sql.execute(&connection).await;
        if matches!(&touched, Err(error) if retry(error) == Retry::Reading) {
            drop(connection);
            self.forget_idle(tenant);
        }
        Ok(touched?)
    }

    /// A connection was lost: the next ones are made anew.
    fn forget_idle(&self, tenant: TenantId) {
        self.shared.pools.forget_idle(tenant);
    }

    fn ring(&self) -> &KeyRing {
        &self.shared.ring
    }

    fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }

    fn audit_writers(&self) -> &AuditWriters {
        &self.shared.audit_writers
    }

    fn estimates(&self) -> &Estimates {
        &self.shared.estimates
    }

    fn shapes(&self) -> &Shapes {
        &self.shared.shapes
    }

    fn now(&self) -> i64 {
        self.shared.clock.now_microseconds()
    }

    fn next_row_id(&self) -> i64 {
        self.shared.row_ids.next(self.now())
    }
}
