//! Destroying the keys of a patient, or of a tenant, and removing their rows: by two officers, unless a legal
//! hold stands.
//!
//! The database does it (`shred_patient`, `shred_tenant`): the server's own role may delete none of these rows.
//! Both look for a hold themselves, in the transaction that destroys. Copies that lie elsewhere, in backups
//! and in the write-ahead log, hold what was sealed under a key that is nowhere any more.
//!
//! Other servers forget the key with their next request ([`RevocationKind::Key`]). What was already on its way
//! into the database meanwhile is removed a minute later ([`Store::shred_stragglers`]).

use crate::crypto::random;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::store::Store;
use crate::store::audit_log::AuditRow;
use crate::store::error::StoreError;
use crate::store::resources::Deed;
use crate::store::revocations::RevocationKind;
use crate::store::sealed_body;
use crate::store::sql::Sql;
use crate::store::tables::table;
use crate::store::unit::Unit;
use diesel::sql_types::{BigInt, Binary, Text, Uuid as SqlUuid};
use uuid::Uuid;

/// Who is meant: a patient, or the whole tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim<'a> {
    /// One patient, and all that is theirs alone.
    Patient(&'a ResourceId),
    /// Everything but the trail.
    Tenant,
}

/// What one officer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShredRequest {
    /// Its id.
    pub id: Uuid,
    /// By whom.
    pub requested_by: String,
    /// Until when another may agree, in microseconds since 1970.
    pub expires: i64,
}

/// What came of an officer's agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shredded {
    /// So many rows are gone.
    Done(u64),
    /// A hold stands.
    Held,
    /// The request was not open any more, or was the same officer's.
    NotOpen,
}

/// The kind of job that looks for what was on its way when a key was destroyed.
pub const STRAGGLERS: &str = "stragglers of a purge";

const HOLD: &str = "legal hold";
/// How long other servers are told that a key is gone: longer than they keep one.
const NEWS: i64 = 24 * 3600 * 1_000_000;

impl Store {
    /// Places a hold: false if one stands already.
    ///
    /// # Errors
    /// The database fails.
    pub async fn place_hold(
        &self,
        tenant: TenantId,
        victim: Victim<'_>,
        (officer, reason): (&str, &str),
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        let subject = self.subject_of(tenant, victim).await?;
        let id = random::id(self.now());
        let reason = self.seal_private(tenant, (HOLD, id.as_bytes()), reason.as_bytes()).await?;
        let sql = Sql::new(
            "insert into legal_holds (tenant, id, subject, placed, placed_by, reason) \
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        );
        let sql = sql.with(tenant.0).with(id).with(subject).with(self.now()).with(officer).with(reason);
        self.changed(tenant, &sql, audit).await
    }

    /// Lifts a hold: false if none stands.
    ///
    /// # Errors
    /// The database fails.
    pub async fn lift_hold(
        &self,
        tenant: TenantId,
        victim: Victim<'_>,
        officer: &str,
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        let subject = self.subject_of(tenant, victim).await?;
        let sql = Sql::new(
            "update legal_holds set lifted = $3, lifted_by = $4 where tenant = $1 and subject = $2 and lifted is null",
        );
        let sql = sql.with(tenant.0).with(subject).with(self.now()).with(officer);
        self.changed(tenant, &sql, audit).await
    }

    /// Whether a hold stands on them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_held(&self, tenant: TenantId, victim: Victim<'_>) -> Result<bool, StoreError> {
        let subject = self.subject_of(tenant, victim).await?;
        // A tenant is held by the hold on any of its patients, and a patient by that on the tenant.
        let sql = Sql::new(
            "select id from legal_holds where tenant = $1 and lifted is null and ($2 = 0 or subject in (0, $2)) limit 1",
        );
        let rows = self.ask::<(SqlUuid,), (Uuid,)>(tenant, &[], &sql.with(tenant.0).with(subject)).await?;
        Ok(!rows.is_empty())
    }

