//! The trail, counted: who did how much, about whom, and when. The database counts; nothing is opened.

use crate::fhir::id::{ResourceId, TenantId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text};

/// Events of a kind with an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindCount {
    /// The kind: a number of `audit::event`.
    pub kind: i16,
    /// The outcome: 0, 4, 8 or 12.
    pub outcome: i16,
    /// How many events.
    pub events: i64,
    /// How many of them are about a patient.
    pub about_patients: i64,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentCount {
    /// Who.
    pub agent: String,
    /// How many events.
    pub events: i64,
    /// How many did not succeed.
    pub failures: i64,
    /// How many succeeded and are about a patient.
    pub about_patients: i64,
    /// How many patients those are about.
    pub patients: i64,
}

/// What was done about a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatientCount {
    /// The patient, by the store's number.
    pub subject: i64,
    /// How many events.
    pub events: i64,
    /// By how many.
    pub agents: i64,
}

/// What happened on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// The day, counted from 1970-01-01 in UTC.
    pub day: i64,
    /// How many events.
    pub events: i64,
    /// How many did not succeed.
    pub failures: i64,
    /// How many succeeded and are about a patient.
    pub about_patients: i64,
}

/// An event, as far as habits show in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRow {
    /// Its id.
    pub id: i64,
    /// When, in microseconds since 1970.
    pub recorded: i64,
    /// Which kind: a number of `audit::event`.
    pub kind: i16,
    /// Its outcome: 0, 4, 8 or 12.
    pub outcome: i16,
    /// Who.
    pub agent: String,
    /// Through which client.
    pub client: Option<String>,
    /// From which address.
    pub network: Option<String>,
    /// The patients, by the store's numbers.
    pub patients: Vec<i64>,
    /// About how many resources.
    pub resources: usize,
}

/// How many bytes a resource has in the packed list of an event, about.
const PACKED: i32 = 23;

/// The columns that say how many events, how many failed, and how many touched a patient.
const COUNTS: &str = "count(*), count(*) filter (where outcome <> 0), \
     count(*) filter (where outcome = 0 and cardinality(patients) > 0)";

