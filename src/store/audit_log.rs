//! The trail's rows: appended, never changed; durable before any answer leaves.
//!
//! A write's row is in the statement or the transaction of the deed (`write.rs`). Everything else, reads,
//! searches, refusals, failures, comes through [`Store::append_audit`]: one task per tenant gathers what
//! waits into one insert, so that a busy server pays one flush for many answers. Whoever waits is woken
//! after the commit; if the trail cannot be written, everyone gets an error and nothing is released.
//!
//! A row is compact: patients are keyed hashes, entities are packed, and `detail` (the query string) is
//! sealed. Nobody's name is in it.

use crate::crypto::key_ring::{SubjectKey, TenantKeys};
use crate::crypto::seal;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::store::Store;
use crate::store::entities;
use crate::store::error::{Retry, StoreError, retry};
use crate::store::keys::NOBODY;
use crate::store::sql::Sql;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// One event: who did what to what, why, and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditRow {
    /// When, in microseconds since 1970.
    pub recorded: i64,
    /// What kind of event: a number of `audit::event`, which never changes.
    pub kind: i16,
    /// The AuditEvent action: `C`, `R`, `U`, `D` or `E`.
    pub action: char,
    /// The AuditEvent outcome: 0, 4, 8 or 12.
    pub outcome: i16,
    /// Whose request it was: the subject of the token.
    pub agent: String,
    /// The client through which it came.
    pub client: Option<String>,
    /// The purpose of use.
    pub purpose: Option<String>,
    /// The rule that permitted or refused it.
    pub rule: Option<String>,
    /// The id of the request.
    pub request: Option<Uuid>,
    /// The address it came from.
    pub network: Option<String>,
    /// Every patient whom the resources are about.
    pub patients: Vec<ResourceId>,
    /// The same as the numbers that the store gave ([`crate::store::resources::Stored::subject`]), for
    /// resources that were not looked into.
    pub subjects: Vec<i64>,
    /// Every resource that was touched or returned.
    pub entities: Vec<Entity>,
    /// What may hold personal data, such as a query string. Stored sealed.
    pub detail: Option<String>,
}

/// A resource that an event is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entity {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: ResourceId,
    /// Its version, where one is meant.
    pub version: Option<i32>,
}

/// As many events may wait; beyond that, requests are refused.
const WAITING: usize = 4096;
/// As many rows go into one insert.
const TOGETHER: usize = 500;
/// How long the writer waits for more, where the last time more than one event came at once: a busy server pays
/// a millisecond of an answer's time for one flush instead of several.
const GATHERING: Duration = Duration::from_millis(1);
/// How long a request waits for room in the queue.
const PATIENCE: Duration = Duration::from_secs(5);

/// The writers, one per tenant.
#[derive(Default)]
pub(super) struct AuditWriters {
    queues: Mutex<HashMap<TenantId, mpsc::Sender<Batch>>>,
}

/// What one request appends, and who waits for it.
struct Batch {
    rows: Vec<SealedRow>,
    written: oneshot::Sender<Result<(), StoreError>>,
}

/// A row as it is stored.
pub(super) struct SealedRow {
    pub(super) row: AuditRow,
    pub(super) id: i64,
    pub(super) patients: Vec<i64>,
    pub(super) entities: Vec<u8>,
    pub(super) detail: Option<Vec<u8>>,
}

impl Store {
    /// Appends events, and returns when they are durable.
    ///
    /// # Errors
    /// The trail cannot be written: then nothing that the events are about may be released.
    pub async fn append_audit(&self, tenant: TenantId, rows: Vec<AuditRow>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = self.seal_audit(tenant, rows).await?;
        let (written, done) = oneshot::channel();
        let queue = self.audit_queue(tenant);
        match tokio::time::timeout(PATIENCE, queue.send(Batch { rows, written })).await {
            Ok(Ok(())) => {}
            _ => return Err(StoreError::unavailable("the trail takes no more events now")),
        }
        done.await.unwrap_or_else(|_| Err(StoreError::unavailable("the writer of the trail ended")))
    }

