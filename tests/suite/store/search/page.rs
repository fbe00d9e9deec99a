//! Pages: in order, none lost, none twice, whoever writes meanwhile.

use super::{NOW, Shelf, TENANT, VERIFIER, a_type, an_id, book, by, code, date, keys, query, range};
use vesta::search::index::Index;
use vesta::search::predicate::Predicate;
use vesta::search::query::Query;
use vesta::search::sort::SortKey;
use vesta::store::resources::{Deed, DeedKind};

/// Of alice, with a date unless it is negative.
fn dated(id: &str, at: i64) -> Deed {
    let dates = if at < 0 { vec![] } else { vec![range("date", at, at + 5)] };
    let mut it = book(
        &format!("Observation/{id}"),
        Index { dates, patients: vec![an_id("alice")], ..keys(&[code("x|1")]) },
    );
    it.last_updated = NOW + at;
    it
}

fn paged(filter: Predicate, sort: &[SortKey], count: u32) -> Query {
    Query { sort: sort.to_vec(), count, ..query("Observation", filter) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_row_comes_first() {
    let shelf = Shelf::new().await;
    for id in ["c", "a", "b", "e", "d"] {
        shelf.put(vec![dated(id, 1)]).await;
    }
    for filter in [Predicate::True, Predicate::Key(code("x|1")), Predicate::Compartment(an_id("alice"))] {
        for count in 1..=6 {
            assert_eq!(shelf.walk(paged(filter.clone(), &[], count)).await.concat(), "cabed", "{count}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_with_every_driver() {
    let shelf = Shelf::new().await;
    for (id, at) in [("a", 3), ("b", 1), ("c", -1), ("d", 3), ("e", 2), ("f", -1), ("g", 1)] {
        shelf.put(vec![dated(id, at)]).await;
    }
    let filters = [
        Predicate::True,
        Predicate::Key(code("x|1")),
        Predicate::Compartment(an_id("alice")),
        Predicate::any([Predicate::Key(code("x|1")), Predicate::Key(code("x|2"))]),
    ];
    for filter in filters {
        for (sort, expected) in [
            (vec![by("date", false)], "bgeadcf"),
            (vec![by("date", true)], "adebgcf"),
            (vec![by("_id", false)], "abcdefg"),
            (vec![by("_id", true)], "gfedcba"),
            (vec![by("_lastUpdated", false)], "cfbgead"),
            (vec![by("date", true), by("_id", true)], "daegbfc"),
        ] {
            for count in [1, 2, 3, 7] {
                let found = shelf.walk(paged(filter.clone(), &sort, count)).await.concat();
                assert_eq!(found, expected, "{sort:?} {count} {filter:?}");
            }
        }
        let late = filter.and(date("date", "ge", 2, 2));
        assert_eq!(shelf.walk(paged(late.clone(), &[by("date", true)], 2)).await.concat(), "adebg");
        assert_eq!(shelf.walk(paged(late, &[by("date", false)], 2)).await.concat(), "bgead");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_repeated_while_others_write() {
    let shelf = Shelf::new().await;
    let old: Vec<String> = (0..40).map(|it| format!("old-{it}")).collect();
    shelf.put(old.iter().zip(0..).map(|(id, at)| dated(id, at % 7 - 1)).collect()).await;
    let sorts = [vec![], vec![by("date", false)], vec![by("date", true)], vec![by("_lastUpdated", true)]];
    for (number, sort) in sorts.into_iter().enumerate() {
        let mut query = paged(Predicate::Key(code("x|1")), &sort, 3);
        let mut seen = Vec::new();
        for round in 0.. {
            let page = shelf.search(&query).await;
            seen.extend(super::ids(&page));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
            let new = format!("new-{number}-{round}");
            shelf.put(vec![dated(&new, round % 5)]).await;
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{sort:?}");
        assert!(old.iter().all(|it| seen.contains(it)), "{sort:?}");
        // They would come up again, all over.
        let leftovers: Vec<String> = shelf
            .walk(paged(Predicate::True, &[], 50))
            .await
            .into_iter()
            .filter(|it| it.starts_with("new"))
            .collect();
        for id in leftovers {
            let mut end = super::book_with(&format!("Observation/{id}"), "", Index::default());
            (end.kind, end.version, end.expected) = (DeedKind::Delete, 2, Some(1));
            shelf.put(vec![end]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_values_of_the_ordered_tables() {
    let shelf = Shelf::new().await;
    let task = |id: &str, modified: &[i64]| {
        let dates = modified.iter().map(|at| range("modified", *at, *at)).collect();
        book(&format!("Task/{id}"), Index { dates, ..Index::default() })
    };
    let sequence = |id: &str, starts: &[f64]| {
        let numbers = starts.iter().map(|at| range("variant-start", *at, *at)).collect();
        book(&format!("MolecularSequence/{id}"), Index { numbers, ..Index::default() })
    };
    shelf.put(vec![task("a", &[5, 1]), task("b", &[]), task("c", &[3]), task("d", &[3])]).await;
    shelf
        .put(vec![
            sequence("a", &[0.5, 0.1]),
            sequence("b", &[]),
            sequence("c", &[0.3]),
            sequence("d", &[0.3]),
        ])
        .await;
    for count in 1..=5 {
        for (types, code) in [("Task", "modified"), ("MolecularSequence", "variant-start")] {
            let ask = |is_descending| Query {
                sort: vec![by(code, is_descending)],
                count,
                ..query(types, Predicate::True)
            };
            assert_eq!(shelf.walk(ask(false)).await.concat(), "acdb", "{types}");
            assert_eq!(shelf.walk(ask(true)).await.concat(), "acdb", "{types}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_types_are_one_list() {
    let shelf = Shelf::new().await;
    for (place, at) in
        [("Patient/a", 3), ("Basic/b", 1), ("Observation/c", 2), ("Basic/d", 2), ("Patient/e", 1)]
    {
        let mut it = book(place, Index::default());
        it.last_updated = NOW + at;
        shelf.put(vec![it]).await;
    }
    let all = |sort: &[SortKey], count| Query {
        sort: sort.to_vec(),
        count,
        ..query("Basic Group Observation Patient", Predicate::True)
    };
    for count in [1, 2, 3, 5, 9] {
        assert_eq!(shelf.walk(all(&[], count)).await.concat(), "bdcae");
        assert_eq!(shelf.walk(all(&[by("_lastUpdated", false)], count)).await.concat(), "bedca");
        assert_eq!(shelf.walk(all(&[by("_lastUpdated", true)], count)).await.concat(), "adcbe");
        assert_eq!(shelf.walk(all(&[by("_id", true)], count)).await.concat(), "edcba");
    }
    let some = Predicate::any([
        Predicate::Type(a_type("Patient")),
        Predicate::all([Predicate::Type(a_type("Basic")), Predicate::Id(vec![an_id("d"), an_id("a")])]),
    ]);
    let mut query = all(&[], 1);
    query.filter = some;
    assert_eq!(shelf.walk(query).await.concat(), "dae");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_finds_what_it_wrote() {
    let shelf = Shelf::new().await;
    let mut unit = shelf.store.begin(TENANT, &["Observation?code=1".to_owned()]).await.unwrap();
    unit.write(vec![dated("a", 1)], vec![]).await.unwrap();
    let query = shelf.permit.search(paged(Predicate::Key(code("x|1")), &[], 5));
    let within = unit.search(&query, &VERIFIER).await.unwrap();
    assert_eq!(super::ids(&within), ["a"]);
    assert!(shelf.store.search(TENANT, &query, &VERIFIER).await.unwrap().matches.is_empty());
    unit.commit().await.unwrap();
    assert_eq!(shelf.search(query.question()).await.matches.len(), 1);
}
