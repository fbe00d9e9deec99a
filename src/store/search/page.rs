//! The statement of a page, and the rows that it brings.

use crate::fhir::id::ResourceId;
use crate::search::predicate::Predicate;
use crate::search::sort::SortValue;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::logical_id;
use crate::store::resources::Sealed;
use crate::store::search::asked::Asked;
use crate::store::search::choose::{Choice, choose};
use crate::store::search::driver::Plan;
use crate::store::sql::Sql;
use crate::store::tables::table;
use diesel::sql_types::{Array, BigInt, Binary, Double, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::AsyncPgConnection;
use uuid::Uuid;

/// A candidate, still sealed.
pub(super) struct Candidate {
    /// The number of its row.
    pub(super) row: i64,
    /// The values that it is sorted by.
    pub(super) values: Vec<Option<SortValue>>,
    pub(super) sealed: Sealed,
}

pub(super) type Types = (
    BigInt,
    Integer,
    BigInt,
    SmallInt,
    SqlUuid,
    Nullable<Text>,
    Nullable<BigInt>,
    Binary,
    Array<Nullable<BigInt>>,
    Array<Nullable<Double>>,
);
pub(super) type Columns =
    (i64, i32, i64, i16, Uuid, Option<String>, Option<i64>, Vec<u8>, Vec<Option<i64>>, Vec<Option<f64>>);

/// What [`Columns`] begin with.
pub(super) const COLUMNS: &str = "r.rid, r.version, r.updated, r.deed, r.id, r.id_text, r.patient, r.body";

/// The candidates, in order.
pub(super) async fn fetch(
    store: &Store,
    connection: &AsyncPgConnection,
    asked: &Asked<'_>,
) -> Result<Vec<Candidate>, StoreError> {
    if asked.count == 0 || asked.conjuncts.iter().any(|it| it.predicate == Predicate::False) {
        return Ok(Vec::new());
    }
    let Choice { first, otherwise } = choose(store, connection, asked).await?;
    let mut rows = ask(store, connection, asked, &first).await?;
    if rows.len() < asked.count
        && let Some(otherwise) = otherwise
    {
        rows = ask(store, connection, asked, &otherwise).await?;
    }
    rows.into_iter().map(|row| read(asked, row)).collect()
}

async fn ask(
    store: &Store,
    connection: &AsyncPgConnection,
    asked: &Asked<'_>,
    plan: &Plan,
) -> Result<Vec<Columns>, StoreError> {
    Ok(store.shapes().settle(statement(asked, plan)?).rows::<Types, Columns>(connection).await?)
}

/// The statement: the candidates, ordered and cut, and then the rest of their rows.
pub(super) fn statement(asked: &Asked<'_>, plan: &Plan) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("select ");
    push_statement(&mut sql, asked, plan)?;
    Ok(sql)
}

/// Adds it after `select `.
pub(super) fn push_statement(sql: &mut Sql, asked: &Asked<'_>, plan: &Plan) -> Result<(), StoreError> {
    sql.push(COLUMNS);
    asked.order.push_returned(sql, "c");
    sql.push(" from (select * from (");
    plan.push_candidates(sql, asked)?;
    sql.push(") as c");
    asked.order.push_order(sql, "c");
    sql.push(" limit ").bind(asked.limit()).push(") as c join ").push(&table(asked.resource_type));
    sql.push(" as r on r.tenant = ").bind(asked.keys.tenant()).push(" and r.rid = c.rid");
    asked.order.push_order(sql, "c");
    Ok(())
}

/// What would be asked, to be explained.
pub(super) async fn explained(
    store: &Store,
    connection: &AsyncPgConnection,
    asked: &Asked<'_>,
) -> Result<Vec<Sql>, StoreError> {
    let Choice { first, otherwise } = choose(store, connection, asked).await?;
    let mut explained = Vec::new();
    for plan in [Some(first), otherwise].into_iter().flatten() {
        let mut sql = Sql::new("explain select ");
        push_statement(&mut sql, asked, &plan)?;
        explained.push(sql.uncached());
    }
    Ok(explained)
}

fn read(asked: &Asked<'_>, columns: Columns) -> Result<Candidate, StoreError> {
    let (row, version, last_updated, deed, id, id_text, subject, body, longs, doubles) = columns;
    let id: ResourceId = logical_id::read(id, id_text).ok_or(StoreError::broken("a stored id is none"))?;
    let values = asked.order.read(id.as_str(), longs, doubles);
    let sealed =
        Sealed { resource_type: asked.resource_type, id, version, last_updated, deed, subject, body };
    Ok(Candidate { row, values, sealed })
}