    /// The request that another officer may agree to.
    ///
    /// # Errors
    /// The database fails.
    pub async fn open_shred_request(
        &self,
        tenant: TenantId,
        victim: Victim<'_>,
    ) -> Result<Option<ShredRequest>, StoreError> {
        let subject = self.subject_of(tenant, victim).await?;
        let sql = Sql::new(
            "select id, requested_by, expires from shred_requests where tenant = $1 and subject = $2 \
             and done is null and expires > $3 order by requested desc limit 1",
        );
        let sql = sql.with(tenant.0).with(subject).with(self.now());
        let rows = self.ask::<(SqlUuid, Text, BigInt), (Uuid, String, i64)>(tenant, &[], &sql).await?;
        let request = rows.into_iter().next();
        Ok(request.map(|(id, requested_by, expires)| ShredRequest { id, requested_by, expires }))
    }

    /// Asks for their destruction, until that time.
    ///
    /// # Errors
    /// The database fails.
    pub async fn request_shredding(
        &self,
        tenant: TenantId,
        victim: Victim<'_>,
        (officer, expires): (&str, i64),
        audit: AuditRow,
    ) -> Result<(), StoreError> {
        let subject = self.subject_of(tenant, victim).await?;
        let sql = Sql::new(
            "insert into shred_requests (tenant, id, subject, requested, expires, requested_by) \
             values ($1, $2, $3, $4, $5, $6)",
        );
        let sql = sql.with(tenant.0).with(random::id(self.now())).with(subject).with(self.now());
        self.changed(tenant, &sql.with(expires).with(officer), audit).await?;
        Ok(())
    }

    /// Destroys them, on another officer's agreement. `left` is stored in their place: what says that it was
    /// done, and for a patient only.
    ///
    /// # Errors
    /// The database fails: then nothing was destroyed.
    pub async fn shred(
        &self,
        tenant: TenantId,
        victim: Victim<'_>,
        (request, officer): (Uuid, &str),
        (left, audit): (Vec<Deed>, Vec<AuditRow>),
    ) -> Result<Shredded, StoreError> {
        let subject = self.subject_of(tenant, victim).await?;
        let types = self.stored_types(tenant).await?;
        let mut unit = self.begin(tenant, &[format!("shred {subject}")]).await?;
        if self.is_held(tenant, victim).await? {
            unit.roll_back().await?;
            return Ok(Shredded::Held);
        }
        let agreed = Sql::new(
            "update shred_requests set done = $3, approved_by = $4 where tenant = $1 and id = $2 and done is null \
             and expires > $3 and requested_by <> $4",
        );
        let agreed = agreed.with(tenant.0).with(request).with(self.now()).with(officer);
        if agreed.execute(unit.connection()?).await? != 1 {
            unit.roll_back().await?;
            return Ok(Shredded::NotOpen);
        }
        Sql::new("set local statement_timeout = '1h'").execute(unit.connection()?).await?;
        let removed = match victim {
            Victim::Patient(_) => self.remove(&unit, subject, &types, None).await?,
            Victim::Tenant => {
                let sql = Sql::new("select shred_tenant($1)").with(self.now());
                sql.rows::<(BigInt,), (i64,)>(unit.connection()?).await?.first().map_or(0, |row| row.0)
            }
        };
        let news = Sql::new(
            "insert into revocations (tenant, kind, subject, at, expires) values ($1, $2, $3, $4, $5)",
        );
        let news = news.with(tenant.0).with(RevocationKind::Key.code()).with(subject.to_string());
        let news = news.with(self.now()).with(self.now().saturating_add(NEWS));
        news.execute(unit.connection()?).await?;
        unit.write(left, audit).await?;
        unit.commit().await?;
        self.key_is_gone(tenant, subject);
        self.revocations_changed(tenant);
        Ok(Shredded::Done(u64::try_from(removed).unwrap_or_default()))
    }

