//! Index rows made anew, for resources that stay as they are: when there is a new search parameter.
//!
//! Rows are walked in the order of their numbers, a page at a time. A row that somebody changed since it was
//! read keeps what that write gave it, which is newer. Writers never wait for more than one page.

use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::seal_class::SealClasses;
use crate::search::index::Index;
use crate::store::Store;
use crate::store::audit_log::slices;
use crate::store::error::{Retry, StoreError, retry};
use crate::store::logical_id;
use crate::store::resources::{Sealed, Stored};
use crate::store::search_index::{self, Entries, Posting};
use crate::store::sql::Sql;
use crate::store::sql_value::Value;
use crate::store::tables::table;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use uuid::Uuid;

/// Tries a page again so often when the database rolled it back.
const ATTEMPTS: u32 = 6;

/// The name of the job that walks.
pub const KIND: &str = "reindex";

/// What a job shall walk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Walk {
    /// The names of the types; none for all that are used.
    pub types: Vec<String>,
    /// The search parameters that are built when it is done: type, code and the digest in hexadecimal.
    pub build: Vec<(String, String, String)>,
    /// Only what was written since then, in microseconds since 1970.
    #[serde(default)]
    pub since: Option<i64>,
}

/// How far it got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walked {
    /// The types to walk.
    pub types: Vec<String>,
    /// The place of the type that is walked.
    pub place: usize,
    /// The last row that is done.
    pub after: i64,
    /// The last row that there was when the type was begun: newer ones were written with the parameter.
    pub until: i64,
    /// How many resources were looked at.
    pub done: u64,
    /// How many of them somebody changed meanwhile, so that there was nothing to do.
    pub skipped: u64,
}

/// A page of the current rows of a type.
#[derive(Clone, Debug, Default)]
pub struct RowPage {
    /// Each row's number, and what it holds. What nobody can read any more is left out.
    pub rows: Vec<(i64, Stored)>,
    /// The number of the last row, if there was one.
    pub last: Option<i64>,
}

/// What a row shall be found by.
#[derive(Clone, Debug)]
pub struct Reindexed {
    /// Its number.
    pub row: i64,
    /// The id of the resource.
    pub id: ResourceId,
    /// The version that was looked at.
    pub version: i32,
    /// What it can be found by.
    pub index: Index,
}

