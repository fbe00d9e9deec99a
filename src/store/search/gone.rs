//! What was deleted in a time: for whoever keeps a copy.
//!
//! A deletion is told only to those who might have had the resource: what it was before is held against the
//! narrowing and the population.

use crate::access::permit::Permitted;
use crate::fhir::id::{ResourceId, TenantId};
use crate::fhir::json::Limits;
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use crate::search::query::Query;
use crate::search::verify::Verifier;
use crate::store::error::StoreError;
use crate::store::resources::{DeedKind, Sealed};
use crate::store::search::range::{Population, Span};
use crate::store::sql::Sql;
use crate::store::tables::table;
use crate::store::{Store, logical_id};
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text, Uuid as SqlUuid};
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

/// A resource that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its id.
    pub id: ResourceId,
    /// The version that ended it.
    pub version: i32,
    /// The number of its patient.
    pub subject: Option<i64>,
}

/// Where a page of deletions ended: the time and the row.
pub type GonePlace = (i64, i64);

type Types =
    (BigInt, BigInt, Integer, SqlUuid, Nullable<Text>, Nullable<Integer>, Nullable<BigInt>, Nullable<Binary>);
type Columns = (i64, i64, i32, Uuid, Option<String>, Option<i32>, Option<i64>, Option<Vec<u8>>);

/// How long one write may be under way, at most.
const LONGEST_WRITE: Duration = Duration::from_secs(90);

impl Store {
    /// Waits until every write that has begun is over. What was stamped before is then there, or never will be.
    ///
    /// # Errors
    /// The database fails.
    pub async fn wait_for_writers(&self, tenant: TenantId) -> Result<(), StoreError> {
        let ask = async |end: &str| {
            let sql = Sql::new(format!("select pg_snapshot_{end}(pg_current_snapshot())::text::bigint"));
            let rows = self.ask::<BigInt, i64>(tenant, &[], &sql).await?;
            rows.into_iter().next().ok_or(StoreError::broken("the database knows no snapshot"))
        };
        let begun = ask("xmax").await?;
        let waited = async {
            while ask("xmin").await? < begun {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        // Somebody else's transaction on the same cluster may last longer: no write of ours can.
        tokio::time::timeout(LONGEST_WRITE, waited).await.unwrap_or(Ok(()))
    }

    /// What of a type was deleted after `since` and stood deleted at the time of the span, in the order of time:
    /// a page, and where it ended if there may be more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn gone(
        &self,
        tenant: TenantId,
        query: &Permitted<Query>,
        verifier: &Verifier,
        span: &Span<'_>,
        after: GonePlace,
    ) -> Result<(Vec<Gone>, Option<GonePlace>), StoreError> {
        let (of, permit) = (span.resource_type, query.permit());
        let narrowing = permit.narrowing().of(of);
        let Some(since) = span.since.filter(|_| *narrowing != Predicate::False) else {
            return Ok((Vec::new(), None));
        };
        let mut sql = Sql::new(
            "select c.at, c.rid, c.version, r.id, r.id_text, v.version, v.patient, v.body from changes as c join ",
        );
        let (tenant_place, code) = (sql.value(tenant.0), sql.value(of.code()));
        let at = sql.value(span.at);
        sql.push(&table(of)).push(" as r on r.tenant = ").place(tenant_place).push(" and r.rid = c.rid ");
        sql.push("left join versions as v on v.tenant = ").place(tenant_place).push(" and v.type = ");
        sql.place(code).push(" and v.rid = c.rid and v.version = c.version - 1 where c.tenant = ");
        sql.place(tenant_place).push(" and c.type = ").place(code).push(" and c.deed = 3 and c.at > ");
        sql.bind(since).push(" and c.at <= ").place(at).push(" and (c.at, c.rid) > (").bind(after.0);
        sql.push(", ")
            .bind(after.1)
            .push(") and (r.version = c.version or (r.version = c.version + 1 and r.updated > ");
        sql.place(at).push(") or exists (select from versions as n where n.tenant = ").place(tenant_place);
        sql.push(" and n.type = ")
            .place(code)
            .push(" and n.rid = c.rid and n.version = c.version + 1 and n.updated > ");
        sql.place(at).push(")) order by c.at, c.rid limit ").bind(i64::from(span.rows));
        let rows = self.ask::<Types, Columns>(tenant, &[of], &sql).await?;
        let is_full = u32::try_from(rows.len()).is_ok_and(|it| it >= span.rows);
        let next = rows.last().filter(|_| is_full).map(|row| (row.0, row.1));

        let is_open = *narrowing == Predicate::True && matches!(span.population, Population::Everything);
        let (mut gone, mut before) = (Vec::new(), Vec::new());
        for (_, _, version, id, id_text, before_version, subject, body) in rows {
            let id = logical_id::read(id, id_text).ok_or(StoreError::broken("a stored id is none"))?;
            if let (false, Some(version), Some(body)) = (is_open, before_version, body) {
                let deed = if body.is_empty() { DeedKind::Delete } else { DeedKind::Update }.code();
                let (id, last_updated) = (id.clone(), 0);
                before.push(Sealed { resource_type: of, id, version, last_updated, deed, subject, body });
            }
            gone.push(Gone { id, version, subject });
        }
        if is_open {
            return Ok((gone, next));
        }
        let keys = self.tenant_keys(tenant).await?;
        let mut told = HashSet::new();
        for stored in self.unseal(tenant, before, SealClasses::ALL).await? {
            let Ok(resource) = Resource::parse(stored.text, &Limits::ACCEPTED) else { continue };
            let patients = verifier.patients(&resource);
            let numbers = patients.iter().map(|it| keys.subject_of_patient(it.as_str()));
            if permit.admits(verifier, &resource) && span.population.holds(numbers) {
                told.insert(stored.id);
            }
        }
        gone.retain(|it| told.contains(&it.id));
        Ok((gone, next))
    }
}
