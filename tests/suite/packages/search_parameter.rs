use super::{ids, patient, put, strict, until};
use crate::support::server::{TestServer, send};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use vesta::fhir::id::TenantId;
use vesta::jobs::{self, KINDS};
use vesta::store::jobs::{JobState, NewJob};
use vesta::store::reindex::{KIND, Walk, Walked};

fn parameter(code: &str, kind: &str, expression: &str) -> Value {
    json!({"resourceType": "SearchParameter", "id": code, "url": format!("http://own.example/{code}"), "name": code,
        "code": code, "status": "active", "description": "ours", "base": ["Patient"], "type": kind,
        "expression": expression})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_parameter_of_one_s_own_is_refused_until_everything_is_found_by_it() {
    let server = TestServer::start().await;
    let system = server.system();
    let nick = |id: &str, name: &str| {
        json!({"resourceType": "Patient", "id": id, "multipleBirthInteger": id.len(),
            "name": [{"use": "nickname", "given": [name]}, {"use": "official", "given": ["Zoe"]}]})
    };
    put(&system, &nick("a", "Bobby")).await.assert_status(201);
    put(&system, &nick("bb", "Sam")).await.assert_status(201);
    let observation = json!({"resourceType": "Observation", "id": "o", "status": "final",
        "code": {"text": "x"}, "subject": {"reference": "Patient/a"}});
    put(&system, &observation).await.assert_status(201);
    put(&system, &parameter("nickname", "string", "Patient.name.where(use='nickname').given"))
        .await
        .assert_status(201);
    put(&system, &parameter("birth-order", "number", "Patient.multipleBirth.ofType(integer)"))
        .await
        .assert_status(201);
    put(&system, &nick("ccc", "Bobbie")).await.assert_status(201);
    tokio::time::sleep(vesta::app::rules::FRESH).await;
    for query in [
        "Patient?nickname=bob",
        "Patient?_sort=nickname",
        "Patient?nickname:missing=true",
        "Observation?subject.nickname=bob",
        "Observation?patient.nickname=bob",
        "Patient?_filter=nickname%20sw%20bob",
    ] {
        let refused = system.get(query).await.assert_status(400);
        assert_eq!(refused.issue(), "not-supported", "{query}");
        assert!(refused.text().contains("being built"), "{query}: {}", refused.text());
    }
    assert_eq!(ids(&until(&system, "Patient?nickname=bob").await), ["a", "ccc"]);
    assert_eq!(ids(&until(&system, "Patient?birth-order=gt1").await), ["bb", "ccc"]);
    assert_eq!(ids(&until(&system, "Observation?patient.nickname=bob").await), ["o"]);
    let sorted = until(&system, "Patient?_sort=-birth-order").await;
    assert_eq!(sorted["entry"][0]["resource"]["id"], "ccc");
    put(&system, &nick("a", "Tim")).await.assert_status(200);
    assert_eq!(ids(&until(&system, "Patient?nickname=bob").await), ["ccc"]);

    system.delete("SearchParameter/nickname").await;
    tokio::time::sleep(vesta::app::rules::FRESH).await;
    strict(&system, "Patient?nickname=bob").await.assert_status(400);
    // What was written without it is found only once it was built again.
    put(&system, &nick("dddd", "Bob")).await.assert_status(201);
    put(&system, &parameter("nickname", "string", "Patient.name.where(use='nickname').given"))
        .await
        .assert_status(201);
    tokio::time::sleep(vesta::app::rules::FRESH).await;
    assert_eq!(ids(&until(&system, "Patient?nickname=bob").await), ["ccc", "dddd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_search_parameter_is_refused_where_it_is_bad() {
    let server = TestServer::start().await;
    let system = server.system();
    for (mut bad, place) in [
        (parameter("x:y", "token", "Patient.active"), "SearchParameter.code"),
        (parameter("gender", "token", "Patient.active"), "SearchParameter.code"),
        (parameter("x", "token", "Patient.(active"), "SearchParameter.expression"),
        (parameter("x", "token", "Patient.nothing"), "SearchParameter.expression"),
        (parameter("x", "date", "Patient.active"), "SearchParameter.expression"),
    ] {
        bad.as_object_mut().unwrap().remove("id");
        let refused = system.post("SearchParameter", &bad).await.assert_status(422);
        assert_eq!(refused.json()["issue"][0]["expression"][0], place, "{}", refused.text());
    }
    let mut draft = parameter("x", "token", "Patient.(active");
    draft["status"] = "draft".into();
    system.post("SearchParameter", &draft).await.assert_status(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn reindexing_is_for_operators_and_tells_how_it_stands() {
    let server = TestServer::start().await;
    let system = server.system();
    for number in 0..5 {
        put(&system, &patient(&format!("p{number}"), "blue")).await.assert_status(201);
    }
    let user = server.user("user/*.cruds");
    for path in ["$reindex", "Patient/$reindex", "Patient/p1/$reindex", "Patient/$explain"] {
        send(user.request("POST", path)).await.assert_status(403);
        send(server.stranger().request("POST", path)).await.assert_status(401);
    }
    send(server.bearer(server.sign(&server.claims("system/Patient.rs"))).request("POST", "$reindex"))
        .await
        .assert_status(403);
    let done = send(system.request("POST", "Patient/p1/$reindex")).await.assert_status(200).json();
    assert_eq!(done["parameter"][0]["valueCode"], "done");
    send(system.request("POST", "Patient/none/$reindex")).await.assert_status(404);

    // As if a row had lost what it is found by.
    let client = server.database.superuser().await;
    client.batch_execute("update resource.patient set keys = '{}'").await.unwrap();
    assert!(ids(&system.get("Patient?gender=female").await.json()).is_empty());
    let begun = send(system.request("POST", "Patient/$reindex")).await.assert_status(202).json();
    let job = begun["parameter"][0]["valueString"].as_str().unwrap().to_owned();
    for _ in 0..100 {
        let told = system.get(&format!("$reindex?job={job}")).await.assert_status(200).json();
        if told["parameter"][1]["valueCode"] == "done" {
            assert_eq!(told["parameter"][2]["valueDecimal"], 5, "{told}");
            assert_eq!(ids(&system.get("Patient?gender=female").await.json()).len(), 5);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the job does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_explained_without_its_values() {
    let server = TestServer::start().await;
    let system = server.system();
    put(&system, &patient("p", "blue")).await.assert_status(201);
    let told = system.get("Patient/$explain?gender=female&birthdate=1970-01-01&nonsense=1").await;
    let told = told.assert_status(200).text();
    assert!(told.contains("\"plan\"") && told.contains("Scan"), "{told}");
    assert!(told.contains("\"leftOut\"") && !told.contains("female") && !told.contains("1970"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_where_its_worker_died_while_others_write() {
    const PATIENTS: usize = 800;
    let mut server = TestServer::start().await;
    server.stop_workers();
    let system = server.system();
    for chunk in 0..PATIENTS / 200 {
        let entries = (0..200).map(|place| {
            let id = format!("p{}", chunk * 200 + place);
            json!({"resource": patient(&id, "blue"), "request": {"method": "PUT", "url": format!("Patient/{id}")}})
        });
        let bundle =
            json!({"resourceType": "Bundle", "type": "transaction", "entry": entries.collect::<Vec<_>>()});
        system.post("", &bundle).await.assert_status(200);
    }
    let client = server.database.superuser().await;
    client.batch_execute("update resource.patient set keys = '{}'").await.unwrap();
    let begun = send(system.request("POST", "Patient/$reindex")).await.assert_status(202).json();
    let id: Uuid = begun["parameter"][0]["valueString"].as_str().unwrap().parse().unwrap();

    let lease = Duration::from_secs(2);
    let app = Arc::clone(&server.app);
    let dies = tokio::spawn(async move { jobs::once(&app, TenantId::FIRST, KINDS, lease).await });
    let store = &server.app.store;
    let begun = Instant::now();
    let before = loop {
        let job = store.job(TenantId::FIRST, id).await.unwrap().unwrap();
        let walked: Walked = serde_json::from_slice(&job.progress).unwrap_or_default();
        if walked.done > 0 {
            break walked;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is done");
    };
    dies.abort();
    assert!(dies.await.is_err_and(|it| it.is_cancelled()), "the worker dies before the end: {before:?}");
    let job = store.job(TenantId::FIRST, id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Running, "nobody said that it ended");

    // Written while nobody walks, one before and one after the place that was reached.
    let mut changed = patient("p0", "blue");
    changed["gender"] = "male".into();
    put(&system, &changed).await.assert_status(200);
    changed["id"] = format!("p{}", PATIENTS - 1).into();
    put(&system, &changed).await.assert_status(200);

    while !jobs::once(&server.app, TenantId::FIRST, KINDS, lease).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let job = store.job(TenantId::FIRST, id).await.unwrap().unwrap();
    let walked: Walked = serde_json::from_slice(&job.progress).unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Done, 2), "{walked:?}");
    assert_eq!(walked.done, PATIENTS as u64, "nothing that was reported is done again");
    for (gender, count) in [("female", PATIENTS - 2), ("male", 2)] {
        let found = system.get(&format!("Patient?gender={gender}&_total=accurate&_count=1")).await;
        assert_eq!(found.assert_status(200).json()["total"], count, "{gender}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slow_requests_wrote_is_walked_once_more() {
    let mut server = TestServer::start().await;
    server.stop_workers();
    let system = server.system();
    put(&system, &patient("before", "blue")).await.assert_status(201);
    let since = Some(server.clock.now_microseconds());
    put(&system, &patient("after", "blue")).await.assert_status(201);
    let client = server.database.superuser().await;
    client.batch_execute("update resource.patient set keys = '{}'").await.unwrap();
    let walk = Walk { types: vec!["Patient".to_owned()], since, ..Walk::default() };
    let parameters = serde_json::to_vec(&walk).unwrap();
    let job = NewJob { kind: KIND, lock: None, parameters: &parameters, due: 0 };
    server.app.store.enqueue(TenantId::FIRST, job).await.unwrap().unwrap();
    assert!(jobs::once(&server.app, TenantId::FIRST, KINDS, Duration::from_secs(9)).await.unwrap());
    assert_eq!(ids(&system.get("Patient?gender=female").await.json()), ["after"]);
}
