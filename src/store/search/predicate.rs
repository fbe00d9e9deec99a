//! A predicate as a condition on one row.
//!
//! A condition may be null where a column is: only `true` counts, and a negation is `is not true`. What the
//! index cannot decide has no condition: whoever asks takes [`Predicate::superset`] first.
//!
//! Row-level security lets a condition use an index only where every function in it that sees a row is known
//! not to leak. `#`, the exclusive or, is not, so the keys that a chain joins on are made behind `offset 0`.
//! They are made of all the keys of a row but its own reference, from which one would get to those who refer
//! to it.

use crate::access::permit::Narrowing;
use crate::crypto::blind::BlindKeys;
use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::ResourceType;
use crate::search::index::Key;
use crate::search::predicate::Predicate;
use crate::search::range::{Bounds, RangeTest, Step};
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use crate::store::sql_value::Value;
use crate::store::tables::table;
use crate::store::{hot, logical_id, search_index};

/// As many alternatives are asked one by one.
const FEW: usize = 8;

/// Makes conditions of predicates.
#[derive(Clone, Copy)]
pub(in crate::store) struct Compiler<'a> {
    /// What hashes.
    pub(in crate::store) keys: &'a TenantKeys,
    /// What the resources that a chain leads to must satisfy. Nothing for the chains of a narrowing itself:
    /// whoever decides has seen to them.
    pub(in crate::store) narrowing: Option<&'a Narrowing>,
}

/// The row that a condition is about.
#[derive(Clone, Copy)]
pub(in crate::store) struct Row {
    /// What it is.
    pub(in crate::store) resource_type: ResourceType,
    /// How many chains lead to it: its name in the statement comes from that.
    depth: usize,
}

impl Row {
    /// The row that is searched for: `r`.
    pub(in crate::store) fn of(resource_type: ResourceType) -> Row {
        Row { resource_type, depth: 0 }
    }

    /// The row at the end of a chain from here.
    pub(super) fn next(self, resource_type: ResourceType) -> Row {
        Row { resource_type, depth: self.depth + 1 }
    }

    /// Its name in the statement.
    pub(super) fn name(self) -> String {
        match self.depth {
            0 => "r".to_owned(),
            depth => format!("r{depth}"),
        }
    }
}

