//! What the database says of itself: walls, roles, grants, triggers, keys, and how bodies lie in it.
//!
//! Asked by the compliance report, as the application's own role. Nothing here opens what is sealed, but for
//! whether an account has a second factor.

use crate::fhir::id::{ResourceType, TenantId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sealed_body;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, SmallInt, Text, Uuid as SqlUuid};
use uuid::Uuid;

/// Something of the schema that is not as the migrations made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault {
    /// What kind: `role`, `owned`, `wall`, `grant`, `trigger` or `name`.
    pub kind: String,
    /// Where: the name of a role or table, and what is wrong about it.
    pub place: String,
}

/// The wrapped keys of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// When the oldest of the tenant's own keys in use was made.
    pub oldest_own: Option<i64>,
    /// How many patients have a key.
    pub subjects: i64,
    /// How many keys were destroyed.
    pub destroyed: i64,
}

/// An account, as far as a report may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// Its id.
    pub id: Uuid,
    /// Its role.
    pub role: String,
    /// Nobody signs in with it any more.
    pub is_disabled: bool,
    /// It has a second factor.
    pub has_second_factor: bool,
}

/// How often a kind of event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindFacts {
    /// The kind: a number of `audit::event`.
    pub kind: i16,
    /// How many events.
    pub count: i64,
    /// How many did not succeed.
    pub failures: i64,
    /// When the last one succeeded.
    pub last: Option<i64>,
}

/// A body as it lies: the type of its resource, and its text with `null` for all that is sealed; no text if it is
/// no container of ours.
pub type BareBody = (ResourceType, Option<String>);

/// The tables of the trail, its months among them.
const TRAIL: &str = "select oid, relname::text as name from pg_class where relnamespace = 'public'::regnamespace \
     and relkind in ('r', 'p') and (relname in ('audit_events', 'audit_chain', 'audit_checkpoints') \
     or oid in (select inhrelid from pg_inherits where inhparent = 'public.audit_events'::regclass))";

impl Store {
    /// Everything of the schema that is not as it must be: who owns, who may, what is walled, what is only added to.
    ///
    /// # Errors
    /// The database fails.
    pub async fn schema_faults(&self, tenant: TenantId) -> Result<Vec<SchemaFault>, StoreError> {
        let sql = Sql::new(format!(
            "with trail as ({TRAIL}), \
             tables as (select c.oid, n.nspname || '.' || c.relname as name, c.relrowsecurity, c.relforcerowsecurity, \
               c.relispartition from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where n.nspname in ('public', 'resource') and c.relkind in ('r', 'p') and exists (select from \
               pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped)) \
             select 'role', rolname::text from pg_roles where rolname = 'vesta_app' \
               and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication) \
             union all select 'owned', c.relname::text from pg_class c join pg_roles r on r.oid = c.relowner \
               where r.rolname = 'vesta_app' and c.relkind in ('r', 'p', 'v', 'S') \
             union all select 'wall', name from tables where not (relrowsecurity and relforcerowsecurity) \
               or not (relispartition or exists (select from pg_policy where polrelid = tables.oid)) \
             union all select 'grant', name || ' ' || privilege from trail, \
               unnest(array['update', 'delete', 'truncate', 'trigger', 'references']) as privilege \
               where has_table_privilege('vesta_app', oid, privilege) \
               or privilege = 'update' and has_any_column_privilege('vesta_app', oid, 'update') \
             union all select 'trigger', name from trail where (select coalesce(bit_or(tgtype::int), 0) & 56 \
               from pg_trigger where tgrelid = trail.oid and tgenabled in ('O', 'A') \
               and tgfoid = 'public.refuse_change()'::regprocedure) <> 56 \
             union all select 'name', 'accounts_name_unique' where not exists (select from pg_constraint \
               where conname = 'accounts_name_unique' and contype = 'u')"
        ));
        let rows: Vec<(String, String)> = self.ask::<(Text, Text), _>(tenant, &[], &sql).await?;
        Ok(rows.into_iter().map(|(kind, place)| SchemaFault { kind, place }).collect())
    }

