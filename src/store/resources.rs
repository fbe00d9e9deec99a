//! Resources as they stand: what a deed is, what is read back.
//!
//! A resource has one row for ever, in the table of its type; what it was before is in `versions`. Who may
//! see it is a [`Predicate`] that every question carries, and a row that does not satisfy it is as absent as
//! one that never was.

use crate::crypto::key_ring::SubjectKeys;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::seal_class::{SealClasses, SealedSpan};
use crate::search::index::Index;
use crate::search::predicate::Predicate;
use crate::store::Store;
use crate::store::connection::Pooled;
use crate::store::error::StoreError;
use crate::store::sealed_body::{self, BodyError, Place, Unsealed};
use crate::store::sql::Sql;
use crate::store::tables::table;
use crate::store::{logical_id, narrowing};
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// A change to one resource.
#[derive(Clone, Debug)]
pub struct Deed {
    /// What is done.
    pub kind: DeedKind,
    /// The type of the resource.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: ResourceId,
    /// The version that this makes.
    pub version: i32,
    /// The version that must still be the current one; none if there must be none, not even a deleted one.
    pub expected: Option<i32>,
    /// `meta.lastUpdated`, in microseconds since 1970.
    pub last_updated: i64,
    /// The resource, stamped with id, version and time; empty for a deletion.
    pub text: String,
    /// What in it is to be sealed.
    pub sealed: Vec<SealedSpan>,
    /// What it can be found by; empty for a deletion.
    pub index: Index,
}

/// What was done to make a version. Its number is stored and never changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeedKind {
    /// A new resource under an id of the server's choosing.
    Create,
    /// A new version, or a new resource under the client's id.
    Update,
    /// Its end, until it is created again.
    Delete,
}

/// A version of a resource as it was stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: ResourceId,
    /// Its version.
    pub version: i32,
    /// `meta.lastUpdated`, in microseconds since 1970.
    pub last_updated: i64,
    /// What made this version.
    pub deed: DeedKind,
    /// The number of the one patient in whose compartment it is, for the trail; nothing where there is none,
    /// or several.
    pub subject: Option<i64>,
    /// The resource, unsealed as far as was asked for; empty for a deletion.
    pub text: String,
    /// Something was left out of it, because its class may not be seen.
    pub is_partial: bool,
}

/// Which version of a resource is the current one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Current {
    /// The version.
    pub version: i32,
    /// `meta.lastUpdated`, in microseconds since 1970.
    pub last_updated: i64,
    /// Whether that version is a deletion.
    pub is_deleted: bool,
}

impl DeedKind {
    /// The number to store.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            DeedKind::Create => 1,
            DeedKind::Update => 2,
            DeedKind::Delete => 3,
        }
    }

    /// The kind with that stored number.
    #[must_use]
    pub fn from_code(code: i16) -> Option<DeedKind> {
        match code {
            1 => Some(DeedKind::Create),
            2 => Some(DeedKind::Update),
            3 => Some(DeedKind::Delete),
            _ => None,
        }
    }
}

impl Stored {
    /// Whether the resource ends with this version.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deed == DeedKind::Delete
    }
}

/// A version as its row has it, still sealed.
#[derive(Clone)]
pub(super) struct Sealed {
    pub(super) resource_type: ResourceType,
    pub(super) id: ResourceId,
    pub(super) version: i32,
    pub(super) last_updated: i64,
    pub(super) deed: i16,
    pub(super) subject: Option<i64>,
    pub(super) body: Vec<u8>,
}

impl Store {
    /// The current version of a resource, if there is or was one that satisfies the narrowing. Only the
    /// elements of these classes are opened.
    ///
    /// # Errors
    /// The database fails, or the key of the resource was destroyed.
    pub async fn read(
        &self,
        tenant: TenantId,
        resource_type: ResourceType,
        id: &ResourceId,
        narrowing: &Predicate,
        classes: SealClasses,
    ) -> Result<Option<Stored>, StoreError> {
        if *narrowing == Predicate::False {
            return Ok(None);
        }
        let keys = self.tenant_keys(tenant).await?;
        let (uuid, _) = logical_id::stored(&keys, id);
        let mut sql = Sql::new("select version, updated, deed, patient, body from ");
        sql.push(&table(resource_type)).push(" as r where tenant = ").bind(tenant.0);
        sql.push(" and id = ").bind(uuid);
        narrowing::push(&mut sql, &keys, resource_type, narrowing)?;
        type Types = (Integer, BigInt, SmallInt, Nullable<BigInt>, Binary);
        type Columns = (i32, i64, i16, Option<i64>, Vec<u8>);
        let types = narrowing::types(resource_type, narrowing);
        let mut rows: Vec<Columns> = self.ask::<Types, _>(tenant, &types, &sql).await?;
        let Some((version, last_updated, deed, subject, body)) = rows.pop() else { return Ok(None) };
        let sealed = Sealed { resource_type, id: id.clone(), version, last_updated, deed, subject, body };
        let opened = self.unseal(tenant, vec![sealed], classes).await?.pop();
        opened.map(Some).ok_or(StoreError::Shredded)
    }