impl Store {
    /// Events by kind and outcome, recorded from one time on and before another.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_kinds(
        &self,
        tenant: TenantId,
        from: i64,
        to: i64,
    ) -> Result<Vec<KindCount>, StoreError> {
        let sql = Sql::new(
            "select kind, outcome, count(*), count(*) filter (where cardinality(patients) > 0) from audit_events \
             where tenant = $1 and recorded >= $2 and recorded < $3 group by kind, outcome order by kind, outcome",
        );
        type Row = (i16, i16, i64, i64);
        let sql = sql.with(tenant.0).with(from).with(to);
        let rows: Vec<Row> = self.ask::<(SmallInt, SmallInt, BigInt, BigInt), _>(tenant, &[], &sql).await?;
        let count =
            |(kind, outcome, events, about_patients)| KindCount { kind, outcome, events, about_patients };
        Ok(rows.into_iter().map(count).collect())
    }

    /// Events by agent, the busiest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_agents(
        &self,
        tenant: TenantId,
        from: i64,
        to: i64,
    ) -> Result<Vec<AgentCount>, StoreError> {
        let sql = Sql::new(format!(
            "with period as (select agent, outcome, patients from audit_events \
             where tenant = $1 and recorded >= $2 and recorded < $3), \
             counts as (select agent, {COUNTS} from period group by agent), \
             touched as (select agent, count(distinct p) as patients from period, unnest(patients) as p \
             where outcome = 0 group by agent) \
             select counts.*, touched.patients from counts left join touched using (agent) order by 2 desc, 1"
        ));
        type Row = (String, i64, i64, i64, Option<i64>);
        let sql = sql.with(tenant.0).with(from).with(to);
        let rows: Vec<Row> =
            self.ask::<(Text, BigInt, BigInt, BigInt, Nullable<BigInt>), _>(tenant, &[], &sql).await?;
        let count = |(agent, events, failures, about_patients, patients): Row| AgentCount {
            agent,
            events,
            failures,
            about_patients,
            patients: patients.unwrap_or(0),
        };
        Ok(rows.into_iter().map(count).collect())
    }

    /// Events by patient, those that were looked at most first, as many as that at most.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_patients(
        &self,
        tenant: TenantId,
        (from, to): (i64, i64),
        most: u32,
    ) -> Result<Vec<PatientCount>, StoreError> {
        let sql = Sql::new(
            "select p, count(*), count(distinct agent) from audit_events, unnest(patients) as p \
             where tenant = $1 and recorded >= $2 and recorded < $3 and outcome = 0 \
             group by p order by 2 desc, 1 limit $4",
        );
        let sql = sql.with(tenant.0).with(from).with(to).with(i64::from(most));
        let rows: Vec<(i64, i64, i64)> = self.ask::<(BigInt, BigInt, BigInt), _>(tenant, &[], &sql).await?;
        let count = |(subject, events, agents)| PatientCount { subject, events, agents };
        Ok(rows.into_iter().map(count).collect())
    }

    /// Events by day.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_days(
        &self,
        tenant: TenantId,
        from: i64,
        to: i64,
    ) -> Result<Vec<DayCount>, StoreError> {
        let sql = Sql::new(format!(
            "select recorded / 86400000000, {COUNTS} from audit_events \
             where tenant = $1 and recorded >= $2 and recorded < $3 group by 1 order by 1"
        ));
        let sql = sql.with(tenant.0).with(from).with(to);
        let rows: Vec<(i64, i64, i64, i64)> =
            self.ask::<(BigInt, BigInt, BigInt, BigInt), _>(tenant, &[], &sql).await?;
        let count =
            |(day, events, failures, about_patients)| DayCount { day, events, failures, about_patients };
        Ok(rows.into_iter().map(count).collect())
    }

    /// How many patients were touched.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_touched(&self, tenant: TenantId, from: i64, to: i64) -> Result<i64, StoreError> {
        let sql = Sql::new(
            "select count(distinct p) from audit_events, unnest(patients) as p \
             where tenant = $1 and recorded >= $2 and recorded < $3 and outcome = 0",
        );
        let sql = sql.with(tenant.0).with(from).with(to);
        let rows: Vec<(i64,)> = self.ask::<(BigInt,), _>(tenant, &[], &sql).await?;
        Ok(rows.first().map_or(0, |(count,)| *count))
    }

    /// Events of a period with an id above that one, in the order of their ids, as many as that at most.
    ///
    /// # Errors
    /// The database fails.
    pub async fn accesses(
        &self,
        tenant: TenantId,
        (from, to): (i64, i64),
        above: i64,
        most: u32,
    ) -> Result<Vec<AccessRow>, StoreError> {
        let sql = Sql::new(
            "select id, recorded, kind, outcome, agent, client, network, patients, octet_length(entities) \
             from audit_events where tenant = $1 and recorded >= $2 and recorded < $3 and id > $4 \
             order by id limit $5",
        );
        let sql = sql.with(tenant.0).with(from).with(to).with(above).with(i64::from(most));
        type Row = (i64, i64, i16, i16, String, Option<String>, Option<String>, Vec<i64>, i32);
        type Types = (
            BigInt,
            BigInt,
            SmallInt,
            SmallInt,
            Text,
            Nullable<Text>,
            Nullable<Text>,
            Array<BigInt>,
            Integer,
        );
        let rows: Vec<Row> = self.ask::<Types, _>(tenant, &[], &sql).await?;
        let access =
            |(id, recorded, kind, outcome, agent, client, network, patients, bytes): Row| AccessRow {
                id,
                recorded,
                kind,
                outcome,
                agent,
                client,
                network,
                patients,
                resources: usize::try_from(bytes / PACKED).unwrap_or(0),
            };
        Ok(rows.into_iter().map(access).collect())
    }

    /// The numbers of these patients, in the same order.
    ///
    /// # Errors
    /// The keys cannot be fetched.
    pub async fn subjects_of_patients(
        &self,
        tenant: TenantId,
        patients: &[ResourceId],
    ) -> Result<Vec<i64>, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        Ok(patients.iter().map(|it| keys.subject_of_patient(it.as_str())).collect())
    }

    /// When an event of that kind was last recorded under that rule.
    ///
    /// # Errors
    /// The database fails.
    pub async fn last_under_rule(
        &self,
        tenant: TenantId,
        kind: i16,
        rule: &str,
    ) -> Result<Option<i64>, StoreError> {
        let sql = Sql::new(
            "select recorded from audit_events where tenant = $1 and kind = $2 and rule = $3 and outcome = 0 \
             order by id desc limit 1",
        );
        let rows: Vec<(i64,)> =
            self.ask::<(BigInt,), _>(tenant, &[], &sql.with(tenant.0).with(kind).with(rule)).await?;
        Ok(rows.first().map(|(recorded,)| *recorded))
    }
}