    /// The months of the trail that have a partition, such as `2026_11`, in order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_months(&self, tenant: TenantId) -> Result<Vec<String>, StoreError> {
        let sql = Sql::new(
            "select substr(c.relname::text, 14) from pg_inherits i join pg_class c on c.oid = i.inhrelid \
             where i.inhparent = 'public.audit_events'::regclass and c.relname ~ '^audit_events_[0-9]{4}_[0-9]{2}$' \
             order by 1",
        );
        let rows: Vec<(String,)> = self.ask::<(Text,), _>(tenant, &[], &sql).await?;
        Ok(rows.into_iter().map(|(month,)| month).collect())
    }

    /// The kinds of events recorded since then, and how often.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_kinds(&self, tenant: TenantId, since: i64) -> Result<Vec<KindFacts>, StoreError> {
        let sql = Sql::new(
            "select kind, count(*), count(*) filter (where outcome <> 0), max(recorded) filter (where outcome = 0) \
             from audit_events where tenant = $1 and recorded >= $2 group by kind order by kind",
        );
        type Row = (i16, i64, i64, Option<i64>);
        let rows: Vec<Row> = self
            .ask::<(SmallInt, BigInt, BigInt, Nullable<BigInt>), _>(
                tenant,
                &[],
                &sql.with(tenant.0).with(since),
            )
            .await?;
        let facts = |(kind, count, failures, last)| KindFacts { kind, count, failures, last };
        Ok(rows.into_iter().map(facts).collect())
    }

    /// The wrapped keys.
    ///
    /// # Errors
    /// The database fails.
    pub async fn key_facts(&self, tenant: TenantId) -> Result<KeyFacts, StoreError> {
        let sql = Sql::new(
            "select min(created) filter (where subject = 0 and is_active), \
             count(*) filter (where subject <> 0 and is_active), count(*) filter (where destroyed is not null) \
             from keys where tenant = $1",
        );
        let rows: Vec<(Option<i64>, i64, i64)> =
            self.ask::<(Nullable<BigInt>, BigInt, BigInt), _>(tenant, &[], &sql.with(tenant.0)).await?;
        let facts = rows.first().map(|(oldest_own, subjects, destroyed)| KeyFacts {
            oldest_own: *oldest_own,
            subjects: *subjects,
            destroyed: *destroyed,
        });
        Ok(facts.unwrap_or_default())
    }

    /// Every account, with whether it has a second factor.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn account_facts(&self, tenant: TenantId) -> Result<Vec<AccountFacts>, StoreError> {
        let sql = Sql::new(
            "select id, role, disabled is not null, sealed from accounts where tenant = $1 order by id",
        );
        type Row = (Uuid, String, bool, Vec<u8>);
        let rows: Vec<Row> =
            self.ask::<(SqlUuid, Text, Bool, Binary), _>(tenant, &[], &sql.with(tenant.0)).await?;
        let mut accounts = Vec::with_capacity(rows.len());
        for (id, role, is_disabled, sealed) in rows {
            let private = self.open_account(tenant, id, &sealed).await?;
            let has_second_factor = private.totp.is_some() || !private.passkeys.is_empty();
            accounts.push(AccountFacts { id, role, is_disabled, has_second_factor });
        }
        Ok(accounts)
    }

    /// The newest bodies of every table of resources, as they lie there: at most so many of each.
    ///
    /// # Errors
    /// The database fails.
    pub async fn bare_bodies(&self, tenant: TenantId, of_each: u32) -> Result<Vec<BareBody>, StoreError> {
        let mut bodies = Vec::new();
        let tables = self.tables_with(tenant, "body").await?;
        for resource_type in ResourceType::all() {
            let name = format!("resource.{}", resource_type.name().to_ascii_lowercase());
            if !tables.contains(&name) {
                continue;
            }
            let sql = Sql::new(format!(
                "select body from {name} where tenant = $1 and deed <> 3 order by rid desc limit $2"
            ));
            let sql = sql.with(tenant.0).with(i64::from(of_each)).uncached();
            let rows: Vec<(Vec<u8>,)> = self.ask::<(Binary,), _>(tenant, &[], &sql).await?;
            bodies.extend(rows.into_iter().map(|(body,)| (resource_type, sealed_body::skeleton(&body).ok())));
        }
        Ok(bodies)
    }

    /// The tables in which one of these values lies in the clear, as text or as bytes.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tables_holding(
        &self,
        tenant: TenantId,
        values: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let escaped = |value: &str| value.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let hex = |value: &str| value.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let patterns: Vec<String> =
            values.iter().flat_map(|it| [format!("%{}%", escaped(it)), format!("%{}%", hex(it))]).collect();
        let mut found = Vec::new();
        for table in self.tables_with(tenant, "tenant").await? {
            let sql = Sql::new(format!(
                "select exists (select from {table} as t where t.tenant = $1 and t::text like any($2))"
            ));
            let sql = sql.with(tenant.0).with(patterns.clone()).uncached();
            let rows: Vec<(bool,)> = self.ask::<(Bool,), _>(tenant, &[], &sql).await?;
            if rows == [(true,)] {
                found.push(table);
            }
        }
        Ok(found)
    }

    /// Our tables with a column of that name, that the application may read.
    async fn tables_with(&self, tenant: TenantId, column: &str) -> Result<Vec<String>, StoreError> {
        let sql = Sql::new(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace \
             join pg_attribute a on a.attrelid = c.oid and a.attname = $1 and not a.attisdropped \
             where n.nspname in ('public', 'resource') and c.relkind in ('r', 'p') and not c.relispartition \
             and has_table_privilege(c.oid, 'select') order by 1",
        );
        let rows: Vec<(String,)> = self.ask::<(Text,), _>(tenant, &[], &sql.with(column)).await?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }
}
