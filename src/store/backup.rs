//! Reading everything there is, as it stood at one time, while everybody goes on.
//!
//! One transaction, repeatable read and read only, as the application's own role: it needs no right that the server
//! does not have. Each table is copied out in PostgreSQL's binary COPY format, tenant by tenant. What is sealed stays
//! sealed: nothing is opened here.
//!
//! Columns that only mean something in this cluster, or that the database numbers by itself, are left out: which
//! transaction wrote a row is said anew where it is restored. So are tables of what only lives for minutes
//! ([`LEFT_OUT`]).

use crate::crypto::secret_key::SecretKey;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_chain::Head;
use crate::store::connection::Settings;
use crate::store::error::StoreError;
use crate::store::keys::unavailable;
use crate::store::sql::Sql;
use crate::store::tenants::Tenant;
use bytes::Bytes;
use diesel::sql_types::{BigInt, Bool, SmallInt, Uuid as SqlUuid};
use futures_util::StreamExt as _;
use std::pin::Pin;
use tokio_postgres::{Client, CopyOutStream};
use uuid::Uuid;

/// Not copied: browsers that are signed in, codes and refresh tokens (so that nothing that was revoked since comes
/// back to life), files of exports that lie elsewhere. The steps of the schema and the keys are told apart.
const LEFT_OUT: &str = "'sessions', 'tickets', 'grant_tokens', 'files', 'keys', '__diesel_schema_migrations'";

/// A table to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name, with its schema.
    pub name: String,
    /// The columns to copy, in order.
    pub columns: Vec<String>,
    /// Its rows belong to tenants.
    pub is_walled: bool,
}

/// Everything, as it stood when this was opened.
pub struct Snapshot {
    client: Client,
    /// Every tenant.
    pub tenants: Vec<Tenant>,
    /// The last step of the schema.
    pub schema: String,
    /// The months of the trail that have a partition, such as `2026_11`.
    pub months: Vec<String>,
}

/// Rows on their way out of the database.
pub struct CopyOut(Pin<Box<CopyOutStream>>);

/// What was done with a backup. The number is stored and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupDeed {
    /// It was made.
    Made,
    /// It was restored, to be used.
    Restored,
    /// It was restored elsewhere, to see whether it can be.
    Drilled,
}

/// A backup that was made or restored, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupRecord {
    /// The id of the backup.
    pub id: Uuid,
    /// What was done with it.
    pub deed: BackupDeed,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// What was committed by then is in it.
    pub taken: i64,
    /// How long it took, in microseconds.
    pub took: i64,
    /// How much older it was than what there was to lose, in microseconds.
    pub behind: i64,
    /// How many rows it has.
    pub rows: i64,
    /// How many bytes.
    pub bytes: i64,
    /// Whether it was whole.
    pub is_whole: bool,
}

impl BackupDeed {
    /// The number to store.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            BackupDeed::Made => 1,
            BackupDeed::Restored => 2,
            BackupDeed::Drilled => 3,
        }
    }
}

