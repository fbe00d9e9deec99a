//! What decisions are made from, as it changes: roles of accounts, organizations of clients, Consents, agreements,
//! policies, emergencies.
//!
//! Every server holds these in memory and asks for what transactions did that it could not see the last time, as for
//! revocations. The change feed says which resources changed; only those are read again.

use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::resources::{Sealed, Stored};
use crate::store::sql::Sql;
use crate::store::tables::table;
use crate::store::{logical_id, narrowing, search_index};
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The types that decisions are made from. The index `changes_of_policy` names them by number.
pub const POLICY_TYPES: [&str; 4] = ["Basic", "Consent", "Contract", "PractitionerRole"];

/// So many resources are read at once.
const TOGETHER: usize = 500;

/// What changed.
#[derive(Debug, Default)]
pub struct PolicyNews {
    /// Every transaction before this one has been seen.
    pub horizon: i64,
    /// The role of an account, by its id.
    pub accounts: Vec<(String, String)>,
    /// What a client registered, JSON, by its id.
    pub clients: Vec<(String, String)>,
    /// Emergency access that was opened or closed.
    pub emergencies: Vec<EmergencyAccess>,
    /// Resources that changed, by the number of their row: as they are now, or gone.
    pub resources: Vec<(i64, Option<Stored>)>,
}

/// Emergency access of one user to one patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmergencyAccess {
    /// Its id.
    pub id: Uuid,
    /// The user: the `sub` of their tokens.
    pub subject: String,
    /// The patient.
    pub patient: ResourceId,
    /// When it began, in microseconds since 1970.
    pub opened: i64,
    /// When it ends.
    pub ends: i64,
}

/// The label of what is sealed here.
const LABEL: &str = "emergency access";

type NewsRow = (i64, Option<i16>, Option<String>, Option<String>, Option<i64>, Option<i64>, Option<Uuid>);
type NewsTypes = (
    BigInt,
    Nullable<SmallInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<SqlUuid>,
);

impl Store {
    /// What changed since that horizon; everything since none, which is 0.
    ///
    /// # Errors
    /// The database fails.
    pub async fn policy_news(&self, tenant: TenantId, horizon: i64) -> Result<PolicyNews, StoreError> {
        let sql = Sql::new(
            "select now.horizon, news.kind, news.one, news.two, news.first, news.second, news.id \
             from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon) as now left join (\
             select 1::smallint as kind, id::text as one, role as two, null::bigint as first, null::bigint as second, \
             null::uuid as id from accounts where tenant = $1 and transaction >= $2::bigint::text::xid8 \
             union all select 2::smallint, id, document, null, null, null from clients \
             where tenant = $1 and transaction >= $2::bigint::text::xid8 \
             union all select 3::smallint, subject, patient, opened, ends, id from emergency_accesses \
             where tenant = $1 and transaction >= $2::bigint::text::xid8 and ends > $3 \
             union all select 4::smallint, null, null, type::bigint, rid, null from changes where tenant = $1 \
             and transaction >= $2::bigint::text::xid8 and type in (7, 28, 29, 108)) as news on true",
        );
        // What is over is told for a while, so that it is known to be.
        const HOUR: i64 = 3_600_000_000;
        let sql = sql.with(tenant.0).with(horizon).with(self.now().saturating_sub(2 * HOUR));
        let mut news = PolicyNews { horizon, ..PolicyNews::default() };
        let mut changed: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for (horizon, kind, one, two, first, second, id) in
            self.ask::<NewsTypes, NewsRow>(tenant, &[], &sql).await?
        {
            news.horizon = horizon;
            match (kind, one, two, first, second, id) {
                (Some(1), Some(id), Some(role), ..) => news.accounts.push((id, role)),
                (Some(2), Some(id), Some(document), ..) => news.clients.push((id, document)),
                (Some(3), Some(subject), Some(patient), Some(opened), Some(ends), Some(id)) => {
                    let Some(patient) = ResourceId::parse(&patient) else { continue };
                    news.emergencies.push(EmergencyAccess { id, subject, patient, opened, ends });
                }
                (Some(4), _, _, Some(resource_type), Some(rid), _) => {
                    changed.entry(resource_type).or_default().insert(rid);
                }
                _ => {}
            }
        }
        for (code, rows) in changed {
            let resource_type = i16::try_from(code).ok().and_then(ResourceType::from_code);
            let Some(resource_type) = resource_type else { continue };
            let rows: Vec<i64> = rows.into_iter().collect();
            for rows in rows.chunks(TOGETHER) {
                news.resources.extend(self.resources_by_row(tenant, resource_type, rows).await?);
            }
        }
        Ok(news)
    }