impl Compiler<'_> {
    /// Adds the condition.
    pub(in crate::store) fn push(
        &self,
        sql: &mut Sql,
        row: Row,
        predicate: &Predicate,
    ) -> Result<(), StoreError> {
        let name = row.name();
        match predicate {
            Predicate::True => drop(sql.push("true")),
            Predicate::False => drop(sql.push("false")),
            Predicate::All(parts) => self.push_list(sql, row, parts, ("true", " and "))?,
            Predicate::Any(parts) => match self.many_keys(row.resource_type, parts) {
                Some(hashes) => drop(sql.push(&name).push(".keys && ").bind(hashes)),
                None => self.push_list(sql, row, parts, ("false", " or "))?,
            },
            Predicate::Not(inner) => {
                sql.push("(");
                self.push(sql, row, inner)?;
                sql.push(") is not true");
            }
            Predicate::Type(it) => {
                sql.push(if *it == row.resource_type { "true" } else { "false" });
            }
            Predicate::Key(key) => {
                sql.push("(");
                for (place, hash) in self.hashes(row.resource_type, key).into_iter().enumerate() {
                    sql.push(if place == 0 { "" } else { " or " }).bind(hash);
                    sql.push(" = any(").push(&name).push(".keys)");
                }
                sql.push(")");
            }
            Predicate::Date { parameter, test } => self.push_date(sql, row, parameter, test),
            Predicate::Number { parameter, unit, test } => {
                self.push_number(sql, row, (parameter, unit.as_deref()), test);
            }
            Predicate::Id(ids) => {
                let ids: Vec<_> = ids.iter().map(|id| logical_id::stored(self.keys, id).0).collect();
                sql.push(&name).push(".id = any(").bind(ids).push(")");
            }
            Predicate::LastUpdated(test) => {
                let column = format!("{name}.updated");
                push_range(sql, test, &column, &column);
            }
            Predicate::Compartment(patient) => {
                let place = sql.value(search_index::patient(self.keys, patient));
                sql.push("(").push(&name).push(".patient = ").place(place).push(" or ").place(place);
                sql.push(" = any(").push(&name).push(".keys))");
            }
            Predicate::Patients(set) => {
                let numbers = set.numbers(|it| search_index::patient(self.keys, it)).to_vec();
                let place = sql.value(numbers);
                push_of_patients(sql, &name, |sql| {
                    sql.push("select unnest(").place(place).push("::bigint[])");
                    Ok(())
                })?;
            }
            Predicate::SharesPatient { source, inner } => {
                push_of_patients(sql, &name, |sql| self.push_patients_of(sql, row.next(*source), inner))?;
            }
            Predicate::References { parameter, target, inner } => {
                self.push_references(sql, row, parameter, *target, inner)?;
            }
            Predicate::ReferencedBy { source, parameter, inner } => {
                self.push_referenced_by(sql, row, *source, parameter, inner)?;
            }
            Predicate::Missing(_) | Predicate::Verify(_) => {
                return Err(StoreError::broken("a condition was asked for that only the resource decides"));
            }
        }
        Ok(())
    }

    /// The hashes of alternatives that are all keys, where they are many: one value of the statement, not many.
    fn many_keys(&self, resource_type: ResourceType, parts: &[Predicate]) -> Option<Vec<i64>> {
        if parts.len() <= FEW {
            return None;
        }
        let keys = parts.iter().map(|it| match it {
            Predicate::Key(key) => Some(self.hashes(resource_type, key)),
            _ => None,
        });
        keys.collect::<Option<Vec<_>>>().map(|it| it.concat())
    }

    fn push_list(
        &self,
        sql: &mut Sql,
        row: Row,
        parts: &[Predicate],
        (empty, between): (&str, &str),
    ) -> Result<(), StoreError> {
        // What is cheap to ask may spare what is not.
        let mut parts: Vec<&Predicate> = parts.iter().collect();
        parts.sort_by_key(|it| price(row.resource_type, it));
        sql.push("(");
        if parts.is_empty() {
            sql.push(empty);
        }
        for (place, part) in parts.into_iter().enumerate() {
            if place > 0 {
                sql.push(between);
            }
            self.push(sql, row, part)?;
        }
        sql.push(")");
        Ok(())
    }

    fn push_date(&self, sql: &mut Sql, row: Row, parameter: &str, test: &RangeTest<i64>) {
        let name = row.name();
        if hot::date(row.resource_type) == Some(parameter) {
            return push_range(sql, test, &format!("{name}.date_low"), &format!("{name}.date_high"));
        }
        let keys = self.posting(row.resource_type, parameter, None);
        push_posting(sql, row, "dates", keys, test);
    }

    fn push_number(
        &self,
        sql: &mut Sql,
        row: Row,
        (parameter, unit): (&str, Option<&str>),
        test: &RangeTest<f64>,
    ) {
        let name = row.name();
        if hot::quantity(row.resource_type) != Some(parameter) {
            let keys = self.posting(row.resource_type, parameter, unit);
            return push_posting(sql, row, "numbers", keys, test);
        }
        let Some(unit) = unit else {
            return push_range(sql, test, &format!("{name}.number_low"), &format!("{name}.number_high"));
        };
        sql.push("(").push(&name).push(".unit = any(");
        sql.bind(self.each(|blind| search_index::unit(blind, row.resource_type, parameter, unit)));
        sql.push(") and ");
        push_range(sql, test, &format!("{name}.quantity_low"), &format!("{name}.quantity_high"));
        sql.push(")");
    }

    fn push_references(
        &self,
        sql: &mut Sql,
        row: Row,
        parameter: &str,
        target: ResourceType,
        inner: &Predicate,
    ) -> Result<(), StoreError> {
        let there = row.next(target);
        sql.push("exists (select from (select k # s as key from unnest(").push(&row.name());
        sql.push(".keys) as k cross join unnest(").bind(self.salts(row.resource_type, parameter));
        sql.push("::bigint[]) as s where k <> ").push(&row.name()).push(".reference offset 0) as k ");
        self.push_end(sql, there, column_of_target(target), inner)
    }

    fn push_referenced_by(
        &self,
        sql: &mut Sql,
        row: Row,
        source: ResourceType,
        parameter: &str,
        inner: &Predicate,
    ) -> Result<(), StoreError> {
        let there = row.next(source);
        sql.push("exists (select from (select ").push(&row.name()).push(".reference # s as key from unnest(");
        sql.bind(self.salts(source, parameter)).push("::bigint[]) as s offset 0) as k ");
        self.push_end(sql, there, ".keys @> array[k.key]", inner)
    }

    /// The patients of the resources that satisfy `inner`: asked once for all rows.
    fn push_patients_of(&self, sql: &mut Sql, there: Row, inner: &Predicate) -> Result<(), StoreError> {
        let name = there.name();
        sql.push("select ").push(&name).push(".patient from ").push(&table(there.resource_type));
        sql.push(" as ").push(&name).push(" where ").push(&name).push(".patient is not null and ");
        Compiler { narrowing: None, ..*self }.push_found_there(sql, there, inner)
    }

    /// The end of a chain, found by `k.key` and by nothing else: the planner does not know how few it finds.
    fn push_end(
        &self,
        sql: &mut Sql,
        there: Row,
        found_by: &str,
        inner: &Predicate,
    ) -> Result<(), StoreError> {
        sql.push("cross join lateral (select from ").push(&table(there.resource_type)).push(" as ");
        sql.push(&there.name()).push(" where ").push(&there.name()).push(found_by).push(" and ");
        self.push_there(sql, there, inner)?;
        sql.push(" offset 0) as found)");
        Ok(())
    }

    /// What the row at the end of a chain must satisfy, and that it is there at all.
    pub(super) fn push_there(&self, sql: &mut Sql, there: Row, inner: &Predicate) -> Result<(), StoreError> {
        let name = there.name();
        sql.push(&name).push(".tenant = ").bind(self.keys.tenant()).push(" and ").push(&name);
        sql.push(".deed <> 3");
        if *inner != Predicate::True {
            sql.push(" and (");
            self.push(sql, there, inner)?;
            sql.push(") is true");
        }
        match self.narrowing.map(|it| it.of(there.resource_type)) {
            None | Some(Predicate::True) => Ok(()),
            Some(narrowing) => {
                sql.push(" and (");
                Compiler { narrowing: None, ..*self }.push(sql, there, narrowing)?;
                sql.push(") is true");
                Ok(())
            }
        }
    }

    /// The same, where the row is to be found by these conditions: an index serves those that it can.
    pub(super) fn push_found_there(
        &self,
        sql: &mut Sql,
        there: Row,
        inner: &Predicate,
    ) -> Result<(), StoreError> {
        let name = there.name();
        sql.push(&name).push(".tenant = ").bind(self.keys.tenant()).push(" and ").push(&name);
        sql.push(".deed <> 3");
        self.push_served(sql, there, inner)?;
        match self.narrowing.map(|it| it.of(there.resource_type)) {
            None => Ok(()),
            Some(narrowing) => Compiler { narrowing: None, ..*self }.push_served(sql, there, narrowing),
        }
    }

    fn push_served(&self, sql: &mut Sql, row: Row, predicate: &Predicate) -> Result<(), StoreError> {
        let name = row.name();
        let parts = match predicate {
            Predicate::All(parts) => parts.as_slice(),
            only => std::slice::from_ref(only),
        };
        for part in parts {
            let hashes: Vec<i64> = match part {
                Predicate::True => continue,
                Predicate::Compartment(patient) => {
                    let hash = search_index::patient(self.keys, patient);
                    sql.push(" and (").push(&name).push(".patient = ").bind(hash).push(" or ").push(&name);
                    sql.push(".keys @> ").bind(vec![hash]).push(")");
                    continue;
                }
                Predicate::Id(_) => {
                    sql.push(" and ");
                    self.push(sql, row, part)?;
                    continue;
                }
                Predicate::Key(key) => self.hashes(row.resource_type, key),
                // So many that an index would be asked more than the rows.
                Predicate::Any(parts) if self.many_keys(row.resource_type, parts).is_some() => Vec::new(),
                Predicate::Any(parts) => {
                    let keys = parts.iter().map(|it| match it {
                        Predicate::Key(key) => Some(self.hashes(row.resource_type, key)),
                        _ => None,
                    });
                    keys.collect::<Option<Vec<_>>>().unwrap_or_default().concat()
                }
                _ => Vec::new(),
            };
            if hashes.is_empty() {
                sql.push(" and (");
                self.push(sql, row, part)?;
                sql.push(") is true");
                continue;
            }
            sql.push(" and (");
            for (place, hash) in hashes.into_iter().enumerate() {
                sql.push(if place == 0 { "" } else { " or " }).push(&name).push(".keys @> ");
                sql.bind(vec![hash]);
            }
            sql.push(")");
        }
        Ok(())
    }

    /// The hashes of a key, one for each epoch.
    pub(super) fn hashes(&self, resource_type: ResourceType, key: &Key) -> Vec<i64> {
        self.each(|blind| search_index::key(self.keys, blind, resource_type, key))
    }

    /// The hashes of a clinical code that is not the first coding.
    pub(super) fn further(&self, resource_type: ResourceType, key: &Key) -> Vec<i64> {
        self.each(|blind| search_index::further_code(blind, resource_type, key))
    }

    /// Under which hashes the values of a parameter stand in an ordered table.
    pub(super) fn posting(
        &self,
        resource_type: ResourceType,
        parameter: &str,
        unit: Option<&str>,
    ) -> Vec<i64> {
        self.each(|blind| search_index::posting(blind, resource_type, parameter, unit))
    }

    /// What makes keys of the column `reference`.
    pub(super) fn salts(&self, resource_type: ResourceType, parameter: &str) -> Vec<i64> {
        self.each(|blind| search_index::salt(blind, resource_type, parameter))
    }

    fn each(&self, hash: impl Fn(&BlindKeys) -> i64) -> Vec<i64> {
        self.keys.blind().iter().map(|blind| hash(blind)).collect()
    }
}