impl Store {
    /// The greatest number of a row of that type; nothing where there is none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn last_row(&self, tenant: TenantId, of: ResourceType) -> Result<Option<i64>, StoreError> {
        let sql = Sql::new(format!("select max(rid) from {} where tenant = $1", table(of)));
        let rows = self.ask::<Nullable<BigInt>, Option<i64>>(tenant, &[of], &sql.with(tenant.0)).await?;
        Ok(rows.into_iter().next().flatten())
    }

    /// What stands in the rows after that one, whole; without what was deleted.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rows_after(
        &self,
        tenant: TenantId,
        of: ResourceType,
        after: i64,
        most: u32,
    ) -> Result<RowPage, StoreError> {
        let sql = Sql::new(format!("{} order by rid limit $3", current_rows(of)));
        self.row_page(tenant, of, sql.with(tenant.0).with(after).with(i64::from(most))).await
    }

    /// The same, only of what was written since then, in microseconds since 1970.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rows_written_since(
        &self,
        tenant: TenantId,
        of: ResourceType,
        (after, since): (i64, i64),
        most: u32,
    ) -> Result<RowPage, StoreError> {
        let sql = Sql::new(format!(
            "{} and rid in (select rid from changes where tenant = $1 and type = $4 and at >= $5) \
             order by rid limit $3",
            current_rows(of)
        ));
        let sql = sql.with(tenant.0).with(after).with(i64::from(most)).with(of.code()).with(since);
        self.row_page(tenant, of, sql).await
    }

    async fn row_page(&self, tenant: TenantId, of: ResourceType, sql: Sql) -> Result<RowPage, StoreError> {
        type Types = (BigInt, SqlUuid, Nullable<Text>, Integer, BigInt, SmallInt, Nullable<BigInt>, Binary);
        type Columns = (i64, Uuid, Option<String>, i32, i64, i16, Option<i64>, Vec<u8>);
        let mut places = HashMap::new();
        let mut sealed = Vec::new();
        let mut last = None;
        for columns in self.ask::<Types, Columns>(tenant, &[of], &sql).await? {
            let (row, id, id_text, version, last_updated, deed, subject, body) = columns;
            last = Some(row);
            let id = logical_id::read(id, id_text).ok_or(StoreError::broken("a stored id is none"))?;
            places.insert(id.clone(), row);
            sealed.push(Sealed { resource_type: of, id, version, last_updated, deed, subject, body });
        }
        let stored = self.unseal(tenant, sealed, SealClasses::ALL).await?;
        let rows = stored.into_iter().filter_map(|it| Some((*places.get(&it.id)?, it)));
        Ok(RowPage { rows: rows.collect(), last })
    }

    /// A resource with the number of its row, whole; nothing where there is none, or it is deleted.
    ///
    /// # Errors
    /// The database fails.
    pub async fn row_of(
        &self,
        tenant: TenantId,
        of: ResourceType,
        id: &ResourceId,
    ) -> Result<Option<(i64, Stored)>, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        let (uuid, _) = logical_id::stored(&keys, id);
        let sql = Sql::new(format!("select rid from {} where tenant = $1 and id = $2", table(of)));
        let rows = self.ask::<BigInt, i64>(tenant, &[of], &sql.with(tenant.0).with(uuid)).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let page = self.rows_after(tenant, of, row.saturating_sub(1), 1).await?;
        Ok(page.rows.into_iter().find(|(it, _)| *it == row))
    }

    /// Replaces what these rows are found by, where the version is still the one that was looked at; how many
    /// those were. Whose a resource is does not change: what is nobody's, such as what tells of a patient's
    /// destruction, stays so, although it names a patient.
    ///
    /// # Errors
    /// The database fails.
    pub async fn replace_index(
        &self,
        tenant: TenantId,
        of: ResourceType,
        rows: &[Reindexed],
    ) -> Result<usize, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let keys = self.tenant_keys(tenant).await?;
        let entries: Vec<Entries> =
            rows.iter().map(|row| search_index::entries(&keys, of, &row.id, &row.index)).collect();
        let sql = replacing(tenant, of, rows, &entries).uncached();
        let mut attempt = 1;
        loop {
            let connection = self.connection_for(tenant, &[of]).await?;
            match sql.rows::<(BigInt,), (i64,)>(&connection).await {
                Err(error) if attempt < ATTEMPTS && retry(&error) == Retry::Always => attempt += 1,
                replaced => return Ok(replaced?.len()),
            }
        }
    }
}

fn current_rows(of: ResourceType) -> String {
    format!(
        "select rid, id, id_text, version, updated, deed, patient, body from {} \
         where tenant = $1 and rid > $2 and deed <> 3",
        table(of)
    )
}

