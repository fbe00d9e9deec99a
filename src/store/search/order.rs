//! The order of matches, and where a page goes on in it.
//!
//! A range is sorted by where it begins. Where a parameter has several values, ascending order goes by the
//! least and descending order by the greatest; a resource without one comes last, and the row is the last
//! key, so no two matches stand at the same place and a page can begin right after any of them.

use crate::fhir::id::ResourceType;
use crate::search::references::SortedIn;
use crate::search::sort::{SortBy, SortKey, SortValue};
use crate::search::verify::Verifier;
use crate::store::hot;
use crate::store::search::predicate::Compiler;
use crate::store::sql::Sql;
use crate::store::tables::table;
use std::cmp::Ordering;

/// An order that the database can make.
pub(super) struct Order {
    resource_type: ResourceType,
    keys: Vec<OrderKey>,
}

struct OrderKey {
    by: Column,
    is_descending: bool,
}

#[derive(PartialEq)]
enum Column {
    Id,
    Updated,
    /// The hot date.
    Date,
    /// The hot quantity.
    Quantity,
    /// A date in the ordered table, under one of these hashes.
    PostedDate(Vec<i64>),
    /// A number in the ordered table.
    PostedNumber(Vec<i64>),
}

/// After what a page of one type begins.
#[derive(Clone, Debug)]
pub(super) struct After {
    /// The values of the last match.
    pub(super) values: Vec<Option<SortValue>>,
    /// What of those with the same values.
    pub(super) tie: Tie,
}

/// Which of those with the same values come after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// All: the last match was of an earlier type.
    All,
    /// Those in later rows.
    Row(i64),
    /// None: it was of a later type.
    None,
}

impl Order {
    /// The order by these keys; nothing where only the resources themselves have the values.
    pub(super) fn new(
        compiler: &Compiler<'_>,
        verifier: &Verifier,
        resource_type: ResourceType,
        keys: &[SortKey],
    ) -> Option<Order> {
        let mut made = Vec::with_capacity(keys.len());
        for key in keys {
            let by = match &key.by {
                SortBy::Id => Column::Id,
                SortBy::LastUpdated => Column::Updated,
                SortBy::Parameter(code) => column(compiler, verifier, resource_type, code)?,
            };
            made.push(OrderKey { by, is_descending: key.is_descending });
        }
        Some(Order { resource_type, keys: made })
    }

    /// By nothing but the row.
    pub(super) fn by_row(resource_type: ResourceType) -> Order {
        Order { resource_type, keys: Vec::new() }
    }

