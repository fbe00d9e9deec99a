//! Walking over everything that is stored, page by page, while everybody goes on.
//!
//! A page is the rows of one type after a [`Cursor`], current ones or superseded ones. What is put back
//! replaces only the very version that was read: whoever wrote meanwhile wins, and has written by today's
//! keys and rules anyhow. So a walk can be stopped anywhere and gone on with from the last cursor, and doing a
//! page twice does no harm.
//!
//! Walk the current rows of all types first and then the superseded ones: what moves from here to there
//! meanwhile is met at least once.

use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::json::Limits;
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::search::index::Index;
use crate::store::Store;
use crate::store::error::{Retry, StoreError, retry};
use crate::store::logical_id;
use crate::store::reindex::Reindexed;
use crate::store::resources::{DeedKind, Sealed};
use crate::store::sealed_body::{self, BodyError, Place};
use crate::store::sql::Sql;
use crate::store::tables::table;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// Which rows are walked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// The resources of a type as they stand.
    Current(ResourceType),
    /// What they were before.
    Superseded(ResourceType),
}

/// After which row a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the row.
    pub row: i64,
    /// Its version.
    pub version: i32,
}

/// What came of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// How many rows were looked at.
    pub seen: u64,
    /// How many were changed.
    pub changed: u64,
    /// How many nobody can read any more, since their key was destroyed.
    pub shredded: u64,
    /// How many are damaged.
    pub broken: u64,
    /// Where the next page begins; none after the last.
    pub next: Option<Cursor>,
}

impl Cursor {
    /// Before every row.
    pub const START: Cursor = Cursor { row: i64::MIN, version: i32::MIN };
}

impl Shelf {
    /// The type of the resources on it.
    #[must_use]
    pub fn resource_type(self) -> ResourceType {
        match self {
            Shelf::Current(resource_type) | Shelf::Superseded(resource_type) => resource_type,
        }
    }
}

/// Tries a page again so often when the database rolled it back.
const ATTEMPTS: u32 = 6;

type Types = (BigInt, Integer, SqlUuid, Nullable<Text>, Nullable<BigInt>, BigInt, SmallInt, Binary);
type Columns = (i64, i32, Uuid, Option<String>, Option<i64>, i64, i16, Vec<u8>);

