//! How a logical id is kept: a UUID as it is, anything else as a keyed hash beside its text.
//!
//! Sixteen bytes then find any resource, and ids that the server mints stay ordered by time.

use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use crate::store::tables::table;
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

/// The UUID that this id spells in the one form that it would be spelled in again.
pub(super) fn as_uuid(id: &ResourceId) -> Option<Uuid> {
    let text = id.as_str();
    if text.len() != 36 {
        return None;
    }
    let uuid = Uuid::try_parse(text).ok()?;
    // Not ours to normalise: ids are case-sensitive. Version 8 is kept for hashes.
    let is_canonical = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_canonical && uuid.get_version_num() != 8).then_some(uuid)
}

/// The key that finds it and, where that is a hash, its text.
pub(super) fn stored(keys: &TenantKeys, id: &ResourceId) -> (Uuid, Option<String>) {
    match as_uuid(id) {
        Some(uuid) => (uuid, None),
        None => {
            let hash = keys.name("id", id.as_str().as_bytes());
            let first = hash.first_chunk().copied().unwrap_or_default();
            (uuid::Builder::from_custom_bytes(first).into_uuid(), Some(id.as_str().to_owned()))
        }
    }
}

impl Store {
    /// A page of the ids of a type, each with the number of its row, in that order; what was deleted is among them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn logical_ids(
        &self,
        tenant: TenantId,
        of: ResourceType,
        after: i64,
        count: u32,
    ) -> Result<Vec<(i64, ResourceId)>, StoreError> {
        let mut sql = Sql::new("select rid, id, id_text from ");
        sql.push(&table(of)).push(" where tenant = ").bind(tenant.0).push(" and rid > ").bind(after);
        sql.push(" order by rid limit ").bind(i64::from(count));
        type Row = (i64, Uuid, Option<String>);
        let rows = self.ask::<(BigInt, SqlUuid, Nullable<Text>), Row>(tenant, &[of], &sql).await?;
        let ids = rows.into_iter().filter_map(|(rid, id, text)| Some((rid, read(id, text)?)));
        Ok(ids.collect())
    }
}

/// The id of a row.
pub(super) fn read(id: Uuid, text: Option<String>) -> Option<ResourceId> {
    match text {
        Some(text) => ResourceId::parse(&text),
        None => Some(id.into()),
    }
}
