//! Searches on a real PostgreSQL, over indexes made by hand.

mod chain;
mod epoch;
mod include;
mod page;
mod predicate;
mod random;
mod scale;
mod total;
mod verify;

use super::{NOW, TENANT, a_type, an_id, store};
use crate::support::database::Database;
use std::sync::{Arc, LazyLock};
use vesta::access::permit::Permit;
use vesta::conformance::definitions::Definitions;
use vesta::search::index::{Index, Key, KeyKind, RangeEntry};
use vesta::search::predicate::Predicate;
use vesta::search::query::{Query, Summary, Total};
use vesta::search::range::{Comparator, RangeTest};
use vesta::search::sort::{SortBy, SortKey};
use vesta::search::verify::Verifier;
use vesta::store::Store;
use vesta::store::resources::{Deed, DeedKind};
use vesta::store::search::SearchPage;

static VERIFIER: LazyLock<Verifier> =
    LazyLock::new(|| Verifier::new(Arc::new(Definitions::embedded().unwrap()), "https://vesta.test/fhir"));

/// A store to search in.
struct Shelf {
    database: Database,
    store: Store,
    permit: Permit,
}

impl Shelf {
    async fn new() -> Shelf {
        let (database, store) = store().await;
        Shelf { database, store, permit: Permit::everything("test") }
    }

    async fn put(&self, books: Vec<Deed>) {
        self.store.write(TENANT, books, vec![]).await.unwrap();
    }

    async fn search(&self, query: &Query) -> SearchPage {
        self.store.search(TENANT, &self.permit.search(query.clone()), &VERIFIER).await.unwrap()
    }

    /// The ids of the first hundred matches.
    async fn find(&self, resource_type: &str, filter: Predicate) -> Vec<String> {
        ids(&self.search(&query(resource_type, filter)).await)
    }

    /// The ids of all matches, page by page.
    async fn walk(&self, mut query: Query) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let page = self.search(&query).await;
            assert!(page.matches.len() <= usize::try_from(query.count).unwrap());
            found.extend(ids(&page));
            query.cursor = page.next;
            if query.cursor.is_none() {
                return found;
            }
            assert_eq!(query.cursor.as_ref().unwrap().position, u64::try_from(found.len()).unwrap());
        }
    }

    async fn narrowed(&self, resource_type: &str, narrowing: Predicate) -> Shelf {
        Shelf {
            database: Database::empty().await,
            store: self.store.clone(),
            permit: self.permit.narrowed(a_type(resource_type), narrowing),
        }
    }
}

fn ids(page: &SearchPage) -> Vec<String> {
    page.matches.iter().map(|it| it.id.to_string()).collect()
}

fn query(types: &str, filter: Predicate) -> Query {
    Query {
        resource_types: types.split(' ').map(a_type).collect(),
        filter,
        sort: vec![],
        count: 100,
        cursor: None,
        includes: vec![],
        total: Total::None,
        summary: Summary::False,
        elements: vec![],
        effective: vec![],
    }
}

/// A new resource, to be found by that index.
fn book(place: &str, index: Index) -> Deed {
    let (resource_type, id) = place.split_once('/').unwrap();
    book_with(place, &format!(r#"{{"resourceType":"{resource_type}","id":"{id}"}}"#), index)
}

fn book_with(place: &str, text: &str, index: Index) -> Deed {
    let (resource_type, id) = place.split_once('/').unwrap();
    Deed {
        kind: DeedKind::Create,
        resource_type: a_type(resource_type),
        id: an_id(id),
        version: 1,
        expected: None,
        last_updated: NOW,
        text: text.to_owned(),
        sealed: vec![],
        index,
    }
}

fn code(value: &str) -> Key {
    Key::new(&"code".into(), KeyKind::Token, value)
}

fn key(parameter: &str, value: &str) -> Key {
    Key::new(&parameter.into(), KeyKind::Code, value)
}

fn reference(parameter: &str, to: &str) -> Key {
    Key::new(&parameter.into(), KeyKind::Reference, to)
}

fn keys(keys: &[Key]) -> Index {
    Index { keys: keys.to_vec(), ..Index::default() }
}

fn range<T>(parameter: &str, low: T, high: T) -> RangeEntry<T> {
    RangeEntry { parameter: parameter.into(), unit: None, low, high }
}

fn date(parameter: &str, comparator: &str, low: i64, high: i64) -> Predicate {
    let comparator = Comparator::parse(comparator).unwrap();
    Predicate::Date { parameter: parameter.into(), test: RangeTest { comparator, low, high } }
}

fn by(code: &str, is_descending: bool) -> SortKey {
    let by = match code {
        "_id" => SortBy::Id,
        "_lastUpdated" => SortBy::LastUpdated,
        code => SortBy::Parameter(code.into()),
    };
    SortKey { by, is_descending }
}

fn chain(parameter: &str, target: &str, inner: Predicate) -> Predicate {
    Predicate::References { parameter: parameter.into(), target: a_type(target), inner: Box::new(inner) }
}

fn has(source: &str, parameter: &str, inner: Predicate) -> Predicate {
    Predicate::ReferencedBy { source: a_type(source), parameter: parameter.into(), inner: Box::new(inner) }
}
