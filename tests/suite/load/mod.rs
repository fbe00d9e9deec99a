//! Loading files into a server: here one that only counts, refuses what it is told to, and may lose
//! connections.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use vesta::load::journal::Journal;
use vesta::load::wire::Server;
use vesta::load::{Event, Options, Refusal, load, source};

/// What arrived, and how to answer it.
#[derive(Default)]
struct Fake {
    bundles: Mutex<Vec<serde_json::Value>>,
    /// So many requests are dropped without an answer, the earliest first.
    lose: AtomicUsize,
    /// Tokens other than the newest are refused.
    tokens_made: AtomicUsize,
    is_choosy_about_tokens: bool,
}

impl Fake {
    async fn start(self) -> (Arc<Fake>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/fhir", listener.local_addr().unwrap());
        let fake = Arc::new(self);
        let shared = Arc::clone(&fake);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&shared).answer(stream));
            }
        });
        (fake, base)
    }

    async fn answer(self: Arc<Fake>, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut length, mut token) = (0, String::new());
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                } else if let Some(value) = line.strip_prefix("authorization: bearer ") {
                    token = value.to_owned();
                } else if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            if self.lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1)).is_ok() {
                return;
            }
            let newest = format!("token-{}", self.tokens_made.load(Ordering::Relaxed));
            let (status, said) = if self.is_choosy_about_tokens && token == "token-1" {
                assert_ne!(newest, "token-0");
                ("401 Unauthorized", "{}".to_owned())
            } else {
                let bundle: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let said = answers(&bundle).to_string();
                self.bundles.lock().unwrap().push(bundle);
                ("200 OK", said)
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", said.len());
            stream.get_mut().write_all((head + &said).as_bytes()).await.unwrap();
        }
    }

    /// The ids of the resources, in the order they came.
    fn ids(&self) -> Vec<String> {
        let bundles = self.bundles.lock().unwrap();
        let entries = bundles.iter().flat_map(|it| it["entry"].as_array().unwrap());
        entries.map(|it| it["resource"]["id"].as_str().unwrap_or("none").to_owned()).collect()
    }
}

