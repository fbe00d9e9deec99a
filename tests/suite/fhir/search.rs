//! Search through the whole server.

use super::{heart_rate, ids, link, patient};
use crate::support::server::{TestServer, send};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn finds_sealed_and_open_elements() {
    let server = TestServer::start().await;
    let system = server.system();
    let adler =
        system.post("Patient", &patient("Adlerström")).await.json()["id"].as_str().unwrap().to_owned();
    system.post("Patient", &patient("Berger")).await.assert_status(201);
    for query in [
        "family=adlerst",
        "name=ADLER",
        "family:exact=Adlerström",
        "family:contains=lerst",
        "birthdate=1970&family=adler",
        "birthdate=gt1969-12-31&family=a",
    ] {
        let found = system.get(&format!("Patient?{query}")).await.assert_status(200).json();
        assert_eq!(ids(&found), [adler.as_str()], "{query}");
    }
    for query in ["family=dlerst", "family:exact=adlerström", "birthdate=lt1970&family=adler"] {
        let found = system.get(&format!("Patient?{query}")).await.assert_status(200).json();
        assert!(ids(&found).is_empty(), "{query}");
    }
    let form =
        system.request("POST", "Patient/_search").header("content-type", "application/x-www-form-urlencoded");
    let found = send(form.body("family=adlerst")).await.assert_status(200).json();
    assert_eq!(ids(&found), [adler.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_references_both_ways() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    it["id"] = json!("a");
    system.put("Patient/a", &it).await.assert_status(201);
    for (value, at) in
        [("60", "2024-01-01T10:00:00Z"), ("72.5", "2024-02-01"), ("90", "2024-03-01T10:00:00Z")]
    {
        system.post("Observation", &heart_rate("a", value, at)).await.assert_status(201);
    }
    let count = async |query: &str| {
        let found = system.get(query).await.assert_status(200).json();
        ids(&found).len()
    };
    assert_eq!(count("Observation?patient=a").await, 3);
    assert_eq!(count("Observation?patient=Patient/a&code=http://loinc.org|8867-4").await, 3);
    assert_eq!(count("Observation?code=8867-4&date=ge2024-02").await, 2);
    assert_eq!(count("Observation?value-quantity=gt70|http://unitsofmeasure.org|/min").await, 2);
    assert_eq!(count("Observation?code-value-quantity=http://loinc.org|8867-4$lt70").await, 1);
    assert_eq!(count("Observation?subject:Patient.family=adl").await, 3);
    assert_eq!(count("Observation?patient.family=nobody").await, 0);
    assert_eq!(count("Patient?_has:Observation:patient:code=8867-4").await, 1);
    assert_eq!(count("Patient?_has:Observation:patient:code=nothing").await, 0);
    assert_eq!(count("Patient/a/Observation?code=8867-4").await, 3);
    let found = system
        .get("Observation?code=8867-4&_include=Observation:subject&_sort=-date&_count=2&_total=accurate");
    let found = found.await.assert_status(200).json();
    assert_eq!((ids(&found).len(), &found["total"]), (2, &json!(3)));
    let included: Vec<_> =
        found["entry"].as_array().unwrap().iter().filter(|it| it["search"]["mode"] == "include").collect();
    assert_eq!(included.len(), 1);
    assert_eq!(found["entry"][0]["resource"]["effectiveDateTime"], "2024-03-01T10:00:00Z");
    let counted = system.get("Observation?code=8867-4&_summary=count").await.assert_status(200).json();
    assert_eq!((&counted["total"], counted.get("entry")), (&json!(3), None));
    let next = system.get(&link(&found, "next").unwrap()).await.assert_status(200).json();
    assert_eq!((ids(&next).len(), link(&next, "next")), (1, None));
    let found = system.get("Patient?_id=a&_revinclude=Observation:patient").await.assert_status(200).json();
    assert_eq!(found["entry"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_handling_refuses_what_lenient_leaves_out() {
    let server = TestServer::start().await;
    let system = server.system();
    system.post("Patient", &patient("Adler")).await.assert_status(201);
    let lenient = system.get("Patient?shoe-size=44&gender=female").await.assert_status(200).json();
    assert_eq!(ids(&lenient).len(), 1);
    assert!(!link(&lenient, "self").unwrap().contains("shoe-size"));
    assert!(lenient["entry"].as_array().unwrap().iter().any(|it| it["search"]["mode"] == "outcome"));
    let strict =
        send(system.request("GET", "Patient?shoe-size=44").header("prefer", "handling=strict")).await;
    assert!(matches!(strict.status, 400 | 501), "{}", strict.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_sees_only_their_own() {
    let server = TestServer::start().await;
    let system = server.system();
    for id in ["a", "b"] {
        let mut it = patient("Adler");
        it["id"] = json!(id);
        system.put(&format!("Patient/{id}"), &it).await.assert_status(201);
        system.post("Observation", &heart_rate(id, "60", "2024-01-01")).await.assert_status(201);
    }
    let alice = server.patient("a");
    assert_eq!(ids(&alice.get("Patient?family=adler").await.assert_status(200).json()), ["a"]);
    assert_eq!(ids(&alice.get("Observation?code=8867-4").await.assert_status(200).json()).len(), 1);
    assert_eq!(ids(&alice.get("Observation?patient=b").await.assert_status(200).json()).len(), 0);
    assert_eq!(ids(&alice.get("Patient?_has:Observation:patient:code=8867-4").await.json()), ["a"]);
    let real = alice.get("Patient/nobody").await.assert_status(404);
    let hidden = alice.get("Patient/b").await.assert_status(404);
    assert_eq!(real.body, hidden.body);
    assert_eq!(alice.get("Patient/b/_history").await.status, 404);
    assert_eq!(alice.get("Patient/b/_history/1").await.status, 404);
    let all = alice.get("_history").await.assert_status(200).text();
    assert!(!all.contains("Patient/b"));
    let it = json!({"resourceType": "Patient", "id": "b"});
    assert_eq!(alice.put("Patient/b", &it).await.status, 403);
    let writer = server.bearer(server.token("patient/*.cruds", Some("a")));
    assert_eq!(writer.put("Patient/b", &it).await.status, 404);
    assert_eq!(writer.post("Observation", &heart_rate("b", "60", "2024-01-01")).await.status, 403);
    writer.post("Observation", &heart_rate("a", "60", "2024-01-01")).await.assert_status(201);
    writer.delete("Patient/b").await.assert_status(204);
    system.get("Patient/b").await.assert_status(200);
    // An id that was somebody else's is not taken over.
    let theirs = json!({"resourceType": "Basic", "id": "t", "code": {"text": "x"}, "subject": {"reference": "Patient/b"}});
    system.put("Basic/t", &theirs).await.assert_status(201);
    system.delete("Basic/t").await.assert_status(204);
    let mine = json!({"resourceType": "Basic", "id": "t", "code": {"text": "x"}, "subject": {"reference": "Patient/a"}});
    assert_eq!(writer.put("Basic/t", &mine).await.status, 404);
    let entry = json!({"resource": mine, "request": {"method": "PUT", "url": "Basic/t"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    assert_eq!(writer.post("", &bundle).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_is_as_wide_as_it_says() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    it["id"] = json!("a");
    system.put("Patient/a", &it).await.assert_status(201);
    let made = system.post("Observation", &heart_rate("a", "60", "2024-01-01")).await.json();
    let url = format!("Observation/{}", made["id"].as_str().unwrap());
    // Whoever may change and not read gets nothing to read by changing it.
    let patch = json!([{"op": "test", "path": "/status", "value": "final"}]);
    assert_eq!(server.user("user/Observation.u").patch(&url, &patch).await.status, 403);
    server.user("user/Observation.ru").patch(&url, &patch).await.assert_status(200);
    // A granular scope opens its category and nothing else.
    let vital = server.user("user/Observation.rs?category=vital-signs");
    vital.get(&url).await.assert_status(200);
    assert_eq!(ids(&vital.get("Observation").await.assert_status(200).json()).len(), 1);
    let other = server.user("user/Observation.rs?category=laboratory");
    assert_eq!(other.get(&url).await.status, 404);
    assert!(ids(&other.get("Observation").await.assert_status(200).json()).is_empty());
    // Nor what it was, when it was something else.
    let mut changed = system.get(&url).await.json();
    changed["category"][0]["coding"][0]["code"] = json!("laboratory");
    system.put(&url, &changed).await.assert_status(200);
    other.get(&url).await.assert_status(200);
    let past = other.get(&format!("{url}/_history")).await.assert_status(200).json();
    assert!(!past.to_string().contains("vital-signs"), "{past}");
    assert_eq!(other.get(&format!("{url}/_history/1")).await.status, 404);
    assert_eq!(other.get(&format!("{url}/$diff?from=1&to=2")).await.status, 404);
    system.get(&format!("{url}/_history/1")).await.assert_status(200);
    changed["category"][0]["coding"][0]["code"] = json!("vital-signs");
    system.put(&url, &changed).await.assert_status(200);
    // What another resource would have to say is not taken for granted when something is written.
    let chained = server.user("user/Observation.cru?subject:Patient.family=Nobody");
    assert_eq!(chained.post("Observation", &heart_rate("a", "60", "2024-01-01")).await.status, 403);
    // Only what may be both found and deleted is deleted by a search.
    let deleter = server.user("user/Observation.d user/Observation.s?category=laboratory");
    deleter.delete("Observation?code=8867-4").await.assert_status(204);
    system.get(&url).await.assert_status(200);
    server.user("user/Observation.ds").delete("Observation?code=8867-4").await.assert_status(204);
    assert_eq!(system.get(&url).await.status, 410);
}
