//! A SIEM that is killed and comes back during load has everything, in order, however it takes it.

use crate::support::server::TestServer;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use vesta::audit::chain::Sealer;
use vesta::audit::event::{self, Kind};
use vesta::audit::{export, forward};
use vesta::fhir::id::TenantId;

/// What a receiver has: the places of events, and the counts of checkpoints, in the order in which they came.
#[derive(Default)]
struct Taken {
    places: Vec<i64>,
    checkpoints: Vec<i64>,
}

/// A receiver that can be killed: whatever it has not taken by then is gone.
struct Receiver {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    acceptor: Option<TlsAcceptor>,
    running: Option<JoinSet<()>>,
}

impl Receiver {
    async fn new(acceptor: Option<TlsAcceptor>) -> Receiver {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Receiver { address, taken: Arc::default(), acceptor, running: None }
    }

    async fn start(&mut self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let (taken, acceptor) = (Arc::clone(&self.taken), self.acceptor.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                match acceptor.clone() {
                    Some(acceptor) => connections.spawn(async move {
                        let _ = syslog(acceptor, stream, &taken).await;
                    }),
                    None => connections.spawn(async move {
                        let _ = http(stream, &taken).await;
                    }),
                };
            }
        });
        self.running = Some(tasks);
    }

    fn kill(&mut self) {
        self.running = None;
    }
}

/// Frames as RFC 5425 counts them; each is taken as it was read.
async fn syslog(acceptor: TlsAcceptor, stream: TcpStream, taken: &Mutex<Taken>) -> std::io::Result<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    loop {
        let mut length = Vec::new();
        if stream.read_until(b' ', &mut length).await? == 0 {
            break;
        }
        let length: usize = std::str::from_utf8(&length).unwrap().trim().parse().unwrap();
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await?;
        let message = String::from_utf8(message).unwrap();
        assert!(message.starts_with('<') && message.contains(">1 "), "{message}");
        let number = |name: &str| -> Option<i64> {
            message.split(&format!("{name}=\"")).nth(1)?.split('"').next()?.parse().ok()
        };
        {
            let mut taken = taken.lock().unwrap();
            taken.places.extend(number("place"));
            taken.checkpoints.extend(number(" count"));
        }
        tokio::task::yield_now().await;
    }
    stream.shutdown().await
}

