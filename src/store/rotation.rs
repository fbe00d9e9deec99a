//! Changing keys while everybody goes on: the rows of `keys`, level by level.
//!
//! A key is never replaced by another in place: a new epoch is added, what lies under the old one is moved
//! over page by page, and the old epoch is destroyed when nothing needs it any more. Every change names what
//! it expects to find, so a key that was destroyed meanwhile does not come back.
//!
//! Servers keep unwrapped keys for a lease. What they still hold, they still use: whoever rotates waits for
//! that long before the last pass and the end of the old epoch (`jobs/rotation.rs`).

use crate::crypto::key_ring::{Purpose, RootKeyError, WrappedKey};
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::keys::{self, NOBODY, Row, RowTypes, unavailable, wrapped};
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt};
use std::sync::Arc;

/// How many keys of a purpose there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCount {
    /// What they are for.
    pub purpose: Purpose,
    /// Whether they are the tenant's own, and not those of patients.
    pub is_tenants: bool,
    /// With which new things are sealed.
    pub active: i64,
    /// Which only open what was sealed before.
    pub older: i64,
    /// Which were destroyed.
    pub destroyed: i64,
    /// When the newest was made, in microseconds since 1970.
    pub newest: i64,
}

impl Store {
    /// The name of the root key, and where it is kept.
    #[must_use]
    pub fn root_key(&self) -> String {
        self.ring().root().describe()
    }

    /// Puts a new root key beside the one in use: see [`crate::crypto::root_key::RootKey::rotate`].
    ///
    /// # Errors
    /// The provider cannot be reached, or the file cannot be written.
    pub async fn rotate_root_key(&self) -> Result<bool, RootKeyError> {
        self.ring().root().rotate().await
    }

    /// Forgets the older root keys: how many there were. Where a key of a tenant still needs one, nothing is
    /// forgotten.
    ///
    /// # Errors
    /// The database fails, or the file cannot be written.
    pub async fn drop_older_root_keys(&self) -> Result<Option<usize>, StoreError> {
        for tenant in self.tenants().await? {
            if self.keys_under_older_root(tenant.id).await? > 0 {
                return Ok(None);
            }
        }
        let dropped = self.ring().root().drop_older().await;
        Ok(Some(dropped.map_err(|error| StoreError::Unavailable(Box::new(error)))?))
    }

    /// How many older root keys are kept.
    #[must_use]
    pub fn older_root_keys(&self) -> usize {
        self.ring().root().older()
    }

    /// How many keys there are of each purpose.
    ///
    /// # Errors
    /// The database fails.
    pub async fn key_counts(&self, tenant: TenantId) -> Result<Vec<KeyCount>, StoreError> {
        let sql = Sql::new(
            "select purpose, subject = 0, count(*) filter (where is_active), \
               count(*) filter (where not is_active and wrapped is not null), \
               count(*) filter (where wrapped is null), max(created) \
             from keys where tenant = $1 group by 1, 2 order by 1, 2 desc",
        );
        type Types = (SmallInt, Bool, BigInt, BigInt, BigInt, BigInt);
        let rows =
            self.ask::<Types, (i16, bool, i64, i64, i64, i64)>(tenant, &[], &sql.with(tenant.0)).await?;
        let counts =
            rows.into_iter().filter_map(|(purpose, is_tenants, active, older, destroyed, newest)| {
                let purpose = Purpose::from_code(purpose)?;
                Some(KeyCount { purpose, is_tenants, active, older, destroyed, newest })
            });
        Ok(counts.collect())
    }

    /// Wraps the tenant's own keys under the newest root key: how many were under an older one.
    ///
    /// # Errors
    /// The database fails, or the provider of the root key.
    pub async fn rewrap_tenant_keys(&self, tenant: TenantId) -> Result<usize, StoreError> {
        self.ring().root().refresh().await.map_err(unavailable)?;
        let connection = self.upkeep(tenant).await?;
        let rows = keys::tenant_rows(&connection, tenant).await?;
        drop(connection);
        let mut moved = Vec::new();
        for row in rows {
            if row.wrapped.as_deref().is_some_and(|it| !self.ring().root().is_current(it)) {
                let rewrapped = self.ring().rewrap_tenant_key(tenant.0, &row).await.map_err(unavailable)?;
                moved.push((row, rewrapped));
            }
        }
        self.replace_wrapped(tenant, moved).await
    }

