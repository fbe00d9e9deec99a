//! What is sealed is nowhere in the database, and comes back to whoever may see it.

use super::{TENANT, a_type, an_id, deed, event, store, store_on};
use vesta::fhir::seal_class::{SealClass, SealClasses, SealedSpan};
use vesta::search::index::{Key, KeyKind};
use vesta::search::predicate::Predicate;
use vesta::store::resources::DeedKind;

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_secret_is_in_no_table() {
    let (database, store) = store().await;
    let mut deed = deed(DeedKind::Create, "one", 1, "alice");
    deed.text = r#"{"resourceType":"Observation","id":"one","valueString":"Zanzibarsecret","note":[{"text":"Quokkasecret"}]}"#.into();
    for (secret, class) in [("Zanzibarsecret", SealClass::Narrative), ("Quokkasecret", SealClass::Identity)] {
        let at = deed.text.find(secret).unwrap() - 1;
        deed.sealed.push(SealedSpan { span: at..at + secret.len() + 2, class });
    }
    deed.index.keys.push(Key::new(&"value-string".into(), KeyKind::Exact, "Zanzibarsecret"));
    let mut event = event(&deed);
    event.detail = Some("value-string=Zanzibarsecret".into());
    let text = deed.text.clone();
    store.write(TENANT, vec![deed], vec![event]).await.unwrap();
    let read = async |store: &vesta::store::Store, classes| {
        let id = an_id("one");
        store.read(TENANT, a_type("Observation"), &id, &Predicate::True, classes).await.unwrap().unwrap()
    };
    // Another server, which has to fetch the keys first.
    let whole = read(&store_on(&database), SealClasses::ALL).await;
    assert_eq!((whole.text.as_str(), whole.is_partial), (text.as_str(), false));
    let part = read(&store, SealClasses::ALL.without(SealClass::Narrative)).await;
    assert!(part.is_partial && !part.text.contains("Zanzibar") && part.text.contains("Quokka"));
    let client = database.superuser().await;
    let tables = client
        .query(
            "select schemaname || '.' || tablename from pg_tables where schemaname in ('public', 'resource')",
            &[],
        )
        .await
        .unwrap();
    assert!(tables.len() > 10);
    for table in tables {
        let table: String = table.get(0);
        // Byte columns print as hexadecimal: both forms are looked for.
        for secret in
            ["Zanzibarsecret", "Quokkasecret", "5a616e7a69626172736563726574", "51756f6b6b61736563726574"]
        {
            let sql = format!("select count(*) from {table} as it where it::text like '%{secret}%'");
            let found: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
            assert_eq!(found, 0, "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_without_a_key_is_gone() {
    let (database, store) = store().await;
    let mut deed = deed(DeedKind::Create, "one", 1, "alice");
    let at = deed.text.find("\"Observation\"").unwrap();
    deed.sealed.push(SealedSpan { span: at..at + "\"Observation\"".len(), class: SealClass::Identity });
    store.write(TENANT, vec![deed], vec![]).await.unwrap();
    let client = database.superuser().await;
    client
        .batch_execute("update keys set wrapped = null, is_active = false, destroyed = 1 where subject <> 0")
        .await
        .unwrap();
    let id = an_id("one");
    let other = store_on(&database);
    let read = other.read(TENANT, a_type("Observation"), &id, &Predicate::True, SealClasses::ALL).await;
    assert!(matches!(read, Err(vesta::store::error::StoreError::Shredded)), "{read:?}");
    // What comes later gets a new key.
    let mut later = super::deed(DeedKind::Create, "two", 1, "alice");
    let at = later.text.find("\"Observation\"").unwrap();
    later.sealed.push(SealedSpan { span: at..at + "\"Observation\"".len(), class: SealClass::Identity });
    other.write(TENANT, vec![later], vec![]).await.unwrap();
    let id = an_id("two");
    let read = other.read(TENANT, a_type("Observation"), &id, &Predicate::True, SealClasses::ALL).await;
    assert!(read.unwrap().is_some());
}
