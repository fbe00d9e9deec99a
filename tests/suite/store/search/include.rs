//! Includes: what belongs to the matches, once, and only what may be seen.

use super::{Shelf, a_type, an_id, book_with, key, keys, query, reference};
use vesta::search::include::{Direction, Include};
use vesta::search::index::Index;
use vesta::search::predicate::Predicate;
use vesta::search::query::Query;
use vesta::store::resources::Deed;

fn include(direction: Direction, path: &str, is_iterated: bool) -> Include {
    let mut parts = path.split(':');
    let source = parts.next().filter(|it| *it != "*").map(a_type);
    let parameter = parts.next().filter(|it| *it != "*").map(Into::into);
    Include { direction, is_iterated, source, parameter, target: parts.next().map(a_type) }
}

fn linked(place: &str, links: &[(&str, &str, &str)]) -> Deed {
    let (resource_type, id) = place.split_once('/').unwrap();
    let mut text = format!(r#"{{"resourceType":"{resource_type}","id":"{id}""#);
    for (element, _, to) in links {
        text.push_str(&format!(r#","{element}":{{"reference":"{to}"}}"#));
    }
    text.push('}');
    let keys_of: Vec<_> = links.iter().map(|(_, parameter, to)| reference(parameter, to)).collect();
    let mut index: Index = keys(&keys_of);
    index.keys.push(key("tag", id));
    book_with(place, &text, index)
}

async fn ward() -> Shelf {
    let shelf = Shelf::new().await;
    shelf
        .put(vec![
            linked("Organization/group", &[]),
            linked("Organization/east", &[("partOf", "partof", "Organization/group")]),
            linked("Patient/alice", &[("managingOrganization", "organization", "Organization/east")]),
            linked("Patient/bob", &[("managingOrganization", "organization", "Organization/east")]),
            linked("Encounter/1", &[("subject", "subject", "Patient/alice")]),
            linked(
                "Observation/a",
                &[("subject", "subject", "Patient/alice"), ("encounter", "encounter", "Encounter/1")],
            ),
            linked("Observation/b", &[("subject", "subject", "Patient/alice")]),
            linked("Observation/c", &[("subject", "subject", "https://vesta.test/fhir/Patient/bob")]),
            linked("Observation/d", &[("subject", "subject", "https://other.test/Patient/bob")]),
        ])
        .await;
    shelf
}

async fn included(shelf: &Shelf, resource_type: &str, id: &str, includes: Vec<Include>) -> Vec<String> {
    let ids = id.split(' ').map(an_id).collect();
    let page = shelf.search(&Query { includes, ..query(resource_type, Predicate::Id(ids)) }).await;
    assert!(!page.is_cut);
    let mut found: Vec<String> =
        page.included.iter().map(|it| format!("{}/{}", it.resource_type, it.id)).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_refer_to_and_what_refers_to_them() {
    use Direction::{Forward, Reverse};
    let shelf = ward().await;
    let one = |direction, path: &str| vec![include(direction, path, false)];
    assert_eq!(
        included(&shelf, "Observation", "a b", one(Forward, "Observation:subject")).await,
        ["Patient/alice"]
    );
    assert_eq!(
        included(&shelf, "Observation", "a", one(Forward, "Observation:patient")).await,
        ["Patient/alice"]
    );
    assert_eq!(
        included(&shelf, "Observation", "c d", one(Forward, "Observation:subject")).await,
        ["Patient/bob"]
    );
    assert_eq!(
        included(&shelf, "Observation", "a", one(Forward, "*")).await,
        ["Encounter/1", "Patient/alice"]
    );
    assert!(included(&shelf, "Observation", "a", one(Forward, "Observation:subject:Group")).await.is_empty());
    assert!(included(&shelf, "Observation", "a", one(Forward, "Encounter:subject")).await.is_empty());
    assert_eq!(
        included(&shelf, "Patient", "alice", one(Reverse, "Observation:subject")).await,
        ["Observation/a", "Observation/b"]
    );
    assert_eq!(
        included(&shelf, "Patient", "alice bob", one(Reverse, "*")).await,
        ["Encounter/1", "Observation/a", "Observation/b"]
    );
    let both = [one(Forward, "Observation:subject"), vec![include(Forward, "Patient:organization", true)]];
    assert_eq!(
        included(&shelf, "Observation", "a", both.concat()).await,
        ["Organization/east", "Patient/alice"]
    );
    let up = vec![include(Forward, "Organization:partof", true)];
    assert_eq!(
        included(&shelf, "Observation", "a", [both.concat(), up].concat()).await,
        ["Organization/east", "Organization/group", "Patient/alice"]
    );
    // A match is not included again.
    assert!(
        included(&shelf, "Organization", "east group", one(Forward, "Organization:partof")).await.is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reverse_include_by_another_name_of_the_parameter() {
    let shelf = ward().await;
    let by_patient = vec![include(Direction::Reverse, "Observation:patient", false)];
    assert_eq!(included(&shelf, "Patient", "alice", by_patient).await, ["Observation/a", "Observation/b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_included_that_may_not_be_seen() {
    let ward = ward().await;
    let forward = || vec![include(Direction::Forward, "Observation:subject", false)];
    let reverse = || vec![include(Direction::Reverse, "Observation:subject", false)];
    let shelf = ward.narrowed("Patient", Predicate::False).await;
    assert!(included(&shelf, "Observation", "a c", forward()).await.is_empty());
    let shelf = ward.narrowed("Patient", Predicate::Id(vec![an_id("bob")])).await;
    assert_eq!(included(&shelf, "Observation", "a c", forward()).await, ["Patient/bob"]);
    let shelf = ward.narrowed("Observation", Predicate::Key(key("tag", "b"))).await;
    assert_eq!(included(&shelf, "Patient", "alice", reverse()).await, ["Observation/b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_and_then_it_is_said() {
    let shelf = ward().await;
    let most = vesta::store::search::include::MOST_INCLUDED;
    let link = [("subject", "subject", "Patient/bob")];
    shelf.put((0..most).map(|it| linked(&format!("Observation/many-{it}"), &link)).collect()).await;
    let includes = vec![include(Direction::Reverse, "Observation:subject", false)];
    let ask = async || {
        let filter = Predicate::Id(vec![an_id("bob")]);
        shelf.search(&Query { includes: includes.clone(), ..query("Patient", filter) }).await
    };
    let page = ask().await;
    assert_eq!((page.included.len(), page.is_cut), (most, false));
    shelf.put(vec![linked("Observation/one-more", &link)]).await;
    let page = ask().await;
    assert_eq!((page.included.len(), page.is_cut), (most, true));
}
