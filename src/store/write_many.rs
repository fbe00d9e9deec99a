//! The statements of several deeds: for each type one for what is new and one for what changes, on arrays.

use crate::fhir::id::TenantId;
use crate::store::audit_log::{self, slices};
use crate::store::connection::Pooled;
use crate::store::search_index::Posting;
use crate::store::sql::Sql;
use crate::store::sql_value::Value;
use crate::store::tables::table;
use crate::store::write::{Prepared, Row, WriteError};
use diesel::sql_types::Uuid as SqlUuid;
use std::collections::HashSet;
use uuid::Uuid;

/// Sends all statements at once, within the transaction of the connection.
pub(super) async fn flush(connection: &Pooled, prepared: &Prepared) -> Result<(), WriteError> {
    let mut statements = Vec::new();
    for of_type in prepared.rows.chunk_by(|one, other| one.resource_type == other.resource_type) {
        let (new, changed): (Vec<&Row>, Vec<&Row>) = of_type.iter().partition(|row| row.expected.is_none());
        for rows in [new, changed] {
            if !rows.is_empty() {
                statements.push((create_or_change(prepared.tenant, &rows), rows));
            }
        }
    }
    let trail =
        (!prepared.audit.is_empty()).then(|| audit_log::insert(&prepared.audit, prepared.tenant, false));
    let deeds = statements.iter().map(async |(sql, rows)| {
        let done: Vec<(Uuid,)> = sql.rows::<(SqlUuid,), _>(connection).await?;
        if done.len() == rows.len() {
            return Ok(());
        }
        let done: HashSet<Uuid> = done.into_iter().map(|(id,)| id).collect();
        match rows.iter().find(|row| !done.contains(&row.id)) {
            Some(lost) => Err(WriteError::Lost(lost.resource_type, lost.id)),
            None => Ok(()),
        }
    });
    let trail = async {
        match &trail {
            Some(sql) => sql.execute(connection).await.map(|_| ()).map_err(WriteError::from),
            None => Ok(()),
        }
    };
    // All are awaited: the first failure is the reason, those after it only say that there was one.
    let (deeds, trail) = futures_util::join!(futures_util::future::join_all(deeds), trail);
    deeds.into_iter().find(Result::is_err).unwrap_or(trail)
}

fn create_or_change(tenant: TenantId, rows: &[&Row]) -> Sql {
    let Some(first) = rows.first() else { return Sql::new("select") };
    let table = table(first.resource_type);
    let is_new = first.expected.is_none();
    let mut sql = Sql::new("with n as materialized (select * from unnest(");
    push_arrays(&mut sql, rows);
    sql.push(NAMES);
    let tenant_place = sql.value(tenant.0);
    let keys = sql.value(rows.iter().flat_map(|row| row.entries.keys.iter().copied()).collect::<Vec<i64>>());
    let code = sql.value(first.resource_type.code());
    if is_new {
        push_create(&mut sql, &table, tenant_place, keys);
    } else {
        push_change(&mut sql, &table, tenant_place, keys, code);
    }
    push_postings(&mut sql, &format!("{table}_dates"), tenant_place, rows, is_new, |row| &row.entries.dates);
    push_postings(&mut sql, &format!("{table}_numbers"), tenant_place, rows, is_new, |row| {
        &row.entries.numbers
    });
    sql.push(", change as (insert into changes (at, rid, tenant, version, type, deed) ");
    sql.push("select n.updated, main.rid, ").place(tenant_place).push("::int, n.version, ").place(code);
    sql.push("::smallint, n.deed from n join main on main.id = n.id) select id from main");
    sql
}

/// The names of the arrays that [`push_arrays`] adds.
const NAMES: &str = ") as n (place, rid, reference, updated, patient, date_low, date_high, code, quantity_low, \
     quantity_high, unit, number_low, number_high, id, version, expected, deed, id_text, first, last, body)), ";

fn push_arrays(sql: &mut Sql, rows: &[&Row]) {
    fn list<T>(rows: &[&Row], of: impl Fn(&Row) -> T) -> Vec<T> {
        rows.iter().map(|row| of(row)).collect()
    }
    let (first, last) = slices(rows.iter().map(|row| row.entries.keys.len()));
    let places = 0..i32::try_from(rows.len()).unwrap_or(i32::MAX);
    let arrays: [(Value, &str); 21] = [
        (places.collect::<Vec<i32>>().into(), "int"),
        (list(rows, |row| row.rid).into(), "bigint"),
        (list(rows, |row| row.entries.reference).into(), "bigint"),
        (list(rows, |row| row.updated).into(), "bigint"),
        (list(rows, |row| row.entries.patient).into(), "bigint"),
        (list(rows, |row| row.entries.date.map(|it| it.0)).into(), "bigint"),
        (list(rows, |row| row.entries.date.map(|it| it.1)).into(), "bigint"),
        (list(rows, |row| row.entries.code).into(), "bigint"),
        (list(rows, |row| row.entries.quantity.map(|it| it.0)).into(), "float8"),
        (list(rows, |row| row.entries.quantity.map(|it| it.1)).into(), "float8"),
        (list(rows, |row| row.entries.unit).into(), "bigint"),
        (list(rows, |row| row.entries.number.map(|it| it.0)).into(), "float8"),
        (list(rows, |row| row.entries.number.map(|it| it.1)).into(), "float8"),
        (list(rows, |row| row.id).into(), "uuid"),
        (list(rows, |row| row.version).into(), "int"),
        (list(rows, |row| row.expected).into(), "int"),
        (list(rows, |row| row.deed).into(), "smallint"),
        (list(rows, |row| row.id_text.clone()).into(), "text"),
        (first.into(), "int"),
        (last.into(), "int"),
        (list(rows, |row| row.body.clone()).into(), "bytea"),
    ];
    for (place, (array, kind)) in arrays.into_iter().enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        sql.bind(array).push("::").push(kind).push("[]");
    }
}

