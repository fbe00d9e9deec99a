//! Drivers: from which index the candidates of a page come.
//!
//! The server chooses, not the planner, which knows nothing of the values of a prepared statement. A driver is
//! written so that just one index serves it; every other condition is a filter on the rows that it brings.
//! * A *walk* goes along an index in the order of the page and stops when the page is full: right for what is
//!   frequent. The rows of one patient, or of one code, can be walked by date, too.
//! * A *collection* takes all the rows of an index entry, and sorts those that are left.

use crate::fhir::id::ResourceType;
use crate::search::predicate::Predicate;
use crate::search::range::{Comparator, RangeTest};
use crate::search::sort::SortValue;
use crate::store::error::StoreError;
use crate::store::search::asked::{Asked, Origin};
use crate::store::search::order::Tie;
use crate::store::search::predicate::{Row, column_of_target, push_range};
use crate::store::sql::Sql;
use crate::store::tables::table;
use std::sync::Arc;
use uuid::Uuid;

/// Where candidates come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Driver {
    /// All rows, by row.
    Rows,
    /// All rows, by the hot date.
    Dated,
    /// The rows whose hot date spans long, and reaches as far as the tests on it ask; of that first clinical code,
    /// if one is named.
    LongDated(Option<i64>),
    /// The rows that hold all of these keys.
    Keys(Vec<i64>),
    /// The rows that hold any of these keys.
    AnyKey(Vec<i64>),
    /// The rows of one patient alone.
    Patient(i64),
    /// The rows of several patients, this one among them.
    SeveralPatients(i64),
    /// The rows whose first clinical code is this.
    Code(i64),
    /// The rows where it is a further code, and none of these the first.
    FurtherCode(i64, Vec<i64>),
    /// These rows.
    Ids(Vec<Uuid>),
    /// The rows whose hot date passes the tests on it.
    DateRange,
    /// The rows with such a date in the ordered table.
    PostedDates(Vec<i64>, RangeTest<i64>),
    /// The rows with such a number in the ordered table.
    PostedNumbers(Vec<i64>, RangeTest<f64>),
    /// The rows that changed at such a time.
    Updated(RangeTest<i64>),
    /// The rows that refer to such a resource.
    Referring(Chain),
    /// The rows that such a resource refers to.
    Referred(Chain),
}

/// A chain that drives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    pub(super) parameter: Arc<str>,
    pub(super) there: ResourceType,
    pub(super) inner: Predicate,
    pub(super) origin: Origin,
}

/// A range this long is found by its end, not by its beginning: 32 days, in microseconds. The index
/// `_long_date` of the template says the same.
const LONG: i64 = 2_764_800_000_000;

/// How a page comes about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// No row comes from two of these.
    pub(super) drivers: Vec<Driver>,
    /// One driver may bring a row twice.
    pub(super) has_duplicates: bool,
    /// The condition that they see to.
    pub(super) decided: Option<usize>,
    /// Whether they go in the order of the page, and stop when it is full.
    pub(super) is_walk: bool,
    /// How many rows a walk over everything looks at before it gives up.
    pub(super) budget: Option<i64>,
}

impl Plan {
    /// Along all rows, in the order of the page. With several drivers there is no budget: where it ended one of
    /// them, another would go on.
    pub(super) fn walk(asked: &Asked<'_>, budget: Option<i64>) -> Plan {
        let drivers = match asked.order.is_by_row() {
            true => vec![Driver::Rows],
            false => with_long(asked, vec![Driver::Dated]),
        };
        let budget = budget.filter(|_| drivers.len() == 1);
        Plan { drivers, has_duplicates: false, decided: None, is_walk: true, budget }
    }

    /// All rows, in no order.
    pub(super) fn of_everything() -> Plan {
        Plan {
            drivers: vec![Driver::Rows],
            has_duplicates: false,
            decided: None,
            is_walk: false,
            budget: None,
        }
    }

    /// The same, to the end.
    pub(super) fn unlimited(self) -> Plan {
        Plan { is_walk: false, budget: None, ..self }
    }

