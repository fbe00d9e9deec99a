//! Units: look, then write, while nobody else does the same.

use super::{TENANT, a_type, an_id, deed, event, store, store_on};
use vesta::store::Store;
use vesta::store::resources::DeedKind;

/// Creates it unless it is there. In real life the look is a search.
async fn create_unless_there(store: &Store) -> bool {
    let mut unit = store.begin(TENANT, &["Observation?identifier=x".to_owned()]).await.unwrap();
    let place = [(a_type("Observation"), an_id("the-one"))];
    let found = unit.current(&place).await.unwrap();
    if found == [None] {
        let deed = deed(DeedKind::Create, "the-one", 1, "alice");
        let event = event(&deed);
        unit.write(vec![deed], vec![event]).await.unwrap();
        unit.commit().await.unwrap();
        return true;
    }
    unit.roll_back().await.unwrap();
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_who_create_the_same_make_one() {
    let (database, store) = store().await;
    let other = store_on(&database);
    let tasks: Vec<_> = (0..50)
        .map(|it| {
            let store = if it % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move { create_unless_there(&store).await })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += usize::from(task.await.unwrap());
    }
    assert_eq!(created, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_dropped_did_nothing() {
    let (_database, store) = store().await;
    let place = [(a_type("Observation"), an_id("one"))];
    let mut unit = store.begin(TENANT, &["a".to_owned(), "b".to_owned()]).await.unwrap();
    unit.write(vec![deed(DeedKind::Create, "one", 1, "alice")], vec![]).await.unwrap();
    assert!(unit.current(&place).await.unwrap()[0].is_some());
    drop(unit);
    // The lock is free again, too.
    let unit = store.begin(TENANT, &["b".to_owned()]).await.unwrap();
    assert_eq!(store.current(TENANT, &place).await.unwrap(), [None]);
    unit.commit().await.unwrap();
}
