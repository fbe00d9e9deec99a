//! The chain over the trail: which events in which order, the hash of each, and signed checkpoints.
//!
//! Writers of the trail never wait for each other. One sealer at a time, whichever server it runs on, takes
//! the events that stand in no link yet and appends a link. What a hash is and who signs is for the caller
//! to say: here is only what is hashed ([`ChainedEvent::canonical`]) and where it is kept.
//!
//! An event may become visible after a younger one was chained, so the order of the chain is its own. The
//! sealer looks back [`LOOK_BACK`], which no transaction outlives: the database ends them sooner.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::connection::Pooled;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use std::collections::HashMap;
use uuid::Uuid;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// How far back an event may lie that is in no link yet, in microseconds.
pub const LOOK_BACK: i64 = 5 * 60 * 1_000_000;

/// About how many events are read at a time.
const STRETCH: i64 = 10_000;

/// Where the chain ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// How many events are chained.
    pub count: i64,
    /// The hash of the last; zeros before the first.
    pub hash: Hash,
}

/// An event as the chain covers it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainedEvent {
    /// Its id.
    pub id: i64,
    /// Every column, each counted: what is hashed. Nothing if the event is not there any more.
    pub canonical: Option<Vec<u8>>,
    /// The hash that the chain holds for it.
    pub hash: Hash,
}

/// A link: the events of one go of the sealer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The place of its first event, from 1.
    pub first: i64,
    /// Its events, in order.
    pub events: Vec<ChainedEvent>,
}

/// Some signed state of the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Where the chain ended.
    pub head: Head,
    /// When it was signed, in microseconds since 1970.
    pub signed: i64,
    /// The name of the key that signed it.
    pub key_id: String,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The hash of an event, from the hash before it and its canonical bytes.
pub type HashOf = fn(&Hash, &[u8]) -> Hash;

impl Store {
    /// Chains events that are not chained yet, as many as that at most, and says how many there were. Nothing
    /// if another server is at it.
    ///
    /// # Errors
    /// The database fails: then nothing was chained.
    pub async fn chain_audit(&self, tenant: TenantId, count: u32, hash: HashOf) -> Result<usize, StoreError> {
        let store = self.clone();
        let task = self.runtime().spawn(async move {
            let mut connection = store.upkeep(tenant).await?;
            connection.batch_execute("begin").await?;
            let result = chain(&connection, tenant, count, store.now(), hash).await;
            let end = if result.is_ok() { "commit" } else { "rollback" };
            if let Err(error) = connection.batch_execute(end).await {
                drop(Pooled::take(connection));
                return Err(error.into());
            }
            Ok(result?)
        });
        task.await.unwrap_or_else(|_| Err(StoreError::broken("the sealer of the trail ended before its end")))
    }