/// Adds that the resource is in the compartment of one of some patients, or of several and one of them is. A
/// question that names no row of this one is answered once and kept as a hash table.
fn push_of_patients(
    sql: &mut Sql,
    name: &str,
    push_patients: impl Fn(&mut Sql) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    sql.push("(").push(name).push(".patient in (");
    push_patients(sql)?;
    sql.push(") or (").push(name).push(".patient is null and exists (select from unnest(");
    sql.push(name).push(".keys) as k where k in (");
    push_patients(sql)?;
    sql.push("))))");
    Ok(())
}

/// How the row of a target is found by `k.key`.
pub(super) fn column_of_target(target: ResourceType) -> &'static str {
    match target.name() {
        "Patient" => ".patient = k.key",
        _ if hot::is_target(target) => ".reference = k.key",
        _ => ".keys @> array[k.key]",
    }
}

/// Adds the test on a range that stands in these two columns.
pub(super) fn push_range<T: Step + Into<Value>>(sql: &mut Sql, test: &RangeTest<T>, low: &str, high: &str) {
    let (first, second) = test.bounds();
    sql.push("(");
    push_bounds(sql, &first, low, high);
    if let Some(second) = second {
        sql.push(" or ");
        push_bounds(sql, &second, low, high);
    }
    sql.push(")");
}

