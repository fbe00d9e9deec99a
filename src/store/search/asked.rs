//! What is asked of one type: conditions that must all hold, an order, and where the page begins.

use crate::access::permit::Narrowing;
use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::ResourceType;
use crate::search::predicate::Predicate;
use crate::search::range::RangeTest;
use crate::store::error::StoreError;
use crate::store::hot;
use crate::store::search::order::{After, Order};
use crate::store::search::predicate::{Compiler, Row};
use crate::store::sql::Sql;

/// A question to the table of one type. All of it is decided by the index.
pub(super) struct Asked<'a> {
    pub(super) keys: &'a TenantKeys,
    pub(super) narrowing: &'a Narrowing,
    pub(super) resource_type: ResourceType,
    pub(super) conjuncts: Vec<Conjunct>,
    pub(super) order: Order,
    pub(super) after: Option<After>,
    /// As many at most.
    pub(super) count: usize,
}

/// One of the conditions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conjunct {
    pub(super) predicate: Predicate,
    pub(super) origin: Origin,
}

/// Whose condition it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The caller's: where its chains lead, the narrowing holds too.
    Filter,
    /// The narrowing's own.
    Narrowing,
}

impl Conjunct {
    /// The conditions of a predicate.
    pub(super) fn all_of(predicate: Predicate, origin: Origin) -> Vec<Conjunct> {
        let parts = match predicate {
            Predicate::True => Vec::new(),
            Predicate::All(parts) => parts,
            other => vec![other],
        };
        parts.into_iter().map(|predicate| Conjunct { predicate, origin }).collect()
    }
}

impl Asked<'_> {
    /// What makes conditions of those of that origin.
    pub(super) fn compiler(&self, origin: Origin) -> Compiler<'_> {
        let narrowing = (origin == Origin::Filter).then_some(self.narrowing);
        Compiler { keys: self.keys, narrowing }
    }

    /// Adds ` and …` for every condition but the one that the driver has seen to. So wrapped, no condition
    /// tempts the planner to drive by it.
    pub(super) fn push_conditions(&self, sql: &mut Sql, decided: Option<usize>) -> Result<(), StoreError> {
        sql.push(" and r.deed <> 3");
        let mut conjuncts: Vec<_> = self.conjuncts.iter().enumerate().collect();
        conjuncts.sort_by_key(|(_, it)| it.predicate.is_chained());
        for (place, it) in conjuncts {
            if decided != Some(place) {
                sql.push(" and (");
                self.compiler(it.origin).push(sql, Row::of(self.resource_type), &it.predicate)?;
                sql.push(") is true");
            }
        }
        Ok(())
    }

    /// Adds the conditions as they are, for the planner to estimate; `@>` is what it has statistics of.
    pub(super) fn push_estimated(&self, sql: &mut Sql) -> Result<(), StoreError> {
        sql.push(" and r.deed <> 3");
        for it in &self.conjuncts {
            sql.push(" and ");
            let compiler = self.compiler(it.origin);
            match &it.predicate {
                Predicate::Key(key) => {
                    sql.push("(false");
                    for hash in compiler.hashes(self.resource_type, key) {
                        sql.push(" or r.keys @> ").bind(vec![hash]);
                    }
                    sql.push(")");
                }
                other => compiler.push(sql, Row::of(self.resource_type), other)?,
            }
        }
        Ok(())
    }

    /// The tests on the hot date.
    pub(super) fn date_tests(&self) -> impl Iterator<Item = &RangeTest<i64>> {
        let hot = hot::date(self.resource_type);
        self.conjuncts.iter().filter_map(move |it| match &it.predicate {
            Predicate::Date { parameter, test } if hot == Some(&**parameter) => Some(test),
            _ => None,
        })
    }

    /// The tests on the hot quantity, or on its bare number.
    pub(super) fn quantity_tests(&self) -> impl Iterator<Item = (bool, &RangeTest<f64>)> {
        let hot = hot::quantity(self.resource_type);
        self.conjuncts.iter().filter_map(move |it| match &it.predicate {
            Predicate::Number { parameter, unit, test } if hot == Some(&**parameter) => {
                Some((unit.is_some(), test))
            }
            _ => None,
        })
    }

    /// How many, as the database takes it.
    pub(super) fn limit(&self) -> i64 {
        i64::try_from(self.count).unwrap_or(i64::MAX)
    }
}
