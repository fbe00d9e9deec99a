//! What only the opened resource decides.

use super::{Shelf, VERIFIER, a_type, an_id, book_with, by, chain, code, has, ids, query};
use vesta::fhir::json::Limits;
use vesta::fhir::resource::Resource;
use vesta::fhir::seal_class::{SealClass, SealClasses, SealedSpan};
use vesta::search::extract::index;
use vesta::search::include::{Direction, Include};
use vesta::search::predicate::Predicate;
use vesta::search::query::{Query, Total};
use vesta::store::resources::Deed;

/// A patient, with the index that a real one has, and the name sealed.
fn patient(id: &str, family: &str, has_gender: bool) -> Deed {
    let gender = if has_gender { r#","gender":"female""# } else { "" };
    let text = format!(
        r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"2026-11-23T09:00:00Z"}}{gender},"name":[{{"family":"{family}"}}]}}"#
    );
    let mut deed = read(&text);
    let from = text.find("[{").unwrap();
    deed.sealed.push(SealedSpan { span: from..text.len() - 1, class: SealClass::Identity });
    deed
}

fn read(text: &str) -> Deed {
    let resource = Resource::parse(text, &Limits::default()).unwrap();
    let place = format!("{}/{}", resource.resource_type(), resource.id().unwrap());
    let definitions = vesta::conformance::definitions::Definitions::embedded().unwrap();
    book_with(&place, text, index(&definitions, "https://vesta.test/fhir", &resource))
}

fn observation(id: &str, patient: &str) -> Deed {
    read(&format!(
        r#"{{"resourceType":"Observation","id":"{id}","subject":{{"reference":"Patient/{patient}"}},"code":{{"coding":[{{"system":"x","code":"1"}}]}}}}"#
    ))
}

async fn ward() -> Shelf {
    let shelf = Shelf::new().await;
    shelf
        .put(vec![
            patient("a", "Zaire", true),
            patient("b", "Quokka", false),
            patient("c", "Abel", false),
            patient("d", "Mole", true),
            observation("1", "a"),
            observation("2", "b"),
            observation("3", "c"),
        ])
        .await;
    shelf
}

fn without_gender() -> Predicate {
    Predicate::Missing("gender".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_totals_hold_what_was_verified() {
    let shelf = ward().await;
    for count in 1..4 {
        let query = Query { count, total: Total::Accurate, ..query("Patient", without_gender()) };
        assert_eq!(shelf.search(&query).await.total, Some(2));
        assert_eq!(shelf.walk(query).await.concat(), "bc");
    }
    assert_eq!(shelf.find("Patient", without_gender().negated()).await.concat(), "ad");
    assert_eq!(shelf.find("Patient", without_gender().and(Predicate::Id(vec![an_id("c")]))).await, ["c"]);
    let any = Predicate::any([without_gender(), Predicate::Id(vec![an_id("d")])]);
    assert_eq!(shelf.find("Patient", any).await.concat(), "bcd");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_of_chains_are_verified_too() {
    let shelf = ward().await;
    let chained = || chain("subject", "Patient", without_gender());
    assert_eq!(shelf.find("Observation", chained()).await.concat(), "23");
    assert_eq!(shelf.find("Observation", chained().negated()).await.concat(), "1");
    let coded = Predicate::Missing("code".into()).negated();
    assert_eq!(shelf.find("Patient", has("Observation", "subject", coded)).await.concat(), "abc");
    let mixed = Predicate::any([chained(), Predicate::Missing("code".into())]);
    assert_eq!(shelf.find("Observation", mixed).await.concat(), "23");
    // The narrowing at the end needs the resource.
    let narrowed = shelf.narrowed("Patient", without_gender()).await;
    let coded = Predicate::Key(code("x|1"));
    assert_eq!(
        narrowed.find("Observation", chain("subject", "Patient", Predicate::True)).await.concat(),
        "23"
    );
    assert_eq!(narrowed.find("Patient", has("Observation", "subject", coded)).await.concat(), "bc");
    let includes = vec![Include {
        direction: Direction::Forward,
        is_iterated: false,
        source: Some(a_type("Observation")),
        parameter: Some("subject".into()),
        target: None,
    }];
    let page = narrowed.search(&Query { includes, ..query("Observation", Predicate::True) }).await;
    let included: Vec<_> = page.included.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(included, ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_values_order_only_for_whom_may_see_them() {
    let shelf = ward().await;
    for count in 1..5 {
        for (is_descending, expected) in [(false, "cdba"), (true, "abdc")] {
            let sort = vec![by("family", is_descending)];
            let query = Query { sort, count, ..query("Patient", Predicate::True) };
            assert_eq!(shelf.walk(query).await.concat(), expected);
        }
    }
    let sealed = shelf.permit.showing(SealClasses::ALL.without(SealClass::Identity));
    let query = Query { sort: vec![by("family", false)], ..query("Patient", Predicate::True) };
    let page = shelf.store.search(super::TENANT, &sealed.search(query), &VERIFIER).await.unwrap();
    assert_eq!(ids(&page).concat(), "abcd");
    assert!(page.matches.iter().all(|it| it.is_partial && !it.text.contains("Quokka")));
}
