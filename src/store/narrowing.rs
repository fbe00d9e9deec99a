//! A narrowing as a condition on one row that was found by its id.

use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::ResourceType;
use crate::search::predicate::Predicate;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use crate::store::{logical_id, search_index};

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
    sql.push(" and ");
    push_condition(sql, keys, resource_type, narrowing)
}

fn push_condition(
    sql: &mut Sql,
    keys: &TenantKeys,
    resource_type: ResourceType,
    predicate: &Predicate,
) -> Result<(), StoreError> {
    match predicate {
        Predicate::True => drop(sql.push("true")),
        Predicate::False => drop(sql.push("false")),
        Predicate::All(parts) => push_list(sql, keys, resource_type, parts, "true", " and ")?,
        Predicate::Any(parts) => push_list(sql, keys, resource_type, parts, "false", " or ")?,
        Predicate::Not(inner) => {
            sql.push("not (");
            push_condition(sql, keys, resource_type, inner)?;
            sql.push(")");
        }
        Predicate::Type(it) => drop(sql.push(if *it == resource_type { "true" } else { "false" })),
        Predicate::Key(it) => {
            let hashes = keys.blind().iter().map(|blind| search_index::key(blind, resource_type, it));
            sql.push("r.keys && ").bind(hashes.collect::<Vec<_>>());
        }
        Predicate::Compartment(patient) => {
            let place = sql.value(search_index::patient(keys, patient));
            sql.push("(coalesce(r.patient = ").place(place).push(", false) or ").place(place);
            sql.push(" = any(r.keys))");
        }
        Predicate::Id(ids) => {
            let ids: Vec<_> = ids.iter().map(|id| logical_id::stored(keys, id).0).collect();
            sql.push("r.id = any(").bind(ids).push(")");
        }
        _ => return Err(StoreError::broken("this narrowing cannot be asked of one row")),
    }
    Ok(())
}

fn push_list(
    sql: &mut Sql,
    keys: &TenantKeys,
    resource_type: ResourceType,
    parts: &[Predicate],
    empty: &str,
    between: &str,
) -> Result<(), StoreError> {
    sql.push("(");
    if parts.is_empty() {
        sql.push(empty);
    }
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            sql.push(between);
        }
        push_condition(sql, keys, resource_type, part)?;
    }
    sql.push(")");
    Ok(())
}
