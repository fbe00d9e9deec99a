//! History: every version, newest first, page by page.

use super::{NOW, TENANT, a_type, an_id, deed, event, store};
use vesta::fhir::seal_class::SealClasses;
use vesta::search::index::{Key, KeyKind};
use vesta::search::predicate::Predicate;
use vesta::search::range::{Comparator, RangeTest};
use vesta::store::Store;
use vesta::store::resources::{DeedKind, Stored};
use vesta::store::versions::HistoryFilter;

const ALL: HistoryFilter = HistoryFilter { since: None, at: None, after: None, count: 100 };

/// One lives, dies and lives again; two and three are only created, the last by somebody else.
async fn lives() -> (crate::support::database::Database, Store) {
    let (database, store) = store().await;
    for (kind, id, version, patient) in [
        (DeedKind::Create, "one", 1, "alice"),
        (DeedKind::Update, "one", 2, "alice"),
        (DeedKind::Create, "two", 1, "alice"),
        (DeedKind::Delete, "one", 3, "alice"),
        (DeedKind::Update, "one", 4, "alice"),
        (DeedKind::Create, "three", 1, "bob"),
    ] {
        let deed = deed(kind, id, version, patient);
        let event = event(&deed);
        store.write(TENANT, vec![deed], vec![event]).await.unwrap();
    }
    (database, store)
}

