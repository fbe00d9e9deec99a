//! How many rows something has, roughly: the planner's own statistics.
//!
//! They are asked for with `explain`, which sees the values, and are remembered for a while. Nothing is
//! counted: a frequent key costs as little to estimate as a rare one.

use crate::fhir::id::{ResourceType, TenantId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::Text;
use diesel_async::AsyncPgConnection;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What was learned lately, of keys and of other questions.
#[derive(Default)]
pub(in crate::store) struct Estimates {
    known: Mutex<HashMap<(TenantId, ResourceType, i64), Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    rows: f64,
    /// In microseconds.
    learned: i64,
}

/// What stands for the table as a whole.
const WHOLE_TABLE: i64 = 0;
/// How long an estimate is trusted.
const TRUSTED_MICROSECONDS: i64 = 300_000_000;
/// How many are kept.
const KEPT: usize = 50_000;

/// What an estimate is remembered by.
#[derive(Clone, Copy)]
pub(super) enum Remembered {
    /// A key of that hash.
    Key(i64),
    /// The table.
    Table,
    /// The question itself.
    Question,
}

impl Remembered {
    fn place(self, question: &Sql) -> i64 {
        match self {
            Remembered::Key(hash) => hash,
            Remembered::Table => WHOLE_TABLE,
            Remembered::Question => question.fingerprint().cast_signed(),
        }
    }
}

/// How many rows each of these brings, in the same order. All are asked at once.
pub(super) async fn rows(
    store: &Store,
    connection: &AsyncPgConnection,
    (tenant, resource_type): (TenantId, ResourceType),
    questions: Vec<(Remembered, Sql)>,
) -> Result<Vec<f64>, StoreError> {
    let estimates = store.estimates();
    let now = store.now();
    let answers = questions.iter().map(async |(remembered, sql)| {
        let place = (tenant, resource_type, remembered.place(sql));
        if let Some(rows) = estimates.get(place, now) {
            return Ok(rows);
        }
        let rows = planned_rows(connection, sql).await?;
        estimates.keep(place, Known { rows, learned: now });
        Ok::<_, StoreError>(rows)
    });
    futures_util::future::try_join_all(answers).await
}

/// How many rows the planner expects; the statement is an `explain`.
pub(super) async fn planned_rows(connection: &AsyncPgConnection, sql: &Sql) -> Result<f64, StoreError> {
    let lines = sql.rows::<(Text,), (String,)>(connection).await?;
    let rows = lines.first().and_then(|(line,)| {
        let (_, rest) = line.split_once(" rows=")?;
        rest.split(' ').next()?.parse::<f64>().ok()
    });
    rows.ok_or(StoreError::broken("a plan has no estimate"))
}

impl Estimates {
    fn get(&self, place: (TenantId, ResourceType, i64), now: i64) -> Option<f64> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&place)?;
        ((0..TRUSTED_MICROSECONDS).contains(&(now - known.learned))).then_some(known.rows)
    }

    fn keep(&self, place: (TenantId, ResourceType, i64), it: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(place, it);
    }
}