    /// Adds the candidates: `rid, s0, …`.
    pub(super) fn push_candidates(&self, sql: &mut Sql, asked: &Asked<'_>) -> Result<(), StoreError> {
        let between = if self.has_duplicates { " union " } else { " union all " };
        let mut is_first = true;
        for driver in &self.drivers {
            for phase in self.phases(asked, driver) {
                if !is_first {
                    sql.push(between);
                }
                is_first = false;
                sql.push("(select ").push(if self.has_duplicates { "distinct " } else { "" }).push("r.rid");
                asked.order.push_values(sql);
                sql.push(" from ");
                self.push_rows(sql, asked, driver, phase)?;
                sql.push(")");
            }
        }
        Ok(())
    }

    /// What has no date comes after what has one, and is not in the order of the index.
    fn phases(&self, asked: &Asked<'_>, driver: &Driver) -> Vec<Phase> {
        if !self.is_walk {
            return vec![Phase::Collected];
        }
        if asked.order.by_date().is_none() || !driver.can_walk() {
            return vec![if *driver == Driver::Rows { Phase::ByRow } else { Phase::Collected }];
        }
        let has_passed_dates =
            asked.after.as_ref().is_some_and(|it| matches!(it.values.as_slice(), [None, ..]));
        // Where a budget ends among the dated, what comes after them is not yet due.
        let is_dated_only = self.budget.is_some() || asked.date_tests().next().is_some();
        match (has_passed_dates, is_dated_only) {
            (true, _) => vec![Phase::Undated],
            (false, true) => vec![Phase::Dated],
            (false, false) => vec![Phase::Dated, Phase::Undated],
        }
    }

    fn push_rows(
        &self,
        sql: &mut Sql,
        asked: &Asked<'_>,
        driver: &Driver,
        phase: Phase,
    ) -> Result<(), StoreError> {
        if phase == Phase::Collected {
            driver.push_collected(sql, asked)?;
            sql.push(" where true");
            asked.push_conditions(sql, self.decided)?;
            asked.order.push_after(sql, asked.after.as_ref());
            return Ok(());
        }
        match self.budget {
            None => {
                driver.push_walked(sql, asked, phase);
                asked.push_conditions(sql, self.decided)?;
                asked.order.push_after(sql, asked.after.as_ref());
            }
            Some(budget) => {
                sql.push("(select * from ");
                driver.push_walked(sql, asked, phase);
                asked.order.push_after(sql, asked.after.as_ref());
                push_walked_order(sql, asked, phase);
                sql.push(" limit ").bind(budget).push(") as r where true");
                asked.push_conditions(sql, self.decided)?;
            }
        }
        push_walked_order(sql, asked, phase);
        sql.push(" limit ").bind(asked.limit());
        Ok(())
    }
}

/// Which part of the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    ByRow,
    Dated,
    Undated,
    /// In no order.
    Collected,
}

fn push_walked_order(sql: &mut Sql, asked: &Asked<'_>, phase: Phase) {
    sql.push(match (phase, asked.order.by_date()) {
        (Phase::Dated, Some(true)) => " order by r.date_low desc, r.rid",
        (Phase::Dated, _) => " order by r.date_low, r.rid",
        _ => " order by r.rid",
    });
}

impl Driver {
    /// Whether its rows can be walked by the hot date.
    pub(super) fn can_walk(&self) -> bool {
        matches!(self, Driver::Dated | Driver::Patient(_) | Driver::Code(_))
    }

    /// Adds `table as r where …`, so that an index has its rows in the order of the page.
    fn push_walked(&self, sql: &mut Sql, asked: &Asked<'_>, phase: Phase) {
        self.push_table(sql, asked);
        match phase {
            Phase::Undated => drop(sql.push(" and r.date_low is null")),
            Phase::Dated => {
                sql.push(" and r.date_low is not null");
                push_date_bounds(sql, asked);
                // Said of the column alone, so that the index begins there.
                let last = asked.after.as_ref().and_then(|it| it.values.first()).cloned().flatten();
                if let Some(SortValue::Date(last)) = last {
                    let is_descending = asked.order.by_date() == Some(true);
                    sql.push(if is_descending { " and r.date_low <= " } else { " and r.date_low >= " });
                    sql.bind(last);
                }
            }
            Phase::ByRow => {
                if let Some(Tie::Row(row)) = asked.after.as_ref().map(|it| it.tie) {
                    sql.push(" and r.rid > ").bind(row);
                }
            }
            Phase::Collected => {}
        }
    }