fn push_bounds<T: Step + Into<Value>>(sql: &mut Sql, bounds: &Bounds<T>, low: &str, high: &str) {
    let mut between = "(";
    let mut push = |column: &str, comparison: &str, bound: Option<T>| {
        if let Some(bound) = bound {
            sql.push(between).push(column).push(comparison).bind(bound);
            between = " and ";
        }
    };
    push(low, " >= ", bounds.low_from);
    // A range does not end before it begins: said again of the column that has the index.
    push(low, " <= ", bounds.low_to.or(bounds.high_to));
    push(high, " >= ", bounds.high_from);
    push(high, " <= ", bounds.high_to);
    sql.push(")");
}

fn push_posting<T: Step + Into<Value>>(
    sql: &mut Sql,
    row: Row,
    side: &str,
    keys: Vec<i64>,
    test: &RangeTest<T>,
) {
    sql.push("exists (select from ").push(&table(row.resource_type)).push("_").push(side);
    sql.push(" as p where p.rid = ").push(&row.name()).push(".rid and p.key = any(").bind(keys);
    sql.push(") and ");
    push_range(sql, test, "p.low", "p.high");
    sql.push(")");
}

/// Adds the types that chains lead to.
pub(in crate::store) fn add_types(predicate: &Predicate, types: &mut Vec<ResourceType>) {
    match predicate {
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|it| add_types(it, types)),
        Predicate::Not(inner) => add_types(inner, types),
        Predicate::References { target: there, inner, .. }
        | Predicate::ReferencedBy { source: there, inner, .. }
        | Predicate::SharesPatient { source: there, inner } => {
            types.push(*there);
            add_types(inner, types);
        }
        _ => {}
    }
}

/// What it costs to ask that of a row, roughly.
fn price(resource_type: ResourceType, predicate: &Predicate) -> u8 {
    match predicate {
        Predicate::Key(_) | Predicate::Compartment(_) => 1,
        Predicate::Date { parameter, .. } if hot::date(resource_type) != Some(parameter) => 2,
        Predicate::Number { parameter, .. } if hot::quantity(resource_type) != Some(parameter) => 2,
        Predicate::Patients(_) => 2,
        Predicate::References { .. } | Predicate::SharesPatient { .. } => 3,
        Predicate::ReferencedBy { .. } => 4,
        Predicate::All(parts) | Predicate::Any(parts) => {
            parts.iter().map(|it| price(resource_type, it)).max().unwrap_or(0)
        }
        Predicate::Not(inner) => price(resource_type, inner),
        _ => 0,
    }
}
