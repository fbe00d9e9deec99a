//! Grants: what a user, or nobody but the client itself, granted to a client, and the codes and refresh
//! tokens that came of it: one *family*.
//!
//! A code or refresh token is good for one use: of two who use it at once, one succeeds, and the other is
//! told that it was used. What is revoked is revoked in one statement with the news of it, which every
//! server reads (`revocations.rs`).

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::revocations::RevocationKind;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

/// A grant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// The id of the family.
    pub id: Uuid,
    /// When it began, in microseconds since 1970, as all times here.
    pub created: i64,
    /// When it ends whatever happens.
    pub expires: i64,
    /// When it was revoked.
    pub revoked: Option<i64>,
    /// Who granted it.
    pub account: Option<Uuid>,
    /// To whom.
    pub client: String,
    /// The session that it ends with.
    pub session: Option<Vec<u8>>,
    /// The encounter that it ends with.
    pub encounter: Option<String>,
    /// What was granted, JSON.
    pub document: String,
}

/// A token that stands for a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantTokenKind {
    /// An authorization code.
    Code,
    /// A refresh token.
    Refresh,
}

/// What came of using a code or refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Used {
    /// It was good, and is no more.
    Now(GrantRow),
    /// It was used before: somebody else may have it.
    Before(GrantRow),
    /// There is no such token, or its time is over.
    Unknown,
}

