//! Importing: lines that are sent, lines that are fetched; what is wrong, what is there already, what was interrupted.

use super::*;
use std::io::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vesta::bulk::import;
use vesta::fhir::id::TenantId;
use vesta::interaction::import::progress::KIND;

async fn send_lines(caller: &Caller, query: &str, lines: &str) -> Answer {
    let request = caller.request("POST", &format!("$import{query}"));
    send(request.header("content-type", "application/fhir+ndjson").body(lines.to_owned())).await
}

/// What came of an import.
async fn result(caller: &Caller, started: Answer) -> Value {
    let started = started.assert_status(202);
    let status = path_of(started.header("content-location"));
    for _ in 0..1500 {
        let answer = caller.get(&status).await;
        if answer.status == 200 {
            return answer.json();
        }
        assert_eq!(answer.status, 202, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the import takes too long");
}

fn tally(result: &Value) -> [u64; 4] {
    let of = |name: &str| result["output"][0][name].as_u64().unwrap();
    [of("created"), of("updated"), of("unchanged"), of("refused")]
}

async fn errors(caller: &Caller, result: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for file in result["error"].as_array().unwrap() {
        let text = caller.get(&path_of(file["url"].as_str().unwrap())).await.assert_status(200).text();
        for line in text.lines() {
            let outcome: Value = serde_json::from_str(line).unwrap();
            told.push(outcome["issue"][0]["diagnostics"].as_str().unwrap().to_owned());
        }
    }
    told
}

fn patient(number: usize) -> String {
    json!({ "resourceType": "Patient", "id": format!("p{number}"), "gender": "other" }).to_string()
}

fn writer(server: &TestServer) -> Caller {
    reader(server, "loader", "system/*.cruds")
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_stored_and_bad_ones_are_named() {
    let server = TestServer::start().await;
    let system = writer(&server);
    let mut lines: Vec<String> = (1..=600).map(patient).collect();
    lines[16] = "{\"resourceType\":\"Patient\",\"gender\":\"banana\"}".to_owned();
    lines[300] = "{".to_owned();
    lines.push(String::new());
    lines.push(json!({ "resourceType": "Patient", "active": true }).to_string());
    let started = send_lines(&system, "", &lines.join("\n")).await;
    let told = result(&system, started).await;
    assert_eq!(tally(&told), [599, 0, 0, 2]);
    let errors = errors(&system, &told).await;
    assert!(errors[0].starts_with("line 17: ") && errors[1].starts_with("line 301: "), "{errors:?}");
    system.get("Patient/p600").await.assert_status(200);
    let found = system.get("Patient?_summary=count&active=true").await.json();
    assert_eq!(found["total"], 1);
    // Again: nothing changes, and nothing of the first import but the line without an id comes twice.
    let started = send_lines(&system, "", &lines[..16].join("\n")).await;
    assert_eq!(tally(&result(&system, started).await), [0, 0, 16, 0]);
    let client = server.database.superuser().await;
    let row = client
        .query_one(
            "select sum(cardinality(patients))::bigint, count(*) from audit_events where kind = 22 and outcome = 0 \
             and cardinality(patients) > 0",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 599, "every patient is in the trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_settled_as_asked() {
    let server = TestServer::start().await;
    let system = writer(&server);
    let old = json!({ "resourceType": "Patient", "id": "a", "gender": "male" });
    system.put("Patient/a", &old).await.assert_status(201);
    let line = |meta: Value| {
        json!({ "resourceType": "Patient", "id": "a", "meta": meta, "gender": "female" }).to_string()
    };
    let (past, future) = ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    for (query, meta, expected) in [
        ("?conflict=skip", json!({ "versionId": "1" }), [0, 0, 1, 0]),
        ("?conflict=version", json!({ "versionId": "7" }), [0, 0, 0, 1]),
        ("?conflict=last-updated", json!({ "lastUpdated": past }), [0, 0, 1, 0]),
        ("?conflict=version", json!({ "versionId": "1" }), [0, 1, 0, 0]),
        ("", json!({ "tag": [{ "code": "x" }] }), [0, 1, 0, 0]),
        ("?conflict=last-updated", json!({ "lastUpdated": future, "tag": [{ "code": "y" }] }), [0, 1, 0, 0]),
        ("?conflict=overwrite", json!({ "tag": [{ "code": "y" }] }), [0, 0, 1, 0]),
    ] {
        let started = send_lines(&system, query, &line(meta)).await;
        assert_eq!(tally(&result(&system, started).await), expected, "{query}");
    }
    send_lines(&system, "?conflict=nonsense", "").await.assert_status(400);
    // Twice in one import: one after the other.
    let twice =
        [line(json!({ "tag": [{ "code": "1" }] })), line(json!({ "tag": [{ "code": "2" }] }))].join("\n");
    let started = send_lines(&system, "", &twice).await;
    assert_eq!(tally(&result(&system, started).await), [0, 2, 0, 0]);
    let now = system.get("Patient/a").await.json();
    assert_eq!(now["meta"]["tag"][0]["code"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_systems_import_and_only_what_they_may_write() {
    let server = TestServer::start().await;
    for scope in ["user/*.cruds", "system/*.rs", "patient/*.cud"] {
        send_lines(&reader(&server, "x", scope), "", "{}").await.assert_status(403);
    }
    send_lines(&server.stranger(), "", "{}").await.assert_status(401);
    let narrow = reader(&server, "narrow", "system/Patient.cu");
    let organization = json!({ "resourceType": "Organization", "id": "o", "name": "O" }).to_string();
    let started = send_lines(&narrow, "", &[patient(1), organization].join("\n")).await;
    let location = path_of(started.header("content-location"));
    let told = result(&narrow, started).await;
    assert_eq!(tally(&told), [1, 0, 0, 1]);
    writer(&server).get(&location).await.assert_status(404);
    writer(&server).get("Organization/o").await.assert_status(404);
    narrow.delete(&location).await.assert_status(202);
    narrow.get(&location).await.assert_status(404);
}

/// Serves a file, without ranges, as often as it is asked for; and says where.
async fn serve(text: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let length = stream.read(&mut asked).await.unwrap_or(0);
            let is_there = String::from_utf8_lossy(&asked[..length]).starts_with("GET /out/");
            let status = if is_there { "200 OK" } else { "302 Found\r\nlocation: /out/x" };
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
            let _ = stream.write_all(&[head.as_bytes(), text.as_bytes()].concat()).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_followed_to_where_it_is_allowed() {
    let source = serve([patient(1), patient(2)].join("\n")).await;
    let allowed = format!("{source}out/");
    let server = TestServer::start_with(|config| config.bulk.import_sources = vec![allowed]).await;
    let system = writer(&server);
    let manifest = |url: &str, of: &str| {
        let input = json!([{ "type": of, "url": url }]);
        let body = json!({ "inputFormat": "application/fhir+ndjson", "input": input }).to_string();
        send(system.request("POST", "$import").header("content-type", "application/json").body(body))
    };
    let started = manifest(&format!("{source}out/p.ndjson"), "Patient").await;
    let told = result(&system, started).await;
    assert_eq!(tally(&told), [2, 0, 0, 0]);
    assert_eq!(told["output"][0]["inputUrl"], format!("{source}out/p.ndjson"));
    // Another type than the manifest says.
    let told = result(&system, manifest(&format!("{source}out/p.ndjson"), "Device").await).await;
    assert_eq!(tally(&told), [0, 0, 0, 2]);
    for forbidden in [
        format!("{source}elsewhere"),
        format!("{source}out/../x"),
        "http://127.0.0.1:1/".to_owned(),
        "https://example.org/".to_owned(),
    ] {
        manifest(&forbidden, "Patient").await.assert_status(403);
    }
    let answer = send(system.request("POST", "$import").header("content-type", "text/plain").body("x")).await;
    answer.assert_status(415);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_goes_on() {
    let server = TestServer::start_without_workers().await;
    let system = writer(&server);
    let mut text = Vec::new();
    for number in 0..25_000 {
        writeln!(text, "{}", json!({ "resourceType": "Basic", "code": { "text": number.to_string() } }))
            .unwrap();
    }
    let started = send_lines(&system, "", std::str::from_utf8(&text).unwrap()).await.assert_status(202);
    let id = started.header("content-location").rsplit('/').next().unwrap().parse().unwrap();
    let store = &server.app.store;
    let mut deaths = 0_u64;
    loop {
        let lease = store.claim(TenantId::FIRST, &[KIND], Duration::from_micros(1)).await.unwrap().unwrap();
        let before = lease.job.progress.clone();
        let dies = async {
            while store.job(TenantId::FIRST, id).await.unwrap().unwrap().progress == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(Duration::from_millis(deaths * 40)).await;
        };
        tokio::select! {
            biased;
            done = import::run(server.app.clone(), lease.clone()) => {
                lease.finish(&done.unwrap()).await.unwrap();
                break;
            }
            () = dies => deaths += 1,
        }
        assert!(deaths < 50);
    }
    assert!(deaths > 0);
    let told = result(&system, started).await;
    let [created, updated, unchanged, refused] = tally(&told);
    assert_eq!((created + unchanged, updated, refused), (25_000, 0, 0));
    let client = server.database.superuser().await;
    let row = client.query_one("select count(*), max(version) from resource.basic", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (25_000, 1), "nothing twice, nothing missing");
}
