//! What resources were: one version, and the history of an instance, a type, everything.
//!
//! <https://hl7.org/fhir/R4/http.html#history>
//!
//! A page is newest first and goes on strictly below a [`Place`], so pages neither repeat nor skip what was
//! there when the first was asked for, whoever writes meanwhile. Whoever may not see a resource as it stands
//! may not see what it was; and under a narrowing a version is shown only if it was the same patient's.
//!
//! # Decision 2026-11-23
//! A page shows all that is committed, not only what is older than every open transaction: else a client
//! would not find in the history what it has just written, whenever anybody else is writing. Those who tail
//! the change feed are the ones that need that horizon.

use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::resources::{Sealed, Stored};
use crate::store::sql::Sql;
use crate::store::tables::table;
use crate::store::{logical_id, narrowing};
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::AsyncPgConnection;
use uuid::Uuid;

/// Which versions are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryFilter {
    /// Made at that time or later, in microseconds since 1970.
    pub since: Option<i64>,
    /// Current at some time from the first to the second, in microseconds since 1970.
    pub at: Option<(i64, i64)>,
    /// Only what comes after that place.
    pub after: Option<Place>,
    /// As many at most.
    pub count: u32,
}

/// Where a version stands in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was made, in microseconds since 1970.
    pub at: i64,
    /// The number of its row.
    pub row: i64,
    /// Its version.
    pub version: i32,
}

/// A page of a history, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage {
    /// The versions.
    pub versions: Vec<Stored>,
    /// The place of the last, if there are more.
    pub next: Option<Place>,
}

type Types = (BigInt, BigInt, Integer, SmallInt, SqlUuid, Nullable<Text>, Nullable<BigInt>, Nullable<Binary>);
type Columns = (i64, i64, i32, i16, Uuid, Option<String>, Option<i64>, Option<Vec<u8>>);

impl Store {
    /// One version of a resource, deletions too.
    ///
    /// # Errors
    /// The database fails, or the key of the version was destroyed.
    pub async fn version(
        &self,
        tenant: TenantId,
        resource: (ResourceType, &ResourceId),
        version: i32,
        narrowing: &Predicate,
        classes: SealClasses,
    ) -> Result<Option<Stored>, StoreError> {
        let mut sql = self.instance(tenant, resource, narrowing).await?;
        sql.push(" where version = ").bind(version);
        let page = self.history_page(tenant, resource.0, &sql, 1, classes).await?;
        Ok(page.versions.into_iter().next())
    }

    /// The history of one resource; none if there never was one, or none that may be seen.
    ///
    /// # Errors
    /// The database fails, or a key was destroyed.
    pub async fn instance_history(
        &self,
        tenant: TenantId,
        resource: (ResourceType, &ResourceId),
        narrowing: &Predicate,
        filter: &HistoryFilter,
        classes: SealClasses,
    ) -> Result<Option<HistoryPage>, StoreError> {
        let mut sql = self.instance(tenant, resource, narrowing).await?;
        sql.push(" where true");
        if let Some(after) = filter.after {
            sql.push(" and version < ").bind(after.version);
        }
        if let Some(since) = filter.since {
            sql.push(" and updated >= ").bind(since);
        }
        if let Some((from, to)) = filter.at {
            sql.push(" and updated <= ")
                .bind(to)
                .push(" and coalesce(replaced > ")
                .bind(from)
                .push(", true)");
        }
        sql.push(" order by version desc limit ").bind(i64::from(filter.count) + 1);
        let page = self.history_page(tenant, resource.0, &sql, filter.count, classes).await?;
        if !page.versions.is_empty() {
            return Ok(Some(page));
        }
        let is_there = self.instance(tenant, resource, narrowing).await?;
        let rows = self.ask::<Types, Columns>(tenant, &[resource.0], &is_there).await?;
        Ok((!rows.is_empty()).then_some(page))
    }