    /// The resources of these rows as they stand: not narrowed, for decisions alone.
    async fn resources_by_row(
        &self,
        tenant: TenantId,
        resource_type: ResourceType,
        rows: &[i64],
    ) -> Result<Vec<(i64, Option<Stored>)>, StoreError> {
        let mut sql = Sql::new("select rid, id, id_text, version, updated, deed, patient, body from ");
        sql.push(&table(resource_type)).push(" where tenant = ").bind(tenant.0);
        sql.push(" and rid = any(").bind(rows.to_vec()).push(")");
        type Types = (BigInt, SqlUuid, Nullable<Text>, Integer, BigInt, SmallInt, Nullable<BigInt>, Binary);
        type Columns = (i64, Uuid, Option<String>, i32, i64, i16, Option<i64>, Vec<u8>);
        let mut found = Vec::new();
        for row in self.ask::<Types, Columns>(tenant, &[resource_type], &sql).await? {
            let (rid, id, id_text, version, last_updated, deed, subject, body) = row;
            let Some(id) = logical_id::read(id, id_text) else { continue };
            let sealed = Sealed { resource_type, id, version, last_updated, deed, subject, body };
            let stored = self.unseal(tenant, vec![sealed], SealClasses::ALL).await?.pop();
            found.push((rid, stored.filter(|it| !it.is_deleted())));
        }
        Ok(found)
    }

    /// Opens emergency access. Every server knows within the age of its news.
    ///
    /// # Errors
    /// The database fails, or it is longer than an hour.
    pub async fn open_emergency_access(
        &self,
        tenant: TenantId,
        access: &EmergencyAccess,
        reason: &str,
    ) -> Result<(), StoreError> {
        let sealed = self.seal_private(tenant, (LABEL, access.id.as_bytes()), reason.as_bytes()).await?;
        let sql = Sql::new(
            "insert into emergency_accesses (tenant, id, subject, patient, opened, ends, reason) \
             values ($1, $2, $3, $4, $5, $6, $7)",
        );
        let sql = sql.with(tenant.0).with(access.id).with(access.subject.as_str());
        let sql = sql.with(access.patient.as_str()).with(access.opened).with(access.ends).with(sealed);
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// Ends a user's emergency access to a patient: whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn close_emergency_access(
        &self,
        tenant: TenantId,
        subject: &str,
        patient: &ResourceId,
    ) -> Result<bool, StoreError> {
        let sql = Sql::new(
            "update emergency_accesses set ends = greatest(opened + 1, $4) \
             where tenant = $1 and subject = $2 and patient = $3 and ends > $4",
        );
        let sql = sql.with(tenant.0).with(subject).with(patient.as_str()).with(self.now());
        Ok(self.act(tenant, &sql).await? > 0)
    }

    /// Those of these patients of whom the predicate holds: for the relation of care, which names no resource.
    ///
    /// # Errors
    /// The database fails.
    pub async fn patients_satisfying(
        &self,
        tenant: TenantId,
        patients: &[ResourceId],
        predicate: &Predicate,
    ) -> Result<usize, StoreError> {
        let Some(resource_type) = ResourceType::parse("Patient") else { return Ok(0) };
        let keys = self.tenant_keys(tenant).await?;
        let numbers: Vec<i64> = patients.iter().map(|it| search_index::patient(&keys, it)).collect();
        let mut sql = Sql::new("select r.patient from (select patient, '{}'::bigint[] as keys from unnest(");
        sql.bind(numbers).push("::bigint[]) as patient) as r where true");
        narrowing::push(&mut sql, &keys, resource_type, predicate)?;
        let types = narrowing::types(resource_type, predicate);
        Ok(self.ask::<BigInt, i64>(tenant, &types, &sql).await?.len())
    }
}
