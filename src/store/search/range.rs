//! Reading by key range: everything that satisfies a question, as it stood at one time.
//!
//! For whoever takes a population at once. A page is a range of row ids, cut by rows and by bytes, and one
//! statement: what was not written since is found by the index, narrowing included; of what was, the version that
//! stood then is found beside it, and held against the whole question in memory. One statement sees a row as one
//! or the other, so no resource is missed and none comes twice, whoever writes meanwhile.
//!
//! Of some patients' resources, those of [`CHUNK`] patients are read at a time; of very many patients, all rows
//! are read and the others' left out.
//!
//! # Decision 2026-11-24
//! The road not taken is one long transaction with a snapshot of its own. It would hold back the database's
//! cleaning for hours, and be lost with the connection: an export that was interrupted could not go on.

use crate::access::permit::{Permit, Permitted};
use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::json::Limits;
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use crate::search::query::Query;
use crate::search::verify::Verifier;
use crate::store::error::StoreError;
use crate::store::resources::{Sealed, Stored};
use crate::store::search::asked::{Asked, Origin};
use crate::store::search::matches::{Asker, Question};
use crate::store::search::order::Order;
use crate::store::sql::Sql;
use crate::store::tables::table;
use crate::store::{Store, logical_id};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use std::sync::Arc;
use uuid::Uuid;

/// So many patients are read at a time.
pub const CHUNK: usize = 64;
/// Of more patients than this, all rows are read.
const FEW: usize = 4096;

/// Some patients, by the store's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// In order.
    numbers: Arc<[i64]>,
}

/// Whose resources are read.
#[derive(Clone, Debug, Default)]
pub enum Population {
    /// Everybody's, and nobody's.
    #[default]
    Everything,
    /// Those in the compartment of any patient.
    Patients,
    /// Those in the compartments of these patients; of the chunk of that number, where there are few.
    Members(Members, Option<usize>),
}

/// What is read.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// The type.
    pub resource_type: ResourceType,
    /// As it stood then, in microseconds since 1970.
    pub at: i64,
    /// Last changed after that.
    pub since: Option<i64>,
    /// Last changed before that.
    pub until: Option<i64>,
    /// Whose.
    pub population: &'a Population,
    /// Only rows after that one.
    pub after: i64,
    /// As many rows are looked at.
    pub rows: u32,
    /// A page ends with the resource that reaches so many bytes, as they are stored.
    pub bytes: u64,
}

impl<'a> Span<'a> {
    /// The first page of a type as it stood then, whenever it was changed: rows by the thousand, of some megabytes.
    #[must_use]
    pub fn of(resource_type: ResourceType, at: i64, population: &'a Population) -> Span<'a> {
        Span {
            resource_type,
            at,
            since: None,
            until: None,
            population,
            after: 0,
            rows: 5_000,
            bytes: 8 * 1024 * 1024,
        }
    }
}

/// A page of a key range.
#[derive(Clone, Debug, Default)]
pub struct SpanPage {
    /// The resources, in the order of their rows.
    pub resources: Vec<Stored>,
    /// The last row that was looked at, if there are more.
    pub next: Option<i64>,
}

type Types = (
    BigInt,
    Integer,
    BigInt,
    SmallInt,
    SqlUuid,
    Nullable<Text>,
    Nullable<BigInt>,
    Binary,
    Bool,
    Array<BigInt>,
    BigInt,
);
type Columns = (i64, i32, i64, i16, Uuid, Option<String>, Option<i64>, Vec<u8>, bool, Vec<i64>, i64);

/// A row that was read: the resource as it stood, still sealed.
struct Found {
    row: i64,
    sealed: Sealed,
    /// It has not been written since: the index has decided.
    is_settled: bool,
    /// Where it may be of several patients, what it can be found by.
    keys: Vec<i64>,
}

impl Members {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// In how many chunks they are read; none where all rows are.
    #[must_use]
    pub fn chunks(&self) -> Option<usize> {
        (self.numbers.len() <= FEW).then(|| self.numbers.len().div_ceil(CHUNK))
    }

    fn chunk(&self, number: usize) -> &[i64] {
        self.numbers.chunks(CHUNK).nth(number).unwrap_or_default()
    }

    fn contains(&self, number: i64) -> bool {
        self.numbers.binary_search(&number).is_ok()
    }
}

impl Population {
    /// Whether a resource of these patients is read here: with the first of them who is a member.
    pub(super) fn holds(&self, patients: impl Iterator<Item = i64>) -> bool {
        match self {
            Population::Everything => true,
            Population::Patients => patients.count() > 0,
            Population::Members(members, chunk) => {
                let first = patients.filter(|it| members.contains(*it)).min();
                match (first, chunk) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(first), Some(chunk)) => members.chunk(*chunk).binary_search(&first).is_ok(),
                }
            }
        }
    }

    /// The patients that an index finds the rows by.
    fn sought(&self) -> Option<&[i64]> {
        match self {
            Population::Members(members, Some(chunk)) => Some(members.chunk(*chunk)),
            _ => None,
        }
    }
}

