//! A patient is destroyed by two officers: nothing of theirs is left, and everybody else is as before.

use super::{TENANT, checked, observation, patient, rotate};
use crate::support::server::{Answer, Caller, TestServer};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use vesta::app::App;
use vesta::clock::Clock;
use vesta::http::server::Server;
use vesta::jobs::rotation::Rotation;
use vesta::store::audit_events::AuditFilter;
use vesta::store::shredding::Victim;

/// Somebody who may destroy: each is a person of their own.
fn officer(server: &TestServer, name: &str) -> Caller {
    let mut claims = server.claims("user/*.cruds");
    claims["sub"] = name.into();
    claims["fhirUser"] = format!("Practitioner/{name}").into();
    claims["role"] = "privacy-officer".into();
    server.bearer(server.sign(&claims))
}

fn because(reason: &str) -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": reason}]})
}

async fn ask(caller: &Caller, operation: &str) -> Answer {
    caller.post(operation, &because("they asked us to")).await
}

async fn fill(server: &TestServer) {
    let caller = server.system();
    for (id, family) in [("alice", "Zanzibarsecret"), ("bob", "Quokka")] {
        caller.put(&format!("Patient/{id}"), &patient(id, family)).await.assert_status(201);
        caller.put(&format!("Patient/{id}"), &patient(id, &format!("{family}two"))).await.assert_status(200);
        let note = format!("o-{id}");
        caller.put(&format!("Observation/{note}"), &observation(&note, id, 71)).await.assert_status(201);
        caller.put(&format!("Observation/{note}"), &observation(&note, id, 72)).await.assert_status(200);
        let gone = format!("g-{id}");
        caller.put(&format!("Observation/{gone}"), &observation(&gone, id, 73)).await.assert_status(201);
        caller.delete(&format!("Observation/{gone}")).await;
    }
}