/// Which grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grants<'a> {
    /// One family.
    Family(Uuid),
    /// All of an account.
    Account(Uuid),
    /// All of an account to one client.
    AccountAndClient(Uuid, &'a str),
    /// All to a client.
    Client(&'a str),
    /// Those that end with a session.
    Session(&'a [u8]),
}

impl GrantTokenKind {
    fn code(self) -> i16 {
        match self {
            GrantTokenKind::Code => 1,
            GrantTokenKind::Refresh => 2,
        }
    }
}

type Row = (
    Uuid,
    i64,
    i64,
    Option<i64>,
    Option<Uuid>,
    String,
    (Option<Vec<u8>>, Option<String>, String, Option<i64>),
);
type RowTypes = (
    SqlUuid,
    BigInt,
    BigInt,
    Nullable<BigInt>,
    Nullable<SqlUuid>,
    Text,
    (Nullable<Binary>, Nullable<Text>, Text, Nullable<BigInt>),
);

const COLUMNS: &str =
    "g.id, g.created, g.expires, g.revoked, g.account, g.client, g.session, g.encounter, g.document";

fn row((id, created, expires, revoked, account, client, rest): Row) -> (GrantRow, Option<i64>) {
    let (session, encounter, document, used) = rest;
    (GrantRow { id, created, expires, revoked, account, client, session, encounter, document }, used)
}

impl Store {
    /// Keeps a new grant.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_grant(&self, tenant: TenantId, grant: &GrantRow) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into grants (tenant, id, created, expires, account, client, session, encounter, document) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let sql = sql.with(tenant.0).with(grant.id).with(grant.created).with(grant.expires);
        let sql = sql.with(grant.account).with(grant.client.clone()).with(grant.session.clone());
        let sql = sql.with(grant.encounter.clone()).with(grant.document.clone());
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// The grant with that id, revoked or not.
    ///
    /// # Errors
    /// The database fails.
    pub async fn grant(&self, tenant: TenantId, id: Uuid) -> Result<Option<GrantRow>, StoreError> {
        let sql =
            Sql::new(format!("select {COLUMNS}, null::bigint from grants g where tenant = $1 and id = $2"));
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql.with(tenant.0).with(id)).await?;
        Ok(rows.into_iter().next().map(|it| row(it).0))
    }

    /// The live grants of an account, newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn grants_of(&self, tenant: TenantId, account: Uuid) -> Result<Vec<GrantRow>, StoreError> {
        let sql = Sql::new(format!(
            "select {COLUMNS}, null::bigint from grants g where tenant = $1 and account = $2 \
             and revoked is null and expires > $3 order by created desc limit 200"
        ));
        let sql = sql.with(tenant.0).with(account).with(self.now());
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql).await?;
        Ok(rows.into_iter().map(|it| row(it).0).collect())
    }

    /// Puts another document in the place of a grant's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn change_grant(&self, tenant: TenantId, id: Uuid, document: &str) -> Result<(), StoreError> {
        let sql = Sql::new("update grants set document = $3 where tenant = $1 and id = $2");
        self.act(tenant, &sql.with(tenant.0).with(id).with(document)).await?;
        Ok(())
    }

    /// Keeps a code or refresh token by its hash.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_grant_token(
        &self,
        tenant: TenantId,
        (kind, hash): (GrantTokenKind, &[u8]),
        family: Uuid,
        expires: i64,
    ) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into grant_tokens (tenant, hash, kind, family, created, expires) \
             values ($1, $2, $3, $4, $5, $6)",
        );
        let sql = sql.with(tenant.0).with(hash.to_vec()).with(kind.code()).with(family);
        self.act(tenant, &sql.with(self.now()).with(expires)).await?;
        Ok(())
    }

    /// Uses a code or refresh token up. What came of it is certain when this returns.
    ///
    /// # Errors
    /// The database fails.
    pub async fn use_grant_token(
        &self,
        tenant: TenantId,
        (kind, hash): (GrantTokenKind, &[u8]),
    ) -> Result<Used, StoreError> {
        let sql = Sql::new(format!(
            "update grant_tokens t set used = $4 from grants g where t.tenant = $1 and t.kind = $2 and t.hash = $3 \
             and t.used is null and t.expires > $4 and g.tenant = t.tenant and g.id = t.family \
             returning {COLUMNS}, t.used"
        ));
        let sql = sql.with(tenant.0).with(kind.code()).with(hash.to_vec()).with(self.now());
        let connection = self.connection(tenant).await?;
        if let Some(found) = sql.rows::<RowTypes, Row>(&connection).await?.into_iter().next() {
            return Ok(Used::Now(row(found).0));
        }
        drop(connection);
        Ok(match self.find_grant_token(tenant, (kind, hash)).await? {
            Some((grant, Some(_))) => Used::Before(grant),
            _ => Used::Unknown,
        })
    }

    /// The grant that a refresh token stands for, and when the token was used.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find_grant_token(
        &self,
        tenant: TenantId,
        (kind, hash): (GrantTokenKind, &[u8]),
    ) -> Result<Option<(GrantRow, Option<i64>)>, StoreError> {
        let sql = Sql::new(format!(
            "select {COLUMNS}, case when t.expires > $4 then t.used else coalesce(t.used, t.expires) end \
             from grant_tokens t join grants g on g.tenant = t.tenant and g.id = t.family \
             where t.tenant = $1 and t.kind = $2 and t.hash = $3"
        ));
        let sql = sql.with(tenant.0).with(kind.code()).with(hash.to_vec()).with(self.now());
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql).await?;
        Ok(rows.into_iter().next().map(row))
    }

    /// Revokes grants, and tells every server: the families that were alive until now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoke_grants(
        &self,
        tenant: TenantId,
        which: &Grants<'_>,
        news_expire: i64,
    ) -> Result<usize, StoreError> {
        let condition = match which {
            Grants::Family(_) => "id = $5",
            Grants::Account(_) => "account = $5",
            Grants::AccountAndClient(..) => "account = $5 and client = $6",
            Grants::Client(_) => "client = $5",
            Grants::Session(_) => "session = $5",
        };
        let sql = Sql::new(format!(
            "with gone as (update grants set revoked = $2 where tenant = $1 and revoked is null and {condition} \
             returning id) insert into revocations (tenant, kind, subject, at, expires) \
             select $1, $4, id::text, $2, $3 from gone"
        ));
        let sql = sql.with(tenant.0).with(self.now()).with(news_expire).with(RevocationKind::Family.code());
        let sql = match which {
            Grants::Family(id) | Grants::Account(id) => sql.with(*id),
            Grants::AccountAndClient(id, client) => sql.with(*id).with(*client),
            Grants::Client(client) => sql.with(*client),
            Grants::Session(hash) => sql.with(hash.to_vec()),
        };
        let revoked = self.act(tenant, &sql).await?;
        self.revocations_changed(tenant);
        Ok(revoked)
    }
}