    /// Makes rows as they are stored.
    pub(super) async fn seal_audit(
        &self,
        tenant: TenantId,
        rows: Vec<AuditRow>,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        let sealing = match rows.iter().any(|row| row.detail.is_some()) {
            true => self.sealing_keys(tenant, &[NOBODY]).await?.remove(&NOBODY),
            false => None,
        };
        let sealing = sealing.as_ref().and_then(|keys| keys.active());
        Ok(rows.into_iter().map(|row| self.seal_row(tenant, &keys, sealing, row)).collect())
    }

    fn seal_row(
        &self,
        tenant: TenantId,
        keys: &TenantKeys,
        sealing: Option<&SubjectKey>,
        row: AuditRow,
    ) -> SealedRow {
        let id = self.next_row_id();
        let mut patients: Vec<i64> =
            row.patients.iter().map(|patient| keys.subject_of_patient(patient.as_str())).collect();
        patients.extend(&row.subjects);
        patients.sort_unstable();
        patients.dedup();
        let detail = row.detail.as_ref().zip(sealing).map(|(detail, key)| {
            let mut sealed = key.epoch().to_be_bytes().to_vec();
            let place = detail_place(tenant, row.recorded);
            seal::seal_onto(&key.section_key("audit"), &place, detail.as_bytes(), &mut sealed);
            sealed
        });
        SealedRow { id, patients, entities: entities::pack(&row.entities), detail, row }
    }

    fn audit_queue(&self, tenant: TenantId) -> mpsc::Sender<Batch> {
        let mut queues = self.audit_writers().queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&tenant)
            && !queue.is_closed()
        {
            return queue.clone();
        }
        let (queue, batches) = mpsc::channel(WAITING);
        queues.insert(tenant, queue.clone());
        self.runtime().spawn(write_all(self.clone(), tenant, batches));
        queue
    }
}

/// Writes what waits, again and again.
async fn write_all(store: Store, tenant: TenantId, mut batches: mpsc::Receiver<Batch>) {
    let mut gathered = Vec::new();
    let mut is_busy = false;
    while batches.recv_many(&mut gathered, TOGETHER).await > 0 {
        if is_busy && gathered.len() < TOGETHER {
            tokio::time::sleep(GATHERING).await;
            while gathered.len() < TOGETHER
                && let Ok(batch) = batches.try_recv()
            {
                gathered.push(batch);
            }
        }
        is_busy = gathered.len() > 1;
        let mut rows = Vec::with_capacity(gathered.len());
        let mut waiting = Vec::with_capacity(gathered.len());
        for batch in gathered.drain(..) {
            rows.extend(batch.rows);
            waiting.push(batch.written);
        }
        let result = write(&store, tenant, &mut rows).await;
        for written in waiting {
            // Whoever does not wait any more, does not care.
            let _ = written.send(match &result {
                Ok(()) => Ok(()),
                Err(_) => Err(StoreError::unavailable("the trail could not be written")),
            });
        }
    }
}

/// One insert, and one more try where that may help.
async fn write(store: &Store, tenant: TenantId, rows: &mut [SealedRow]) -> Result<(), StoreError> {
    let first = match store.upkeep(tenant).await {
        Ok(connection) => insert(rows, tenant, false).execute(&connection).await,
        Err(error) => return Err(error),
    };
    let Err(error) = first else { return Ok(()) };
    let is_repeated = match retry(&error) {
        Retry::Never => {
            tracing::error!("the trail could not be written: {error}");
            return Err(error.into());
        }
        // The connection was lost: the rows may be there.
        Retry::Reading => {
            store.forget_idle(tenant);
            true
        }
        Retry::Always => false,
    };
    let connection = store.upkeep(tenant).await?;
    insert(rows, tenant, is_repeated).execute(&connection).await.map_err(|error| {
        tracing::error!("the trail could not be written: {error}");
        StoreError::from(error)
    })?;
    Ok(())
}

/// The columns, in the order in which [`push_one`] and [`push_many`] fill them.
const COLUMNS: &str = "id, recorded, tenant, kind, outcome, action, request, agent, client, purpose, rule, network, \
     patients, entities, detail";

/// The statement that appends these rows. Repeated, it leaves alone what is there already.
pub(super) fn insert(rows: &[SealedRow], tenant: TenantId, is_repeated: bool) -> Sql {
    let mut sql = Sql::new("");
    push_insert(&mut sql, rows, tenant, "");
    if is_repeated {
        sql.push(" on conflict (tenant, id) do nothing");
    }
    sql
}