    /// The history of everything of these types, each narrowed. A type of which nothing may be seen, or of
    /// which nothing was ever stored, costs nothing.
    ///
    /// # Errors
    /// The database fails, or a key was destroyed.
    pub async fn history(
        &self,
        tenant: TenantId,
        types: &[(ResourceType, &Predicate)],
        filter: &HistoryFilter,
        classes: SealClasses,
    ) -> Result<HistoryPage, StoreError> {
        let connection = self.connection(tenant).await?;
        let used = self.types_with_changes(&connection, tenant).await?;
        drop(connection);
        let mut rows: Vec<(ResourceType, Columns)> = Vec::new();
        let keys = self.tenant_keys(tenant).await?;
        let mut questions = Vec::new();
        for (resource_type, narrowing) in types {
            if used.contains(resource_type) && **narrowing != Predicate::False {
                let mut sql = type_history(tenant, *resource_type, filter);
                narrowing::push(&mut sql, &keys, *resource_type, narrowing)?;
                if **narrowing != Predicate::True {
                    sql.push(" and (r.version = c.version or v.patient is not distinct from r.patient)");
                }
                sql.push(" order by c.at desc, c.rid desc, c.version desc limit ");
                sql.bind(i64::from(filter.count) + 1);
                questions.push((*resource_type, sql));
            }
        }
        let asked: Vec<ResourceType> = types
            .iter()
            .filter(|(it, _)| used.contains(it))
            .flat_map(|(it, on)| narrowing::types(*it, on))
            .collect();
        let connection = self.connection_for(tenant, &asked).await?;
        let answers = questions.iter().map(async |(resource_type, sql)| {
            let rows = sql.rows::<Types, Columns>(&connection).await?;
            Ok::<_, StoreError>(rows.into_iter().map(|row| (*resource_type, row)).collect::<Vec<_>>())
        });
        for of_type in futures_util::future::try_join_all(answers).await? {
            rows.extend(of_type);
        }
        drop(connection);
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(place(row)));
        self.page(tenant, rows, filter.count, classes).await
    }

    /// The types of which something was ever stored.
    pub(super) async fn types_with_changes(
        &self,
        connection: &AsyncPgConnection,
        tenant: TenantId,
    ) -> Result<Vec<ResourceType>, StoreError> {
        // One index probe per type that there is.
        let sql = Sql::new(
            "with recursive used as (select min(type) as type from changes where tenant = $1 \
             union all select (select min(type) from changes where tenant = $1 and type > used.type) \
             from used where used.type is not null) select type from used where type is not null",
        );
        let rows = sql.with(tenant.0).rows::<(SmallInt,), (i16,)>(connection).await?;
        Ok(rows.into_iter().filter_map(|(code,)| ResourceType::from_code(code)).collect())
    }

    /// All versions of one resource, to be filtered further.
    async fn instance(
        &self,
        tenant: TenantId,
        (resource_type, id): (ResourceType, &ResourceId),
        narrowing: &Predicate,
    ) -> Result<Sql, StoreError> {
        self.ensure(tenant, &narrowing::types(resource_type, narrowing)).await?;
        let keys = self.tenant_keys(tenant).await?;
        let mut sql = Sql::new("with r as materialized (select * from ");
        let tenant_place = sql.value(tenant.0);
        sql.push(&table(resource_type)).push(" as r where tenant = ").place(tenant_place);
        sql.push(" and id = ").bind(logical_id::stored(&keys, id).0);
        narrowing::push(&mut sql, &keys, resource_type, narrowing)?;
        sql.push(
            "), every as (select rid, version, updated, deed, id, id_text, patient, body from r union all ",
        );
        sql.push(
            "select v.rid, v.version, v.updated, v.deed, r.id, r.id_text, v.patient, v.body from r join versions as v ",
        );
        sql.push("on v.tenant = ").place(tenant_place).push(" and v.type = ").bind(resource_type.code());
        sql.push(" and v.rid = r.rid");
        if *narrowing != Predicate::True {
            sql.push(" and v.patient is not distinct from r.patient");
        }
        sql.push("), timed as (select *, lead(updated) over (order by version) as replaced from every) ");
        sql.push("select updated, rid, version, deed, id, id_text, patient, body from timed");
        Ok(sql)
    }

    async fn history_page(
        &self,
        tenant: TenantId,
        resource_type: ResourceType,
        sql: &Sql,
        count: u32,
        classes: SealClasses,
    ) -> Result<HistoryPage, StoreError> {
        let rows = self.ask::<Types, Columns>(tenant, &[resource_type], sql).await?;
        let rows = rows.into_iter().map(|row| (resource_type, row)).collect();
        self.page(tenant, rows, count, classes).await
    }

    async fn page(
        &self,
        tenant: TenantId,
        mut rows: Vec<(ResourceType, Columns)>,
        count: u32,
        classes: SealClasses,
    ) -> Result<HistoryPage, StoreError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let has_more = rows.len() > count;
        rows.truncate(count);
        let next = rows.last().filter(|_| has_more).map(|(_, row)| place(row));
        let mut versions = Vec::with_capacity(rows.len());
        for (resource_type, (last_updated, _, version, deed, id, id_text, subject, body)) in rows {
            let id = logical_id::read(id, id_text).ok_or(StoreError::broken("a stored id is none"))?;
            let body = body.ok_or(StoreError::broken("a version in the feed is not stored"))?;
            versions.push(Sealed { resource_type, id, version, last_updated, deed, subject, body });
        }
        Ok(HistoryPage { versions: self.unseal(tenant, versions, classes).await?, next })
    }
}

/// The changes of one type, to be narrowed on `r`, ordered and cut.
fn type_history(tenant: TenantId, resource_type: ResourceType, filter: &HistoryFilter) -> Sql {
    let mut sql = Sql::new(
        "select c.at, c.rid, c.version, c.deed, r.id, r.id_text, \
         case when r.version = c.version then r.patient else v.patient end, \
         case when r.version = c.version then r.body else v.body end from changes as c join ",
    );
    let tenant_place = sql.value(tenant.0);
    let code = sql.value(resource_type.code());
    sql.push(&table(resource_type)).push(" as r on r.tenant = ").place(tenant_place);
    sql.push(" and r.rid = c.rid left join versions as v on v.tenant = ").place(tenant_place);
    sql.push(" and v.type = ").place(code).push(" and v.rid = c.rid and v.version = c.version ");
    sql.push("where c.tenant = ").place(tenant_place).push(" and c.type = ").place(code);
    if let Some(since) = filter.since {
        sql.push(" and c.at >= ").bind(since);
    }
    if let Some(after) = filter.after {
        sql.push(" and (c.at, c.rid, c.version) < (").bind(after.at).push(", ").bind(after.row).push(", ");
        sql.bind(after.version).push(")");
    }
    if let Some((from, to)) = filter.at {
        let from = sql.value(from);
        sql.push(" and c.at <= ").bind(to).push(" and not (r.version = c.version + 1 and r.updated <= ");
        sql.place(from)
            .push(") and not exists (select from versions as n where n.tenant = ")
            .place(tenant_place);
        sql.push(" and n.type = ").place(code).push(" and n.rid = c.rid and n.version = c.version + 1 ");
        sql.push("and n.updated <= ").place(from).push(")");
    }
    sql
}

fn place(row: &Columns) -> Place {
    Place { at: row.0, row: row.1, version: row.2 }
}
