//! Reading the trail: newest first, page by page.

use crate::crypto::key_ring::SubjectKeys;
use crate::crypto::seal;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::store::Store;
use crate::store::audit_log::{AuditRow, detail_place};
use crate::store::entities;
use crate::store::error::StoreError;
use crate::store::keys::NOBODY;
use crate::store::logical_id;
use crate::store::sql::Sql;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, SmallInt, Text, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// Which events are asked for; what is not set does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Events about that patient.
    pub patient: Option<ResourceId>,
    /// Events of that agent, or through that client.
    pub agent: Option<String>,
    /// Events with that action.
    pub action: Option<char>,
    /// Events with that outcome.
    pub outcome: Option<i16>,
    /// Events of these kinds; empty for all.
    pub kinds: Vec<i16>,
    /// Recorded at that time or later, in microseconds since 1970.
    pub from: Option<i64>,
    /// Recorded at that time or earlier.
    pub to: Option<i64>,
    /// These events alone; empty for all.
    pub ids: Vec<i64>,
    /// Only those older than that event: the last of the page before.
    pub before: Option<i64>,
    /// As many at most.
    pub count: u32,
}

/// An event as it was recorded. Its patients are known to the trail by numbers alone (`subjects`): see
/// [`Store::patients_of_subjects`].
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// Its id.
    pub id: i64,
    /// What was recorded.
    pub row: AuditRow,
}

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

impl Store {
    /// The newest events that are asked for, newest first, with their details opened.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_events(
        &self,
        tenant: TenantId,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let sql = self.audit_question(tenant, filter).await?;
        let rows = self.ask::<Types, Columns>(tenant, &[], &sql).await?;
        let newest = rows.iter().filter_map(|row| epoch_of(row.2.2.as_deref()?)).max().unwrap_or(0);
        let keys = self.keys_named(tenant, &[(NOBODY, newest)]).await?.remove(&NOBODY);
        rows.into_iter().map(|row| event(tenant, keys.as_deref(), row)).collect()
    }

    /// How many events are asked for, counted no further than to that number.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_audit_events(
        &self,
        tenant: TenantId,
        filter: &AuditFilter,
        at_most: u32,
    ) -> Result<u64, StoreError> {
        let mut sql = Sql::new("select count(*) from (select from audit_events where tenant = ");
        self.push_filter(&mut sql, tenant, filter).await?;
        sql.push(" limit ").bind(i64::from(at_most)).push(") as found");
        let rows: Vec<(i64,)> = self.ask::<(BigInt,), _>(tenant, &[], &sql).await?;
        Ok(rows.first().and_then(|(count,)| u64::try_from(*count).ok()).unwrap_or(0))
    }

    /// The patients with these numbers, as far as they were ever stored here.
    ///
    /// # Errors
    /// The database fails.
    pub async fn patients_of_subjects(
        &self,
        tenant: TenantId,
        subjects: &[i64],
    ) -> Result<HashMap<i64, ResourceId>, StoreError> {
        let Some(patient) = ResourceType::parse("Patient").filter(|_| !subjects.is_empty()) else {
            return Ok(HashMap::new());
        };
        let mut subjects = subjects.to_vec();
        subjects.sort_unstable();
        subjects.dedup();
        let keys = self.tenant_keys(tenant).await?;
        let sql =
            Sql::new("select id, id_text from resource.patient where tenant = $1 and patient = any($2)");
        let sql = sql.with(tenant.0).with(subjects);
        let rows: Vec<(Uuid, Option<String>)> =
            self.ask::<(SqlUuid, Nullable<Text>), _>(tenant, &[patient], &sql).await?;
        let ids = rows.into_iter().filter_map(|(id, text)| logical_id::read(id, text));
        // Whoever is in the compartment of another patient stands in that row, too.
        Ok(ids.map(|id| (keys.subject_of_patient(id.as_str()), id)).collect())
    }

    async fn audit_question(&self, tenant: TenantId, filter: &AuditFilter) -> Result<Sql, StoreError> {
        let mut sql = Sql::new(
            "select id, recorded, kind, outcome, action::text, request, agent, client, purpose, rule, network, \
             patients, entities, detail from audit_events where tenant = ",
        );
        self.push_filter(&mut sql, tenant, filter).await?;
        sql.push(" order by id desc limit ").bind(i64::from(filter.count));
        Ok(sql)
    }

    async fn push_filter(
        &self,
        sql: &mut Sql,
        tenant: TenantId,
        filter: &AuditFilter,
    ) -> Result<(), StoreError> {
        sql.bind(tenant.0);
        if let Some(patient) = &filter.patient {
            let keys = self.tenant_keys(tenant).await?;
            sql.push(" and patients @> ").bind(vec![keys.subject_of_patient(patient.as_str())]);
        }
        if let Some(agent) = &filter.agent {
            let place = sql.push(" and (agent = ").value(agent.as_str());
            sql.place(place).push(" or client = ").place(place).push(")");
        }
        if let Some(action) = filter.action {
            sql.push(" and action = ").bind(action.to_string()).push("::text::\"char\"");
        }
        if let Some(outcome) = filter.outcome {
            sql.push(" and outcome = ").bind(outcome);
        }
        if !filter.kinds.is_empty() {
            sql.push(" and kind = any(").bind(filter.kinds.clone()).push(")");
        }
        if let Some(from) = filter.from {
            sql.push(" and recorded >= ").bind(from);
        }
        if let Some(to) = filter.to {
            sql.push(" and recorded <= ").bind(to);
        }
        if !filter.ids.is_empty() {
            sql.push(" and id = any(").bind(filter.ids.clone()).push(")");
        }
        if let Some(before) = filter.before {
            sql.push(" and id < ").bind(before);
        }
        Ok(())
    }
}

fn event(tenant: TenantId, keys: Option<&SubjectKeys>, columns: Columns) -> Result<AuditEvent, StoreError> {
    let (
        (id, recorded, kind, outcome, action, request),
        (agent, client, purpose, rule, network),
        (subjects, entities, detail),
    ) = columns;
    let entities =
        entities::unpack(&entities).ok_or(StoreError::broken("the entities of an event cannot be read"))?;
    let detail = detail.map(|sealed| open(tenant, keys, recorded, &sealed)).transpose()?;
    let action = action.chars().next().unwrap_or_default();
    let patients = Vec::new();
    let row = AuditRow {
        recorded,
        kind,
        action,
        outcome,
        agent,
        client,
        purpose,
        rule,
        request,
        network,
        patients,
        subjects,
        entities,
        detail,
    };
    Ok(AuditEvent { id, row })
}

fn epoch_of(sealed: &[u8]) -> Option<u16> {
    sealed.first_chunk().map(|epoch| u16::from_be_bytes(*epoch))
}

/// Two bytes of epoch, then the sealed text.
fn open(
    tenant: TenantId,
    keys: Option<&SubjectKeys>,
    recorded: i64,
    sealed: &[u8],
) -> Result<String, StoreError> {
    let broken = || StoreError::broken("the detail of an event cannot be opened");
    let (epoch, sealed) = sealed.split_first_chunk::<2>().ok_or_else(broken)?;
    let key = keys.and_then(|keys| keys.of_epoch(u16::from_be_bytes(*epoch))).ok_or(StoreError::Shredded)?;
    let text = seal::open(&key.section_key("audit"), &detail_place(tenant, recorded), sealed)
        .map_err(|error| StoreError::Broken(Box::new(error)))?;
    String::from_utf8(text.to_vec()).map_err(|_| broken())
}
