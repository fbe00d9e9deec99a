//! Totals.

use super::{Shelf, an_id, book, code, keys, query};
use vesta::search::index::Index;
use vesta::search::predicate::Predicate;
use vesta::search::query::{Query, Total};

#[tokio::test(flavor = "multi_thread")]
async fn every_match_is_counted_and_nothing_else() {
    let shelf = Shelf::new().await;
    let index = |it: i32| Index {
        patients: vec![an_id(if it % 3 == 0 { "alice" } else { "bob" })],
        ..keys(&[code(&format!("x|{}", it % 2))])
    };
    shelf.put((0..30).map(|it| book(&format!("Observation/{it}"), index(it))).collect()).await;
    shelf.put((0..5).map(|it| book(&format!("Basic/{it}"), index(it))).collect()).await;
    let even = || Predicate::Key(code("x|0"));
    let alices = || Predicate::Compartment(an_id("alice"));
    let narrowed = shelf.narrowed("Observation", alices()).await;
    for total in [Total::Accurate, Total::Estimate] {
        for count in [0, 7] {
            let ask = async |shelf: &Shelf, types: &str, filter| {
                let page = shelf.search(&Query { total, count, ..query(types, filter) }).await;
                assert_eq!(page.matches.is_empty(), count == 0);
                page.total
            };
            assert_eq!(ask(&shelf, "Observation", Predicate::True).await, Some(30));
            assert_eq!(ask(&shelf, "Observation", even()).await, Some(15));
            assert_eq!(ask(&shelf, "Observation", even().and(alices())).await, Some(5));
            assert_eq!(ask(&shelf, "Basic Observation", even()).await, Some(18));
            assert_eq!(ask(&narrowed, "Observation", even()).await, Some(5));
            assert_eq!(ask(&narrowed, "Observation", Predicate::True).await, Some(10));
        }
    }
    assert_eq!(shelf.search(&query("Observation", even())).await.total, None);
    let only = shelf.search(&Query { count: 0, ..query("Observation", even()) }).await;
    assert_eq!((only.total, only.next), (Some(15), None));
}
