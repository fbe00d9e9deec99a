//! A narrowing as a condition on one row that was found by its id.
//!
//! The database answers, so a row that may not be seen never leaves it. What only the opened resource could
//! decide counts as not satisfied: a narrowing opens no more than the index can vouch for.

use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::ResourceType;
use crate::search::predicate::Predicate;
use crate::store::error::StoreError;
use crate::store::search::predicate::{Compiler, Row, add_types};
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
    let vouched = match narrowing.is_exact() {
        true => narrowing.clone(),
        false => narrowing.clone().negated().superset().negated(),
    };
    sql.push(" and (");
    Compiler { keys, narrowing: None }.push(sql, Row::of(resource_type), &vouched)?;
    sql.push(") is true");
    Ok(())
}

/// The types whose tables such a statement asks.
pub(super) fn types(resource_type: ResourceType, narrowing: &Predicate) -> Vec<ResourceType> {
    let mut types = vec![resource_type];
    add_types(narrowing, &mut types);
    types
}