impl Store {
    /// These patients, to be read.
    ///
    /// # Errors
    /// The keys cannot be fetched.
    pub async fn members(&self, tenant: TenantId, patients: &[ResourceId]) -> Result<Members, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        let mut numbers: Vec<i64> = patients.iter().map(|it| keys.subject_of_patient(it.as_str())).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Members { numbers: numbers.into() })
    }

    /// The first and the last row of a type, to tell how far somebody got; nothing where there is none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn row_range(
        &self,
        tenant: TenantId,
        resource_type: ResourceType,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let mut sql = Sql::new("select min(rid), max(rid) from ");
        sql.push(&table(resource_type)).push(" where tenant = ").bind(tenant.0);
        type Range = (Option<i64>, Option<i64>);
        let rows =
            self.ask::<(Nullable<BigInt>, Nullable<BigInt>), Range>(tenant, &[resource_type], &sql).await?;
        Ok(rows.into_iter().next().and_then(|(first, last)| first.zip(last)))
    }

    /// A page of a key range.
    ///
    /// # Errors
    /// The database fails, or it takes too long.
    pub async fn span(
        &self,
        tenant: TenantId,
        query: &Permitted<Query>,
        verifier: &Verifier,
        span: &Span<'_>,
    ) -> Result<SpanPage, StoreError> {
        match self.span_once(tenant, query, verifier, span).await {
            Err(StoreError::Unavailable(_)) => {
                self.forget_idle(tenant);
                self.span_once(tenant, query, verifier, span).await
            }
            result => result,
        }
    }

    async fn span_once(
        &self,
        tenant: TenantId,
        query: &Permitted<Query>,
        verifier: &Verifier,
        span: &Span<'_>,
    ) -> Result<SpanPage, StoreError> {
        let of = span.resource_type;
        let filter = query.question().filter.for_type(of);
        if filter == Predicate::False || *query.permit().narrowing().of(of) == Predicate::False {
            return Ok(SpanPage::default());
        }
        let connection = self.connection_for(tenant, &[of]).await?;
        let asker = Asker::new(self, &connection, tenant, query.permit(), verifier).await?;
        let question = Question { resource_type: of, filter: &filter, origin: Origin::Filter, sort: &[] };
        let prepared = asker.prepare(question).await?;
        let asked = asker.asked(question, &prepared, Order::by_row(of), None, 0);
        let (found, next) = match span.population.sought() {
            Some(patients) => of_patients(&asker, &asked, span, patients).await?,
            None => of_rows(&asker, &asked, span).await?,
        };
        let is_late = found.iter().any(|it| !it.is_settled);
        let whole = match is_late {
            true => asker.resolve_all(of, filter.clone(), Origin::Filter).await?,
            false => Predicate::True,
        };
        drop(asked);
        let keys = asker.keys.clone();
        drop(connection);
        let test = Test { store: self, tenant, permit: query.permit(), verifier, keys, span };
        let resources = test.opened(found, &prepared.verified, &whole).await?;
        Ok(SpanPage { resources, next })
    }
}

/// All rows of a range.
async fn of_rows(
    asker: &Asker<'_>,
    asked: &Asked<'_>,
    span: &Span<'_>,
) -> Result<(Vec<Found>, Option<i64>), StoreError> {
    let name = table(span.resource_type);
    let mut bound = Sql::new("select max(rid), count(*) from (select rid from ");
    bound.push(&name).push(" where tenant = ").bind(asker.tenant.0).push(" and rid > ").bind(span.after);
    bound.push(" order by rid limit ").bind(i64::from(span.rows)).push(") as r");
    let rows = bound.rows::<(Nullable<BigInt>, BigInt), (Option<i64>, i64)>(asker.connection).await?;
    let Some((Some(last), count)) = rows.into_iter().next() else { return Ok((Vec::new(), None)) };

    let mut sql = Sql::new("");
    let (tenant, at) = (sql.value(asker.tenant.0), sql.value(span.at));
    let (after, last_place) = (sql.value(span.after), sql.value(last));
    let range = |sql: &mut Sql| {
        sql.push("r.tenant = ").place(tenant).push(" and r.rid > ").place(after);
        sql.push(" and r.rid <= ").place(last_place);
    };
    push_summed(&mut sql);
    push_settled(&mut sql, span);
    sql.push(" from ").push(&name).push(" as r where ");
    range(&mut sql);
    sql.push(" and r.updated <= ").place(at);
    push_changed(&mut sql, "r", span);
    asked.push_conditions(&mut sql, None)?;
    sql.push(" union all ");
    push_late(&mut sql, span, tenant, at);
    sql.push(" where ");
    range(&mut sql);
    sql.push(" and r.updated > ").place(at).push(" and v.deed <> 3");
    push_changed(&mut sql, "v", span);
    push_cut(&mut sql, span);
    let (found, is_cut) = fetch(asker, span, sql).await?;
    let has_more = count == i64::from(span.rows);
    let next = match is_cut {
        true => found.last().map(|it| it.row),
        false => has_more.then_some(last),
    };
    Ok((found, next))
}

