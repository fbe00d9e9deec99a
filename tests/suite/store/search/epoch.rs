//! After the index key was changed, what was written under the old one is found as what is written under the new.

use super::{
    NOW, Shelf, TENANT, an_id, book, by, chain, code, date, has, key, keys, query, range, reference,
};
use crate::store::store_on;
use vesta::crypto::key_ring::Purpose;
use vesta::search::index::Index;
use vesta::search::predicate::Predicate;
use vesta::search::query::Query;
use vesta::search::range::{Comparator, RangeTest};
use vesta::store::resources::Deed;

fn observation(id: &str, first: &str, second: &str, patient: &str) -> Deed {
    let index = keys(&[code(first), code(second), reference("subject", &format!("Patient/{patient}"))]);
    let mut quantity = range("value-quantity", 5.0, 5.0);
    quantity.unit = Some("x|kg".into());
    let dates = vec![range("date", NOW, NOW), range("value-date", NOW, NOW)];
    let patients = vec![an_id(patient)];
    book(&format!("Observation/{id}"), Index { dates, numbers: vec![quantity], patients, ..index })
}

fn patient(id: &str) -> Deed {
    book(&format!("Patient/{id}"), Index { patients: vec![an_id(id)], ..keys(&[key("gender", "female")]) })
}

#[tokio::test(flavor = "multi_thread")]
async fn both_epochs_are_asked() {
    let shelf = Shelf::new().await;
    shelf.put(vec![patient("old"), observation("a", "x|1", "x|2", "old")]).await;
    shelf.store.add_tenant_key(TENANT, Purpose::Blind).await.unwrap();
    shelf.store.activate_newest(TENANT, Purpose::Blind).await.unwrap();
    let shelf = Shelf { store: store_on(&shelf.database), ..shelf };
    shelf.put(vec![patient("new"), observation("b", "x|1", "x|2", "new")]).await;
    shelf.put(vec![observation("c", "x|1", "x|3", "old")]).await;
    let one = || Predicate::Key(code("x|1"));
    let two = || Predicate::Key(code("x|2"));
    let female = || Predicate::Key(key("gender", "female"));
    let heavy = Predicate::Number {
        parameter: "value-quantity".into(),
        unit: Some("x|kg".into()),
        test: RangeTest { comparator: Comparator::GreaterThan, low: 1.0, high: 1.0 },
    };
    for (filter, expected) in [
        (one(), "abc"),
        (two(), "ab"),
        (two().negated(), "c"),
        (one().and(date("date", "ge", NOW, NOW)), "abc"),
        (two().and(date("date", "ge", NOW, NOW)), "ab"),
        (date("value-date", "ge", NOW, NOW), "abc"),
        (heavy.clone(), "abc"),
        (two().and(heavy), "ab"),
        (Predicate::Key(reference("subject", "Patient/old")), "ac"),
        (chain("subject", "Patient", female()), "abc"),
        (Predicate::Compartment(an_id("old")).and(chain("subject", "Patient", female())), "ac"),
    ] {
        for sort in [vec![], vec![by("date", true)]] {
            let asked = Query { sort, count: 2, ..query("Observation", filter.clone()) };
            assert_eq!(shelf.walk(asked).await.concat(), expected, "{filter:?}");
        }
    }
    assert_eq!(shelf.find("Patient", has("Observation", "subject", two())).await, ["old", "new"]);
    let id = Predicate::Id(vec![an_id("new"), an_id("old")]);
    assert_eq!(shelf.find("Patient", id.and(has("Observation", "subject", two()))).await, ["old", "new"]);
}
