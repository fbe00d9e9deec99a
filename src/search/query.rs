//! A search, understood: what to find, in which order, how much of it, and what beside it.
//!
//! <https://hl7.org/fhir/R4/search.html>

use crate::fhir::id::ResourceType;
use crate::search::include::Include;
use crate::search::page::Cursor;
use crate::search::predicate::Predicate;
use crate::search::sort::SortKey;

/// A parsed search.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The types searched, in alphabetical order.
    pub resource_types: Vec<ResourceType>,
    /// What must hold. Where several types are searched, it may ask for the type: see
    /// [`Predicate::for_type`].
    pub filter: Predicate,
    /// `_sort`; empty for the server's own order, oldest first.
    pub sort: Vec<SortKey>,
    /// `_count`: how many matches to a page. Zero asks for the total alone.
    pub count: u32,
    /// Where the page begins. Never from the query string: whoever unseals a page link sets it.
    pub cursor: Option<Cursor>,
    /// `_include` and `_revinclude`.
    pub includes: Vec<Include>,
    /// `_total`.
    pub total: Total,
    /// `_summary`.
    pub summary: Summary,
    /// `_elements`: top-level element names; empty for all.
    pub elements: Vec<String>,
    /// What was understood, in the order received: for the self link.
    pub effective: Vec<(String, String)>,
}

impl Query {
    /// What satisfies the filter, so many to a page, whole, and nothing beside it.
    #[must_use]
    pub fn new(resource_types: Vec<ResourceType>, filter: Predicate, count: u32) -> Query {
        Query {
            resource_types,
            filter,
            sort: Vec::new(),
            count,
            cursor: None,
            includes: Vec::new(),
            total: Total::None,
            summary: Summary::False,
            elements: Vec::new(),
            effective: Vec::new(),
        }
    }
}

/// <https://hl7.org/fhir/R4/search.html#total>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// No total.
    None,
    /// A total that may be rough.
    Estimate,
    /// The exact total.
    Accurate,
}

/// <https://hl7.org/fhir/R4/search.html#summary>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    /// All of every resource.
    False,
    /// The elements marked as summary.
    True,
    /// Narrative, id, meta and required elements.
    Text,
    /// All but the narrative.
    Data,
    /// No resource at all, only the total.
    Count,
}

/// What becomes of parameters that are not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// They refuse the search.
    Strict,
    /// They are left out, and the answer says so.
    Lenient,
}
