//! Sessions: browsers that we know again by a cookie, of which only the hash is stored.
//!
//! A session that is not used dies after a while, and every session in the end; both limits are the
//! caller's. To use one is to say so, at most once a minute.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

/// One browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The hash of its cookie.
    pub hash: Vec<u8>,
    /// When it began, in microseconds since 1970, as all times here.
    pub created: i64,
    /// The account whose password was given.
    pub account: Option<Uuid>,
    /// When it was given.
    pub signed_in: Option<i64>,
    /// When the second factor was given.
    pub strong: Option<i64>,
    /// How somebody signed in: words of RFC 8176, with spaces between.
    pub methods: String,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// Unused.
    pub idle_microseconds: i64,
    /// At most.
    pub absolute_microseconds: i64,
}

type Row = (Vec<u8>, i64, Option<Uuid>, Option<i64>, Option<i64>, i64, String);
type RowTypes = (Binary, BigInt, Nullable<SqlUuid>, Nullable<BigInt>, Nullable<BigInt>, BigInt, Text);

const MINUTE: i64 = 60_000_000;

impl Store {
    /// Keeps a new session.
    ///
    /// # Errors
    /// The database fails.
    pub async fn open_session(&self, tenant: TenantId, session: &Session) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into sessions (tenant, hash, created, used, account, signed_in, strong, methods) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let sql = sql.with(tenant.0).with(session.hash.clone()).with(session.created).with(self.now());
        let sql = sql.with(session.account).with(session.signed_in).with(session.strong);
        let sql = sql.with(session.methods.clone());
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// The session of that cookie's hash, if it is alive; it is then used now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn use_session(
        &self,
        tenant: TenantId,
        hash: &[u8],
        lifetime: Lifetime,
    ) -> Result<Option<Session>, StoreError> {
        let now = self.now();
        let sql = Sql::new(
            "select hash, created, account, signed_in, strong, used, methods from sessions \
             where tenant = $1 and hash = $2 and ended is null and used > $3 and created > $4",
        );
        let sql = sql
            .with(tenant.0)
            .with(hash.to_vec())
            .with(now.saturating_sub(lifetime.idle_microseconds))
            .with(now.saturating_sub(lifetime.absolute_microseconds));
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql).await?;
        let Some((hash, created, account, signed_in, strong, used, methods)) = rows.into_iter().next() else {
            return Ok(None);
        };
        if now.saturating_sub(used) > MINUTE.min(lifetime.idle_microseconds / 4) {
            let sql = Sql::new("update sessions set used = $3 where tenant = $1 and hash = $2");
            self.act(tenant, &sql.with(tenant.0).with(hash.clone()).with(now)).await?;
        }
        Ok(Some(Session { hash, created, account, signed_in, strong, methods }))
    }

    /// Whether a session that began after that has not ended. It is not used by this.
    ///
    /// # Errors
    /// The database fails.
    pub async fn session_is_open(
        &self,
        tenant: TenantId,
        hash: &[u8],
        created_after: i64,
    ) -> Result<bool, StoreError> {
        let sql = Sql::new(
            "select created from sessions where tenant = $1 and hash = $2 and ended is null and created > $3",
        );
        let sql = sql.with(tenant.0).with(hash.to_vec()).with(created_after);
        Ok(!self.ask::<BigInt, i64>(tenant, &[], &sql).await?.is_empty())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database fails.
    pub async fn end_session(&self, tenant: TenantId, hash: &[u8]) -> Result<(), StoreError> {
        let sql =
            Sql::new("update sessions set ended = $3 where tenant = $1 and hash = $2 and ended is null");
        let sql = sql.with(tenant.0).with(hash.to_vec()).with(self.now());
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// Ends every session of an account.
    ///
    /// # Errors
    /// The database fails.
    pub async fn end_sessions_of(&self, tenant: TenantId, account: Uuid) -> Result<(), StoreError> {
        let sql =
            Sql::new("update sessions set ended = $3 where tenant = $1 and account = $2 and ended is null");
        let sql = sql.with(tenant.0).with(account).with(self.now());
        self.act(tenant, &sql).await?;
        Ok(())
    }
}
