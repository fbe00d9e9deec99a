//! Closure tables: the codes that a client told, each with the version of the table that first had it.
//!
//! Which code is above which is never stored: it follows from the code system, whose new releases may change it.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Integer, Text};

/// Whose table, and which.
#[derive(Clone, Copy, Debug)]
pub struct TableName<'a> {
    /// The client, and on whose behalf it keeps the table.
    pub owner: &'a str,
    /// The client's name for it.
    pub name: &'a str,
}

/// A code of a closure table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosureCode {
    /// Its system.
    pub system: String,
    /// The code.
    pub code: String,
    /// The version of the table that first had it.
    pub version: i32,
}

impl Store {
    /// Begins a table anew, empty and of version 0.
    ///
    /// # Errors
    /// The database fails.
    pub async fn begin_closure(&self, tenant: TenantId, table: TableName<'_>) -> Result<(), StoreError> {
        let sql = Sql::new(
            "with gone as (delete from closure_codes where tenant = $1 and owner = $2 and name = $3) \
             insert into closures (tenant, owner, name, version) values ($1, $2, $3, 0) \
             on conflict (tenant, owner, name) do update set version = 0",
        );
        self.act(tenant, &sql.with(tenant.0).with(table.owner).with(table.name)).await?;
        Ok(())
    }

    /// How many other tables the owner has.
    ///
    /// # Errors
    /// The database fails.
    pub async fn other_closures(&self, tenant: TenantId, table: TableName<'_>) -> Result<i64, StoreError> {
        let sql = Sql::new("select count(*) from closures where tenant = $1 and owner = $2 and name <> $3");
        let sql = sql.with(tenant.0).with(table.owner).with(table.name);
        Ok(self.ask::<BigInt, i64>(tenant, &[], &sql).await?.into_iter().next().unwrap_or_default())
    }

    /// The version of a table and its codes; nothing where it was never begun.
    ///
    /// # Errors
    /// The database fails.
    pub async fn closure(
        &self,
        tenant: TenantId,
        table: TableName<'_>,
    ) -> Result<Option<(i32, Vec<ClosureCode>)>, StoreError> {
        // One statement, so that the version is that of the codes.
        let sql = Sql::new(
            "select closures.version, coalesce(it.system, ''), coalesce(it.code, ''), coalesce(it.version, -1) \
             from closures left join closure_codes as it \
             on it.tenant = closures.tenant and it.owner = closures.owner and it.name = closures.name \
             where closures.tenant = $1 and closures.owner = $2 and closures.name = $3 \
             order by it.system, it.code",
        );
        let sql = sql.with(tenant.0).with(table.owner).with(table.name);
        type Row = (i32, String, String, i32);
        let rows = self.ask::<(Integer, Text, Text, Integer), Row>(tenant, &[], &sql).await?;
        let Some(current) = rows.first().map(|it| it.0) else { return Ok(None) };
        let codes = rows.into_iter().filter(|it| it.3 >= 0);
        let codes = codes.map(|(_, system, code, version)| ClosureCode { system, code, version }).collect();
        Ok(Some((current, codes)))
    }

    /// Adds codes as one new version, if the table still is of that version.
    ///
    /// # Errors
    /// The database fails.
    pub async fn extend_closure(
        &self,
        tenant: TenantId,
        table: TableName<'_>,
        expected: i32,
        codes: Vec<(String, String)>,
    ) -> Result<bool, StoreError> {
        let (systems, codes): (Vec<String>, Vec<String>) = codes.into_iter().unzip();
        let sql = Sql::new(
            "with moved as ( \
             update closures set version = version + 1 \
             where tenant = $1 and owner = $2 and name = $3 and version = $4 returning version), \
             added as ( \
             insert into closure_codes (tenant, owner, name, version, system, code) \
             select $1, $2, $3, moved.version, it.* from moved, unnest($5::text[], $6::text[]) as it \
             on conflict do nothing) \
             select version from moved",
        );
        let sql = sql.with(tenant.0).with(table.owner).with(table.name).with(expected);
        let rows = self.ask::<Integer, i32>(tenant, &[], &sql.with(systems).with(codes)).await?;
        Ok(!rows.is_empty())
    }
}
