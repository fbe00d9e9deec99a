//! The edge and the trail: who is turned away is in it, and without it nothing is released.

use crate::support::server::{TestServer, fhir, send};
use serde_json::{Value, json};
use std::time::Duration;
use vesta::audit::chain;
use vesta::audit::event::Kind;
use vesta::fhir::id::TenantId;
use vesta::http::routes::{ENDPOINTS, Guard};

/// The events of that kind, oldest first: agent, address, and what was said sealed.
async fn events(server: &TestServer, kind: Kind) -> Vec<(String, String)> {
    let superuser = server.database.superuser().await;
    let rows = superuser
        .query(
            "select agent, coalesce(network, '') from audit_events where kind = $1 order by recorded, id",
            &[&kind.code()],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_turned_away_is_in_the_trail() {
    let server = TestServer::start_with(|config| config.limits.user_requests_per_minute = 2).await;
    server.stranger().get("Patient/1").await.assert_status(401);
    server.bearer("no token".to_owned()).get("Patient/1").await.assert_status(401);
    // At once: the row is there when the answer is.
    let local = |agent: &str| vec![(agent.to_owned(), "127.0.0.1".to_owned())];
    assert_eq!(events(&server, Kind::Unauthenticated).await, local("unknown"));
    assert_eq!(events(&server, Kind::MalformedToken).await, local("unknown"));
    let user = server.user("user/*.rs");
    for _ in 0..2 {
        user.get("Patient?_count=1").await.assert_status(200);
    }
    assert!(events(&server, Kind::RateLimited).await.is_empty());
    user.get("Patient?_count=1").await.assert_status(429);
    assert_eq!(events(&server, Kind::RateLimited).await, local("Practitioner/a-user"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_is_two_rows_a_second() {
    let server = TestServer::start().await;
    let stranger = server.stranger();
    for _ in 0..50 {
        stranger.get("Patient/1").await.assert_status(401);
    }
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen = events(&server, Kind::Unauthenticated).await;
        if seen.len() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((2..=6).contains(&seen.len()), "{}", seen.len());
    // How many they were is said in the events.
    let mut told = 0;
    for _ in 0..60 {
        let found = server.system().get("AuditEvent?subtype=unauthenticated").await.assert_status(200).json();
        told = found["entry"].as_array().unwrap().iter().map(told_by).sum::<usize>();
        if told >= 50 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told, 50);
}

/// How many requests an event stands for.
fn told_by(entry: &Value) -> usize {
    use base64::Engine as _;
    let entities = entry["resource"]["entity"].as_array().cloned().unwrap_or_default();
    let query = entities.iter().find_map(|it| it["query"].as_str()).expect("an endpoint is named");
    let query = base64::engine::general_purpose::STANDARD.decode(query).unwrap();
    let query = String::from_utf8(query).unwrap();
    assert!(query.starts_with("endpoint=GET /fhir/{type}/{id}"), "{query}");
    query.split_once("&count=").map_or(1, |(_, count)| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_trail_nothing_is_released_until_it_is_mended() {
    let server = TestServer::start().await;
    let system = server.system();
    let secret = "Zzyzxova";
    let patient = json!({ "resourceType": "Patient", "id": "a", "name": [{ "family": secret }] });
    system.put("Patient/a", &patient).await.assert_status(201);
    let ready = server.stranger().get("/health/ready").await.assert_status(200);
    assert_eq!(ready.json()["status"], "ready");
    let superuser = server.database.superuser().await;
    superuser.batch_execute("revoke insert on audit_events from vesta_app").await.unwrap();

    let bundle = |kind: &str| {
        json!({ "resourceType": "Bundle", "type": kind,
            "entry": [{ "request": { "method": "GET", "url": "Patient/a" } }] })
    };
    let write = json!({ "resourceType": "Bundle", "type": "transaction",
        "entry": [{ "resource": { "resourceType": "Patient", "name": [{ "family": secret }] },
            "request": { "method": "POST", "url": "Patient" } }] });
    let form = system.request("POST", "Patient/_search");
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("family=Zzyzxova");
    let answers = [
        ("read", system.get("Patient/a").await),
        ("raw", system.get("Binary/a").await),
        ("vread", system.get("Patient/a/_history/1").await),
        ("search", system.get("Patient?family=Zzyzxova").await),
        ("search by POST", send(form).await),
        ("search of everything", system.get("?_type=Patient").await),
        ("compartment", system.get("Patient/a/*").await),
        ("history", system.get("Patient/a/_history").await),
        ("history of a type", system.get("Patient/_history").await),
        ("history of everything", system.get("_history").await),
        ("$everything", system.get("Patient/a/$everything").await),
        ("$meta", system.get("Patient/a/$meta").await),
        ("$diff", system.get("Patient/a/$diff").await),
        ("batch", system.post("", &bundle("batch")).await),
        ("transaction", system.post("", &bundle("transaction")).await),
        ("writing transaction", system.post("", &write).await),
        ("create", system.post("Patient", &patient).await),
        ("update", system.put("Patient/a", &patient).await),
        ("patch", system.patch("Patient/a", &json!([])).await),
        ("delete", system.delete("Patient/a").await),
        ("the trail", system.get("AuditEvent").await),
        ("nothing", system.get("Patient/nobody").await),
    ];
    for (what, answer) in &answers {
        // A batch may say so in each of its entries.
        let is_refused = answer.status == 503 || (*what == "batch" && answer.text().contains("503"));
        assert!(is_refused, "{what}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains(secret), "{what}: {}", answer.text());
    }
    // Nor by any other row of the table.
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{type}", "Patient").replace("{id}", "a").replace("{version}", "1");
        let path = path.replace("{member}", "Observation").replace("{job}", &uuid::Uuid::nil().to_string());
        for operation in ["everything", "meta", "validate"] {
            let path =
                path.replace("{operation}", operation).replace("{file}", "f").replace("{tenant}", "default");
            let request = fhir(system.request(endpoint.method, &path), &patient);
            let answer = send(request.header("prefer", "respond-async")).await;
            let place = format!("{} {path}", endpoint.method);
            assert!(!answer.text().contains(secret), "{place}: {}", answer.text());
            // The views that come with the program tell of nobody.
            let is_of_nobody = endpoint.path.starts_with("/fhir/ViewDefinition")
                && endpoint.method == "GET"
                && !path.contains('$');
            if endpoint.guard == Guard::Bearer && !is_of_nobody {
                assert!(answer.status >= 400, "{place}: {} {}", answer.status, answer.text());
            }
            if !endpoint.path.contains("{operation}") {
                break;
            }
        }
    }
    let unwell = server.stranger().get("/health/ready").await.assert_status(503);
    assert!(unwell.text().contains("the trail cannot be written"), "{}", unwell.text());
    server.stranger().get("/health/live").await.assert_status(200);
    server.stranger().get("Patient/a").await.assert_status(401);

    superuser.batch_execute("grant insert on audit_events to vesta_app").await.unwrap();
    let read = system.get("Patient/a").await.assert_status(200);
    assert!(read.text().contains(secret));
    assert_eq!(read.json()["meta"]["versionId"], "1", "nothing was written meanwhile");
    server.stranger().get("/health/ready").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_chain_is_told_by_health_and_by_the_trail() {
    let server = TestServer::start().await;
    // Events that wait when the sealer starts are signed at once.
    server.system().get("Patient?_count=1").await.assert_status(200);
    let sealers = chain::start(&server.app, &[TenantId::FIRST]);
    let superuser = server.database.superuser().await;
    let mut is_signed = false;
    for _ in 0..200 {
        let signed = superuser.query_one("select exists (select from audit_checkpoints)", &[]).await.unwrap();
        is_signed = signed.get(0);
        if is_signed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_signed);
    sealers.iter().for_each(|task| task.abort());
    server.stranger().get("/health/ready").await.assert_status(200);
    superuser
        .batch_execute(
            "set session_replication_role = replica; \
             update audit_checkpoints set head = sha256('another history')",
        )
        .await
        .unwrap();
    // Whoever starts now looks at once; within a minute everybody does.
    let sealers = chain::start(&server.app, &[TenantId::FIRST]);
    let mut unwell = server.stranger().get("/health/ready").await;
    for _ in 0..100 {
        if unwell.status != 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        unwell = server.stranger().get("/health/ready").await;
    }
    assert!(unwell.assert_status(503).text().contains("tampered"));
    for _ in 0..100 {
        if !events(&server, Kind::TamperFound).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(events(&server, Kind::TamperFound).await.len(), 1);
    sealers.iter().for_each(|task| task.abort());
}
