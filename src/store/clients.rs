//! Clients: the applications that may ask for tokens. What they registered is one JSON document.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

/// A client as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// Its id.
    pub id: String,
    /// The hash of its secret, if it has one.
    pub secret_hash: Option<Vec<u8>>,
    /// When it was disabled, in microseconds since 1970.
    pub disabled: Option<i64>,
    /// Since when it waits to be approved; nothing where it does not.
    pub pending: Option<i64>,
    /// What it registered, JSON.
    pub document: String,
}

type Row = (String, Option<Vec<u8>>, Option<i64>, Option<i64>, String);
type RowTypes = (Text, Nullable<Binary>, Nullable<BigInt>, Nullable<BigInt>, Text);

const COLUMNS: &str = "id, secret_hash, disabled, pending, document";

fn row((id, secret_hash, disabled, pending, document): Row) -> ClientRow {
    ClientRow { id, secret_hash, disabled, pending, document }
}

impl Store {
    /// The client with that id, disabled or not.
    ///
    /// # Errors
    /// The database fails.
    pub async fn client(&self, tenant: TenantId, id: &str) -> Result<Option<ClientRow>, StoreError> {
        let sql = Sql::new(format!("select {COLUMNS} from clients where tenant = $1 and id = $2"));
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql.with(tenant.0).with(id)).await?;
        Ok(rows.into_iter().next().map(row))
    }

    /// The clients whose ids come after that one, in order, so many at most.
    ///
    /// # Errors
    /// The database fails.
    pub async fn clients_after(
        &self,
        tenant: TenantId,
        after: &str,
        most: i64,
    ) -> Result<Vec<ClientRow>, StoreError> {
        let sql = Sql::new(format!(
            "select {COLUMNS} from clients where tenant = $1 and id > $2 order by id limit $3"
        ));
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql.with(tenant.0).with(after).with(most)).await?;
        Ok(rows.into_iter().map(row).collect())
    }

    /// How many clients wait to be approved.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pending_clients(&self, tenant: TenantId) -> Result<i64, StoreError> {
        let sql = Sql::new("select count(*) from clients where tenant = $1 and pending is not null");
        let rows = self.ask::<BigInt, i64>(tenant, &[], &sql.with(tenant.0)).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    /// The ids of all clients, in order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn client_ids(&self, tenant: TenantId) -> Result<Vec<String>, StoreError> {
        let sql = Sql::new("select id from clients where tenant = $1 order by id");
        self.ask::<Text, String>(tenant, &[], &sql.with(tenant.0)).await
    }

    /// Stores a client, new or changed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_client(&self, tenant: TenantId, client: &ClientRow) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into clients (tenant, id, created, disabled, secret_hash, document, pending) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (tenant, id) do update set \
             disabled = excluded.disabled, secret_hash = excluded.secret_hash, document = excluded.document, \
             pending = excluded.pending",
        );
        let sql = sql.with(tenant.0).with(client.id.clone()).with(self.now()).with(client.disabled);
        let sql = sql.with(client.secret_hash.clone()).with(client.document.clone()).with(client.pending);
        self.act(tenant, &sql).await?;
        Ok(())
    }
}