    /// Whether nothing but the row orders.
    pub(super) fn is_by_row(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the hot date alone orders, and if so, from the greatest on.
    pub(super) fn by_date(&self) -> Option<bool> {
        match self.keys.as_slice() {
            [OrderKey { by: Column::Date, is_descending }] => Some(*is_descending),
            _ => None,
        }
    }

    /// Adds `, value as s0, …`, the values of the row `r`.
    pub(super) fn push_values(&self, sql: &mut Sql) {
        for (place, key) in self.keys.iter().enumerate() {
            sql.push(", ");
            self.push_value(sql, key);
            sql.push(&format!(" as s{place}"));
        }
    }

    fn push_value(&self, sql: &mut Sql, key: &OrderKey) {
        match &key.by {
            Column::Id => drop(sql.push("coalesce(r.id_text, r.id::text) collate \"C\"")),
            Column::Updated => drop(sql.push("r.updated")),
            Column::Date => drop(sql.push("r.date_low")),
            Column::Quantity => drop(sql.push("coalesce(r.quantity_low, r.number_low)")),
            Column::PostedDate(keys) => self.push_posted(sql, "dates", keys, key.is_descending),
            Column::PostedNumber(keys) => self.push_posted(sql, "numbers", keys, key.is_descending),
        }
    }

    fn push_posted(&self, sql: &mut Sql, side: &str, keys: &[i64], is_descending: bool) {
        sql.push(if is_descending { "(select max(p.low) from " } else { "(select min(p.low) from " });
        sql.push(&table(self.resource_type)).push("_").push(side);
        sql.push(" as p where p.rid = r.rid and p.key = any(").bind(keys.to_vec()).push("))");
    }

    /// Adds ` order by …`, on the values that stand in the relation of that name.
    pub(super) fn push_order(&self, sql: &mut Sql, relation: &str) {
        sql.push(" order by ");
        for (place, key) in self.keys.iter().enumerate() {
            sql.push(&format!("{relation}.s{place}"));
            sql.push(if key.is_descending { " desc nulls last, " } else { " nulls last, " });
        }
        sql.push(relation).push(".rid");
    }

    /// Adds the values as arrays, one for each SQL type: `longs, doubles`.
    pub(super) fn push_returned(&self, sql: &mut Sql, relation: &str) {
        for (is_number, kind) in [(false, "bigint"), (true, "float8")] {
            sql.push(", array[");
            let mut between = "";
            for (place, key) in self.keys.iter().enumerate() {
                if key.by != Column::Id && key.by.is_number() == is_number {
                    sql.push(between).push(&format!("{relation}.s{place}"));
                    between = ", ";
                }
            }
            sql.push("]::").push(kind).push("[]");
        }
    }

    /// The values as they came back.
    pub(super) fn read(
        &self,
        id: &str,
        longs: Vec<Option<i64>>,
        doubles: Vec<Option<f64>>,
    ) -> Vec<Option<SortValue>> {
        let (mut longs, mut doubles) = (longs.into_iter(), doubles.into_iter());
        let value = |key: &OrderKey| match key.by {
            Column::Id => Some(SortValue::Text(id.into())),
            _ if key.by.is_number() => doubles.next().flatten().map(SortValue::Number),
            _ => longs.next().flatten().map(SortValue::Date),
        };
        self.keys.iter().map(value).collect()
    }

    /// Adds ` and …`: the row `r` comes after that place.
    pub(super) fn push_after(&self, sql: &mut Sql, after: Option<&After>) {
        let Some(after) = after else { return };
        sql.push(" and ");
        self.push_after_from(sql, after, 0);
    }

    fn push_after_from(&self, sql: &mut Sql, after: &After, place: usize) {
        let Some(key) = self.keys.get(place) else {
            match after.tie {
                Tie::All => sql.push("true"),
                Tie::Row(row) => sql.push("r.rid > ").bind(row),
                Tie::None => sql.push("false"),
            };
            return;
        };
        let value = after.values.get(place).cloned().flatten();
        let Some(value) = value else {
            sql.push("(");
            self.push_value(sql, key);
            sql.push(" is null and ");
            self.push_after_from(sql, after, place + 1);
            sql.push(")");
            return;
        };
        let bound = match value {
            SortValue::Date(it) => sql.value(it),
            SortValue::Number(it) => sql.value(it),
            SortValue::Text(it) => sql.value(String::from(it)),
        };
        sql.push("(");
        self.push_value(sql, key);
        sql.push(if key.is_descending { " < " } else { " > " }).place(bound).push(" or ");
        self.push_value(sql, key);
        sql.push(" is null or (");
        self.push_value(sql, key);
        sql.push(" = ").place(bound).push(" and ");
        self.push_after_from(sql, after, place + 1);
        sql.push("))");
    }
}

/// Where the values of a parameter are, which may be indexed under other names than its own.
fn column(
    compiler: &Compiler<'_>,
    verifier: &Verifier,
    resource_type: ResourceType,
    code: &str,
) -> Option<Column> {
    let names = verifier.index_names(resource_type, code);
    match names.as_slice() {
        [only] if hot::date(resource_type) == Some(only) => return Some(Column::Date),
        [only] if hot::quantity(resource_type) == Some(only) => return Some(Column::Quantity),
        _ => {}
    }
    let keys = || names.iter().flat_map(|it| compiler.posting(resource_type, it, None)).collect();
    match verifier.sorted_in(resource_type, code) {
        SortedIn::Dates => Some(Column::PostedDate(keys())),
        SortedIn::Numbers => Some(Column::PostedNumber(keys())),
        SortedIn::Resource => None,
    }
}

impl Column {
    fn is_number(&self) -> bool {
        matches!(self, Column::Quantity | Column::PostedNumber(_))
    }
}

/// Compares values in memory, as the database does.
pub(super) fn compare(keys: &[SortKey], one: &[Option<SortValue>], other: &[Option<SortValue>]) -> Ordering {
    for (place, key) in keys.iter().enumerate() {
        let values = (one.get(place).and_then(Option::as_ref), other.get(place).and_then(Option::as_ref));
        let order = match values {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(other)) => {
                let order = one.partial_cmp(other).unwrap_or(Ordering::Equal);
                if key.is_descending { order.reverse() } else { order }
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

impl After {
    /// Whether a match with these values in that row comes after.
    pub(super) fn is_before(&self, keys: &[SortKey], values: &[Option<SortValue>], row: i64) -> bool {
        match compare(keys, &self.values, values) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => match self.tie {
                Tie::All => true,
                Tie::Row(last) => row > last,
                Tie::None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(is_descending: bool) -> SortKey {
        SortKey { by: SortBy::LastUpdated, is_descending }
    }

    fn date(it: i64) -> Option<SortValue> {
        Some(SortValue::Date(it))
    }

    #[test]
    fn missing_values_come_last_either_way() {
        for is_descending in [false, true] {
            let keys = [key(is_descending)];
            assert_eq!(compare(&keys, &[None], &[date(1)]), Ordering::Greater);
            assert_eq!(compare(&keys, &[date(1)], &[None]), Ordering::Less);
            assert_eq!(compare(&keys, &[None], &[None]), Ordering::Equal);
        }
        assert_eq!(compare(&[key(true)], &[date(1)], &[date(2)]), Ordering::Greater);
    }

    #[test]
    fn a_page_begins_right_after_the_last_match() {
        let after = |tie| After { values: vec![date(5)], tie };
        let keys = [key(false)];
        assert!(after(Tie::Row(7)).is_before(&keys, &[date(5)], 8));
        assert!(!after(Tie::Row(7)).is_before(&keys, &[date(5)], 7));
        assert!(after(Tie::All).is_before(&keys, &[date(5)], 1));
        assert!(!after(Tie::None).is_before(&keys, &[date(5)], 9));
        assert!(after(Tie::None).is_before(&keys, &[date(6)], 1));
        assert!(after(Tie::None).is_before(&keys, &[None], 1));
    }
}
