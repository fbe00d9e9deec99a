//! What an export holds is what stood at one time, whoever writes meanwhile.

use super::*;
use std::sync::Arc;
use vesta::access::permit::Permit;
use vesta::fhir::id::{ResourceId, ResourceType, TenantId};
use vesta::search::predicate::Predicate;
use vesta::search::query::Query;
use vesta::store::search::range::{Population, Span};

/// Everything of a type as it stood, page by page; between pages `meanwhile` is done.
async fn read(
    server: &TestServer,
    of: &str,
    at: i64,
    population: &Population,
    rows: u32,
    mut meanwhile: impl AsyncFnMut(usize),
) -> BTreeMap<String, Value> {
    let of = ResourceType::parse(of).unwrap();
    let query = Permit::everything("test").search(Query::new(vec![of], Predicate::True, 1));
    let (mut found, mut after) = (BTreeMap::new(), Some(0));
    for page in 0.. {
        let Some(from) = after else { break };
        let span = Span { after: from, rows, bytes: 3000, ..Span::of(of, at, population) };
        let app = &server.app;
        let rules = app.rules(TenantId::FIRST).await.unwrap();
        let read = app.store.span(TenantId::FIRST, &query, &rules.verifier, &span).await.unwrap();
        for it in read.resources {
            let value = serde_json::from_str(&it.text).unwrap();
            assert!(found.insert(it.id.to_string(), value).is_none(), "{} comes twice", it.id);
        }
        after = read.next;
        meanwhile(page).await;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_meanwhile_changes_nothing() {
    let server = Arc::new(TestServer::start().await);
    let system = server.system();
    let body = |id: &str, subject: &str, note: &str| {
        json!({
            "resourceType": "Basic", "id": id, "code": { "text": note },
            "subject": { "reference": format!("Patient/{subject}") }
        })
    };
    let mut expected = BTreeMap::new();
    for number in 0..60 {
        let id = format!("b{number}");
        let answer = system.put(&format!("Basic/{id}"), &body(&id, "ann", "before")).await.assert_status(201);
        drop(answer);
        expected.insert(id.clone(), system.get(&format!("Basic/{id}")).await.json());
    }
    let at = server.app.clock.now_microseconds();
    let members =
        server.app.store.members(TenantId::FIRST, &[ResourceId::parse("ann").unwrap()]).await.unwrap();
    let few = Population::Members(members.clone(), Some(0));
    let all = Population::Members(members, None);
    for (turn, population) in [Population::Everything, Population::Patients, few, all].iter().enumerate() {
        // Changed, given to somebody else, deleted, deleted and made again, made new: all of it after that time.
        let meanwhile = async |page: usize| {
            for number in [page * 7, page * 11 + 3, 59 - page.min(59)] {
                let id = format!("b{}", number % 60);
                let path = format!("Basic/{id}");
                match (number + turn) % 4 {
                    0 => drop(system.put(&path, &body(&id, "ann", "after")).await),
                    1 => drop(system.put(&path, &body(&id, "bob", "moved")).await),
                    2 => drop(system.delete(&path).await),
                    _ => {
                        system.delete(&path).await;
                        system.put(&path, &body(&id, "ann", "again")).await;
                    }
                }
            }
            let id = format!("new-{turn}-{page}");
            system.put(&format!("Basic/{id}"), &body(&id, "ann", "new")).await.assert_status(201);
        };
        let found = read(&server, "Basic", at, population, 8, meanwhile).await;
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{turn}");
        assert_eq!(found, expected, "{turn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_equals_what_search_returns() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let found = exported(&system, "Patient/$export?_type=Patient,Observation,Appointment").await;
    let mut searched = BTreeMap::new();
    for of in ["Patient", "Observation", "Appointment"] {
        let bundle = system.get(&format!("{of}?_count=1000")).await.assert_status(200).json();
        for entry in bundle["entry"].as_array().unwrap() {
            let resource = entry["resource"].clone();
            searched.insert(format!("{of}/{}", resource["id"].as_str().unwrap()), resource);
        }
    }
    assert_eq!(found, searched);
}