/// The rows of some patients.
async fn of_patients(
    asker: &Asker<'_>,
    asked: &Asked<'_>,
    span: &Span<'_>,
    patients: &[i64],
) -> Result<(Vec<Found>, Option<i64>), StoreError> {
    let name = table(span.resource_type);
    let mut sql = Sql::new("with late as (select distinct rid from changes where tenant = ");
    let (tenant, at) = (sql.value(asker.tenant.0), sql.value(span.at));
    let (after, whose) = (sql.value(span.after), sql.value(patients.to_vec()));
    let limit = sql.value(i64::from(span.rows));
    sql.place(tenant).push(" and type = ").bind(span.resource_type.code()).push(" and at > ").place(at);
    sql.push(" and rid > ").place(after).push("), picked as (select r.rid from ").push(&name);
    sql.push(" as r where r.tenant = ").place(tenant).push(" and r.patient = any(").place(whose);
    sql.push(") and r.rid > ").place(after).push(" and r.updated <= ").place(at);
    push_changed(&mut sql, "r", span);
    asked.push_conditions(&mut sql, None)?;
    // Of several patients: found one patient at a time, as the index of keys is asked best.
    sql.push(" union select r.rid from unnest(").place(whose).push("::bigint[]) as m cross join lateral (");
    sql.push("select r.rid from ").push(&name).push(" as r where r.keys @> array[m] and r.patient is null ");
    sql.push("and r.tenant = ").place(tenant).push(" and r.rid > ").place(after);
    sql.push(" and r.updated <= ").place(at);
    push_changed(&mut sql, "r", span);
    asked.push_conditions(&mut sql, None)?;
    sql.push(" offset 0) as r) ");
    push_summed(&mut sql);
    sql.push("select * from (");
    push_settled(&mut sql, span);
    sql.push(" from (select rid from picked order by rid limit ").place(limit).push(") as p join ");
    sql.push(&name).push(" as r on r.tenant = ").place(tenant).push(" and r.rid = p.rid union all ");
    push_late(&mut sql, span, tenant, at);
    sql.push(" join late on late.rid = r.rid where r.tenant = ").place(tenant);
    sql.push(" and r.updated > ")
        .place(at)
        .push(" and v.deed <> 3 and (v.patient is null or v.patient = any(");
    sql.place(whose).push("))");
    push_changed(&mut sql, "v", span);
    sql.push(") as both_kinds order by rid limit ").place(limit);
    push_cut(&mut sql, span);
    let (found, is_cut) = fetch(asker, span, sql).await?;
    let has_more = is_cut || u32::try_from(found.len()).is_ok_and(|it| it >= span.rows);
    let next = found.last().filter(|_| has_more).map(|it| it.row);
    Ok((found, next))
}

/// Begins the select whose rows are cut by bytes.
fn push_summed(sql: &mut Sql) {
    sql.push(
        "select rid, version, updated, deed, id, id_text, patient, body, settled, keys, every from (\
         select *, sum(octet_length(body)) over (order by rid) - octet_length(body) as before, \
         count(*) over () as every from (",
    );
}

fn push_cut(sql: &mut Sql, span: &Span<'_>) {
    let bytes = i64::try_from(span.bytes).unwrap_or(i64::MAX);
    sql.push(") as every_row) as summed where before < ").bind(bytes).push(" order by rid");
}

/// The columns of a row that was not written since.
fn push_settled(sql: &mut Sql, span: &Span<'_>) {
    sql.push(
        "select r.rid, r.version, r.updated, r.deed, r.id, r.id_text, r.patient, r.body, true as settled, ",
    );
    sql.push(match span.population {
        Population::Members(..) => "case when r.patient is null then r.keys else '{}' end as keys",
        _ => "'{}'::bigint[] as keys",
    });
}