/// It cannot be read, or not all of it.
pub(super) fn failed(error: tokio_postgres::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

impl Snapshot {
    /// Opens it. It is good for as long as it is kept, and holds vacuum back meanwhile.
    ///
    /// # Errors
    /// The database fails.
    pub async fn open(settings: &Settings) -> Result<Snapshot, StoreError> {
        let options = "-c role=vesta_app -c vesta.tenant=1 -c search_path=public -c statement_timeout=0 \
             -c idle_in_transaction_session_timeout=0 -c jit=off -c timezone=UTC";
        let client = settings.connect_plainly(options).await;
        let client = client.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        client
            .batch_execute("begin transaction isolation level repeatable read read only")
            .await
            .map_err(failed)?;
        let rows = client.query("select id, slug from tenants order by id", &[]).await.map_err(failed)?;
        let tenant = |row: &tokio_postgres::Row| {
            Some(Tenant { id: TenantId(row.try_get(0).ok()?), slug: row.try_get(1).ok()? })
        };
        let tenants = rows.iter().map(tenant).collect::<Option<Vec<_>>>();
        let tenants = tenants.ok_or(StoreError::broken("a tenant has no name"))?;
        let schema = texts(&client, "select max(version)::text from __diesel_schema_migrations").await?;
        let schema = schema.into_iter().next().ok_or(StoreError::broken("there is no schema"))?;
        let months = texts(
            &client,
            "select substr(c.relname::text, 14) from pg_inherits i join pg_class c on c.oid = i.inhrelid \
             where i.inhparent = 'public.audit_events'::regclass \
             and c.relname ~ '^audit_events_[0-9]{4}_[0-9]{2}$' order by 1",
        )
        .await?;
        Ok(Snapshot { client, tenants, schema, months })
    }

    /// The tables to copy, in order.
    ///
    /// # Errors
    /// The database fails, or one of them may not be read: none is left out for that.
    pub async fn tables(&self) -> Result<Vec<CopiedTable>, StoreError> {
        let sql = format!(
            "select n.nspname || '.' || c.relname, has_table_privilege(c.oid, 'select'), \
               array_agg(a.attname::text order by a.attnum), bool_or(a.attname = 'tenant') \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
               and a.attidentity = '' and a.attgenerated = '' and a.atttypid <> 'xid8'::regtype \
             where n.nspname in ('public', 'resource') and c.relkind in ('r', 'p') and not c.relispartition \
               and c.relname not in ({LEFT_OUT}) group by 1, 2 order by 1"
        );
        let rows = self.client.query(&sql, &[]).await.map_err(failed)?;
        let mut tables = Vec::with_capacity(rows.len());
        for row in rows {
            if !row.try_get::<_, bool>(1).map_err(failed)? {
                return Err(StoreError::broken("a table may not be read"));
            }
            tables.push(CopiedTable {
                name: row.try_get(0).map_err(failed)?,
                columns: row.try_get(2).map_err(failed)?,
                is_walled: row.try_get(3).map_err(failed)?,
            });
        }
        Ok(tables)
    }

    /// Copies a table out: the rows of a tenant, or those of a table that belongs to none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn copy(&self, table: &CopiedTable, tenant: Option<TenantId>) -> Result<CopyOut, StoreError> {
        let columns = quoted(&table.columns);
        let name = &table.name;
        let rows = match tenant {
            None => format!("select {columns} from {name}"),
            Some(tenant) => {
                self.look_at(tenant).await?;
                format!("select {columns} from {name} where tenant = {}", tenant.0)
            }
        };
        self.out(&format!("copy ({rows}) to stdout (format binary)")).await
    }

    /// Copies the wrapped keys of a tenant out, destroyed ones too: one JSON object a line, subject by subject.
    ///
    /// # Errors
    /// The database fails.
    pub async fn copy_keys(&self, tenant: TenantId) -> Result<CopyOut, StoreError> {
        self.look_at(tenant).await?;
        self.out(&format!(
            "copy (select json_build_object('tenant', tenant, 'purpose', purpose, 'subject', subject, 'epoch', epoch, \
             'created', created, 'active', is_active, 'destroyed', destroyed, 'wrapped', encode(wrapped, 'hex')) \
             from keys where tenant = {} order by purpose, subject, epoch) to stdout",
            tenant.0
        ))
        .await
    }

    /// Where the chain of a tenant's trail ends, and how many events are in no link yet.
    ///
    /// # Errors
    /// The database fails.
    pub async fn trail(&self, tenant: TenantId) -> Result<(Head, i64), StoreError> {
        self.look_at(tenant).await?;
        let head = self
            .client
            .query_opt(
                "select first + cardinality(events) - 1, substring(hashes from octet_length(hashes) - 31) \
                 from audit_chain where tenant = $1 order by first desc limit 1",
                &[&tenant.0],
            )
            .await
            .map_err(failed)?;
        let head = match head {
            None => Head::default(),
            Some(row) => {
                let hash: Vec<u8> = row.try_get(1).map_err(failed)?;
                Head { count: row.try_get(0).map_err(failed)?, hash: hash.try_into().unwrap_or_default() }
            }
        };
        let sql = "select count(*) from audit_events where tenant = $1";
        let events = self.client.query_one(sql, &[&tenant.0]).await.map_err(failed)?;
        Ok((head, events.try_get::<_, i64>(0).map_err(failed)?))
    }

    async fn look_at(&self, tenant: TenantId) -> Result<(), StoreError> {
        let sql = format!("set local vesta.tenant = '{}'", tenant.0);
        self.client.batch_execute(&sql).await.map_err(failed)
    }

    async fn out(&self, sql: &str) -> Result<CopyOut, StoreError> {
        Ok(CopyOut(Box::pin(self.client.copy_out(sql).await.map_err(failed)?)))
    }
}