/// Arrays of arrays must be rectangular, so all keys stand in one, and each row takes its slice.
fn push_create(sql: &mut Sql, table: &str, tenant: usize, keys: usize) {
    sql.push("main as (insert into ").push(table).push(
        " (rid, reference, updated, patient, date_low, date_high, code, quantity_low, quantity_high, unit, \
         number_low, number_high, id, tenant, version, deed, id_text, keys, body) select rid, reference, \
         updated, patient, date_low, date_high, code, quantity_low, quantity_high, unit, number_low, number_high, id, ",
    );
    sql.place(tenant).push("::int, version, deed, id_text, (").place(keys);
    sql.push("::bigint[])[first:last], body from n order by place returning rid, id)");
}

/// The rows are locked in the order of their ids before any is changed.
fn push_locked(sql: &mut Sql, table: &str, tenant: usize) {
    sql.push("locked as materialized (select r.rid, r.id from ")
        .push(table)
        .push(" as r join n on r.id = n.id ");
    sql.push("where r.tenant = ").place(tenant).push("::int and r.version = n.expected ");
    sql.push("order by r.id for no key update of r), ");
}

fn push_change(sql: &mut Sql, table: &str, tenant: usize, keys: usize, code: usize) {
    push_locked(sql, table, tenant);
    sql.push("main as (update ").push(table).push(
        " as r set (updated, patient, date_low, date_high, code, quantity_low, quantity_high, unit, number_low, \
         number_high, version, deed, keys, body) = (n.updated, case when n.deed = 3 then r.patient else \
         n.patient end, n.date_low, n.date_high, n.code, n.quantity_low, n.quantity_high, n.unit, \
         n.number_low, n.number_high, n.version, n.deed, (",
    );
    sql.place(keys).push("::bigint[])[n.first:n.last], n.body) from locked join n on n.id = locked.id ");
    sql.push("where r.tenant = ").place(tenant).push("::int and r.rid = locked.rid returning r.rid, r.id), ");
    sql.push("moved as (insert into versions (rid, updated, patient, tenant, version, type, deed, body) ");
    sql.push("select o.rid, o.updated, o.patient, o.tenant, o.version, ").place(code);
    sql.push("::smallint, o.deed, o.body from ").push(table).push(" as o join main on o.rid = main.rid ");
    sql.push("where o.tenant = ").place(tenant).push("::int)");
}

fn push_postings<T: Copy>(
    sql: &mut Sql,
    table: &str,
    tenant: usize,
    rows: &[&Row],
    is_new: bool,
    of: impl Fn(&Row) -> &Vec<Posting<T>>,
) where
    Vec<T>: Into<Value>,
{
    let postings: Vec<(Uuid, Posting<T>)> =
        rows.iter().flat_map(|row| of(row).iter().map(|it| (row.id, *it))).collect();
    if is_new && postings.is_empty() {
        return;
    }
    let (name, number) = match table.ends_with("_dates") {
        true => ("dates", "bigint[]"),
        false => ("numbers", "float8[]"),
    };
    sql.push(", ").push(name).push(" as materialized (select main.rid, n.key, n.low, n.high from unnest(");
    sql.bind(postings.iter().map(|it| it.0).collect::<Vec<Uuid>>()).push("::uuid[], ");
    sql.bind(postings.iter().map(|it| it.1.key).collect::<Vec<i64>>()).push("::bigint[], ");
    sql.bind(postings.iter().map(|it| it.1.low).collect::<Vec<T>>()).push("::").push(number).push(", ");
    sql.bind(postings.iter().map(|it| it.1.high).collect::<Vec<T>>()).push("::").push(number);
    sql.push(") as n (id, key, low, high) join main on main.id = n.id)");
    if !is_new {
        sql.push(", ").push(name).push("_gone as (delete from ").push(table);
        sql.push(" as d using main where d.rid = main.rid and not exists (select from ").push(name);
        sql.push(" as n where n.rid = d.rid and n.key = d.key and n.low = d.low and n.high = d.high))");
    }
    sql.push(", ").push(name).push("_new as (insert into ").push(table);
    sql.push(" (rid, key, low, high, tenant) select rid, key, low, high, ").place(tenant).push("::int from ");
    sql.push(name).push(if is_new { ")" } else { " on conflict do nothing)" });
}