/// The columns of a row that was, and where the version that stood then is.
fn push_late(sql: &mut Sql, span: &Span<'_>, tenant: usize, at: usize) {
    sql.push(
        "select r.rid, v.version, v.updated, v.deed, r.id, r.id_text, v.patient, v.body, false as settled, \
         '{}'::bigint[] as keys from ",
    );
    sql.push(&table(span.resource_type))
        .push(" as r cross join lateral (select v.version, v.updated, v.deed, ");
    sql.push("v.patient, v.body from versions as v where v.tenant = ").place(tenant).push(" and v.type = ");
    sql.bind(span.resource_type.code()).push(" and v.rid = r.rid and v.updated <= ").place(at);
    sql.push(" order by v.version desc limit 1) as v");
}

fn push_changed(sql: &mut Sql, row: &str, span: &Span<'_>) {
    if let Some(since) = span.since {
        sql.push(" and ").push(row).push(".updated > ").bind(since);
    }
    if let Some(until) = span.until {
        sql.push(" and ").push(row).push(".updated < ").bind(until);
    }
}

/// The rows, and whether there were more than the bytes allow.
async fn fetch(asker: &Asker<'_>, span: &Span<'_>, sql: Sql) -> Result<(Vec<Found>, bool), StoreError> {
    let rows = sql.rows::<Types, Columns>(asker.connection).await?;
    let every = rows.first().map_or(0, |row| row.10);
    let is_cut = i64::try_from(rows.len()).is_ok_and(|it| it < every);
    let mut found = Vec::with_capacity(rows.len());
    for (row, version, last_updated, deed, id, id_text, subject, body, is_settled, keys, _) in rows {
        let id = logical_id::read(id, id_text).ok_or(StoreError::broken("a stored id is none"))?;
        let resource_type = span.resource_type;
        let sealed = Sealed { resource_type, id, version, last_updated, deed, subject, body };
        found.push(Found { row, sealed, is_settled, keys });
    }
    Ok((found, is_cut))
}

/// What rows are held against that the database has not decided on.
struct Test<'a> {
    store: &'a Store,
    tenant: TenantId,
    permit: &'a Permit,
    verifier: &'a Verifier,
    keys: Arc<TenantKeys>,
    span: &'a Span<'a>,
}

impl Test<'_> {
    /// Those that hold, opened as far as the permit goes.
    async fn opened(
        &self,
        found: Vec<Found>,
        verified: &Predicate,
        whole: &Predicate,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut certain = Vec::with_capacity(found.len());
        let mut doubtful = Vec::new();
        for it in found {
            match self.is_member_by_index(&it) {
                Some(false) => {}
                Some(true) if it.is_settled && *verified == Predicate::True => certain.push(it),
                known => doubtful.push((it, known.is_some())),
            }
        }
        if !doubtful.is_empty() {
            for chunk in doubtful.chunks(256) {
                let sealed = chunk.iter().map(|(it, _)| it.sealed.clone()).collect();
                let opened = self.store.unseal(self.tenant, sealed, SealClasses::ALL).await?;
                for stored in opened {
                    let Some((found, is_member)) = chunk.iter().find(|(it, _)| it.sealed.id == stored.id)
                    else {
                        continue;
                    };
                    if self.holds(stored, found.is_settled, *is_member, verified, whole)? {
                        certain.push(Found {
                            row: found.row,
                            sealed: found.sealed.clone(),
                            is_settled: found.is_settled,
                            keys: Vec::new(),
                        });
                    }
                }
            }
            certain.sort_unstable_by_key(|it| it.row);
        }
        let sealed = certain.into_iter().map(|it| it.sealed).collect();
        self.store.unseal(self.tenant, sealed, self.permit.classes()).await
    }

    /// Whether it is of the population, as far as the row tells.
    fn is_member_by_index(&self, found: &Found) -> Option<bool> {
        let population = self.span.population;
        match (population, found.sealed.subject) {
            (Population::Everything, _) => Some(true),
            (_, Some(patient)) => Some(population.holds(std::iter::once(patient))),
            (Population::Members(..), None)
                if found.is_settled && self.verifier.is_in_compartments(found.sealed.resource_type) =>
            {
                Some(population.holds(found.keys.iter().copied()))
            }
            (_, None) => None,
        }
    }

    fn holds(
        &self,
        stored: Stored,
        is_settled: bool,
        is_member: bool,
        verified: &Predicate,
        whole: &Predicate,
    ) -> Result<bool, StoreError> {
        let resource = Resource::parse(stored.text, &Limits::ACCEPTED)
            .map_err(|_| StoreError::broken("a stored resource is none"))?;
        let is_member = is_member || {
            let patients = self.verifier.patients(&resource);
            let numbers = patients.iter().map(|it| self.keys.subject_of_patient(it.as_str()));
            self.span.population.holds(numbers)
        };
        Ok(is_member
            && match is_settled {
                true => self.verifier.satisfies(&resource, verified),
                false => {
                    self.permit.admits(self.verifier, &resource) && self.verifier.satisfies(&resource, whole)
                }
            })
    }
}
