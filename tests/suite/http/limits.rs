//! How much, how often, how slowly.

use crate::support::server::{TestServer, send};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn users_have_a_limit_and_systems_none() {
    let server = TestServer::start_with(|config| config.limits.user_requests_per_minute = 3).await;
    let patient = server.patient("alice");
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(patient.get("Patient/alice").await);
    }
    let refused: Vec<bool> = answers.iter().map(|it| it.status == 429).collect();
    assert_eq!(refused, [false, false, false, true, true]);
    let (first, last) = (&answers[0], &answers[4]);
    assert_eq!(first.header("ratelimit-policy"), "\"minute\";q=3;w=60");
    assert!(first.header("ratelimit").starts_with("\"minute\";r=2;"), "{}", first.header("ratelimit"));
    assert_eq!(last.issue(), "throttled");
    let wait: u32 = last.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_ne!(server.patient("bob").get("Patient/bob").await.status, 429);
    for _ in 0..10 {
        let answer = server.system().get("Patient/alice").await;
        assert_ne!(answer.status, 429);
        assert_eq!(answer.header("ratelimit"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_have_a_limit_of_its_own() {
    let server = TestServer::start_with(|config| config.limits.user_requests_per_minute = 2).await;
    let with = |own: u32| {
        let mut claims = server.claims("user/*.rs");
        claims["sub"] = "a-user".into();
        claims["fhirUser"] = "Practitioner/a-user".into();
        claims["client_id"] = format!("client-{own}").into();
        claims["requests_per_minute"] = own.into();
        server.bearer(server.sign(&claims))
    };
    let statuses = |caller: crate::support::server::Caller| async move {
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(caller.get("Patient?_count=1").await.status);
        }
        statuses
    };
    assert_eq!(statuses(with(4)).await, [200, 200, 200, 200, 429, 429]);
    assert_eq!(statuses(with(0)).await, [200; 6]);
    // The general limit is another matter.
    assert_eq!(statuses(server.user("user/*.rs")).await, [200, 200, 429, 429, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_failing_clients_have_a_limit_at_the_authorization_server() {
    let server = TestServer::start_with(|config| {
        config.limits.sign_in_requests_per_minute = 20;
        config.limits.client_failures = 3;
    })
    .await;
    let ask = |client: &'static str, address: &'static str| {
        let request = server.stranger().request("POST", "/auth/token").header("x-forwarded-for", address);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        send(request.body(format!("grant_type=client_credentials&client_id={client}&client_secret=x")))
    };
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(ask("nobody", "203.0.113.1").await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    let refused = ask("nobody", "203.0.113.1").await.assert_status(429);
    assert_eq!(refused.json()["error"], "slow_down");
    let wait: u32 = refused.header("retry-after").parse().unwrap();
    assert!((800..=901).contains(&wait), "{wait}");
    // Neither another client, nor the same one elsewhere, must suffer for it.
    ask("somebody", "203.0.113.1").await.assert_status(401);
    ask("nobody", "203.0.113.2").await.assert_status(401);
    let mut last = ask("x", "203.0.113.3").await;
    assert!(last.header("ratelimit-policy").contains("q=20;"), "{}", last.header("ratelimit-policy"));
    for _ in 0..20 {
        let request = server.stranger().request("GET", "/auth/authorize");
        last = send(request.header("x-forwarded-for", "203.0.113.3")).await;
    }
    assert_eq!(last.assert_status(429).json()["error"], "slow_down");
    let superuser = server.database.superuser().await;
    let count = "select count(*) from audit_events where kind = 30 and network = any($1)";
    let rows = superuser.query_one(count, &[&vec!["203.0.113.1", "203.0.113.3"]]).await.unwrap();
    assert!(rows.get::<_, i64>(0) >= 2, "who is slowed down is in the trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_server_names_its_request() {
    let server = TestServer::start_with(|config| config.database.timeout_seconds = 2).await;
    let system = server.system();
    system.get("Patient?_count=1").await.assert_status(200);
    let superuser = server.database.superuser().await;
    superuser.batch_execute("revoke insert on audit_events from vesta_app").await.unwrap();
    let answer = system.get("Patient?_count=1").await.assert_status(503);
    let id = answer.header("x-request-id").to_owned();
    assert!(answer.text().contains(&format!("request {id}")), "{}", answer.text());
    // What must not be told apart, is not.
    let refused = server.stranger().get("Patient/1").await.assert_status(401);
    assert!(!refused.text().contains(refused.header("x-request-id")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_uri_is_refused_and_a_long_form_is_not() {
    let server = TestServer::start_with(|config| config.limits.uri_bytes = 1000).await;
    let user = server.user("user/*.rs");
    let long = format!("name={}", "x".repeat(1000));
    assert_eq!(user.get(&format!("Patient?{long}")).await.assert_status(414).issue(), "too-long");
    let form = user.request("POST", "Patient/_search");
    let form = form.header("content-type", "application/x-www-form-urlencoded").body(long);
    assert_ne!(send(form).await.status, 414);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_let_go() {
    let server = TestServer::start_with(|config| config.limits.idle_seconds = 1).await;
    let token = server.token("user/*.cruds", None);
    let slow_headers = "GET /fhir/Patient HTTP/1.1\r\nhost: x\r\n".to_owned();
    let slow_body = format!(
        "POST /fhir/Patient HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/fhir+json\r\ncontent-length: 1000\r\n\r\n{{"
    );
    for start in [slow_headers, slow_body] {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        connection.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(8), connection.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection stays open");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_server_lives_but_is_not_ready() {
    let server = TestServer::start_with(|config| config.database.timeout_seconds = 2).await;
    server.stranger().get("/health/ready").await.assert_status(200);
    let (elsewhere, name) = server.database.superuser_elsewhere().await;
    elsewhere.batch_execute(&format!("drop database {name} with (force)")).await.unwrap();
    server.stranger().get("/health/live").await.assert_status(200);
    let answer = server.stranger().get("/health/ready").await.assert_status(503);
    assert_eq!(answer.issue(), "transient");
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.text().contains(&name), "the cause is for the log");
}
