//! TLS 1.3, and a certificate that is renewed while the server runs.

use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn answers_over_tls_and_asks_to_stay_there() {
    let server = TestServer::start_with_tls().await;
    let answer = server.stranger().get("/health/live").await.assert_status(200);
    assert!(answer.header("strict-transport-security").starts_with("max-age="));
    assert!(server.url().starts_with("https://"));
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_are_refused() {
    let server = TestServer::start_with_tls().await;
    let client = |newest| {
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
        client.tls_version_max(newest).build().unwrap().get(format!("{}/health/live", server.url())).send()
    };
    assert!(client(reqwest::tls::Version::TLS_1_2).await.is_err());
    assert_eq!(client(reqwest::tls::Version::TLS_1_3).await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_from_the_next_connection_on() {
    let server = TestServer::start_with_tls().await;
    let certificate = server.certificate.as_ref().unwrap();
    let pem = server.renew_certificate();
    let trusting = |pem: &str| {
        let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
        client.get(format!("{}/health/live", server.url())).send()
    };
    assert!(trusting(&pem).await.is_err(), "the old certificate is still in use");
    certificate.reload().unwrap();
    assert_eq!(trusting(&pem).await.unwrap().status(), 200);
}
