//! Accounts: who may sign in.
//!
//! A user name may be an e-mail address, and says who somebody is: it is found by its keyed hash, and lies
//! sealed, together with the secret of the second factor and the hashes of the recovery codes.

use crate::crypto::webauthn::Passkey;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id: the `sub` of tokens. Never used again.
    pub id: Uuid,
    /// The resource that stands for the user, such as `Practitioner/17`.
    pub fhir_user: Option<String>,
    /// The role, in the words of the access policy.
    pub role: String,
    /// The password, hashed: a PHC string.
    pub password: String,
    /// When it was disabled.
    pub disabled: Option<i64>,
    /// The last step whose one-time password was used.
    pub totp_step: i64,
    /// What only the holder and we know.
    pub private: Private,
}

/// What lies sealed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Private {
    /// The name to sign in with, as given.
    pub username: String,
    /// How the user is addressed.
    pub display: Option<String>,
    /// The secret of the second factor, base32; none before enrolment.
    pub totp: Option<String>,
    /// The hashes of the recovery codes that are left.
    pub recovery: Vec<String>,
    /// The passkeys, each a second factor.
    #[serde(default)]
    pub passkeys: Vec<Passkey>,
}

/// The label of what is sealed here.
const LABEL: &str = "account";

type Row = (Uuid, Option<String>, String, String, Option<i64>, i64, Vec<u8>);
type RowTypes = (SqlUuid, Nullable<Text>, Text, Text, Nullable<BigInt>, BigInt, Binary);

const COLUMNS: &str = "id, fhir_user, role, password, disabled, totp_step, sealed";

impl Store {
    /// The account with that user name, whatever its case.
    ///
    /// # Errors
    /// The database fails.
    pub async fn account_named(
        &self,
        tenant: TenantId,
        username: &str,
    ) -> Result<Option<Account>, StoreError> {
        let name = self.private_name(tenant, LABEL, &normal(username)).await?;
        let sql = Sql::new(format!("select {COLUMNS} from accounts where tenant = $1 and name = $2"));
        self.account(tenant, sql.with(tenant.0).with(name)).await
    }

    /// The account with that id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn account_by_id(&self, tenant: TenantId, id: Uuid) -> Result<Option<Account>, StoreError> {
        let sql = Sql::new(format!("select {COLUMNS} from accounts where tenant = $1 and id = $2"));
        self.account(tenant, sql.with(tenant.0).with(id)).await
    }

    /// The accounts whose ids come after that one, in order, so many at most.
    ///
    /// # Errors
    /// The database fails.
    pub async fn accounts_after(
        &self,
        tenant: TenantId,
        after: Uuid,
        most: i64,
    ) -> Result<Vec<Account>, StoreError> {
        let sql = Sql::new(format!(
            "select {COLUMNS} from accounts where tenant = $1 and id > $2 order by id limit $3"
        ));
        let sql = sql.with(tenant.0).with(after).with(most);
        let mut accounts = Vec::new();
        for row in self.ask::<RowTypes, Row>(tenant, &[], &sql).await? {
            accounts.push(self.opened(tenant, row).await?);
        }
        Ok(accounts)
    }

    /// Stores an account, new or changed. The user name of an account never changes.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_account(&self, tenant: TenantId, account: &Account) -> Result<(), StoreError> {
        let name = self.private_name(tenant, LABEL, &normal(&account.private.username)).await?;
        let plain = serde_json::to_vec(&account.private).map_err(|error| StoreError::Broken(error.into()))?;
        let sealed = self.seal_private(tenant, (LABEL, account.id.as_bytes()), &plain).await?;
        let sql = Sql::new(
            "insert into accounts (tenant, id, created, disabled, totp_step, name, fhir_user, role, password, sealed) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (tenant, id) do update set \
             disabled = excluded.disabled, totp_step = greatest(accounts.totp_step, excluded.totp_step), \
             fhir_user = excluded.fhir_user, role = excluded.role, password = excluded.password, \
             sealed = excluded.sealed",
        );
        let sql = sql.with(tenant.0).with(account.id).with(self.now()).with(account.disabled);
        let sql = sql.with(account.totp_step).with(name).with(account.fhir_user.clone());
        let sql = sql.with(account.role.clone()).with(account.password.clone()).with(sealed);
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// Uses a step of the second factor up: false if it, or a later one, was used before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn use_totp_step(&self, tenant: TenantId, id: Uuid, step: i64) -> Result<bool, StoreError> {
        let sql =
            Sql::new("update accounts set totp_step = $3 where tenant = $1 and id = $2 and totp_step < $3");
        let sql = sql.with(tenant.0).with(id).with(step);
        Ok(self.act(tenant, &sql).await? == 1)
    }

    async fn account(&self, tenant: TenantId, sql: Sql) -> Result<Option<Account>, StoreError> {
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql).await?;
        match rows.into_iter().next() {
            Some(row) => Ok(Some(self.opened(tenant, row).await?)),
            None => Ok(None),
        }
    }

    async fn opened(&self, tenant: TenantId, row: Row) -> Result<Account, StoreError> {
        let (id, fhir_user, role, password, disabled, totp_step, sealed) = row;
        let private = self.open_account(tenant, id, &sealed).await?;
        Ok(Account { id, fhir_user, role, password, disabled, totp_step, private })
    }

    /// What lies sealed of the account with that id.
    pub(super) async fn open_account(
        &self,
        tenant: TenantId,
        id: Uuid,
        sealed: &[u8],
    ) -> Result<Private, StoreError> {
        let plain = self.open_private(tenant, (LABEL, id.as_bytes()), sealed).await?;
        serde_json::from_slice(&plain).map_err(|error| StoreError::Broken(error.into()))
    }
}

/// A user name as it is looked for.
fn normal(username: &str) -> String {
    username.trim().to_lowercase()
}
