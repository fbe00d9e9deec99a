//! Every kind of condition finds what it says.

use super::{NOW, Shelf, TENANT, a_type, an_id, book, code, date, key, keys, range};
use vesta::search::index::Index;
use vesta::search::predicate::Predicate;
use vesta::search::range::{Comparator, RangeTest};
use vesta::store::resources::DeedKind;

const COMPARATORS: [&str; 9] = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];

#[tokio::test(flavor = "multi_thread")]
async fn keys_ids_and_compartments() {
    let shelf = Shelf::new().await;
    let of = |patients: &[&str], them: &[_]| Index {
        patients: patients.iter().map(|it| an_id(it)).collect(),
        ..keys(them)
    };
    shelf
        .put(vec![
            book("Observation/a", of(&["alice"], &[code("x|1"), key("status", "final")])),
            book("Observation/b", of(&["alice", "bob"], &[code("x|2"), code("x|1")])),
            book("Observation/c", of(&["bob"], &[code("x|3"), key("status", "final")])),
        ])
        .await;
    let one = || Predicate::Key(code("x|1"));
    let fin = || Predicate::Key(key("status", "final"));
    let id = |ids: &[&str]| Predicate::Id(ids.iter().map(|it| an_id(it)).collect());
    for (filter, expected) in [
        (Predicate::True, "abc"),
        (Predicate::False, ""),
        (one(), "ab"),
        (one().negated(), "c"),
        (one().and(fin()), "a"),
        (Predicate::any([one(), fin()]), "abc"),
        (Predicate::any([one(), id(&["c"])]), "abc"),
        (Predicate::any([Predicate::Key(code("x|3")), Predicate::Key(code("x|2"))]), "bc"),
        (Predicate::Any(vec![]), ""),
        (Predicate::All(vec![]), "abc"),
        (Predicate::Compartment(an_id("alice")), "ab"),
        (Predicate::Compartment(an_id("bob")), "bc"),
        (Predicate::Compartment(an_id("bob")).and(fin()), "c"),
        (Predicate::Compartment(an_id("bob")).negated(), "a"),
        (id(&["c", "a", "nobody"]), "ac"),
        (Predicate::Type(a_type("Observation")), "abc"),
        (Predicate::Type(a_type("Patient")), ""),
        (Predicate::Key(key("code", "x|1")), ""),
    ] {
        assert_eq!(shelf.find("Observation", filter.clone()).await.concat(), expected, "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_comparator_compares_dates() {
    let shelf = Shelf::new().await;
    let found = [(0, 9), (0, 10), (0, 30), (10, 10), (10, 19), (12, 15), (15, 25), (19, 20), (20, 30)];
    for parameter in ["date", "value-date"] {
        let books = found.iter().enumerate().map(|(place, (low, high))| {
            let index = Index { dates: vec![range(parameter, *low, *high)], ..Index::default() };
            book(&format!("Observation/{parameter}{place}"), index)
        });
        shelf.put(books.collect()).await;
        for prefix in COMPARATORS {
            let test = RangeTest { comparator: Comparator::parse(prefix).unwrap(), low: 10, high: 19 };
            let passing = |it: &(usize, &(i64, i64))| test.passes(it.1.0, it.1.1);
            let expected: Vec<String> =
                found.iter().enumerate().filter(passing).map(|it| format!("{parameter}{}", it.0)).collect();
            let filter = date(parameter, prefix, 10, 19);
            assert_eq!(shelf.find("Observation", filter.clone()).await, expected, "{prefix}");
            let not = shelf.find("Observation", filter.negated()).await;
            assert!(expected.iter().all(|it| !not.contains(it)) && not.len() >= found.len() - expected.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_comparator_compares_numbers() {
    let shelf = Shelf::new().await;
    let found = [(0.5, 1.5), (1.0, 1.0), (1.5, 2.5), (2.0, 9.0), (7.0, 7.0)];
    for (parameter, unit) in [
        ("value-quantity", None),
        ("value-quantity", Some("x|kg")),
        ("component-value-quantity", None),
        ("component-value-quantity", Some("x|kg")),
    ] {
        let shape = format!("{parameter}{}", u8::from(unit.is_some()));
        let books = found.iter().enumerate().map(|(place, (low, high))| {
            let mut entry = range(parameter, *low, *high);
            entry.unit = unit.map(Into::into);
            let index = Index { numbers: vec![entry], ..keys(&[code("x|1")]) };
            book(&format!("Observation/{shape}-{place}"), index)
        });
        shelf.put(books.collect()).await;
        for prefix in COMPARATORS {
            let test = RangeTest { comparator: Comparator::parse(prefix).unwrap(), low: 1.0, high: 2.5 };
            let passing = |it: &(usize, &(f64, f64))| test.passes(it.1.0, it.1.1);
            let expected: Vec<String> =
                found.iter().enumerate().filter(passing).map(|it| format!("{shape}-{}", it.0)).collect();
            let filter = Predicate::Number { parameter: parameter.into(), unit: unit.map(Into::into), test };
            assert_eq!(shelf.find("Observation", filter.clone()).await, expected, "{prefix} {shape}");
            let coded = filter.and(Predicate::Key(code("x|1")));
            assert_eq!(shelf.find("Observation", coded).await, expected, "{prefix} {shape}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_updated_when() {
    let shelf = Shelf::new().await;
    for (place, at) in [("a", 1), ("b", 2), ("c", 3)] {
        let mut book = book(&format!("Basic/{place}"), Index::default());
        book.last_updated = NOW + at;
        shelf.put(vec![book]).await;
    }
    let mut again = book("Basic/a", Index::default());
    (again.kind, again.version, again.expected, again.last_updated) = (DeedKind::Update, 2, Some(1), NOW + 9);
    shelf.put(vec![again]).await;
    let updated = |prefix: &str, at: i64| {
        let comparator = Comparator::parse(prefix).unwrap();
        Predicate::LastUpdated(RangeTest { comparator, low: NOW + at, high: NOW + at })
    };
    for (filter, expected) in [
        (updated("gt", 2), "ac"),
        (updated("le", 2), "b"),
        (updated("eq", 1), ""),
        (updated("ne", 3), "ab"),
        (updated("ge", 3).and(updated("lt", 9)), "c"),
    ] {
        assert_eq!(shelf.find("Basic", filter.clone()).await.concat(), expected, "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_not_found() {
    let shelf = Shelf::new().await;
    let index = Index { patients: vec![an_id("alice")], ..keys(&[code("x|1")]) };
    shelf.put(vec![book("Observation/a", index.clone()), book("Observation/b", index)]).await;
    let mut end = book_with_nothing("Observation/a");
    (end.kind, end.version, end.expected) = (DeedKind::Delete, 2, Some(1));
    shelf.store.write(TENANT, vec![end], vec![]).await.unwrap();
    for filter in [
        Predicate::True,
        Predicate::Compartment(an_id("alice")),
        Predicate::Key(code("x|9")).negated(),
        Predicate::Id(vec![an_id("a"), an_id("b")]),
    ] {
        assert_eq!(shelf.find("Observation", filter).await, ["b"]);
    }
}

fn book_with_nothing(place: &str) -> vesta::store::resources::Deed {
    super::book_with(place, "", Index::default())
}