impl Store {
    /// The types of which something was ever stored, in order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn stored_types(&self, tenant: TenantId) -> Result<Vec<ResourceType>, StoreError> {
        let connection = self.connection(tenant).await?;
        self.types_with_changes(&connection, tenant).await
    }

    /// Seals a page of bodies anew that are sealed under an older key than their patient's newest.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched. A damaged body is left as it is.
    pub async fn reseal_page(
        &self,
        tenant: TenantId,
        shelf: Shelf,
        after: Cursor,
        count: usize,
    ) -> Result<Walked, StoreError> {
        let (rows, mut walked) = self.page_of(tenant, shelf, after, count).await?;
        let names: Vec<(i64, u16)> = rows.iter().filter_map(|row| key_of(&row.7)).collect();
        let keys = self.keys_named(tenant, &names).await?;
        let (mut ids, mut versions, mut old, mut new) = (vec![], vec![], vec![], vec![]);
        for (rid, version, uuid, text, _, _, _, body) in rows {
            let Some((subject, epoch)) = key_of(&body) else { continue };
            let Some(keys) = keys.get(&subject) else { continue };
            let Some(to) = keys.active().filter(|it| it.epoch() != epoch) else { continue };
            let Some(from) = keys.of_epoch(epoch) else {
                walked.shredded += 1;
                continue;
            };
            let id = logical_id::read(uuid, text).ok_or(StoreError::broken("a stored id is none"))?;
            match sealed_body::reseal(&place(tenant, shelf, &id, version), &body, from, to) {
                Ok(Some(resealed)) => {
                    ids.push(rid);
                    versions.push(version);
                    old.push(body);
                    new.push(resealed);
                }
                Ok(None) => {}
                Err(_) => walked.broken += 1,
            }
        }
        if ids.is_empty() {
            return Ok(walked);
        }
        let mut sql = Sql::new("update ");
        let resource_type = shelf.resource_type();
        match shelf {
            Shelf::Current(_) => sql.push(&table(resource_type)),
            Shelf::Superseded(_) => sql.push("versions"),
        };
        sql.push(" as r set body = n.new from unnest(").bind(ids).push("::bigint[], ").bind(versions);
        sql.push("::int[], ").bind(old).push("::bytea[], ").bind(new);
        sql.push("::bytea[]) as n (rid, version, old, new) where r.tenant = ").bind(tenant.0);
        if matches!(shelf, Shelf::Superseded(_)) {
            sql.push(" and r.type = ").bind(resource_type.code());
        }
        sql.push(" and r.rid = n.rid and r.version = n.version and r.body = n.old");
        walked.changed = u64::try_from(self.act_again(tenant, &sql).await?).unwrap_or_default();
        Ok(walked)
    }

    /// Indexes a page of resources anew, by what `index` finds in them, under the newest index key.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn reindex_page(
        &self,
        tenant: TenantId,
        resource_type: ResourceType,
        (after, count): (Cursor, usize),
        index: &(dyn Fn(&Resource) -> Index + Sync),
    ) -> Result<Walked, StoreError> {
        let (rows, mut walked) = self.page_of(tenant, Shelf::Current(resource_type), after, count).await?;
        let mut sealed = Vec::with_capacity(rows.len());
        let mut places = HashMap::with_capacity(rows.len());
        for (rid, version, uuid, text, subject, last_updated, deed, body) in rows {
            if deed == DeedKind::Delete.code() {
                continue;
            }
            let id = logical_id::read(uuid, text).ok_or(StoreError::broken("a stored id is none"))?;
            places.insert(id.clone(), rid);
            sealed.push(Sealed { resource_type, id, version, last_updated, deed, subject, body });
        }
        let there = sealed.len();
        let opened = self.unseal(tenant, sealed, SealClasses::ALL).await?;
        walked.shredded = u64::try_from(there - opened.len()).unwrap_or_default();
        let mut found = Vec::with_capacity(opened.len());
        for stored in opened {
            let Some(&row) = places.get(&stored.id) else { continue };
            let resource = Resource::parse(stored.text, &Limits::default())
                .map_err(|_| StoreError::broken("a stored resource is none"))?;
            let index = index(&resource);
            found.push(Reindexed { row, id: stored.id, version: stored.version, index });
        }
        let changed = self.replace_index(tenant, resource_type, &found).await?;
        walked.changed = u64::try_from(changed).unwrap_or_default();
        Ok(walked)
    }

    /// Opens every section of a page of bodies, and says what came of it.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn check_page(
        &self,
        tenant: TenantId,
        shelf: Shelf,
        after: Cursor,
        count: usize,
    ) -> Result<Walked, StoreError> {
        let (rows, mut walked) = self.page_of(tenant, shelf, after, count).await?;
        let names: Vec<(i64, u16)> = rows.iter().filter_map(|row| key_of(&row.7)).collect();
        let keys = self.keys_named(tenant, &names).await?;
        for (_, version, uuid, text, _, _, deed, body) in rows {
            if deed == DeedKind::Delete.code() && body.is_empty() {
                continue;
            }
            let name = key_of(&body);
            let key = name.and_then(|(subject, epoch)| keys.get(&subject)?.of_epoch(epoch));
            let id = logical_id::read(uuid, text).ok_or(StoreError::broken("a stored id is none"))?;
            let place = place(tenant, shelf, &id, version);
            match sealed_body::decode(&place, &body, key, SealClasses::ALL) {
                Ok(_) => {}
                Err(BodyError::NoKey) => walked.shredded += 1,
                Err(_) => walked.broken += 1,
            }
        }
        Ok(walked)
    }

    async fn page_of(
        &self,
        tenant: TenantId,
        shelf: Shelf,
        after: Cursor,
        count: usize,
    ) -> Result<(Vec<Columns>, Walked), StoreError> {
        let resource_type = shelf.resource_type();
        let mut sql = Sql::new("");
        match shelf {
            Shelf::Current(_) => {
                sql.push("select rid, version, id, id_text, patient, updated, deed, body from ");
                sql.push(&table(resource_type)).push(" where tenant = ").bind(tenant.0);
                sql.push(" and rid > ").bind(after.row).push(" order by rid limit ");
            }
            Shelf::Superseded(_) => {
                sql.push("select v.rid, v.version, r.id, r.id_text, v.patient, v.updated, v.deed, v.body ");
                sql.push("from versions as v join ").push(&table(resource_type));
                sql.push(" as r on r.tenant = v.tenant and r.rid = v.rid where v.tenant = ").bind(tenant.0);
                sql.push(" and v.type = ").bind(resource_type.code()).push(" and (v.rid, v.version) > (");
                sql.bind(after.row).push(", ").bind(after.version);
                sql.push(") order by v.rid, v.version limit ");
            }
        }
        sql.bind(i64::try_from(count).unwrap_or(i64::MAX));
        let rows = self.ask::<Types, Columns>(tenant, &[resource_type], &sql).await?;
        let next =
            rows.last().filter(|_| rows.len() == count).map(|row| Cursor { row: row.0, version: row.1 });
        let seen = u64::try_from(rows.len()).unwrap_or_default();
        Ok((rows, Walked { seen, next, ..Walked::default() }))
    }

    /// Runs one statement that changes a page, again where the database rolled it back.
    async fn act_again(&self, tenant: TenantId, sql: &Sql) -> Result<usize, StoreError> {
        let mut attempt = 1;
        loop {
            let connection = self.connection(tenant).await?;
            match sql.execute(&connection).await {
                Err(error) if attempt < ATTEMPTS && retry(&error) == Retry::Always => attempt += 1,
                touched => return Ok(touched?),
            }
        }
    }
}

/// The subject and epoch of the key that seals a body; none where nothing is sealed, or nothing is there.
fn key_of(body: &[u8]) -> Option<(i64, u16)> {
    let name = sealed_body::key_name(body).ok()??;
    Some((name.subject, name.epoch))
}

fn place(tenant: TenantId, shelf: Shelf, id: &ResourceId, version: i32) -> Place<'_> {
    Place { tenant: tenant.0, resource_type: shelf.resource_type().name(), id: id.as_str(), version }
}