    /// Adds `table as r where` and the condition that the index serves.
    fn push_table(&self, sql: &mut Sql, asked: &Asked<'_>) {
        sql.push(&table(asked.resource_type)).push(" as r where r.tenant = ").bind(asked.keys.tenant());
        match self {
            Driver::Patient(hash) => drop(sql.push(" and r.patient = ").bind(*hash)),
            Driver::Code(hash) => drop(sql.push(" and r.code = ").bind(*hash)),
            Driver::Keys(hashes) => drop(sql.push(" and r.keys @> ").bind(hashes.clone())),
            Driver::SeveralPatients(hash) => {
                sql.push(" and r.patient is null and r.keys @> ").bind(vec![*hash]);
            }
            Driver::FurtherCode(hash, first) => {
                sql.push(" and r.keys @> ").bind(vec![*hash]).push(" and (r.code = any(");
                sql.bind(first.clone()).push(")) is not true");
            }
            Driver::Ids(ids) => drop(sql.push(" and r.id = any(").bind(ids.clone()).push(")")),
            Driver::LongDated(code) => {
                sql.push(" and ").push(IS_LONG);
                if let Some(end) = earliest_end(asked) {
                    sql.push(" and r.date_high >= ").bind(end);
                }
                if let Some(code) = code {
                    sql.push(" and r.code = ").bind(*code);
                }
            }
            _ => {}
        }
        if self.leaves_out_long()
            && let Some(end) = earliest_end(asked)
        {
            sql.push(" and r.date_low >= ").bind(end.saturating_sub(LONG));
            sql.push(" and (").push(IS_LONG).push(") is not true");
        }
    }

    /// Whether [`Driver::LongDated`] brings what it does not.
    fn leaves_out_long(&self) -> bool {
        matches!(self, Driver::Dated | Driver::DateRange | Driver::Code(_))
    }

    /// Adds a relation `r` of all its rows, fenced off from the rest of the statement.
    fn push_collected(&self, sql: &mut Sql, asked: &Asked<'_>) -> Result<(), StoreError> {
        match self {
            Driver::AnyKey(hashes) => {
                sql.push("unnest(").bind(hashes.clone()).push("::bigint[]) as h cross join lateral (");
                sql.push("select * from ").push(&table(asked.resource_type)).push(" as r where r.tenant = ");
                sql.bind(asked.keys.tenant()).push(" and r.keys @> array[h] offset 0) as r");
            }
            Driver::PostedDates(keys, test) => {
                push_posted(sql, asked, "dates", keys);
                push_range(sql, test, "p.low", "p.high");
                push_joined(sql, asked);
            }
            Driver::PostedNumbers(keys, test) => {
                push_posted(sql, asked, "numbers", keys);
                push_range(sql, test, "p.low", "p.high");
                push_joined(sql, asked);
            }
            Driver::Updated(test) => {
                sql.push("(select distinct p.rid from changes as p where p.tenant = ");
                sql.bind(asked.keys.tenant()).push(" and p.type = ").bind(asked.resource_type.code());
                sql.push(" and ");
                push_range(sql, test, "p.at", "p.at");
                push_joined(sql, asked);
            }
            Driver::Referring(chain) => {
                let there = Row::of(asked.resource_type).next(chain.there);
                let compiler = asked.compiler(chain.origin);
                sql.push("(select ").push(&there.name()).push(".reference # s as key from ");
                sql.push(&table(chain.there)).push(" as ").push(&there.name()).push(" cross join unnest(");
                sql.bind(compiler.salts(asked.resource_type, &chain.parameter));
                sql.push("::bigint[]) as s where ");
                compiler.push_found_there(sql, there, &chain.inner)?;
                sql.push(" offset 0) as k cross join lateral (select * from ");
                sql.push(&table(asked.resource_type)).push(" as r where r.tenant = ");
                sql.bind(asked.keys.tenant()).push(" and r.keys @> array[k.key] offset 0) as r");
            }
            Driver::Referred(chain) => {
                let there = Row::of(asked.resource_type).next(chain.there);
                let compiler = asked.compiler(chain.origin);
                sql.push("(select distinct k # s as key from ").push(&table(chain.there)).push(" as ");
                sql.push(&there.name()).push(" cross join unnest(").push(&there.name());
                sql.push(".keys) as k cross join unnest(");
                sql.bind(compiler.salts(chain.there, &chain.parameter)).push("::bigint[]) as s where ");
                compiler.push_found_there(sql, there, &chain.inner)?;
                sql.push(" and k <> ").push(&there.name()).push(".reference offset 0) as k ");
                sql.push("cross join lateral (select * from ");
                sql.push(&table(asked.resource_type)).push(" as r where r.tenant = ");
                sql.bind(asked.keys.tenant()).push(" and r").push(column_of_target(asked.resource_type));
                sql.push(" offset 0) as r");
            }
            _ => {
                sql.push("(select * from ");
                self.push_table(sql, asked);
                if matches!(self, Driver::Patient(_) | Driver::Code(_) | Driver::DateRange) {
                    push_date_bounds(sql, asked);
                }
                if matches!(self, Driver::Code(_)) {
                    push_quantity_bounds(sql, asked);
                }
                sql.push(" offset 0) as r");
            }
        }
        Ok(())
    }

