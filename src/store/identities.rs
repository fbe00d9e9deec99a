//! Providers of identities upstream, and whose account a name there is.
//!
//! A provider's registration holds a secret, and lies sealed. A name at a provider says who somebody is: of
//! it only a keyed hash is stored.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Text, Uuid as SqlUuid};
use uuid::Uuid;

/// A provider as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProviderRow {
    /// Its id, which stands in our addresses.
    pub id: String,
    /// What an operator registered, JSON.
    pub document: String,
}

/// The label of what is sealed here.
const LABEL: &str = "identity provider";

impl Store {
    /// The providers that users may come from.
    ///
    /// # Errors
    /// The database fails.
    pub async fn identity_providers(&self, tenant: TenantId) -> Result<Vec<IdentityProviderRow>, StoreError> {
        let sql = Sql::new(
            "select id, sealed from identity_providers where tenant = $1 and disabled is null order by id",
        );
        let rows = self.ask::<(Text, Binary), (String, Vec<u8>)>(tenant, &[], &sql.with(tenant.0)).await?;
        let mut providers = Vec::with_capacity(rows.len());
        for (id, sealed) in rows {
            let plain = self.open_private(tenant, (LABEL, id.as_bytes()), &sealed).await?;
            let document =
                String::from_utf8(plain.to_vec()).map_err(|error| StoreError::Broken(error.into()))?;
            providers.push(IdentityProviderRow { id, document });
        }
        Ok(providers)
    }

    /// Stores a provider, new or changed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_identity_provider(
        &self,
        tenant: TenantId,
        provider: &IdentityProviderRow,
    ) -> Result<(), StoreError> {
        let place = (LABEL, provider.id.as_bytes());
        let sealed = self.seal_private(tenant, place, provider.document.as_bytes()).await?;
        let sql = Sql::new(
            "insert into identity_providers (tenant, id, created, sealed) values ($1, $2, $3, $4) \
             on conflict (tenant, id) do update set disabled = null, sealed = excluded.sealed",
        );
        let sql = sql.with(tenant.0).with(provider.id.clone()).with(self.now()).with(sealed);
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// The account that a name at a provider is linked to.
    ///
    /// # Errors
    /// The database fails.
    pub async fn account_of_identity(
        &self,
        tenant: TenantId,
        (provider, subject): (&str, &str),
    ) -> Result<Option<Uuid>, StoreError> {
        let name = self.private_name(tenant, provider, subject).await?;
        let sql =
            Sql::new("select account from identities where tenant = $1 and provider = $2 and subject = $3");
        let sql = sql.with(tenant.0).with(provider).with(name);
        Ok(self.ask::<SqlUuid, Uuid>(tenant, &[], &sql).await?.into_iter().next())
    }

    /// Links a name at a provider to an account: false if it is linked already.
    ///
    /// # Errors
    /// The database fails.
    pub async fn link_identity(
        &self,
        tenant: TenantId,
        account: Uuid,
        (provider, subject): (&str, &str),
    ) -> Result<bool, StoreError> {
        let name = self.private_name(tenant, provider, subject).await?;
        let sql = Sql::new(
            "insert into identities (tenant, provider, subject, account, created) \
             values ($1, $2, $3, $4, $5) on conflict do nothing",
        );
        let sql = sql.with(tenant.0).with(provider).with(name).with(account).with(self.now());
        Ok(self.act(tenant, &sql).await? == 1)
    }

    /// The providers that an account is linked to, each with when that was.
    ///
    /// # Errors
    /// The database fails.
    pub async fn identities_of(
        &self,
        tenant: TenantId,
        account: Uuid,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = Sql::new(
            "select provider, created from identities where tenant = $1 and account = $2 order by created",
        );
        self.ask::<(Text, BigInt), (String, i64)>(tenant, &[], &sql.with(tenant.0).with(account)).await
    }

    /// Unlinks an account from a provider.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unlink_identity(
        &self,
        tenant: TenantId,
        account: Uuid,
        provider: &str,
    ) -> Result<bool, StoreError> {
        let sql = Sql::new("delete from identities where tenant = $1 and account = $2 and provider = $3");
        Ok(self.act(tenant, &sql.with(tenant.0).with(account).with(provider)).await? > 0)
    }
}