/// Appends the statement to one that goes on around it. `from` continues the select, and may hold the
/// insert back.
pub(super) fn push_insert(sql: &mut Sql, rows: &[SealedRow], tenant: TenantId, from: &str) {
    sql.push("insert into audit_events (").push(COLUMNS).push(") ");
    match rows {
        [row] => push_one(sql, row, tenant, from),
        rows => push_many(sql, rows, tenant, from),
    }
}

fn push_one(sql: &mut Sql, row: &SealedRow, tenant: TenantId, from: &str) {
    let SealedRow { row, id, patients, entities, detail } = row;
    sql.push("select ").bind(*id).push("::bigint, ").bind(row.recorded).push("::bigint, ");
    sql.bind(tenant.0).push("::int, ").bind(row.kind).push("::smallint, ").bind(row.outcome);
    sql.push("::smallint, ").bind(row.action.to_string()).push("::text::\"char\", ");
    sql.bind(row.request).push("::uuid, ").bind(row.agent.clone()).push("::text, ");
    for text in [&row.client, &row.purpose, &row.rule, &row.network] {
        sql.bind(text.clone()).push("::text, ");
    }
    sql.bind(patients.clone()).push("::bigint[], ").bind(entities.clone()).push("::bytea, ");
    sql.bind(detail.clone()).push("::bytea").push(from);
}

fn push_many(sql: &mut Sql, rows: &[SealedRow], tenant: TenantId, from: &str) {
    fn list<T>(rows: &[SealedRow], of: impl Fn(&SealedRow) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    sql.push("select r.id, r.recorded, ")
        .bind(tenant.0)
        .push("::int, r.kind, r.outcome, r.action::\"char\", ");
    sql.push("r.request, r.agent, r.client, r.purpose, r.rule, r.network, ");
    // Arrays of arrays must be rectangular, so all patients stand in one, and each row takes its slice.
    sql.push("(").bind(rows.iter().flat_map(|it| it.patients.iter().copied()).collect::<Vec<i64>>());
    sql.push("::bigint[])[r.first:r.last], r.entities, r.detail from unnest(");
    sql.bind(list(rows, |it| it.id)).push("::bigint[], ");
    sql.bind(list(rows, |it| it.row.recorded)).push("::bigint[], ");
    sql.bind(list(rows, |it| it.row.kind)).push("::smallint[], ");
    sql.bind(list(rows, |it| it.row.outcome)).push("::smallint[], ");
    sql.bind(list(rows, |it| it.row.action.to_string())).push("::text[], ");
    sql.bind(list(rows, |it| it.row.request)).push("::uuid[], ");
    sql.bind(list(rows, |it| it.row.agent.clone())).push("::text[], ");
    sql.bind(list(rows, |it| it.row.client.clone())).push("::text[], ");
    sql.bind(list(rows, |it| it.row.purpose.clone())).push("::text[], ");
    sql.bind(list(rows, |it| it.row.rule.clone())).push("::text[], ");
    sql.bind(list(rows, |it| it.row.network.clone())).push("::text[], ");
    let (first, last) = slices(rows.iter().map(|it| it.patients.len()));
    sql.bind(first).push("::int[], ").bind(last).push("::int[], ");
    sql.bind(list(rows, |it| it.entities.clone())).push("::bytea[], ");
    sql.bind(list(rows, |it| it.detail.clone()))
        .push("::bytea[]) as r (id, recorded, kind, outcome, action, ");
    sql.push("request, agent, client, purpose, rule, network, first, last, entities, detail)").push(from);
}

/// The bounds of slices of these lengths, one after the other, as SQL counts them.
pub(super) fn slices(lengths: impl Iterator<Item = usize>) -> (Vec<i32>, Vec<i32>) {
    let mut end = 0_i32;
    lengths
        .map(|length| {
            let first = end.saturating_add(1);
            end = end.saturating_add(i32::try_from(length).unwrap_or(i32::MAX));
            (first, end)
        })
        .unzip()
}

/// Where a sealed detail belongs: it opens nowhere else.
pub(super) fn detail_place(tenant: TenantId, recorded: i64) -> Vec<u8> {
    let mut place = b"vesta audit detail".to_vec();
    place.extend_from_slice(&tenant.0.to_be_bytes());
    place.extend_from_slice(&recorded.to_be_bytes());
    place
}