    /// The question whose estimate says how many rows it brings.
    pub(super) fn estimated(&self, asked: &Asked<'_>) -> Result<Sql, StoreError> {
        let mut sql = Sql::new("explain select from ");
        match self {
            Driver::Referring(chain) | Driver::Referred(chain) => {
                let there = Row::of(asked.resource_type).next(chain.there);
                sql.push(&table(chain.there)).push(" as ").push(&there.name()).push(" where ");
                asked.compiler(chain.origin).push_found_there(&mut sql, there, &chain.inner)?;
            }
            Driver::AnyKey(_)
            | Driver::PostedDates(..)
            | Driver::PostedNumbers(..)
            | Driver::Updated(_)
            | Driver::Code(_)
            | Driver::LongDated(_)
            | Driver::DateRange => self.push_collected(&mut sql, asked)?,
            _ => self.push_table(&mut sql, asked),
        }
        Ok(sql.uncached())
    }
}

/// The condition of the index `_long_date`.
const IS_LONG: &str = "r.date_high - 2764800000000 > r.date_low";

/// When the hot date must end, or later, by the tests on it.
fn earliest_end(asked: &Asked<'_>) -> Option<i64> {
    let ends = asked.date_tests().filter_map(|test| match test.comparator {
        Comparator::GreaterThan => Some(test.high.saturating_add(1)),
        Comparator::GreaterOrEqual | Comparator::Approximately => Some(test.low),
        _ => None,
    });
    ends.max()
}

/// Where the tests on the hot date ask when it ends, the index of when it begins does not serve: drivers by date
/// then look no farther back than a range is short, and another brings the long ones.
pub(super) fn with_long(asked: &Asked<'_>, mut drivers: Vec<Driver>) -> Vec<Driver> {
    if earliest_end(asked).is_none() {
        return drivers;
    }
    let long: Vec<Driver> = drivers
        .iter()
        .filter(|it| it.leaves_out_long())
        .map(|it| match it {
            Driver::Code(code) => Driver::LongDated(Some(*code)),
            _ => Driver::LongDated(None),
        })
        .collect();
    drivers.extend(long);
    drivers
}

fn push_posted(sql: &mut Sql, asked: &Asked<'_>, side: &str, keys: &[i64]) {
    sql.push("(select distinct p.rid from ").push(&table(asked.resource_type)).push("_").push(side);
    sql.push(" as p where p.key = any(").bind(keys.to_vec()).push(") and ");
}

fn push_joined(sql: &mut Sql, asked: &Asked<'_>) {
    sql.push(" offset 0) as p cross join lateral (select * from ").push(&table(asked.resource_type));
    sql.push(" as r where r.tenant = ").bind(asked.keys.tenant());
    sql.push(" and r.rid = p.rid offset 0) as r");
}

fn push_date_bounds(sql: &mut Sql, asked: &Asked<'_>) {
    for test in asked.date_tests() {
        sql.push(" and ");
        push_range(sql, test, "r.date_low", "r.date_high");
    }
}

fn push_quantity_bounds(sql: &mut Sql, asked: &Asked<'_>) {
    for (has_unit, test) in asked.quantity_tests() {
        if has_unit {
            sql.push(" and r.quantity_low is not null and ");
            push_range(sql, test, "r.quantity_low", "r.quantity_high");
        }
    }
}