    /// How many of the tenant's own keys are not wrapped under the newest root key.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keys_under_older_root(&self, tenant: TenantId) -> Result<usize, StoreError> {
        self.ring().root().refresh().await.map_err(unavailable)?;
        let connection = self.upkeep(tenant).await?;
        let rows = keys::tenant_rows(&connection, tenant).await?;
        let root = self.ring().root();
        Ok(rows.iter().filter(|row| row.wrapped.as_deref().is_some_and(|it| !root.is_current(it))).count())
    }

    /// Adds an epoch to one of the tenant's own keys: with it new things are sealed at once, or only once it is
    /// activated. Its number.
    ///
    /// # Errors
    /// The database fails, or the provider of the root key.
    pub async fn add_tenant_key(&self, tenant: TenantId, purpose: Purpose) -> Result<u16, StoreError> {
        self.tenant_keys(tenant).await?;
        let connection = self.upkeep(tenant).await?;
        let epoch = keys::next_epoch(&keys::tenant_rows(&connection, tenant).await?, purpose);
        let key = self.new_tenant_key(tenant, purpose, epoch).await?;
        let sql = Sql::new(
            "insert into keys (tenant, created, is_active, purpose, subject, epoch, wrapped) \
             values ($1, $2, false, $3, 0, $4, $5)",
        );
        let sql = sql.with(tenant.0).with(self.now()).with(i16::from(purpose.code()));
        let sql = sql.with(i16::try_from(epoch).unwrap_or(i16::MAX)).with(key.wrapped);
        sql.execute(&connection).await?;
        self.ring().forget_tenant(tenant.0);
        Ok(epoch)
    }

    /// Makes the newest epoch of one of the tenant's own keys the one that new things are sealed with.
    ///
    /// # Errors
    /// The database fails.
    pub async fn activate_newest(&self, tenant: TenantId, purpose: Purpose) -> Result<(), StoreError> {
        let unit = self.begin(tenant, &[]).await?;
        let code = i16::from(purpose.code());
        let rest = "select max(epoch) from keys where tenant = $1 and purpose = $2 and subject = 0 \
             and wrapped is not null";
        for sql in [
            format!(
                "update keys set is_active = false where tenant = $1 and purpose = $2 and subject = 0 \
                 and is_active and epoch <> ({rest})"
            ),
            format!(
                "update keys set is_active = true where tenant = $1 and purpose = $2 and subject = 0 \
                 and not is_active and epoch = ({rest})"
            ),
        ] {
            Sql::new(sql).with(tenant.0).with(code).execute(unit.connection()?).await?;
        }
        unit.commit().await?;
        self.ring().forget_tenant(tenant.0);
        Ok(())
    }

    /// Wraps subject keys under the newest of the tenant's wrapping keys, from that subject on, so many at a
    /// time: the last subject that was looked at, if there may be more, and how many were moved.
    ///
    /// # Errors
    /// The database fails, or a key does not unwrap.
    pub async fn rewrap_subject_keys(
        &self,
        tenant: TenantId,
        after: Option<i64>,
        count: i64,
    ) -> Result<(Option<i64>, usize), StoreError> {
        let tenant_keys = self.tenant_keys(tenant).await?;
        let sql = Sql::new(
            "select purpose, subject, epoch, is_active, wrapped from keys where tenant = $1 and purpose = $2 \
             and subject = any(array(select distinct subject from (select subject from keys where tenant = $1 \
               and purpose = $2 and subject > $3 order by subject limit $4) as page)) order by subject, epoch",
        );
        let sql = sql.with(tenant.0).with(i16::from(Purpose::Subject.code()));
        let sql = sql.with(after.unwrap_or(i64::MIN)).with(count);
        let rows: Vec<WrappedKey> = self
            .ask::<RowTypes, Row>(tenant, &[], &sql)
            .await?
            .into_iter()
            .map(wrapped)
            .collect::<Result<_, _>>()?;
        let last = rows.last().map(|row| row.subject);
        let mut moved = Vec::new();
        for row in rows {
            if row.wrapped.as_deref().is_some_and(|it| !tenant_keys.is_current(it)) {
                let rewrapped = tenant_keys.rewrap(&row).map_err(unavailable)?;
                moved.push((row, rewrapped));
            }
        }
        Ok((last, self.replace_wrapped(tenant, moved).await?))
    }

    /// Destroys the older epochs of one of the tenant's own keys: how many.
    ///
    /// # Errors
    /// The database fails.
    pub async fn destroy_older(&self, tenant: TenantId, purpose: Purpose) -> Result<usize, StoreError> {
        let sql = Sql::new(
            "update keys as k set wrapped = null, destroyed = $3 where tenant = $1 and purpose = $2 \
             and subject = 0 and not is_active and wrapped is not null and epoch < (select max(epoch) from keys \
               where tenant = $1 and purpose = $2 and subject = 0 and is_active)",
        );
        let sql = sql.with(tenant.0).with(i16::from(purpose.code())).with(self.now());
        let destroyed = self.act(tenant, &sql).await?;
        self.ring().forget_tenant(tenant.0);
        Ok(destroyed)
    }

    /// Gives new keys to subjects whose key was made until that time, from that subject on, so many at a time:
    /// the last subject that was looked at, if there may be more, and how many got one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn renew_subject_keys(
        &self,
        tenant: TenantId,
        before: i64,
        after: Option<i64>,
        count: i64,
    ) -> Result<(Option<i64>, usize), StoreError> {
        let tenant_keys = self.tenant_keys(tenant).await?;
        let sql = Sql::new(
            "select subject, epoch, created <= $5 from keys where tenant = $1 and purpose = $2 and subject > $3 \
             and is_active order by subject limit $4",
        );
        let sql = sql.with(tenant.0).with(i16::from(Purpose::Subject.code()));
        let sql = sql.with(after.unwrap_or(i64::MIN)).with(count).with(before);
        let rows: Vec<(i64, i16, bool)> = self.ask::<(BigInt, SmallInt, Bool), _>(tenant, &[], &sql).await?;
        let last = rows.last().map(|row| row.0);
        let (mut subjects, mut epochs, mut made) = (Vec::new(), Vec::new(), Vec::new());
        for (subject, epoch, is_old) in rows {
            let next = u16::try_from(epoch).unwrap_or(u16::MAX).saturating_add(1);
            if is_old && i16::try_from(next).is_ok() {
                subjects.push(subject);
                epochs.push(epoch);
                made.push(tenant_keys.new_subject_key(subject, next).wrapped.unwrap_or_default());
            }
        }
        if subjects.is_empty() {
            return Ok((last, 0));
        }
        let renewed: Arc<[i64]> = subjects.clone().into();
        let sql = Sql::new(
            "with n as (select * from unnest($3::bigint[], $4::smallint[], $5::bytea[]) \
               as n (subject, epoch, wrapped)), \
             old as (update keys as k set is_active = false from n where k.tenant = $1 and k.purpose = $2 \
               and k.subject = n.subject and k.epoch = n.epoch and k.is_active \
               returning k.subject, k.epoch) \
             insert into keys (tenant, created, is_active, purpose, subject, epoch, wrapped) \
             select $1, $6, true, $2, n.subject, n.epoch + 1, n.wrapped from n join old using (subject, epoch)",
        );
        let sql = sql.with(tenant.0).with(i16::from(Purpose::Subject.code()));
        let sql = sql.with(subjects).with(epochs).with(made).with(self.now());
        let made = self.act(tenant, &sql).await?;
        renewed.iter().for_each(|subject| self.ring().forget_subject(tenant.0, *subject));
        Ok((last, made))
    }

    /// Destroys the older keys of all patients: how many. Those of no single patient stay, since details of
    /// the trail, which nobody may change, are sealed under them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn destroy_older_subject_keys(
        &self,
        tenant: TenantId,
        before: i64,
    ) -> Result<usize, StoreError> {
        // Who still holds an old key, and reads an old row with it, is left to: nothing is forgotten here.
        let sql = Sql::new(
            "update keys set wrapped = null, destroyed = $3 where tenant = $1 and purpose = $2 \
             and subject <> $4 and not is_active and wrapped is not null and created <= $5",
        );
        let sql = sql.with(tenant.0).with(i16::from(Purpose::Subject.code())).with(self.now());
        self.act(tenant, &sql.with(NOBODY).with(before)).await
    }

    /// Puts newly wrapped bytes in the place of those that were read, where they still stand.
    async fn replace_wrapped(
        &self,
        tenant: TenantId,
        moved: Vec<(WrappedKey, Vec<u8>)>,
    ) -> Result<usize, StoreError> {
        if moved.is_empty() {
            return Ok(0);
        }
        let sql = Sql::new(
            "update keys as k set wrapped = n.new from unnest($2::smallint[], $3::bigint[], $4::smallint[], \
               $5::bytea[], $6::bytea[]) as n (purpose, subject, epoch, old, new) \
             where k.tenant = $1 and k.purpose = n.purpose and k.subject = n.subject and k.epoch = n.epoch \
               and k.wrapped = n.old",
        );
        let of = |it: &WrappedKey| i16::try_from(it.epoch).unwrap_or(i16::MAX);
        let sql = sql
            .with(tenant.0)
            .with(moved.iter().map(|(key, _)| i16::from(key.purpose.code())).collect::<Vec<_>>())
            .with(moved.iter().map(|(key, _)| key.subject).collect::<Vec<_>>())
            .with(moved.iter().map(|(key, _)| of(key)).collect::<Vec<_>>())
            .with(moved.iter().map(|(key, _)| key.wrapped.clone().unwrap_or_default()).collect::<Vec<_>>())
            .with(moved.into_iter().map(|(_, new)| new).collect::<Vec<_>>());
        self.act(tenant, &sql).await
    }

    /// When the oldest key that patients' data are sealed with was made, in microseconds since 1970; none before the first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn oldest_active_subject_key(&self, tenant: TenantId) -> Result<Option<i64>, StoreError> {
        let sql = Sql::new(
            "select min(created) from keys where tenant = $1 and purpose = $2 and subject <> $3 and is_active",
        );
        let sql = sql.with(tenant.0).with(i16::from(Purpose::Subject.code())).with(NOBODY);
        let rows: Vec<(Option<i64>,)> = self.ask::<(Nullable<BigInt>,), _>(tenant, &[], &sql).await?;
        Ok(rows.into_iter().next().and_then(|(it,)| it))
    }
}
