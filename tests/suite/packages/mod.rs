//! What is legal changes while servers run: guides that nobody has seen, search parameters of one's own.

mod codes;
mod guide;
mod search_parameter;

use crate::support::server::{Answer, Caller, TestServer, fhir, send};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A search that must be understood in full.
async fn strict(caller: &Caller, path: &str) -> Answer {
    send(caller.request("GET", path).header("prefer", "handling=strict")).await
}

/// Asks until the answer is a good one.
#[track_caller]
fn until(caller: &Caller, path: &str) -> impl Future<Output = Value> {
    let (caller, path) = (caller.clone(), path.to_owned());
    async move {
        let begun = Instant::now();
        loop {
            let answer = strict(&caller, &path).await;
            if answer.status == 200 {
                return answer.json();
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "{path}: {}", answer.text());
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}

/// The ids that a searchset holds, in order of the alphabet.
fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let mut ids: Vec<String> =
        entries.filter_map(|it| it["resource"]["id"].as_str().map(str::to_owned)).collect();
    ids.sort();
    ids
}

async fn put(caller: &Caller, resource: &Value) -> Answer {
    let path = format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    send(fhir(caller.request("PUT", &path), resource)).await
}

/// A patient whose eyes have a colour.
fn patient(id: &str, color: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "gender": "female", "birthDate": "1970-01-01", "extension": [
        {"url": "http://guide.example/StructureDefinition/eye-color", "valueCodeableConcept":
            {"coding": [{"system": "http://guide.example/CodeSystem/eyes", "code": color}]}}]})
}

/// How many changes of the configuration are in the trail.
async fn changes(server: &TestServer) -> i64 {
    let client = server.database.superuser().await;
    client.query_one("select count(*) from audit_events where kind = 28", &[]).await.unwrap().get(0)
}
