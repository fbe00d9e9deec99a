//! Writing everything into a database that has nothing in it.
//!
//! The schema is made as it was when the backup was taken, by the same steps; then all rows come in one transaction,
//! by COPY, as the role that owns the tables; then the steps that came since are applied. Row-level security keeps
//! even the owner from copying, so it is lifted for the owner alone, inside that transaction.

use crate::fhir::id::{ResourceType, TenantId};
use crate::store::Store;
use crate::store::backup::{failed, quoted};
use crate::store::connection::Settings;
use crate::store::error::StoreError;
use crate::store::migrate::migrate_to;
use crate::store::sql::Sql;
use crate::store::{hot, jobs::JobState};
use bytes::Bytes;
use futures_util::SinkExt as _;
use std::pin::Pin;
use tokio_postgres::{Client, CopyInSink};

/// A database that is being filled.
pub struct Restoring {
    client: Client,
    settings: Settings,
}

/// Rows on their way into the database.
pub struct CopyIn(Pin<Box<CopyInSink<Bytes>>>);

/// A wrapped key, as it goes back to where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredKey {
    /// The tenant.
    pub tenant: i32,
    /// What it is for.
    pub purpose: i16,
    /// Whose it is.
    pub subject: i64,
    /// Its number.
    pub epoch: i16,
    /// When it was made.
    pub created: i64,
    /// Whether new things are sealed with it.
    pub is_active: bool,
    /// When it was destroyed.
    pub destroyed: Option<i64>,
    /// The key, unless it was.
    pub wrapped: Option<Vec<u8>>,
}

impl Restoring {
    /// Makes the schema as it was after that step, and opens the transaction. `None` if there is something in the
    /// database already.
    ///
    /// # Errors
    /// The database fails, or this program does not know that step.
    pub async fn begin(settings: &Settings, schema: &str) -> Result<Option<Restoring>, StoreError> {
        let options = "-c search_path=public -c statement_timeout=0 -c idle_in_transaction_session_timeout=0";
        let client = settings.connect_plainly(options).await;
        let client = client.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let sql = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p') and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'";
        let tables: i64 = client.query_one(sql, &[]).await.map_err(failed)?.try_get(0).map_err(failed)?;
        if tables > 0 {
            return Ok(None);
        }
        migrate_to(settings, schema).await?;
        client
            .batch_execute("begin; set local role vesta_owner; delete from tenants")
            .await
            .map_err(failed)?;
        Ok(Some(Restoring { client, settings: settings.clone() }))
    }

