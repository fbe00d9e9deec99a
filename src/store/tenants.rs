//! Which tenants there are. The server may ask; only the role that owns the schema may add one.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::connection::Settings;
use crate::store::error::StoreError;
use crate::store::migrate::locked;
use crate::store::sql::Sql;
use diesel::sql_types::{Integer, Text};

/// A tenant, and the name that stands in its URLs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tenant {
    /// Its number.
    pub id: TenantId,
    /// Its name: lower-case letters, digits and hyphens.
    pub slug: String,
}

impl Store {
    /// Every tenant, the first one first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let sql = Sql::new("select id, slug from tenants order by id");
        let rows = self.ask::<(Integer, Text), (i32, String)>(TenantId::FIRST, &[], &sql).await?;
        Ok(rows.into_iter().map(|(id, slug)| Tenant { id: TenantId(id), slug }).collect())
    }

    /// The tenant of that name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tenant_named(&self, slug: &str) -> Result<Option<TenantId>, StoreError> {
        let sql = Sql::new("select id from tenants where slug = $1").with(slug);
        let rows = self.ask::<(Integer,), (i32,)>(TenantId::FIRST, &[], &sql).await?;
        Ok(rows.first().map(|(id,)| TenantId(*id)))
    }
}

/// Whether a tenant may have that name.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let bytes = text.as_bytes();
    let is_inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    bytes.len() <= 63 && is_edge(bytes.first()) && is_edge(bytes.last()) && bytes.iter().all(is_inside)
}

/// Adds a tenant, as the role that owns the schema. One that is there already is left alone: `false`.
///
/// # Errors
/// The name is none, or the database fails.
pub async fn add(settings: &Settings, slug: &str) -> Result<bool, StoreError> {
    if !is_slug(slug) {
        return Err(StoreError::broken("a slug is of lower-case letters, digits and hyphens"));
    }
    let connection = locked(settings).await?;
    Sql::new("set role vesta_owner").execute(&connection).await?;
    let sql = Sql::new(
        "insert into tenants (id, slug) select (select max(id) + 1 from tenants), $1 \
         on conflict on constraint tenants_slug_unique do nothing returning id",
    );
    let added: Vec<(i32,)> = sql.with(slug).rows::<(Integer,), _>(&connection).await?;
    Ok(!added.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_safe_part_of_a_path() {
        assert!(["a", "north", "clinic-2", "7"].into_iter().all(is_slug));
        let long = "x".repeat(64);
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "ä", "a.b", &long] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
