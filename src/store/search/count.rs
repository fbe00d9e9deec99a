//! How many matches there are.
//!
//! An exact total counts every match; the statement time-out is its cap. A rough one counts some thousands, and
//! beyond them believes the planner.

use crate::search::predicate::Predicate;
use crate::search::query::Total;
use crate::store::error::StoreError;
use crate::store::search::asked::Asked;
use crate::store::search::choose::choose;
use crate::store::search::driver::Plan;
use crate::store::search::estimate::planned_rows;
use crate::store::search::matches::{Asker, Question};
use crate::store::search::order::Order;
use crate::store::sql::Sql;
use crate::store::tables::table;
use diesel::sql_types::BigInt;

/// So many are counted for a rough total.
const COUNTED: usize = 10_000;
/// So many are opened to be counted.
const MOST_OPENED: usize = 20_000;

impl Asker<'_> {
    /// How many matches there are.
    pub(super) async fn count(&self, question: Question<'_>, total: Total) -> Result<u64, StoreError> {
        let prepared = self.prepare(question).await?;
        if prepared.conjuncts.iter().any(|it| it.predicate == Predicate::False) {
            return Ok(0);
        }
        let order = Order::by_row(question.resource_type);
        let most = if total == Total::Estimate { COUNTED + 1 } else { usize::MAX };
        let asked = self.asked(question, &prepared, order, None, most);
        if prepared.verified != Predicate::True {
            return self.count_verified(asked, &prepared.verified, total).await;
        }
        let counted = self.counted(&asked).await?;
        if total != Total::Estimate || counted <= u64::try_from(COUNTED).unwrap_or(u64::MAX) {
            return Ok(counted);
        }
        let planned = planned_rows(self.connection, &planned(&asked)?).await?;
        Ok(whole(planned).max(counted))
    }

    async fn counted(&self, asked: &Asked<'_>) -> Result<u64, StoreError> {
        // As if everything were wanted, so that nothing walks.
        let plan = match asked.conjuncts.is_empty() {
            true => Plan::of_everything(),
            false => {
                let choice = choose(self.store, self.connection, asked).await?;
                choice.otherwise.unwrap_or(choice.first).unlimited()
            }
        };
        let mut sql = Sql::new("select count(*) from (select from (");
        plan.push_candidates(&mut sql, asked)?;
        sql.push(") as c limit ").bind(asked.limit()).push(") as c");
        let rows = self.store.shapes().settle(sql).rows::<(BigInt,), (i64,)>(self.connection).await?;
        let count = rows.first().ok_or(StoreError::broken("a count counts nothing"))?.0;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn count_verified(
        &self,
        mut asked: Asked<'_>,
        verified: &Predicate,
        total: Total,
    ) -> Result<u64, StoreError> {
        asked.count = MOST_OPENED;
        match self.verified(asked, verified, MOST_OPENED).await {
            Ok(matches) => Ok(u64::try_from(matches.len()).unwrap_or(u64::MAX)),
            // There are that many candidates; how many of them match is not known.
            Err(StoreError::TooCostly) if total == Total::Estimate => {
                Ok(u64::try_from(MOST_OPENED).unwrap_or(u64::MAX))
            }
            Err(error) => Err(error),
        }
    }
}

/// What the planner is asked: the conditions alone.
fn planned(asked: &Asked<'_>) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("explain select from ");
    sql.push(&table(asked.resource_type)).push(" as r where r.tenant = ").bind(asked.keys.tenant());
    asked.push_estimated(&mut sql)?;
    Ok(sql.uncached())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rows that the planner expects: not negative, and far below 2^53"
)]
fn whole(rows: f64) -> u64 {
    rows.max(0.0) as u64
}