/// Takes everything but what is called `bad`.
fn answers(bundle: &serde_json::Value) -> serde_json::Value {
    let entries = bundle["entry"].as_array().unwrap().iter().map(|entry| match entry["resource"]["id"] == "bad" {
        false => serde_json::json!({ "response": { "status": "201 Created" } }),
        true => serde_json::json!({ "response": { "status": "422 Unprocessable Content", "outcome": {
            "resourceType": "OperationOutcome",
            "issue": [{ "severity": "error", "code": "value", "diagnostics": "it is bad", "expression": ["Basic.id"] }],
        } } }),
    });
    serde_json::json!({ "resourceType": "Bundle", "type": "batch-response", "entry": entries.collect::<Vec<_>>() })
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("vesta-load-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, lines: &[&str]) {
        let mut file = std::fs::File::create(self.0.join(name)).unwrap();
        lines.iter().for_each(|line| writeln!(file, "{line}").unwrap());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    acknowledged: u64,
    skipped: u64,
    refusals: Vec<Refusal>,
}

async fn run(fake: &Arc<Fake>, base: &str, folder: &Folder, journal: Journal) -> Outcome {
    vesta::http::tls::install_cryptography();
    let counter = Arc::clone(fake);
    let minter = Box::new(move || {
        let number = counter.tokens_made.fetch_add(1, Ordering::Relaxed) + 1;
        Ok((secrecy::SecretString::from(format!("token-{number}")), 900))
    });
    let server = Server::new(base, None, minter).unwrap().patient_for(Duration::from_millis(1));
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let told = Arc::clone(&outcome);
    let tell = Arc::new(move |event| {
        let mut outcome = told.lock().unwrap();
        match event {
            Event::Read(_) => {}
            Event::Acknowledged(count) => outcome.acknowledged += count,
            Event::Skipped(count) => outcome.skipped += count,
            Event::Refused(refusal) => outcome.refusals.push(refusal),
        }
    });
    let sources = source::find(std::slice::from_ref(&folder.0)).unwrap();
    load(&Arc::new(server), sources, Options { parallel: 3, journal }, tell).await.unwrap();
    std::mem::take(&mut *outcome.lock().unwrap())
}

const ORGANIZATION: &str = r#"{"resourceType":"Organization","id":"o"}"#;
const BASIC: &str = r#"{"resourceType":"Basic","id":"b"}"#;
const BAD: &str = r#"{"resourceType":"Basic","id":"bad"}"#;

#[tokio::test]
async fn what_others_refer_to_goes_first() {
    let (fake, base) = Fake::default().start().await;
    let folder = Folder::new("order");
    folder.write("Basic.ndjson", &[BASIC]);
    folder.write("Organization.ndjson", &[ORGANIZATION]);
    let outcome = run(&fake, &base, &folder, Journal::none()).await;
    assert_eq!(outcome.acknowledged, 2);
    assert_eq!(fake.ids(), ["o", "b"]);
}

#[tokio::test]
async fn a_refused_line_is_told_with_its_place_and_reason_and_the_others_are_loaded() {
    let (fake, base) = Fake::default().start().await;
    let folder = Folder::new("refused");
    folder.write("Basic.ndjson", &[BASIC, BAD, "{"]);
    let outcome = run(&fake, &base, &folder, Journal::none()).await;
    assert_eq!(outcome.acknowledged, 1);
    let place = |line| format!("{}:{line}", folder.0.join("Basic.ndjson").display());
    let mut refusals = outcome.refusals;
    refusals.sort_by(|one, other| one.place.cmp(&other.place));
    assert_eq!(refusals[0].place, place(2));
    assert_eq!(refusals[0].diagnostics, "422 Unprocessable Content: it is bad");
    assert_eq!(refusals[0].expression, ["Basic.id"]);
    assert_eq!(refusals[1].place, place(3));
}

#[tokio::test]
async fn a_load_goes_on_where_it_was() {
    let (fake, base) = Fake::default().start().await;
    let folder = Folder::new("resumed");
    let journal = std::env::temp_dir().join(format!("vesta-load-journal-{}", std::process::id()));
    let _ = std::fs::remove_file(&journal);
    folder.write("Organization.ndjson", &[ORGANIZATION]);
    run(&fake, &base, &folder, Journal::open(&journal).unwrap()).await;
    folder.write("Basic.ndjson", &[BASIC, BAD]);
    let second = run(&fake, &base, &folder, Journal::open(&journal).unwrap()).await;
    assert_eq!((second.acknowledged, second.skipped), (1, 1));
    // What was refused was not acknowledged: it is tried again.
    let third = run(&fake, &base, &folder, Journal::open(&journal).unwrap()).await;
    assert_eq!((third.acknowledged, third.skipped, third.refusals.len()), (1, 1, 1));
    std::fs::remove_file(journal).unwrap();
}

#[tokio::test]
async fn a_lost_request_is_repeated_if_it_puts_and_told_if_it_posts() {
    let folder = Folder::new("lost");
    folder.write("Basic.ndjson", &[BASIC]);
    let (fake, base) = Fake { lose: AtomicUsize::new(2), ..Fake::default() }.start().await;
    let outcome = run(&fake, &base, &folder, Journal::none()).await;
    assert_eq!((outcome.acknowledged, fake.ids()), (1, vec!["b".to_owned()]));

    folder.write("Basic.ndjson", &[r#"{"resourceType":"Basic"}"#]);
    let (fake, base) = Fake { lose: AtomicUsize::new(1), ..Fake::default() }.start().await;
    let outcome = run(&fake, &base, &folder, Journal::none()).await;
    assert_eq!((outcome.acknowledged, fake.ids().len()), (0, 0));
    assert!(outcome.refusals[0].diagnostics.starts_with("no answer"), "{:?}", outcome.refusals);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let folder = Folder::new("token");
    folder.write("Basic.ndjson", &[BASIC]);
    let (fake, base) = Fake { is_choosy_about_tokens: true, ..Fake::default() }.start().await;
    let outcome = run(&fake, &base, &folder, Journal::none()).await;
    assert_eq!(outcome.acknowledged, 1);
    assert_eq!(fake.tokens_made.load(Ordering::Relaxed), 2);
}