fn replacing(tenant: TenantId, of: ResourceType, rows: &[Reindexed], entries: &[Entries]) -> Sql {
    let table = table(of);
    let (first, last) = slices(entries.iter().map(|it| it.keys.len()));
    let mut sql = Sql::new("with n as materialized (select * from unnest(");
    let arrays: [(Value, &str); 12] = [
        (rows.iter().map(|it| it.row).collect::<Vec<i64>>().into(), "bigint"),
        (rows.iter().map(|it| it.version).collect::<Vec<i32>>().into(), "int"),
        (entries.iter().map(|it| it.date.map(|it| it.0)).collect::<Vec<_>>().into(), "bigint"),
        (entries.iter().map(|it| it.date.map(|it| it.1)).collect::<Vec<_>>().into(), "bigint"),
        (entries.iter().map(|it| it.code).collect::<Vec<_>>().into(), "bigint"),
        (entries.iter().map(|it| it.quantity.map(|it| it.0)).collect::<Vec<_>>().into(), "float8"),
        (entries.iter().map(|it| it.quantity.map(|it| it.1)).collect::<Vec<_>>().into(), "float8"),
        (entries.iter().map(|it| it.unit).collect::<Vec<_>>().into(), "bigint"),
        (entries.iter().map(|it| it.number.map(|it| it.0)).collect::<Vec<_>>().into(), "float8"),
        (entries.iter().map(|it| it.number.map(|it| it.1)).collect::<Vec<_>>().into(), "float8"),
        (first.into(), "int"),
        (last.into(), "int"),
    ];
    for (place, (array, kind)) in arrays.into_iter().enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        sql.bind(array).push("::").push(kind).push("[]");
    }
    let tenant = sql.value(tenant.0);
    let keys = sql.value(entries.iter().flat_map(|it| it.keys.iter().copied()).collect::<Vec<i64>>());
    sql.push(
        ") as n (rid, version, date_low, date_high, code, quantity_low, quantity_high, unit, number_low, \
         number_high, first, last)), main as materialized (select r.rid from ",
    );
    // In the order in which bundles lock: none waits for another in a circle.
    sql.push(&table).push(" as r join n on n.rid = r.rid where r.tenant = ").place(tenant);
    sql.push("::int and r.version = n.version order by r.id for no key update of r), changed as (update ");
    sql.push(&table).push(
        " as r set (date_low, date_high, code, quantity_low, quantity_high, unit, number_low, number_high, keys) \
         = (n.date_low, n.date_high, n.code, n.quantity_low, n.quantity_high, n.unit, n.number_low, \
         n.number_high, (",
    );
    sql.place(keys)
        .push("::bigint[])[n.first:n.last]) from main join n on n.rid = main.rid where r.tenant = ");
    sql.place(tenant).push(
        "::int and r.rid = main.rid and (r.date_low, r.date_high, r.code, r.quantity_low, r.quantity_high, r.unit, \
         r.number_low, r.number_high, r.keys) is distinct from (n.date_low, n.date_high, n.code, n.quantity_low, \
         n.quantity_high, n.unit, n.number_low, n.number_high, (",
    );
    sql.place(keys).push("::bigint[])[n.first:n.last]))");
    push_postings(&mut sql, (&table, "dates", "bigint"), tenant, rows, entries, |it| &it.dates);
    push_postings(&mut sql, (&table, "numbers", "float8"), tenant, rows, entries, |it| &it.numbers);
    sql.push(" select rid from main");
    sql
}

fn push_postings<T: Copy>(
    sql: &mut Sql,
    (table, name, kind): (&str, &str, &str),
    tenant: usize,
    rows: &[Reindexed],
    entries: &[Entries],
    of: impl Fn(&Entries) -> &Vec<Posting<T>>,
) where
    Vec<T>: Into<Value>,
{
    let postings: Vec<(i64, Posting<T>)> = rows
        .iter()
        .zip(entries)
        .flat_map(|(row, entries)| of(entries).iter().map(|it| (row.row, *it)).collect::<Vec<_>>())
        .collect();
    sql.push(", ").push(name).push(" as materialized (select p.* from unnest(");
    sql.bind(postings.iter().map(|it| it.0).collect::<Vec<i64>>()).push("::bigint[], ");
    sql.bind(postings.iter().map(|it| it.1.key).collect::<Vec<i64>>()).push("::bigint[], ");
    sql.bind(postings.iter().map(|it| it.1.low).collect::<Vec<T>>()).push("::").push(kind).push("[], ");
    sql.bind(postings.iter().map(|it| it.1.high).collect::<Vec<T>>()).push("::").push(kind).push("[]");
    sql.push(") as p (rid, key, low, high) join main on main.rid = p.rid), ").push(name);
    sql.push("_gone as (delete from ").push(table).push("_").push(name);
    sql.push(" as d using main where d.rid = main.rid and not exists (select from ").push(name);
    sql.push(" as p where p.rid = d.rid and p.key = d.key and p.low = d.low and p.high = d.high)), ")
        .push(name);
    sql.push("_new as (insert into ").push(table).push("_").push(name);
    sql.push(" (rid, key, low, high, tenant) select rid, key, low, high, ").place(tenant).push("::int from ");
    sql.push(name).push(" on conflict do nothing)");
}
