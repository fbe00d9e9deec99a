//! Chains and their reverse, with the narrowing wherever they lead.

use super::{Shelf, an_id, book, chain, code, has, key, keys, reference};
use vesta::search::index::Index;
use vesta::search::predicate::Predicate;

/// Two patients, their encounters at two organizations, observations of them and of each other.
async fn ward() -> Shelf {
    let shelf = Shelf::new().await;
    let patient = |id: &str, gender: &str, at: &str| {
        let index = keys(&[key("gender", gender), reference("organization", &format!("Organization/{at}"))]);
        book(&format!("Patient/{id}"), Index { patients: vec![an_id(id)], ..index })
    };
    let of = |place: &str, patient: &str, them: &[_]| {
        let mut index = keys(them);
        index.keys.push(reference("subject", &format!("Patient/{patient}")));
        book(place, Index { patients: vec![an_id(patient)], ..index })
    };
    shelf
        .put(vec![
            book("Organization/east", keys(&[key("name", "east")])),
            book("Organization/west", keys(&[key("name", "west")])),
            patient("alice", "female", "east"),
            patient("bob", "male", "west"),
            of("Encounter/1", "alice", &[key("class", "AMB")]),
            of("Encounter/2", "bob", &[key("class", "IMP")]),
            of("Observation/a", "alice", &[code("x|1"), reference("encounter", "Encounter/1")]),
            of("Observation/b", "bob", &[code("x|1"), reference("encounter", "Encounter/2")]),
            of("Observation/c", "bob", &[code("x|2"), reference("has-member", "Observation/b")]),
            // About alice, but filed with bob.
            book(
                "Observation/d",
                Index {
                    patients: vec![an_id("bob")],
                    ..keys(&[code("x|3"), reference("focus", "Patient/alice")])
                },
            ),
        ])
        .await;
    shelf
}

fn is(parameter: &str, value: &str) -> Predicate {
    Predicate::Key(key(parameter, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn forward_and_back() {
    let shelf = ward().await;
    let coded = |it: &str| Predicate::Key(code(it));
    let female = || chain("subject", "Patient", is("gender", "female"));
    for (resource_type, filter, expected) in [
        ("Observation", female(), "a"),
        ("Observation", female().negated(), "bcd"),
        ("Observation", chain("subject", "Patient", Predicate::True), "abc"),
        ("Observation", chain("focus", "Patient", is("gender", "female")), "d"),
        ("Observation", chain("subject", "Group", Predicate::True), ""),
        ("Observation", chain("encounter", "Encounter", is("class", "IMP")), "b"),
        ("Observation", chain("has-member", "Observation", coded("x|1")), "c"),
        ("Observation", Predicate::any([female(), coded("x|2")]), "ac"),
        ("Observation", female().and(coded("x|1")), "a"),
        ("Observation", female().and(coded("x|2")), ""),
        (
            "Observation",
            chain("subject", "Patient", chain("organization", "Organization", is("name", "west"))),
            "bc",
        ),
        ("Patient", has("Observation", "subject", coded("x|2")), "bob"),
        ("Patient", has("Observation", "subject", coded("x|1")), "alicebob"),
        ("Patient", has("Observation", "focus", Predicate::True), "alice"),
        ("Patient", has("Observation", "subject", coded("x|2")).negated(), "alice"),
        ("Patient", has("Observation", "subject", coded("x|1")).and(is("gender", "male")), "bob"),
        ("Encounter", has("Observation", "encounter", coded("x|1")), "12"),
        ("Encounter", has("Observation", "encounter", coded("x|2")), ""),
        ("Organization", has("Patient", "organization", has("Observation", "subject", coded("x|2"))), "west"),
        ("Observation", has("Observation", "has-member", Predicate::True), "b"),
        ("Encounter", chain("subject", "Patient", has("Observation", "subject", coded("x|2"))), "2"),
    ] {
        assert_eq!(shelf.find(resource_type, filter.clone()).await.concat(), expected, "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_narrowing_holds_wherever_a_chain_leads() {
    let ward = ward().await;
    let coded = |it: &str| Predicate::Key(code(it));
    let shelf = ward.narrowed("Patient", Predicate::Compartment(an_id("alice"))).await;
    assert_eq!(shelf.find("Patient", Predicate::True).await, ["alice"]);
    assert!(shelf.find("Observation", chain("subject", "Patient", is("gender", "male"))).await.is_empty());
    assert_eq!(shelf.find("Observation", chain("subject", "Patient", Predicate::True)).await, ["a"]);
    let any = Predicate::any([chain("subject", "Patient", is("gender", "male")), coded("x|9")]);
    assert!(shelf.find("Observation", any).await.is_empty());
    let shelf = ward.narrowed("Observation", Predicate::Compartment(an_id("alice"))).await;
    assert_eq!(shelf.find("Patient", has("Observation", "subject", coded("x|1"))).await, ["alice"]);
    // Also where another condition drives, and the chain is looked into row by row.
    let bob = Predicate::Id(vec![an_id("bob")]);
    assert!(shelf.find("Patient", bob.and(has("Observation", "subject", coded("x|1")))).await.is_empty());
    let deep = has("Patient", "organization", has("Observation", "subject", coded("x|2")));
    assert!(shelf.find("Organization", deep).await.is_empty());
    let shelf = ward.narrowed("Patient", Predicate::False).await;
    assert!(shelf.find("Observation", chain("subject", "Patient", Predicate::True)).await.is_empty());
    assert!(shelf.find("Patient", Predicate::True).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chains_of_a_narrowing_are_its_own() {
    // Whoever may see observations of patients at an organization need not be able to see organizations.
    let ward = ward().await;
    let east = chain("organization", "Organization", is("name", "east"));
    let shelf = ward.narrowed("Organization", Predicate::False).await;
    let shelf = shelf.narrowed("Patient", east).await;
    assert_eq!(shelf.find("Patient", Predicate::True).await, ["alice"]);
    assert_eq!(shelf.find("Observation", chain("subject", "Patient", Predicate::True)).await, ["a"]);
    let asked = chain("organization", "Organization", is("name", "east"));
    assert!(shelf.find("Patient", asked).await.is_empty());
}