fn names(versions: &[Stored]) -> Vec<String> {
    versions.iter().map(|it| format!("{}/{}", it.id, it.version)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_a_history() {
    let (_database, store) = lives().await;
    let one = an_id("one");
    let resource = (a_type("Observation"), &one);
    let ask = async |filter: HistoryFilter, narrowing| {
        store.instance_history(TENANT, resource, &narrowing, &filter, SealClasses::ALL).await.unwrap()
    };
    let page = ask(ALL, Predicate::True).await.unwrap();
    assert_eq!(names(&page.versions), ["one/4", "one/3", "one/2", "one/1"]);
    assert!(page.versions[1].is_deleted() && page.next.is_none());
    let first = ask(HistoryFilter { count: 3, ..ALL }, Predicate::True).await.unwrap();
    assert_eq!(names(&first.versions), ["one/4", "one/3", "one/2"]);
    let second = ask(HistoryFilter { after: first.next, ..ALL }, Predicate::True).await.unwrap();
    assert_eq!(names(&second.versions), ["one/1"]);
    let since = ask(HistoryFilter { since: Some(NOW + 3), ..ALL }, Predicate::True).await.unwrap();
    assert_eq!(names(&since.versions), ["one/4", "one/3"]);
    let at = ask(HistoryFilter { at: Some((NOW + 2, NOW + 3)), ..ALL }, Predicate::True).await.unwrap();
    assert_eq!(names(&at.versions), ["one/3", "one/2"]);
    let later = ask(HistoryFilter { since: Some(NOW + 99), ..ALL }, Predicate::True).await.unwrap();
    assert!(later.versions.is_empty());
    assert!(ask(ALL, Predicate::Compartment(an_id("alice"))).await.is_some());
    assert!(ask(ALL, Predicate::Compartment(an_id("bob"))).await.is_none());
    let never = an_id("never");
    let none = store
        .instance_history(TENANT, (a_type("Observation"), &never), &Predicate::True, &ALL, SealClasses::ALL)
        .await;
    assert_eq!(none.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_can_be_read() {
    let (_database, store) = lives().await;
    let one = an_id("one");
    let ask = async |version, narrowing| {
        let resource = (a_type("Observation"), &one);
        store.version(TENANT, resource, version, &narrowing, SealClasses::ALL).await.unwrap()
    };
    assert!(ask(1, Predicate::True).await.unwrap().text.contains(r#""versionId":"1""#));
    assert!(ask(3, Predicate::True).await.unwrap().is_deleted());
    assert!(ask(4, Predicate::True).await.unwrap().text.contains(r#""versionId":"4""#));
    assert_eq!(ask(5, Predicate::True).await, None);
    assert_eq!(ask(1, Predicate::Compartment(an_id("bob"))).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_another_patients_is_not_shown_to_this_one() {
    let (_database, store) = store().await;
    for (kind, version, patient) in [(DeedKind::Create, 1, "alice"), (DeedKind::Update, 2, "bob")] {
        store.write(TENANT, vec![deed(kind, "one", version, patient)], vec![]).await.unwrap();
    }
    let one = an_id("one");
    let resource = (a_type("Observation"), &one);
    let bobs = Predicate::Compartment(an_id("bob"));
    let page =
        store.instance_history(TENANT, resource, &bobs, &ALL, SealClasses::ALL).await.unwrap().unwrap();
    assert_eq!(names(&page.versions), ["one/2"]);
    assert_eq!(store.version(TENANT, resource, 1, &bobs, SealClasses::ALL).await.unwrap(), None);
    let page =
        store.history(TENANT, &[(a_type("Observation"), &bobs)], &ALL, SealClasses::ALL).await.unwrap();
    assert_eq!(names(&page.versions), ["one/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowing_may_ask_for_anything_the_index_knows() {
    let (_database, store) = lives().await;
    let mut alice = deed(DeedKind::Create, "alice", 1, "alice");
    alice.resource_type = a_type("Patient");
    alice.index.keys = vec![Key::new(&"gender".into(), KeyKind::Code, "female")];
    store.write(TENANT, vec![alice], vec![]).await.unwrap();
    let number = |comparator, it: f64| Predicate::Number {
        parameter: "component-value-quantity".into(),
        unit: None,
        test: RangeTest { comparator, low: it, high: it },
    };
    let chain = |target: &str, inner| Predicate::References {
        parameter: "subject".into(),
        target: a_type(target),
        inner: Box::new(inner),
    };
    let female = |it: &str| Predicate::Key(Key::new(&"gender".into(), KeyKind::Code, it));
    let is_final = Predicate::Key(Key::new(&"status".into(), KeyKind::Code, "final"));
    let missing = Predicate::Missing("status".into());
    for (narrowing, may) in [
        (number(Comparator::LessThan, 3.0), true),
        (number(Comparator::GreaterThan, 3.0), false),
        (chain("Patient", female("female")), true),
        (chain("Patient", female("male")), false),
        (chain("CareTeam", Predicate::True), false),
        (is_final.clone(), true),
        (is_final.clone().negated(), false),
        // Nobody can vouch for these.
        (missing.clone(), false),
        (missing.clone().negated(), false),
        (Predicate::any([missing, is_final]), true),
    ] {
        let (kind, id) = (a_type("Observation"), an_id("one"));
        let read = store.read(TENANT, kind, &id, &narrowing, SealClasses::ALL).await.unwrap();
        assert_eq!(read.is_some(), may, "{narrowing:?}");
        let resource = (kind, &id);
        let version = store.version(TENANT, resource, 4, &narrowing, SealClasses::ALL).await.unwrap();
        assert_eq!(version.is_some(), may, "{narrowing:?}");
        let history = store.history(TENANT, &[(kind, &narrowing)], &ALL, SealClasses::ALL).await.unwrap();
        assert_eq!(names(&history.versions).contains(&"one/4".to_owned()), may, "{narrowing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_and_everything_have_a_history() {
    let (_database, store) = lives().await;
    let mut patient = deed(DeedKind::Create, "alice", 1, "alice");
    patient.resource_type = a_type("Patient");
    patient.last_updated = NOW + 2;
    store.write(TENANT, vec![patient], vec![]).await.unwrap();
    let types = [(a_type("Observation"), &Predicate::True), (a_type("Patient"), &Predicate::True)];
    let page = store.history(TENANT, &types[..1], &ALL, SealClasses::ALL).await.unwrap();
    assert_eq!(names(&page.versions), ["one/4", "one/3", "one/2", "three/1", "two/1", "one/1"]);
    let mut seen = Vec::new();
    let mut filter = HistoryFilter { count: 2, ..ALL };
    loop {
        let page = store.history(TENANT, &types, &filter, SealClasses::ALL).await.unwrap();
        seen.extend(names(&page.versions));
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["one/4", "one/3", "alice/1", "one/2", "three/1", "two/1", "one/1"]);
    let alices = Predicate::Compartment(an_id("alice"));
    let page =
        store.history(TENANT, &[(a_type("Observation"), &alices)], &ALL, SealClasses::ALL).await.unwrap();
    assert_eq!(names(&page.versions), ["one/4", "one/3", "one/2", "two/1", "one/1"]);
    let at = HistoryFilter { at: Some((NOW + 2, NOW + 2)), ..ALL };
    let page = store.history(TENANT, &types[..1], &at, SealClasses::ALL).await.unwrap();
    assert_eq!(names(&page.versions), ["one/2", "three/1", "two/1"]);
    let everything: Vec<_> = vesta::fhir::id::ResourceType::all().map(|it| (it, &Predicate::True)).collect();
    let page = store.history(TENANT, &everything, &ALL, SealClasses::ALL).await.unwrap();
    assert_eq!(page.versions.len(), 7);
}
