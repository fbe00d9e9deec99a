//! Transactions: all or nothing.

use super::{heart_rate, ids, patient};
use crate::support::server::TestServer;
use serde_json::{Value, json};
use std::collections::HashSet;

fn bundle(entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

fn entry(full_url: &str, method: &str, url: &str, resource: Value) -> Value {
    json!({"fullUrl": full_url, "resource": resource, "request": {"method": method, "url": url}})
}

const ONE: &str = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a";
const TWO: &str = "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059";

#[tokio::test(flavor = "multi_thread")]
async fn references_are_rewritten_everywhere() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut observation = heart_rate("x", "60", "2024-01-01");
    observation["subject"] = json!({"reference": ONE});
    observation["text"] = json!({"status": "generated", "div":
        format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{ONE}\">patient</a></div>")});
    let sent = bundle(&[
        entry(TWO, "POST", "Observation", observation),
        entry(ONE, "POST", "Patient", patient("Adler")),
        json!({"request": {"method": "GET", "url": "Patient?family=adler"}}),
    ]);
    let answer = system.post("", &sent).await.assert_status(200).json();
    assert_eq!(answer["type"], "transaction-response");
    let statuses: Vec<_> = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["response"]["status"].as_str().unwrap()[..3].to_owned())
        .collect();
    assert_eq!(statuses, ["201", "201", "200"]);
    assert_eq!(ids(&answer["entry"][2]["resource"]).len(), 1);
    let location = answer["entry"][1]["response"]["location"].as_str().unwrap();
    let id = location.split("Patient/").nth(1).unwrap().split('/').next().unwrap();
    let found = system.get(&format!("Observation?patient={id}")).await.assert_status(200).json();
    let stored = &found["entry"][0]["resource"];
    assert_eq!(stored["subject"]["reference"], format!("Patient/{id}"));
    assert!(stored["text"]["div"].as_str().unwrap().contains(&format!("href=\"Patient/{id}\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_reference_finds_what_is_stored_then_what_is_sent() {
    let server = TestServer::start().await;
    let system = server.system();
    let with = |value: &str| {
        let mut it = patient("Adler");
        it["identifier"] = json!([{"system": "http://x.example", "value": value}]);
        it
    };
    let about = |value: &str| {
        let mut it = heart_rate("x", "60", "2024-01-01");
        it["subject"] = json!({"reference": format!("Patient?identifier=http://x.example|{value}")});
        it
    };
    let subject = |answer: &Value, place: usize| {
        let location = answer["entry"][place]["response"]["location"].as_str().unwrap().to_owned();
        location.split("/_history").next().unwrap().rsplit_once("Observation/").unwrap().1.to_owned()
    };
    let sent =
        bundle(&[entry(TWO, "POST", "Observation", about("1")), entry(ONE, "POST", "Patient", with("1"))]);
    let answer = system.post("", &sent).await.assert_status(200).json();
    let location = answer["entry"][1]["response"]["location"].as_str().unwrap();
    let id = location.split("Patient/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let stored = system.get(&format!("Observation/{}", subject(&answer, 0))).await.assert_status(200).json();
    assert_eq!(stored["subject"]["reference"], format!("Patient/{id}"));
    // Now that one is stored, it is the one that is meant.
    let sent = bundle(&[
        entry(TWO, "POST", "Observation", about("1")),
        entry(ONE, "POST", "Patient", with("2")),
        entry("urn:uuid:0b1a2f0e-0000-4000-8000-000000000003", "PUT", "Patient/three", {
            let mut it = with("3");
            it["id"] = json!("three");
            it
        }),
        entry("urn:uuid:0b1a2f0e-0000-4000-8000-000000000004", "POST", "Observation", about("3")),
    ]);
    let answer = system.post("", &sent).await.assert_status(200).json();
    for (place, expected) in [(0, format!("Patient/{id}")), (3, "Patient/three".to_owned())] {
        let path = format!("Observation/{}", subject(&answer, place));
        assert_eq!(system.get(&path).await.json()["subject"]["reference"], expected);
    }
    // None, or several: nothing is done.
    let none =
        bundle(&[entry(TWO, "POST", "Observation", about("9")), entry(ONE, "POST", "Patient", with("8"))]);
    system.post("", &none).await.assert_status(412);
    let several = bundle(&[
        entry(TWO, "POST", "Observation", about("9")),
        entry(ONE, "POST", "Patient", with("9")),
        entry("urn:uuid:0b1a2f0e-0000-4000-8000-000000000005", "POST", "Patient", with("9")),
    ]);
    system.post("", &several).await.assert_status(412);
    assert_eq!(system.get("Patient?_summary=count").await.json()["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_entry_leaves_nothing_behind() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut bad = heart_rate("x", "60", "2024-01-01");
    bad["status"] = json!(7);
    let sent =
        bundle(&[entry(ONE, "POST", "Patient", patient("Adler")), entry(TWO, "POST", "Observation", bad)]);
    let answer = system.post("", &sent).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
    let places: Vec<_> = answer.json()["issue"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["expression"][0].as_str().map(str::to_owned))
        .collect();
    assert!(places.contains(&"Bundle.entry[1].resource.status".to_owned()), "{places:?}");
    assert!(ids(&system.get("Patient?family=adler").await.json()).is_empty());
    let gone = bundle(&[
        entry(ONE, "POST", "Patient", patient("Adler")),
        json!({"request": {"method": "GET", "url": "Patient/nobody"}}),
    ]);
    assert_eq!(system.post("", &gone).await.status, 404);
    assert!(ids(&system.get("Patient?family=adler").await.json()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_entries_and_references_are_resolved() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    it["identifier"] = json!([{"system": "urn:mrn", "value": "7"}]);
    let known = system.post("Patient", &it).await.json()["id"].as_str().unwrap().to_owned();
    let mut observation = heart_rate("x", "60", "2024-01-01");
    observation["subject"] = json!({"reference": "Patient?identifier=urn:mrn|7"});
    let mut create = entry(ONE, "POST", "Patient", it.clone());
    create["request"]["ifNoneExist"] = json!("identifier=urn:mrn|7");
    let mut second = heart_rate("x", "61", "2024-01-02");
    second["subject"] = json!({"reference": ONE});
    let sent = bundle(&[
        create,
        entry(TWO, "POST", "Observation", observation.clone()),
        entry("urn:uuid:5b3f16b8-4b6f-4f8b-a4fb-bb7f41c7ea58", "POST", "Observation", second),
    ]);
    let answer = system.post("", &sent).await.assert_status(200).json();
    assert!(answer["entry"][0]["response"]["status"].as_str().unwrap().starts_with("200"));
    let found = system.get(&format!("Observation?patient={known}")).await.json();
    assert_eq!(ids(&found).len(), 2);
    observation["subject"] = json!({"reference": "Patient?identifier=urn:mrn|8"});
    let answer = system.post("", &bundle(&[entry(TWO, "POST", "Observation", observation)])).await;
    assert_eq!(answer.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_patches_and_deletes_are_one_with_the_rest() {
    let server = TestServer::start().await;
    let system = server.system();
    for id in ["a", "b", "c"] {
        let mut it = patient("Adler");
        it["id"] = json!(id);
        system.put(&format!("Patient/{id}"), &it).await.assert_status(201);
    }
    let mut changed = patient("Berger");
    changed["id"] = json!("a");
    let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "male"},
    ]}]});
    let sent = bundle(&[
        entry("http://x/Patient/a", "PUT", "Patient/a", changed.clone()),
        json!({"request": {"method": "DELETE", "url": "Patient/b"}}),
        json!({"resource": patch, "request": {"method": "PATCH", "url": "Patient/c"}}),
    ]);
    system.post("", &sent).await.assert_status(200);
    let history = system.get("_history?_count=3").await.json();
    let done = history["entry"].as_array().unwrap().iter().map(|it| &it["response"]["lastModified"]);
    assert_eq!(done.collect::<HashSet<_>>().len(), 1, "all is done at one time: {history}");
    assert_eq!(system.get("Patient/a").await.json()["name"][0]["family"], "Berger");
    assert_eq!(system.get("Patient/b").await.status, 410);
    assert_eq!(system.get("Patient/c").await.json()["gender"], "male");
    let twice = bundle(&[
        entry("http://x/Patient/a", "PUT", "Patient/a", changed.clone()),
        json!({"request": {"method": "DELETE", "url": "Patient/a"}}),
    ]);
    assert_eq!(system.post("", &twice).await.status, 400);
    let mut stale = entry("http://x/Patient/a", "PUT", "Patient/a", changed);
    stale["request"]["ifMatch"] = json!("W/\"1\"");
    assert_eq!(system.post("", &bundle(&[stale])).await.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_beyond_their_reach() {
    let server = TestServer::start().await;
    let writer = server.bearer(server.token("patient/*.cruds", Some("a")));
    let sent = bundle(&[entry(TWO, "POST", "Observation", heart_rate("b", "60", "2024-01-01"))]);
    assert_eq!(writer.post("", &sent).await.status, 403);
    let reader = server.bearer(server.token("patient/*.rs", Some("a")));
    let sent = bundle(&[entry(TWO, "POST", "Observation", heart_rate("a", "60", "2024-01-01"))]);
    assert_eq!(reader.post("", &sent).await.status, 403);
    writer.post("", &sent).await.assert_status(200);
}