/// A request with a body, as a webhook or a collector takes it; acknowledged after it was taken.
async fn http(stream: TcpStream, taken: &Mutex<Taken>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut places: Vec<i64> =
        body["events"].as_array().into_iter().flatten().map(|it| it["place"].as_i64().unwrap()).collect();
    let mut checkpoints: Vec<i64> = body["checkpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| it["count"].as_i64().unwrap())
        .collect();
    for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().into_iter().flatten() {
        let inner: Value = serde_json::from_str(record["body"]["stringValue"].as_str().unwrap()).unwrap();
        let place = record["attributes"].as_array().unwrap().iter().find(|it| it["key"] == "audit.place");
        match place {
            Some(place) => places.push(place["value"]["intValue"].as_str().unwrap().parse().unwrap()),
            None => checkpoints.push(inner["count"].as_i64().unwrap()),
        }
        assert!(!record["body"].to_string().contains("Quokka"), "no query leaves");
    }
    assert!(!body.to_string().contains("Quokka"), "no query leaves");
    {
        let mut taken = taken.lock().unwrap();
        taken.places.extend(places);
        taken.checkpoints.extend(checkpoints);
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await?;
    stream.shutdown().await
}

/// A certificate for localhost, and who takes connections with it.
fn tls() -> (String, TlsAcceptor) {
    vesta::http::tls::install_cryptography();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// Everything came, and nothing before what was before it: what comes again, comes in its order, too.
fn assert_whole(name: &str, numbers: &[i64], expected: &[i64]) {
    let mut first_seen = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        match first_seen.last() {
            Some(last) if number <= last => {}
            _ => first_seen.push(*number),
        }
        // After a repetition the stream goes on without a gap.
        if at > 0 && numbers[at - 1] < *number {
            let before = expected.iter().position(|it| *it == numbers[at - 1]).unwrap();
            assert_eq!(expected.get(before + 1), Some(number), "{name}: a gap after {}", numbers[at - 1]);
        }
    }
    assert_eq!(first_seen, expected, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_dies_and_comes_back_has_everything_in_order() {
    let (pem, acceptor) = tls();
    let folder = std::env::temp_dir().join(format!("vesta-forward-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("ca.pem"), &pem).unwrap();
    let mut receivers =
        [Receiver::new(Some(acceptor)).await, Receiver::new(None).await, Receiver::new(None).await];
    let [syslog, webhook, otlp] = receivers.each_ref().map(|it| it.address);
    let server = TestServer::start_with(|config| {
        config.forwarding.syslog = Some(format!("localhost:{}", syslog.port()));
        config.forwarding.webhook = Some(format!("http://127.0.0.1:{}/siem", webhook.port()));
        config.forwarding.otlp = Some(format!("http://127.0.0.1:{}/v1/logs", otlp.port()));
        config.forwarding.authorities = Some(folder.join("ca.pem"));
        config.forwarding.checkpoint_file = Some(folder.join("checkpoints"));
    })
    .await;
    // The certificates of the webhooks are not asked for: they are on this machine, in plain HTTP.
    let tasks = forward::start(&server.app, &[TenantId::FIRST]).unwrap();
    // A second server on the same database takes turns with the first.
    let others = forward::start(&server.app, &[TenantId::FIRST]).unwrap();

    let mut sealer = Sealer::new(server.app.store.clone(), TenantId::FIRST);
    let mut expected = 0;
    let mut signed = Vec::new();
    for round in 0..24_i64 {
        let rows = (0..20).map(|number| {
            let now = server.app.clock.now_microseconds();
            let mut row = event::row_of("nurse", Kind::Read, event::Result::Success, "rule", now);
            row.detail = Some(format!("name=Quokka{number}"));
            row
        });
        server.app.store.append_audit(TenantId::FIRST, rows.collect()).await.unwrap();
        expected += 20;
        // Signed far more often than each minute, as the rounds are told.
        let now = server.app.clock.now_microseconds() + round * 61_000_000;
        sealer.round(&server.app.checkpoint_key, now).await.unwrap();
        signed.push(expected);
        let victim = &mut receivers[usize::try_from(round % 3).unwrap()];
        match victim.running {
            Some(_) => victim.kill(),
            None => victim.start().await,
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    for receiver in &mut receivers {
        if receiver.running.is_none() {
            receiver.start().await;
        }
    }
    let all: Vec<i64> = (1..=expected).collect();
    for _ in 0..600 {
        let has_all = |it: &Receiver| {
            let taken = it.taken.lock().unwrap();
            taken.places.last() == Some(&expected) && taken.checkpoints.last() == Some(&expected)
        };
        let written = fs::read_to_string(folder.join("checkpoints")).unwrap_or_default();
        if receivers.iter().all(has_all) && written.lines().count() == signed.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (name, receiver) in ["syslog", "webhook", "otlp"].iter().zip(&receivers) {
        let taken = receiver.taken.lock().unwrap();
        assert_whole(name, &taken.places, &all);
        assert_whole(name, &taken.checkpoints, &signed);
    }
    let cursors = server.app.store.cursors(TenantId::FIRST).await.unwrap();
    assert_eq!(cursors.len(), 4, "{cursors:?}");
    tasks.iter().chain(&others).for_each(|it| it.abort());
    // What is in the file is a witness.
    let written = fs::read(folder.join("checkpoints")).unwrap();
    let witnesses = export::checkpoints(&written[..]).unwrap();
    assert_eq!(witnesses, server.app.store.checkpoints(TenantId::FIRST).await.unwrap());
    fs::remove_dir_all(folder).unwrap();
}