    /// Where the chain ends.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        let rows = self.ask::<HeadTypes, _>(tenant, &[], &head_question(tenant)).await?;
        Ok(head(&rows))
    }

    /// The links of the chain that begin after that place, in order, each whole with its events: so many that
    /// they hold about [`STRETCH`] events, and at least one if there is one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn chain_links(&self, tenant: TenantId, after: i64) -> Result<Vec<Link>, StoreError> {
        let sql = Sql::new(
            "select first, events, hashes from (select first, events, hashes, \
             sum(cardinality(events)) over (order by first) - cardinality(events) as before \
             from (select first, events, hashes from audit_chain where tenant = $1 and first > $2 \
             order by first limit 500) as links) as stretch where before < $3 order by first",
        );
        type Row = (i64, Vec<i64>, Vec<u8>);
        let sql = sql.with(tenant.0).with(after).with(STRETCH);
        let links: Vec<Row> = self.ask::<(BigInt, Array<BigInt>, Binary), _>(tenant, &[], &sql).await?;
        let ids: Vec<i64> = links.iter().flat_map(|(_, ids, _)| ids.iter().copied()).collect();
        let mut sql = Sql::new(COLUMNS);
        sql.push(" where tenant = ").bind(tenant.0).push(" and id = any(").bind(ids).push(")");
        let rows = self.ask::<Types, Columns>(tenant, &[], &sql).await?;
        let events: HashMap<i64, Columns> = rows.into_iter().map(|row| (row.0.0, row)).collect();
        let link = |(first, ids, hashes): Row| {
            let (hashes, _) = hashes.as_chunks::<32>();
            let event = |(id, hash): (i64, &Hash)| ChainedEvent {
                id,
                canonical: events.get(&id).map(|row| canonical(tenant, row)),
                hash: *hash,
            };
            Link { first, events: ids.into_iter().zip(hashes).map(event).collect() }
        };
        Ok(links.into_iter().map(link).collect())
    }

    /// The ids of the events above one id and up to another, in order, as many as that at most: whether they
    /// are chained or not.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_ids(
        &self,
        tenant: TenantId,
        above: i64,
        to: i64,
        count: u32,
    ) -> Result<Vec<i64>, StoreError> {
        let sql = Sql::new(
            "select id from audit_events where tenant = $1 and id > $2 and id <= $3 order by id limit $4",
        );
        let sql = sql.with(tenant.0).with(above).with(to).with(i64::from(count));
        let rows: Vec<(i64,)> = self.ask::<(BigInt,), _>(tenant, &[], &sql).await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The hash of the event at that place of the chain (from 1), if it reaches so far.
    ///
    /// # Errors
    /// The database fails.
    pub async fn chain_hash(&self, tenant: TenantId, place: i64) -> Result<Option<Hash>, StoreError> {
        let sql = Sql::new(
            "select substring(hashes from (32 * ($2 - first) + 1)::int for 32) from audit_chain \
             where tenant = $1 and first <= $2 order by first desc limit 1",
        );
        let rows: Vec<(Vec<u8>,)> =
            self.ask::<(Binary,), _>(tenant, &[], &sql.with(tenant.0).with(place)).await?;
        Ok(rows.into_iter().next().and_then(|(hash,)| hash.try_into().ok()))
    }

    /// When the oldest event was recorded that is younger than the chain: how far the sealer is behind.
    ///
    /// # Errors
    /// The database fails.
    pub async fn oldest_unchained(&self, tenant: TenantId) -> Result<Option<i64>, StoreError> {
        let sql = Sql::new(
            "select recorded from audit_events where tenant = $1 \
             and id > (select coalesce(max(youngest), 0) from audit_chain where tenant = $1) order by id limit 1",
        );
        let rows: Vec<(i64,)> = self.ask::<(BigInt,), _>(tenant, &[], &sql.with(tenant.0)).await?;
        Ok(rows.first().map(|(recorded,)| *recorded))
    }

    /// Whether the database would take an event now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn takes_audit(&self, tenant: TenantId) -> Result<bool, StoreError> {
        let sql = Sql::new(
            "select has_table_privilege('audit_events', 'insert') and not pg_is_in_recovery() \
             and current_setting('transaction_read_only') = 'off'",
        );
        let rows: Vec<(bool,)> = sql.rows::<(Bool,), _>(&*self.upkeep(tenant).await?).await?;
        Ok(rows == [(true,)])
    }

    /// Keeps a signed checkpoint. One that is there already is left alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn append_checkpoint(
        &self,
        tenant: TenantId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into audit_checkpoints (count, signed, tenant, head, key_id, signature) \
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        );
        let Checkpoint { head, signed, key_id, signature } = checkpoint;
        let sql = sql.with(head.count).with(*signed).with(tenant.0).with(head.hash.to_vec());
        sql.with(key_id.as_str()).with(signature.clone()).execute(&*self.upkeep(tenant).await?).await?;
        Ok(())
    }

    /// Every checkpoint, oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn checkpoints(&self, tenant: TenantId) -> Result<Vec<Checkpoint>, StoreError> {
        let mut sql = Sql::new(CHECKPOINTS);
        sql.bind(tenant.0).push(" order by count");
        self.checkpoints_of(tenant, &sql).await
    }

    /// Every checkpoint that covers more than so many events, oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn checkpoints_after(
        &self,
        tenant: TenantId,
        count: i64,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let mut sql = Sql::new(CHECKPOINTS);
        sql.bind(tenant.0).push(" and count > ").bind(count).push(" order by count limit 1000");
        self.checkpoints_of(tenant, &sql).await
    }

    /// The checkpoint that covers the most.
    ///
    /// # Errors
    /// The database fails.
    pub async fn last_checkpoint(&self, tenant: TenantId) -> Result<Option<Checkpoint>, StoreError> {
        let mut sql = Sql::new(CHECKPOINTS);
        sql.bind(tenant.0).push(" order by count desc limit 1");
        Ok(self.checkpoints_of(tenant, &sql).await?.pop())
    }

    async fn checkpoints_of(&self, tenant: TenantId, sql: &Sql) -> Result<Vec<Checkpoint>, StoreError> {
        type Types = (BigInt, BigInt, Binary, Text, Binary);
        type Row = (i64, i64, Vec<u8>, String, Vec<u8>);
        let rows: Vec<Row> = self.ask::<Types, _>(tenant, &[], sql).await?;
        let checkpoint = |(count, signed, hash, key_id, signature): Row| {
            let hash = hash.try_into().unwrap_or_default();
            Checkpoint { head: Head { count, hash }, signed, key_id, signature }
        };
        Ok(rows.into_iter().map(checkpoint).collect())
    }
}

