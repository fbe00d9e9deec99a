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