/// In how many places of the database a text stands, in any of the forms in which a table shows it.
async fn found_in_tables(server: &TestServer, text: &str) -> Vec<String> {
    let client = server.database.superuser().await;
    let sql =
        "select schemaname || '.' || tablename from pg_tables where schemaname in ('public', 'resource')";
    let hexadecimal: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in client.query(sql, &[]).await.unwrap() {
        let table: String = table.get(0);
        let sql = format!(
            "select count(*) from {table} as it where it::text like '%{text}%' or it::text like '%{hexadecimal}%'"
        );
        let count: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        if count > 0 {
            found.push(table);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_destroy_a_patient_and_nobody_else() {
    let server = TestServer::start_at("2026-11-24T10:00:00Z").await;
    fill(&server).await;
    let (one, two) = (officer(&server, "one"), officer(&server, "two"));
    let bob_before = server.system().get("Observation/o-bob").await.assert_status(200).body;
    let rid: i64 = {
        let client = server.database.superuser().await;
        client
            .query_one("select rid from resource.observation where id_text = 'o-alice'", &[])
            .await
            .unwrap()
            .get(0)
    };

    assert_eq!(ask(&one, "Patient/nobody/$purge").await.assert_status(404).issue(), "not-found");
    assert_eq!(one.post("Patient/alice/$purge", &json!({"resourceType": "Parameters"})).await.status, 400);
    assert_eq!(one.get("Patient/alice/$purge").await.status, 400, "nobody destroys by following a link");
    let first = ask(&one, "Patient/alice/$purge").await.assert_status(202);
    assert!(first.text().contains("another officer"));
    ask(&one, "Patient/alice/$expunge").await.assert_status(202);
    one.get("Patient/alice").await.assert_status(200);
    ask(&two, "Patient/alice/$purge").await.assert_status(200);

    for path in ["Patient/alice", "Observation/o-alice", "Observation/g-alice", "Patient/alice/_history/1"] {
        assert_eq!(one.get(path).await.status, 404, "{path}");
    }
    for query in
        ["Patient?family=Zanzibarsecrettwo", "Observation?subject=Patient/alice", "Observation?patient=alice"]
    {
        let found = one.get(&format!("{query}&_summary=count")).await.assert_status(200).json();
        assert_eq!(found["total"], 0, "{query}");
    }
    let history = one.get("Observation/_history?_count=100").await.assert_status(200).text();
    assert!(!history.contains("alice") && history.contains("o-bob"));
    // Everybody else is as before.
    assert_eq!(one.get("Observation/o-bob").await.assert_status(200).body, bob_before);
    let bob = one.get("Patient?family=Quokkatwo&_summary=count").await.assert_status(200).json();
    assert_eq!(bob["total"], 1);
    let whole = checked(&server).await;
    assert_eq!((whole.broken, whole.shredded), (0, 0));
    let client = server.database.superuser().await;
    let mut sides: Vec<(String, String)> =
        vec![("versions".into(), "rid".into()), ("changes".into(), "rid".into())];
    for side in ["observation", "observation_dates", "observation_numbers"] {
        sides.push((format!("resource.{side}"), "rid".into()));
    }
    for (table, column) in sides {
        let sql = format!("select count(*) from {table} where {column} = $1");
        let left: i64 = client.query_one(&sql, &[&rid]).await.unwrap().get(0);
        assert_eq!(left, 0, "{table}");
    }
    for secret in ["Zanzibarsecret", "Secretnote alice"] {
        assert_eq!(found_in_tables(&server, secret).await, Vec::<String>::new(), "{secret}");
    }
    let alice = vesta::fhir::id::ResourceId::parse("alice").unwrap();
    let subject = server.app.store.subject_of(TENANT, Victim::Patient(&alice)).await.unwrap();
    let keys = "select count(*), count(wrapped) from keys where subject = $1";
    let row = client.query_one(keys, &[&subject]).await.unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1)),
        (1, 0),
        "the key is destroyed, and remembered to be"
    );

    // What happened is told.
    let told = one.get("Provenance?target=Patient/alice").await.assert_status(200).json();
    let told = &told["entry"][0]["resource"];
    assert_eq!(told["activity"]["coding"][0]["code"], "destroy");
    assert_eq!(told["agent"][0]["who"]["reference"], "Practitioner/one");
    assert_eq!(told["agent"][1]["who"]["reference"], "Practitioner/two");
    let filter = AuditFilter { kinds: vec![27], count: 10, ..AuditFilter::default() };
    let events = server.app.store.audit_events(TENANT, &filter).await.unwrap();
    let rules: Vec<_> = events.iter().map(|it| it.row.rule.as_deref().unwrap_or_default()).collect();
    assert_eq!(rules, ["shred-agreed", "shred-requested"]);
    assert!(events.iter().all(|it| it.row.subjects == [subject]));

    // However often everything is indexed anew, by either walk, what tells of it is nobody's.
    for _ in 0..2 {
        let at: Option<i64> =
            client.query_one("select patient from resource.provenance", &[]).await.unwrap().get(0);
        assert_eq!(at, None);
        rotate(&server, Rotation::Index).await;
        // The clock went on: tokens of before are too old.
        let again = format!("Provenance/{}/$reindex", told["id"].as_str().unwrap());
        server.system().post(&again, &json!({"resourceType": "Parameters"})).await.assert_status(200);
    }
    let one = officer(&server, "one");
    let told = one.get("Provenance?target=Patient/alice").await.assert_status(200).json();
    assert_eq!(told["entry"].as_array().map(Vec::len), Some(1), "and is found");

    // Who comes back gets a new key.
    let back = server.system().put("Patient/alice", &patient("alice", "Newcomer")).await.assert_status(201);
    assert_eq!(back.json()["meta"]["versionId"], "1");
    one.get("Patient/alice").await.assert_status(200);
    let row = client.query_one(keys, &[&subject]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 1));
    assert_eq!(
        server.app.store.shred_stragglers(TENANT, subject, 0).await.unwrap(),
        0,
        "they are not taken for what was before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_destroy_is_refused() {
    let server = TestServer::start().await;
    fill(&server).await;
    for scope in ["user/*.rs", "user/Patient.cruds", "patient/*.cruds", "user/*.cruds?_id=alice"] {
        let mut claims = server.claims(scope);
        claims["patient"] = "alice".into();
        let caller = server.bearer(server.sign(&claims));
        for operation in
            ["Patient/alice/$purge", "$purge", "Patient/alice/$legal-hold", "Patient/alice/$lift-legal-hold"]
        {
            let status = ask(&caller, operation).await.status;
            assert!(status == 403 || status == 404, "{scope} {operation}: {status}");
        }
    }
    let one = officer(&server, "one");
    ask(&one, "Patient/alice/$purge").await.assert_status(202);
    one.get("Patient/alice").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legal_hold_and_the_end_of_a_request_forbid_it() {
    let server = TestServer::start_at("2026-11-24T10:00:00Z").await;
    fill(&server).await;
    ask(&officer(&server, "one"), "Patient/alice/$purge").await.assert_status(202);
    ask(&officer(&server, "law"), "Patient/alice/$legal-hold").await.assert_status(200);
    let refused = ask(&officer(&server, "two"), "Patient/alice/$purge").await;
    assert_eq!((refused.status, refused.issue().as_str()), (422, "business-rule"));
    ask(&officer(&server, "two"), "$purge").await.assert_status(422);
    // The database itself refuses, too.
    let client = server.database.superuser().await;
    let sql = "set vesta.tenant = 1; set role vesta_app; select shred_patient((select subject from legal_holds), 1, '{}', '{}', null)";
    assert!(client.batch_execute(sql).await.is_err());
    client.batch_execute("reset role").await.unwrap();
    ask(&officer(&server, "law"), "Patient/alice/$lift-legal-hold").await.assert_status(200);
    ask(&officer(&server, "law"), "Patient/alice/$lift-legal-hold").await.assert_status(404);
    // A week later nobody may agree any more: who asks, asks anew.
    server.clock.step(8 * 24 * 3600 * 1_000_000);
    ask(&officer(&server, "two"), "Patient/alice/$purge").await.assert_status(202);
    officer(&server, "one").get("Patient/alice").await.assert_status(200);
    ask(&officer(&server, "one"), "Patient/alice/$purge").await.assert_status(200);
    officer(&server, "one").get("Patient/alice").await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_destroyed_but_for_its_trail() {
    let server = TestServer::start().await;
    fill(&server).await;
    ask(&officer(&server, "one"), "$purge").await.assert_status(202);
    ask(&officer(&server, "two"), "$purge").await.assert_status(200);
    let client = server.database.superuser().await;
    for table in ["resource.patient", "resource.observation", "versions", "changes"] {
        let left: i64 = client.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0);
        assert_eq!(left, 0, "{table}");
    }
    let sql =
        "select count(*) from keys where destroyed is null and created < (select max(destroyed) from keys)";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0);
    let told: i64 = client.query_one("select count(*) from audit_events", &[]).await.unwrap().get(0);
    assert!(told > 10);
    officer(&server, "one").get("Patient/alice").await.assert_status(404);
    server.system().put("Patient/alice", &patient("alice", "Newcomer")).await.assert_status(201);
    officer(&server, "one").get("Patient/alice").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_forgets_the_key_and_what_was_under_way_is_removed() {
    let server = TestServer::start().await;
    fill(&server).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://localhost:{}/fhir/", listener.local_addr().unwrap().port());
    let app = Arc::new(App::start(server.app.config.as_ref().clone(), Clock::system()).unwrap());
    let _other = Server::start(Arc::clone(&app), listener, None, None).unwrap();
    let token = server.sign(&server.claims("system/*.cruds"));
    let other = Caller::new(reqwest::Client::new(), base, Some(token));
    other.put("Observation/kept", &observation("kept", "alice", 70)).await.assert_status(201);
    let alice = vesta::fhir::id::ResourceId::parse("alice").unwrap();
    let subject = server.app.store.subject_of(TENANT, Victim::Patient(&alice)).await.unwrap();
    ask(&officer(&server, "one"), "Patient/alice/$purge").await.assert_status(202);
    let before = server.app.clock.now_microseconds();
    ask(&officer(&server, "two"), "Patient/alice/$purge").await.assert_status(200);
    other.get("Observation/kept").await.assert_status(404);
    // Its news is a fifth of a second old at most.
    tokio::time::sleep(Duration::from_millis(250)).await;
    other.put("Observation/again", &observation("again", "alice", 71)).await.assert_status(201);
    server.system().get("Observation/again").await.assert_status(200);
    // What a server that did not know yet would have left: sealed with a key that is gone.
    let client = server.database.superuser().await;
    client.batch_execute("update keys set wrapped = null, is_active = false, destroyed = 1 where subject <> 0 and is_active and epoch = 2").await.unwrap();
    assert_eq!(server.app.store.shred_stragglers(TENANT, subject, before).await.unwrap(), 1);
    assert_eq!(server.app.store.shred_stragglers(TENANT, subject, before).await.unwrap(), 0);
    server.system().get("Observation/o-bob").await.assert_status(200);
}