const CHECKPOINTS: &str =
    "select count, signed, head, key_id, signature from audit_checkpoints where tenant = ";
const COLUMNS: &str = "select id, recorded, kind, outcome, action::text, request, agent, client, purpose, rule, \
     network, patients, entities, detail from audit_events";

type Columns = (
    (i64, i64, i16, i16, String, Option<Uuid>),
    (String, Option<String>, Option<String>, Option<String>, Option<String>),
    (Vec<i64>, Vec<u8>, Option<Vec<u8>>),
);
type Types = (
    (BigInt, BigInt, SmallInt, SmallInt, Text, Nullable<SqlUuid>),
    (Text, Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<Text>),
    (Array<BigInt>, Binary, Nullable<Binary>),
);
type HeadTypes = (BigInt, BigInt, Binary);

async fn chain(
    connection: &AsyncPgConnection,
    tenant: TenantId,
    count: u32,
    now: i64,
    hash: HashOf,
) -> Result<usize, DieselError> {
    let lock = Sql::new("select pg_try_advisory_xact_lock(hashtextextended('chain_audit', $1))");
    let locked: Vec<(bool,)> = lock.with(i64::from(tenant.0)).rows::<(Bool,), _>(connection).await?;
    if locked != [(true,)] {
        return Ok(0);
    }
    let mut head = head(&head_question(tenant).rows::<HeadTypes, _>(connection).await?);
    let mut sql = Sql::new(COLUMNS);
    let tenant_place = sql.value(tenant.0);
    let floor = "(select max(youngest) from audit_chain where tenant = ";
    sql.push(" as e where tenant = ").place(tenant_place).push(" and id > coalesce(").push(floor);
    let look_back = sql.place(tenant_place).push(") - ").value((LOOK_BACK / 1000) << 22);
    sql.place(look_back).push(", 0) and id not in (select unnest(events) from audit_chain where tenant = ");
    sql.place(tenant_place).push(" and youngest > ").push(floor).place(tenant_place).push(") - ");
    sql.place(look_back).push(") order by id limit ").bind(i64::from(count));
    let events: Vec<Columns> = sql.rows::<Types, _>(connection).await?;
    if events.is_empty() {
        return Ok(0);
    }
    let first = head.count + 1;
    let mut hashes = Vec::with_capacity(events.len() * 32);
    for event in &events {
        head.hash = hash(&head.hash, &canonical(tenant, event));
        hashes.extend_from_slice(&head.hash);
    }
    let ids: Vec<i64> = events.iter().map(|event| event.0.0).collect();
    let link = Sql::new(
        "insert into audit_chain (first, youngest, sealed, tenant, events, hashes) \
         values ($1, $2, $3, $4, $5, $6)",
    );
    let youngest = ids.iter().copied().max().unwrap_or_default();
    let link = link.with(first).with(youngest).with(now).with(tenant.0).with(ids).with(hashes);
    link.execute(connection).await?;
    Ok(events.len())
}

fn head_question(tenant: TenantId) -> Sql {
    Sql::new(
        "select first, cardinality(events)::bigint, substring(hashes from octet_length(hashes) - 31) \
         from audit_chain where tenant = $1 order by first desc limit 1",
    )
    .with(tenant.0)
}

fn head(rows: &[(i64, i64, Vec<u8>)]) -> Head {
    match rows {
        [(first, count, hash), ..] => {
            Head { count: first + count - 1, hash: hash.as_slice().try_into().unwrap_or_default() }
        }
        [] => Head::default(),
    }
}

/// Every column, as it is stored, each with its length before it; an absent one has the length -1.
fn canonical(tenant: TenantId, row: &Columns) -> Vec<u8> {
    let ((id, recorded, kind, outcome, action, request), texts, (patients, entities, detail)) = row;
    let mut bytes = Vec::with_capacity(256);
    let mut push = |value: Option<&[u8]>| {
        let length = value.map_or(-1, |it| i32::try_from(it.len()).unwrap_or(i32::MAX));
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(value.unwrap_or_default());
    };
    push(Some(&tenant.0.to_be_bytes()));
    push(Some(&id.to_be_bytes()));
    push(Some(&recorded.to_be_bytes()));
    push(Some(&kind.to_be_bytes()));
    push(Some(&outcome.to_be_bytes()));
    push(Some(action.as_bytes()));
    push(request.as_ref().map(|it| it.as_bytes().as_slice()));
    push(Some(texts.0.as_bytes()));
    for text in [&texts.1, &texts.2, &texts.3, &texts.4] {
        push(text.as_ref().map(String::as_bytes));
    }
    push(Some(&patients.iter().flat_map(|it| it.to_be_bytes()).collect::<Vec<u8>>()));
    push(Some(entities));
    push(detail.as_deref());
    bytes
}