    /// Makes the table of a type of resources, if the name is that of one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn make_table(&self, name: &str) -> Result<(), StoreError> {
        let Some(name) = name.strip_prefix("resource.") else { return Ok(()) };
        let Some(of) = ResourceType::all().find(|it| it.name().eq_ignore_ascii_case(name)) else {
            return Ok(());
        };
        let shape = hot::shape(of);
        let sql = format!(
            "select create_resource_table('{}', {}, {}, {}, {})",
            of.name(),
            shape.has_date,
            shape.has_code,
            shape.has_quantity,
            shape.is_target
        );
        self.client.batch_execute(&sql).await.map_err(failed)
    }

    /// Makes the months of the trail from that one on, such as `2026_11`, so many.
    ///
    /// # Errors
    /// The database fails.
    pub async fn make_months(&self, first: &str, count: i32) -> Result<(), StoreError> {
        let sql = "select create_audit_partitions((extract(epoch from to_timestamp($1, 'YYYY_MM') at time zone 'UTC') \
             * 1000000)::bigint, $2)";
        self.client.query(sql, &[&first, &count]).await.map_err(failed)?;
        Ok(())
    }

    /// Begins to copy rows in.
    ///
    /// # Errors
    /// The database fails, or has no such table.
    pub async fn copy(&self, table: &str, columns: &[String]) -> Result<CopyIn, StoreError> {
        let is_name = |it: &str| it.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
        if !is_name(table) {
            return Err(StoreError::broken("this is not the name of a table"));
        }
        self.client
            .batch_execute(&format!("alter table {table} no force row level security"))
            .await
            .map_err(failed)?;
        let sql = format!("copy {table} ({}) from stdin (format binary)", quoted(columns));
        Ok(CopyIn(Box::pin(self.client.copy_in(&sql).await.map_err(failed)?)))
    }

    /// Puts wrapped keys back.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_keys(&self, keys: Vec<RestoredKey>) -> Result<u64, StoreError> {
        self.client.batch_execute("alter table keys no force row level security").await.map_err(failed)?;
        let sql = "insert into keys (tenant, purpose, subject, epoch, created, is_active, destroyed, wrapped) \
             select * from unnest($1::int[], $2::smallint[], $3::bigint[], $4::smallint[], $5::bigint[], \
             $6::boolean[], $7::bigint[], $8::bytea[])";
        let wrapped: Vec<Option<&[u8]>> = keys.iter().map(|it| it.wrapped.as_deref()).collect();
        let put = self
            .client
            .execute(
                sql,
                &[
                    &keys.iter().map(|it| it.tenant).collect::<Vec<_>>(),
                    &keys.iter().map(|it| it.purpose).collect::<Vec<_>>(),
                    &keys.iter().map(|it| it.subject).collect::<Vec<_>>(),
                    &keys.iter().map(|it| it.epoch).collect::<Vec<_>>(),
                    &keys.iter().map(|it| it.created).collect::<Vec<_>>(),
                    &keys.iter().map(|it| it.is_active).collect::<Vec<_>>(),
                    &keys.iter().map(|it| it.destroyed).collect::<Vec<_>>(),
                    &wrapped,
                ],
            )
            .await;
        put.map_err(failed)
    }

    /// Raises the walls again, and makes it last.
    ///
    /// # Errors
    /// The database fails: then nothing is restored.
    pub async fn commit(self) -> Result<(), StoreError> {
        let raise = "do $$ declare lowered regclass; begin \
             for lowered in select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where n.nspname in ('public', 'resource') and c.relrowsecurity and not c.relforcerowsecurity loop \
               execute format('alter table %s force row level security', lowered); end loop; end $$";
        self.client.batch_execute(raise).await.map_err(failed)?;
        self.client.batch_execute("commit").await.map_err(failed)?;
        self.client.batch_execute("analyze").await.map_err(failed)?;
        Ok(())
    }

    /// The database that is filled.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl CopyIn {
    /// Sends bytes.
    ///
    /// # Errors
    /// The database refuses them.
    pub async fn send(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.0.send(Bytes::from(bytes)).await.map_err(failed)
    }

    /// Ends: how many rows there were.
    ///
    /// # Errors
    /// The database refuses them.
    pub async fn finish(mut self) -> Result<u64, StoreError> {
        self.0.as_mut().finish().await.map_err(failed)
    }
}

impl Store {
    /// Gives up the jobs of these kinds that were waiting or running: what they worked on is not there any more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn give_up_jobs(&self, tenant: TenantId, kinds: &[&str]) -> Result<usize, StoreError> {
        let sql = Sql::new(
            "update jobs set state = $3, finished = $4, leased_until = null, problem = 'the database was restored' \
             where tenant = $1 and kind = any($2) and state <= 1",
        );
        let kinds: Vec<String> = kinds.iter().map(|it| (*it).to_owned()).collect();
        let sql = sql.with(tenant.0).with(kinds).with(JobState::Failed.code()).with(self.now());
        self.act(tenant, &sql).await
    }

    /// Removes the rows of a patient who was destroyed after the backup was made: how many. Their keys did not come
    /// back. `None` if a legal hold of that time stands.
    ///
    /// # Errors
    /// The database fails.
    pub async fn shred_again(&self, tenant: TenantId, subject: i64) -> Result<Option<u64>, StoreError> {
        let sql = Sql::new(
            "select id from legal_holds where tenant = $1 and lifted is null and subject in (0, $2)",
        );
        let sql = sql.with(tenant.0).with(subject);
        type Held = (diesel::sql_types::Uuid,);
        if !self.ask::<Held, (uuid::Uuid,)>(tenant, &[], &sql).await?.is_empty() {
            return Ok(None);
        }
        self.remove_subject(tenant, subject).await.map(Some)
    }
}