    /// Which versions are current now: one answer for each question, none where there never was such a
    /// resource. Not narrowed: it is for those who are about to write, and tells nobody anything.
    ///
    /// # Errors
    /// The database fails.
    pub async fn current(
        &self,
        tenant: TenantId,
        resources: &[(ResourceType, ResourceId)],
    ) -> Result<Vec<Option<Current>>, StoreError> {
        let types: Vec<ResourceType> = resources.iter().map(|(resource_type, _)| *resource_type).collect();
        let connection = self.connection_for(tenant, &types).await?;
        self.current_on(&connection, tenant, resources).await
    }

    pub(super) async fn current_on(
        &self,
        connection: &Pooled,
        tenant: TenantId,
        resources: &[(ResourceType, ResourceId)],
    ) -> Result<Vec<Option<Current>>, StoreError> {
        let keys = self.tenant_keys(tenant).await?;
        let asked: Vec<(ResourceType, Uuid)> = resources
            .iter()
            .map(|(resource_type, id)| (*resource_type, logical_id::stored(&keys, id).0))
            .collect();
        let mut ids: HashMap<ResourceType, Vec<Uuid>> = HashMap::new();
        for (resource_type, id) in &asked {
            ids.entry(*resource_type).or_default().push(*id);
        }
        let questions = ids.into_iter().map(async |(resource_type, ids)| {
            let mut sql = Sql::new("select id, version, updated, deed from ");
            sql.push(&table(resource_type)).push(" where tenant = ").bind(tenant.0);
            sql.push(" and id = any(").bind(ids).push(")");
            type Types = (diesel::sql_types::Uuid, Integer, BigInt, SmallInt);
            let rows = sql.rows::<Types, (Uuid, i32, i64, i16)>(connection).await?;
            Ok::<_, StoreError>((resource_type, rows))
        });
        let mut found = HashMap::new();
        for (resource_type, rows) in futures_util::future::try_join_all(questions).await? {
            for (id, version, last_updated, deed) in rows {
                let is_deleted = deed == DeedKind::Delete.code();
                found.insert((resource_type, id), Current { version, last_updated, is_deleted });
            }
        }
        Ok(asked.iter().map(|it| found.get(it).copied()).collect())
    }

    /// Opens what these classes let through. A version whose key was destroyed is left out: nobody can
    /// read it any more.
    pub(super) async fn unseal(
        &self,
        tenant: TenantId,
        rows: Vec<Sealed>,
        classes: SealClasses,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut names = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| !row.body.is_empty()) {
            names.extend(sealed_body::key_name(&row.body).map_err(broken)?.map(|it| (it.subject, it.epoch)));
        }
        let keys = self.keys_named(tenant, &names).await?;
        let mut stored = Vec::with_capacity(rows.len());
        for row in rows {
            match open(tenant, row, &keys, classes) {
                Ok(opened) => stored.push(opened),
                Err(StoreError::Shredded) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(stored)
    }
}

fn open(
    tenant: TenantId,
    row: Sealed,
    keys: &HashMap<i64, Arc<SubjectKeys>>,
    classes: SealClasses,
) -> Result<Stored, StoreError> {
    let deed =
        DeedKind::from_code(row.deed).ok_or(StoreError::broken("a stored version has no known deed"))?;
    let unsealed = if deed == DeedKind::Delete {
        Unsealed { text: String::new(), is_partial: false }
    } else {
        let name = sealed_body::key_name(&row.body).map_err(broken)?;
        let subject = name.and_then(|name| keys.get(&name.subject));
        let key = name.and_then(|name| subject?.of_epoch(name.epoch));
        let was_destroyed =
            name.is_some_and(|name| subject.is_some_and(|keys| keys.last_epoch() >= name.epoch));
        if key.is_none() && was_destroyed {
            return Err(StoreError::Shredded);
        }
        let place = Place {
            tenant: tenant.0,
            resource_type: row.resource_type.name(),
            id: row.id.as_str(),
            version: row.version,
        };
        sealed_body::decode(&place, &row.body, key, classes).map_err(broken)?
    };
    Ok(Stored {
        resource_type: row.resource_type,
        id: row.id,
        version: row.version,
        last_updated: row.last_updated,
        deed,
        subject: row.subject,
        text: unsealed.text,
        is_partial: unsealed.is_partial,
    })
}

fn broken(error: BodyError) -> StoreError {
    StoreError::Broken(Box::new(error))
}
