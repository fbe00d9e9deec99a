//! Months of the trail that left the database: what was archived, and dropping it as the owner.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_chain::{Hash, LOOK_BACK};
use crate::store::connection::Settings;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

/// A month of the trail in a file: which part of the chain it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The month, such as `2020_01`.
    pub month: String,
    /// The ids of its events: from here,
    pub low: i64,
    /// and below this one.
    pub high: i64,
    /// The place of the first event in the file.
    pub first: i64,
    /// The place of the last.
    pub last: i64,
    /// The hash before the first event.
    pub before: Hash,
    /// The hash of the last.
    pub head: Hash,
    /// When it was archived, in microseconds since 1970.
    pub archived: i64,
    /// The name of the key that signed this.
    pub key_id: String,
    /// The signature.
    pub signature: Vec<u8>,
}

/// How many months of the trail have a partition waiting for them.
const MONTHS_AHEAD: i32 = 13;

type Bounds = (i64, i64, i64, i64, i64);
type Row = (Bounds, String, Vec<u8>, Vec<u8>, String, Vec<u8>);
type RowTypes = ((BigInt, BigInt, BigInt, BigInt, BigInt), Text, Binary, Binary, Text, Binary);

impl Store {
    /// Every month that was archived, in order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_archives(&self, tenant: TenantId) -> Result<Vec<Archive>, StoreError> {
        let sql = Sql::new(
            "select low, high, first, last, archived, month, before, head, key_id, signature \
             from audit_archives where tenant = $1 order by low",
        );
        let rows: Vec<Row> = self.ask::<RowTypes, _>(tenant, &[], &sql.with(tenant.0)).await?;
        let hash = |bytes: Vec<u8>| bytes.try_into().unwrap_or_default();
        let archive =
            |((low, high, first, last, archived), month, before, head, key_id, signature): Row| Archive {
                month,
                low,
                high,
                first,
                last,
                before: hash(before),
                head: hash(head),
                archived,
                key_id,
                signature,
            };
        Ok(rows.into_iter().map(archive).collect())
    }

    /// Keeps what was archived. A month that is there already is left alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn append_archive(&self, tenant: TenantId, archive: &Archive) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into audit_archives (tenant, month, low, high, first, last, before, head, archived, key_id, signature) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing",
        );
        let sql = sql.with(tenant.0).with(archive.month.as_str()).with(archive.low).with(archive.high);
        let sql = sql.with(archive.first).with(archive.last).with(archive.before.to_vec());
        let sql = sql.with(archive.head.to_vec()).with(archive.archived).with(archive.key_id.as_str());
        sql.with(archive.signature.clone()).execute(&*self.upkeep(tenant).await?).await?;
        Ok(())
    }

    /// The places in the chain of the first and the last event with an id in that range.
    ///
    /// # Errors
    /// The database fails.
    pub async fn chain_range(
        &self,
        tenant: TenantId,
        low: i64,
        high: i64,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let sql = Sql::new(
            "select min(first + n - 1), max(first + n - 1) from audit_chain, unnest(events) with ordinality as e (id, n) \
             where tenant = $1 and youngest >= $2 and id >= $2 and id < $3",
        );
        let sql = sql.with(tenant.0).with(low).with(high);
        let rows: Vec<(Option<i64>, Option<i64>)> =
            self.ask::<(Nullable<BigInt>, Nullable<BigInt>), _>(tenant, &[], &sql).await?;
        Ok(rows.first().and_then(|(first, last)| first.zip(*last)))
    }

    /// After which place links are read that begin with the one in which this place is.
    ///
    /// # Errors
    /// The database fails.
    pub async fn link_before(&self, tenant: TenantId, place: i64) -> Result<i64, StoreError> {
        let sql =
            Sql::new("select coalesce(max(first), 1) - 1 from audit_chain where tenant = $1 and first <= $2");
        let rows: Vec<(i64,)> =
            self.ask::<(BigInt,), _>(tenant, &[], &sql.with(tenant.0).with(place)).await?;
        Ok(rows.first().map_or(0, |(first,)| *first))
    }

    /// Makes the partitions of the months to come.
    ///
    /// # Errors
    /// The database fails.
    pub async fn make_audit_months(&self, tenant: TenantId) -> Result<(), StoreError> {
        let sql = Sql::new("select create_audit_partitions($1, $2)").with(self.now()).with(MONTHS_AHEAD);
        sql.execute(&*self.upkeep(tenant).await?).await?;
        Ok(())
    }
}

/// Drops a month of the trail, as the role that owns it. The database refuses what is younger than six years, and
/// what is not archived.
///
/// # Errors
/// It refuses, or fails.
pub async fn drop_month(settings: &Settings, month: &str, now: i64) -> Result<(), StoreError> {
    let connection =
        settings.connect_as_owner().await.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    Sql::new("select drop_audit_month($1, $2)").with(month).with(now).execute(&connection).await?;
    Ok(())
}

/// The ids of a month such as `2020_01`: from the first on, and below the second. None if it is no month since 2020.
#[must_use]
pub fn ids_of_month(month: &str) -> Option<(i64, i64)> {
    let (year, number) = month.split_once('_')?;
    let start = jiff::civil::Date::new(year.parse().ok()?, number.parse().ok()?, 1).ok()?;
    let end = start.checked_add(jiff::Span::new().months(1)).ok()?;
    let id = |date: jiff::civil::Date| {
        let milliseconds = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
        Some(milliseconds.checked_sub(1_577_836_800_000).filter(|it| *it >= 0)? << 22)
    };
    Some((id(start)?, id(end)?))
}

/// How far ids look back for what may still be chained.
pub const ID_LOOK_BACK: i64 = (LOOK_BACK / 1000) << 22;