    /// Removes what was on its way into the database when a patient's key was destroyed at that time, and
    /// nobody can read: how many rows.
    ///
    /// # Errors
    /// The database fails.
    pub async fn shred_stragglers(&self, tenant: TenantId, subject: i64, at: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        for resource_type in self.stored_types(tenant).await? {
            let mut sql = Sql::new("select rid, updated, body from ");
            sql.push(&table(resource_type)).push(" where tenant = ").bind(tenant.0);
            sql.push(" and patient = ").bind(subject);
            let rows: Vec<(i64, i64, Vec<u8>)> =
                self.ask::<(BigInt, BigInt, Binary), _>(tenant, &[resource_type], &sql).await?;
            if rows.is_empty() {
                continue;
            }
            self.ring().forget_subject(tenant.0, subject);
            let keys = self.subject_keys(tenant, &[subject]).await?.remove(&subject);
            let is_lost = |body: &[u8]| {
                let name = sealed_body::key_name(body).ok().flatten().filter(|it| it.subject == subject);
                name.is_some_and(|it| keys.as_ref().is_none_or(|keys| keys.of_epoch(it.epoch).is_none()))
            };
            let lost: Vec<i64> = rows
                .iter()
                .filter(|(_, updated, body)| *updated <= at || is_lost(body))
                .map(|row| row.0)
                .collect();
            if !lost.is_empty() {
                let unit = self.begin(tenant, &[format!("shred {subject}")]).await?;
                let gone = self.remove(&unit, subject, &[resource_type], Some(lost)).await?;
                unit.commit().await?;
                removed += u64::try_from(gone).unwrap_or_default();
            }
        }
        Ok(removed)
    }

    /// The number of the victim, which is 0 for a tenant.
    ///
    /// # Errors
    /// The keys of the tenant cannot be fetched.
    pub async fn subject_of(&self, tenant: TenantId, victim: Victim<'_>) -> Result<i64, StoreError> {
        match victim {
            Victim::Patient(id) => Ok(self.tenant_keys(tenant).await?.subject_of_patient(id.as_str())),
            Victim::Tenant => Ok(0),
        }
    }

    /// Keys were destroyed: none of them is kept here any more.
    pub(super) fn key_is_gone(&self, tenant: TenantId, subject: i64) {
        match subject {
            0 => self.ring().forget_all(),
            _ => self.ring().forget_subject(tenant.0, subject),
        }
    }

    /// Removes every row of a patient, or for subject 0 of the whole tenant, as when they were destroyed.
    pub(super) async fn remove_subject(&self, tenant: TenantId, subject: i64) -> Result<u64, StoreError> {
        let types = self.stored_types(tenant).await?;
        let connection = self.upkeep(tenant).await?;
        let removed = match subject {
            0 => {
                let sql = Sql::new("select shred_tenant($1)").with(self.now());
                sql.rows::<(BigInt,), (i64,)>(&connection).await?.first().map_or(0, |row| row.0)
            }
            _ => {
                let sql = removing(subject, self.now(), &types, None);
                sql.rows::<(BigInt,), (i64,)>(&connection).await?.first().map_or(0, |row| row.0)
            }
        };
        Ok(u64::try_from(removed).unwrap_or_default())
    }

    async fn remove(
        &self,
        unit: &Unit,
        subject: i64,
        types: &[ResourceType],
        these: Option<Vec<i64>>,
    ) -> Result<i64, StoreError> {
        let sql = removing(subject, self.now(), types, these);
        let rows = sql.rows::<(BigInt,), (i64,)>(unit.connection()?).await?;
        Ok(rows.first().map_or(0, |row| row.0))
    }

    /// One change, and its row in the trail, together: whether it changed anything.
    async fn changed(&self, tenant: TenantId, sql: &Sql, audit: AuditRow) -> Result<bool, StoreError> {
        let mut unit = self.begin(tenant, &[]).await?;
        let changed = sql.execute(unit.connection()?).await?;
        if changed == 0 {
            unit.roll_back().await?;
            return Ok(false);
        }
        unit.write(Vec::new(), vec![audit]).await?;
        unit.commit().await?;
        Ok(true)
    }
}

fn removing(subject: i64, now: i64, types: &[ResourceType], these: Option<Vec<i64>>) -> Sql {
    let mut sql = Sql::new("select shred_patient(");
    sql.bind(subject).push(", ").bind(now).push(", ");
    sql.bind(types.iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()).push(", ");
    sql.bind(types.iter().map(|it| it.code()).collect::<Vec<i16>>()).push(", ");
    match these {
        Some(these) => sql.bind(these).push(")"),
        None => sql.push("null)"),
    };
    sql
}
