//! The trail on its way out: events in the order of the chain, and how far each receiver was served.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_chain::Hash;
use crate::store::audit_events::{AuditEvent, AuditFilter};
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{Array, BigInt, Binary};
use std::collections::HashMap;
use uuid::Uuid;

/// How far a receiver was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Events up to that place of the chain.
    pub place: i64,
    /// Checkpoints up to that count.
    pub checkpoint: i64,
}

/// An event at its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedEvent {
    /// Its place, from 1.
    pub place: i64,
    /// The hash that the chain holds for it.
    pub hash: Hash,
    /// The event; nothing if it is not there any more.
    pub event: Option<AuditEvent>,
}

/// As many links are read at a time.
const LINKS: i64 = 50;

impl Store {
    /// The events after that place of the chain, in its order, as many as that at most.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn events_after(
        &self,
        tenant: TenantId,
        place: i64,
        most: usize,
    ) -> Result<Vec<PlacedEvent>, StoreError> {
        let sql = Sql::new(
            "select first, events, hashes from audit_chain where tenant = $1 and first >= coalesce(\
             (select max(first) from audit_chain where tenant = $1 and first <= $2), 0) order by first limit $3",
        );
        type Row = (i64, Vec<i64>, Vec<u8>);
        let sql = sql.with(tenant.0).with(place.saturating_add(1)).with(LINKS);
        let links: Vec<Row> = self.ask::<(BigInt, Array<BigInt>, Binary), _>(tenant, &[], &sql).await?;
        let mut placed = Vec::new();
        for (first, ids, hashes) in &links {
            let (hashes, _) = hashes.as_chunks::<32>();
            let of_link = (*first..).zip(ids.iter().zip(hashes));
            placed.extend(of_link.filter(|(at, _)| *at > place).map(|(at, (id, hash))| (at, *id, *hash)));
        }
        placed.truncate(most);
        let Some(count) = u32::try_from(placed.len()).ok().filter(|it| *it > 0) else {
            return Ok(Vec::new());
        };
        let ids = placed.iter().map(|(_, id, _)| *id).collect();
        let found = self.audit_events(tenant, &AuditFilter { ids, count, ..AuditFilter::default() }).await?;
        let mut events: HashMap<i64, AuditEvent> = found.into_iter().map(|it| (it.id, it)).collect();
        let event = |(place, id, hash)| PlacedEvent { place, hash, event: events.remove(&id) };
        Ok(placed.into_iter().map(event).collect())
    }

    /// Takes the cursor of a receiver for so many microseconds, or holds it on; nothing while another server has it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn take_cursor(
        &self,
        tenant: TenantId,
        (target, holder): (&str, Uuid),
        lease: i64,
    ) -> Result<Option<Cursor>, StoreError> {
        let sql = Sql::new(
            "insert into audit_cursors as c (tenant, target, holder, leased_until, moved, place, checkpoint) \
             values ($1, $2, $3, $4, $5, 0, 0) on conflict (tenant, target) do update \
             set holder = excluded.holder, leased_until = excluded.leased_until \
             where c.leased_until < $5 or c.holder = excluded.holder returning place, checkpoint",
        );
        let now = self.now();
        let sql = sql.with(tenant.0).with(target).with(holder).with(now.saturating_add(lease)).with(now);
        let connection = self.upkeep(tenant).await?;
        let rows: Vec<(i64, i64)> = sql.rows::<(BigInt, BigInt), _>(&connection).await?;
        Ok(rows.first().map(|(place, checkpoint)| Cursor { place: *place, checkpoint: *checkpoint }))
    }

    /// Moves the cursor on; false if another server has it by now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn move_cursor(
        &self,
        tenant: TenantId,
        (target, holder): (&str, Uuid),
        cursor: Cursor,
    ) -> Result<bool, StoreError> {
        let sql = Sql::new(
            "update audit_cursors set place = $4, checkpoint = $5, moved = $6 \
             where tenant = $1 and target = $2 and holder = $3",
        );
        let sql = sql.with(tenant.0).with(target).with(holder).with(cursor.place).with(cursor.checkpoint);
        Ok(sql.with(self.now()).execute(&*self.upkeep(tenant).await?).await? == 1)
    }

    /// How far each receiver was served, by its name, and when it last took something.
    ///
    /// # Errors
    /// The database fails.
    pub async fn cursors(&self, tenant: TenantId) -> Result<Vec<(String, Cursor, i64)>, StoreError> {
        let sql = Sql::new(
            "select target, place, checkpoint, moved from audit_cursors where tenant = $1 order by target",
        );
        type Row = (String, i64, i64, i64);
        let rows: Vec<Row> = self
            .ask::<(diesel::sql_types::Text, BigInt, BigInt, BigInt), _>(tenant, &[], &sql.with(tenant.0))
            .await?;
        Ok(rows
            .into_iter()
            .map(|(target, place, checkpoint, moved)| (target, Cursor { place, checkpoint }, moved))
            .collect())
    }
}
