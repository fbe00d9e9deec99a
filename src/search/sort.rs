//! `_sort`: by which value a resource stands where.
//!
//! <https://hl7.org/fhir/R4/search.html#sort>
//!
//! Where a parameter has several values, ascending order goes by the least and descending order by
//! the greatest. A resource without a value comes last either way.

use std::sync::Arc;

/// One key of the order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What to sort by.
    pub by: SortBy,
    /// Greatest first.
    pub is_descending: bool,
}

/// What to sort by.
#[derive(Clone, Debug, PartialEq)]
pub enum SortBy {
    /// `_id`
    Id,
    /// `_lastUpdated`
    LastUpdated,
    /// The code of a search parameter.
    Parameter(Arc<str>),
}

/// The value by which a resource is sorted.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum SortValue {
    /// Microseconds since 1970, UTC.
    Date(i64),
    /// A number, or a quantity in its canonical unit.
    Number(f64),
    /// A string, normalised; a code; a reference.
    Text(Box<str>),
}
