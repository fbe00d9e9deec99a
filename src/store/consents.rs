//! Consents that a user wants remembered: one to each client, until it expires or is taken back.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

/// A remembered consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// To whom.
    pub client: String,
    /// When, in microseconds since 1970.
    pub created: i64,
    /// To what, JSON.
    pub document: String,
}

impl Store {
    /// Remembers a consent, in the place of the one before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_consent(
        &self,
        tenant: TenantId,
        account: Uuid,
        consent: &ConsentRow,
        expires: i64,
    ) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into consents (tenant, account, client, created, expires, document) \
             values ($1, $2, $3, $4, $5, $6) on conflict (tenant, account, client) do update set \
             created = excluded.created, expires = excluded.expires, document = excluded.document",
        );
        let sql = sql.with(tenant.0).with(account).with(consent.client.clone()).with(consent.created);
        self.act(tenant, &sql.with(expires).with(consent.document.clone())).await?;
        Ok(())
    }

    /// The consents of an account that have not expired, by client.
    ///
    /// # Errors
    /// The database fails.
    pub async fn consents_of(&self, tenant: TenantId, account: Uuid) -> Result<Vec<ConsentRow>, StoreError> {
        let sql = Sql::new(
            "select client, created, document from consents \
             where tenant = $1 and account = $2 and expires > $3 order by client",
        );
        let sql = sql.with(tenant.0).with(account).with(self.now());
        let rows = self.ask::<(Text, BigInt, Text), (String, i64, String)>(tenant, &[], &sql).await?;
        let row = |(client, created, document)| ConsentRow { client, created, document };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Forgets the consent of an account to a client.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_consent(
        &self,
        tenant: TenantId,
        account: Uuid,
        client: &str,
    ) -> Result<(), StoreError> {
        let sql = Sql::new("delete from consents where tenant = $1 and account = $2 and client = $3");
        self.act(tenant, &sql.with(tenant.0).with(account).with(client)).await?;
        Ok(())
    }
}