impl CopyOut {
    /// More bytes; nothing after the last.
    ///
    /// # Errors
    /// The database fails.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.0.next().await.transpose().map_err(failed)
    }
}

impl Store {
    /// A new key for the backup with that id: the key, and as it is wrapped under the root key.
    ///
    /// # Errors
    /// The provider of the root key cannot be reached.
    pub async fn new_backup_key(&self, id: Uuid) -> Result<(SecretKey, Vec<u8>), StoreError> {
        let key = SecretKey::random();
        let wrapped = self.ring().wrap_apart(id.as_bytes(), &key).await.map_err(unavailable)?;
        Ok((key, wrapped))
    }

    /// The key of the backup with that id.
    ///
    /// # Errors
    /// The provider of the root key cannot be reached, or it was wrapped under another root key.
    pub async fn open_backup_key(&self, id: Uuid, wrapped: &[u8]) -> Result<SecretKey, StoreError> {
        self.ring().unwrap_apart(id.as_bytes(), wrapped).await.map_err(unavailable)
    }

    /// Keeps what was done with a backup.
    ///
    /// # Errors
    /// The database fails.
    pub async fn record_backup(&self, it: BackupRecord) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into backups (id, deed, at, taken, took, behind, rows, bytes, is_whole) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let sql = sql.with(it.id).with(it.deed.code()).with(it.at).with(it.taken).with(it.took);
        let sql = sql.with(it.behind).with(it.rows).with(it.bytes).with(it.is_whole);
        self.act(TenantId::FIRST, &sql).await?;
        Ok(())
    }

    /// The last backup of which that was done.
    ///
    /// # Errors
    /// The database fails.
    pub async fn last_backup(&self, deed: BackupDeed) -> Result<Option<BackupRecord>, StoreError> {
        let sql = Sql::new(
            "select id, at, taken, took, behind, rows, bytes, deed, is_whole from backups where deed = $1 \
             order by at desc limit 1",
        );
        type Types = (SqlUuid, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, SmallInt, Bool);
        type Row = (Uuid, i64, i64, i64, i64, i64, i64, i16, bool);
        let rows = self.ask::<Types, Row>(TenantId::FIRST, &[], &sql.with(deed.code())).await?;
        let row = rows.into_iter().next();
        Ok(row.map(|(id, at, taken, took, behind, rows, bytes, _, is_whole)| BackupRecord {
            id,
            deed,
            at,
            taken,
            took,
            behind,
            rows,
            bytes,
            is_whole,
        }))
    }
}

/// Names of columns, as SQL takes them whatever they are.
pub(super) fn quoted(columns: &[String]) -> String {
    columns.iter().map(|it| format!("\"{}\"", it.replace('"', ""))).collect::<Vec<_>>().join(", ")
}

async fn texts(client: &Client, sql: &str) -> Result<Vec<String>, StoreError> {
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    rows.iter().map(|row| row.try_get(0).map_err(failed)).collect()
}
