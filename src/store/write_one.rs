//! The statement of a single deed.
//!
//! Its parts see the database as it was before: the older version is copied from the row that the same
//! statement replaces. Everything hangs on `main`: if it changes no row, nothing else happens.

use crate::fhir::id::TenantId;
use crate::store::audit_log::{self, SealedRow};
use crate::store::search_index::Posting;
use crate::store::sql::Sql;
use crate::store::sql_value::Value;
use crate::store::tables::table;
use crate::store::write::Row;

/// Does it, and returns a row if it was done.
pub(super) fn sql(tenant: TenantId, row: &Row, audit: &[SealedRow]) -> Sql {
    let table = table(row.resource_type);
    let mut sql = Sql::new("with ");
    match row.expected {
        None => push_insert(&mut sql, &table, tenant, row),
        Some(expected) => push_update(&mut sql, &table, tenant, row, expected),
    }
    let is_new = row.expected.is_none();
    push_postings(&mut sql, &format!("{table}_dates"), "date", tenant, &row.entries.dates, is_new);
    push_postings(&mut sql, &format!("{table}_numbers"), "number", tenant, &row.entries.numbers, is_new);
    sql.push(", change as (insert into changes (at, rid, tenant, version, type, deed) select ");
    sql.bind(row.updated).push(", rid, ").bind(tenant.0).push(", ").bind(row.version).push(", ");
    sql.bind(row.resource_type.code()).push(", ").bind(row.deed).push(" from main)");
    if !audit.is_empty() {
        sql.push(", trail as (");
        let from = if audit.len() == 1 { " from main" } else { " cross join main" };
        audit_log::push_insert(&mut sql, audit, tenant, from);
        sql.push(")");
    }
    sql.push(" select rid from main");
    sql
}

fn push_insert(sql: &mut Sql, table: &str, tenant: TenantId, row: &Row) {
    sql.push("main as (insert into ").push(table).push(
        " (rid, reference, updated, patient, date_low, date_high, code, quantity_low, quantity_high, unit, \
         number_low, number_high, id, tenant, version, deed, id_text, keys, body) values (",
    );
    sql.bind(row.rid).push(", ").bind(row.entries.reference);
    for value in columns(row) {
        sql.push(", ").bind(value);
    }
    sql.push(", ").bind(row.id).push(", ").bind(tenant.0).push(", ").bind(row.version).push(", ");
    sql.bind(row.deed).push(", ").bind(row.id_text.clone()).push(", ").bind(row.entries.keys.clone());
    sql.push(", ").bind(row.body.clone()).push(") returning rid)");
}

/// The columns from `updated` to `number_high`.
fn columns(row: &Row) -> [Value; 10] {
    let it = &row.entries;
    [
        row.updated.into(),
        it.patient.into(),
        it.date.map(|it| it.0).into(),
        it.date.map(|it| it.1).into(),
        it.code.into(),
        it.quantity.map(|it| it.0).into(),
        it.quantity.map(|it| it.1).into(),
        it.unit.into(),
        it.number.map(|it| it.0).into(),
        it.number.map(|it| it.1).into(),
    ]
}

fn push_update(sql: &mut Sql, table: &str, tenant: TenantId, row: &Row, expected: i32) {
    let tenant_place = sql.value(tenant.0);
    let deed = sql.value(row.deed);
    sql.push("main as (update ").push(table).push(
        " set (updated, patient, date_low, date_high, code, quantity_low, quantity_high, unit, number_low, \
         number_high, version, deed, keys, body) = (",
    );
    for (place, value) in columns(row).into_iter().enumerate() {
        match place {
            0 => drop(sql.bind(value)),
            // Whose it was is remembered, so that they are told that it is gone.
            1 => {
                sql.push(", case when ").place(deed).push(" = 3 then patient else ").bind(value);
                sql.push("::bigint end");
            }
            _ => drop(sql.push(", ").bind(value)),
        }
    }
    sql.push(", ").bind(row.version).push(", ").place(deed).push(", ").bind(row.entries.keys.clone());
    sql.push(", ").bind(row.body.clone()).push(") where tenant = ").place(tenant_place).push(" and id = ");
    sql.bind(row.id).push(" and version = ").bind(expected).push(" returning rid), moved as (");
    sql.push("insert into versions (rid, updated, patient, tenant, version, type, deed, body) ");
    sql.push("select o.rid, o.updated, o.patient, o.tenant, o.version, ").bind(row.resource_type.code());
    sql.push("::smallint, o.deed, o.body from ").push(table).push(" as o join main on o.rid = main.rid ");
    sql.push("where o.tenant = ").place(tenant_place).push(")");
}

/// The postings of a new row; of a changed one, those that are gone and those that are new.
fn push_postings<T: Copy>(
    sql: &mut Sql,
    table: &str,
    name: &str,
    tenant: TenantId,
    postings: &[Posting<T>],
    is_new: bool,
) where
    Vec<T>: Into<Value>,
{
    if is_new && postings.is_empty() {
        return;
    }
    let number = if name == "date" { "bigint[]" } else { "float8[]" };
    sql.push(", ").push(name).push("s as materialized (select * from unnest(");
    sql.bind(postings.iter().map(|it| it.key).collect::<Vec<i64>>()).push("::bigint[], ");
    sql.bind(postings.iter().map(|it| it.low).collect::<Vec<T>>()).push("::").push(number).push(", ");
    sql.bind(postings.iter().map(|it| it.high).collect::<Vec<T>>()).push("::").push(number);
    sql.push(") as n (key, low, high))");
    if !is_new {
        sql.push(", ").push(name).push("s_gone as (delete from ").push(table);
        sql.push(" as d using main where d.rid = main.rid and not exists (select from ").push(name);
        sql.push("s as n where n.key = d.key and n.low = d.low and n.high = d.high))");
    }
    sql.push(", ").push(name).push("s_new as (insert into ").push(table);
    sql.push(" (rid, key, low, high, tenant) select main.rid, n.key, n.low, n.high, ").bind(tenant.0);
    sql.push(" from main cross join ").push(name).push("s as n");
    sql.push(if is_new { ")" } else { " on conflict do nothing)" });
}
