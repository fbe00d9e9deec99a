//! TLS 1.3, and a certificate that is renewed while the server runs.

use crate::support::server::TestServer;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use vesta::config::ClientCertificates;

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

/// An authority's certificate, and what a client of it shows: certificate and key.
fn authority_and_client() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a-system".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = params.signed_by(&key, &issuer).unwrap().pem() + &key.serialize_pem();
    (authority, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_certificates_where_that_is_asked_for() {
    let (authority, client) = authority_and_client();
    let (_, stranger) = authority_and_client();
    let file = std::env::temp_dir().join(format!("vesta-client-ca-{}.pem", std::process::id()));
    std::fs::write(&file, authority).unwrap();
    for (certificates, without) in
        [(ClientCertificates::Required, false), (ClientCertificates::Optional, true)]
    {
        let server = TestServer::start_with_tls_and(|config| {
            config.listener.client_authorities = Some(file.clone());
            config.listener.client_certificates = certificates;
        })
        .await;
        let ask = |shown: Option<&str>| {
            let mut builder = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
            if let Some(pem) = shown {
                builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
            }
            builder.build().unwrap().get(format!("{}/health/live", server.url())).send()
        };
        assert_eq!(ask(Some(&client)).await.unwrap().status(), 200, "{certificates:?}");
        assert_eq!(ask(None).await.is_ok(), without, "{certificates:?}");
        assert!(ask(Some(&stranger)).await.is_err(), "{certificates:?}");
    }
    std::fs::remove_file(file).unwrap();
}
