//! Failures to sign in, by account name and by address: so many within a window, and nobody may try.
//!
//! A name is counted whether there is such an account or not. Both subjects are kept as keyed hashes.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::BigInt;

/// Who failed.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Somebody who gave this user name.
    Account(&'a str),
    /// Somebody at this address.
    Address(&'a str),
}

impl Store {
    /// When these may try again, in microseconds since 1970, if they may not now: one of them has
    /// failed as often as `most` since `since`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sign_in_locked_until(
        &self,
        tenant: TenantId,
        subjects: &[Subject<'_>],
        (since, most): (i64, i32),
    ) -> Result<Option<i64>, StoreError> {
        let names = self.failure_names(tenant, subjects).await?;
        let sql = Sql::new(
            "select coalesce(max(times[cardinality(times) - $4 + 1]), 0) from sign_in_failures \
             where tenant = $1 and subject = any($2) and times[cardinality(times) - $4 + 1] > $3",
        );
        let sql = sql.with(tenant.0).with(names).with(since).with(most);
        let oldest = self.ask::<BigInt, i64>(tenant, &[], &sql).await?.into_iter().next().unwrap_or(0);
        let window = self.now().saturating_sub(since);
        Ok((oldest > 0).then(|| oldest.saturating_add(window)))
    }

    /// Counts a failure of these.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_sign_in_failure(
        &self,
        tenant: TenantId,
        subjects: &[Subject<'_>],
    ) -> Result<(), StoreError> {
        let mut names = self.failure_names(tenant, subjects).await?;
        names.sort_unstable();
        let sql = Sql::new(
            "insert into sign_in_failures (tenant, subject, latest, times) \
             select $1, it, $3, array[$3::bigint] from unnest($2::bytea[]) as it order by it \
             on conflict (tenant, subject) do update set latest = excluded.latest, \
             times = (sign_in_failures.times || excluded.times)[greatest(1, cardinality(sign_in_failures.times) - 30):]",
        );
        let sql = sql.with(tenant.0).with(names).with(self.now());
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// Forgets the failures of somebody who has signed in.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_sign_in_failures(
        &self,
        tenant: TenantId,
        subject: Subject<'_>,
    ) -> Result<(), StoreError> {
        let names = self.failure_names(tenant, &[subject]).await?;
        let sql = Sql::new("delete from sign_in_failures where tenant = $1 and subject = any($2)");
        self.act(tenant, &sql.with(tenant.0).with(names)).await?;
        Ok(())
    }

    async fn failure_names(
        &self,
        tenant: TenantId,
        subjects: &[Subject<'_>],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        let name = |subject: &Subject<'_>| match subject {
            Subject::Account(name) => keys.name("failed account", name.trim().to_lowercase().as_bytes()),
            Subject::Address(address) => keys.name("failed address", address.as_bytes()),
        };
        Ok(subjects.iter().map(|subject| name(subject).to_vec()).collect())
    }
}
