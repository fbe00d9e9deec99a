//! Where a page begins.
//!
//! A cursor says after which match the next page goes on: by the values it is sorted by and its
//! row, not by counting, so that a page costs the same however deep it lies and nothing is skipped
//! or repeated when rows come and go. It holds values of resources: it leaves the server only
//! sealed.

use crate::fhir::id::ResourceType;
use crate::search::sort::SortValue;

/// The last match of the page before.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The type of that match: a search over several types goes through them in order.
    pub resource_type: ResourceType,
    /// The store's number of that match.
    pub row: i64,
    /// Its values, one for each sort key; nothing where it has none.
    pub values: Vec<Option<SortValue>>,
    /// How many matches came before.
    pub position: u64,
}
