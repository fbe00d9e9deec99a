//! A narrowing as a condition on one row that was found by its id.
//!
//! The database answers what the index decides. Where a narrowing needs the resource itself, the row comes
//! back and is held against it after unsealing: see [`crate::store::resources`].

use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::ResourceType;
use crate::search::predicate::Predicate;
use crate::store::error::StoreError;
use crate::store::search::predicate::{Compiler, Row};
use crate::store::sql::Sql;

/// Adds ` and ...` to a statement in which the row of the resource is `r`.
pub(super) fn push(
    sql: &mut Sql,
    keys: &TenantKeys,
    resource_type: ResourceType,
    narrowing: &Predicate,
) -> Result<(), StoreError> {
    if *narrowing == Predicate::True {
        return Ok(());
    }
    sql.push(" and (");
    Compiler { keys, narrowing: None }.push(sql, Row::of(resource_type), narrowing)?;
    sql.push(") is true");
    Ok(())
}
