//! A month of a hospital, with misuse planted in it: every planted case is reported, once, and somebody is told.

use crate::support::server::TestServer;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use vesta::audit::detect::Finding;
use vesta::audit::event::{self, Kind};
use vesta::compliance::review::{self, Period};
use vesta::fhir::id::{ResourceId, TenantId};
use vesta::store::audit_log::AuditRow;

const TENANT: TenantId = TenantId::FIRST;
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Monday, 2026-11-23: the day under review.
const MONDAY: i64 = 1_795_392_000_000_000;
const PATIENTS: usize = 140;
const CLINICIANS: usize = 10;

/// What was planted, by detector and agent.
const PLANTED: [(&str, &str); 9] = [
    ("volume", "Practitioner/p0"),
    ("off-hours", "Practitioner/p1"),
    ("celebrity", "Practitioner/p2"),
    ("employee", "Practitioner/p3"),
    ("same-surname", "Practitioner/p4"),
    ("repeated-denials", "Practitioner/p5"),
    ("unusual-export", "reporting-app"),
    ("break-glass", "Practitioner/p6"),
    ("impossible-travel", "Practitioner/p7"),
];

/// Always the same numbers, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

fn look(agent: &str, patient: usize, at: i64) -> AuditRow {
    let mut row = event::row_of(agent, Kind::Read, event::Result::Success, "rule", at);
    row.client = Some("chart".into());
    row.network = Some("10.1.0.7".into());
    row.patients = vec![ResourceId::parse(&format!("q{patient}")).unwrap()];
    row
}

fn agent(number: usize) -> String {
    format!("Practitioner/p{number}")
}

/// Four weeks and a day: each clinician sees their own patients, and some others, by day; p8 works at night, p9 at the
/// weekend too; a registry exports every week.
fn usual(numbers: &mut Numbers) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    for day in -28..=0_i64 {
        let midnight = MONDAY + day * DAY;
        let is_weekend = (day - 5).rem_euclid(7) < 2;
        for clinician in 0..CLINICIANS {
            if is_weekend && clinician != 9 {
                continue;
            }
            let shift = if clinician == 8 { 22 * HOUR } else { 8 * HOUR };
            // Now and then a busy day, or a colleague's patients besides the own ones.
            let busy = if numbers.below(40) == 0 { 14 } else { 0 };
            for _ in 0..(8 + busy + numbers.below(10)) {
                let patient = match numbers.below(10) {
                    0 => usize::try_from(numbers.below(100)).unwrap(),
                    _ => clinician * 10 + usize::try_from(numbers.below(10)).unwrap(),
                };
                let at = midnight + shift + numbers.below(8 * HOUR);
                rows.push(look(&agent(clinician), patient, at.min(MONDAY + DAY - 1)));
            }
            // A wrong turn now and then.
            if numbers.below(4) == 0 {
                let mut denied = look(&agent(clinician), 0, midnight + shift + numbers.below(8 * HOUR));
                denied.outcome = 4;
                denied.patients.clear();
                rows.push(denied);
            }
        }
        if (day + 28) % 7 == 2 {
            let mut export = event::row_of(
                "registry",
                Kind::ExportRequested,
                event::Result::Success,
                "rule",
                midnight + HOUR,
            );
            export.client = Some("registry".into());
            rows.push(export);
        }
    }
    // On call for a colleague: a Saturday, and a late evening, neither of which is misuse.
    for (clinician, day, hour) in [(2, -9, 10), (7, -4, 22)] {
        rows.extend((0..6).map(|number| {
            let at = MONDAY + day * DAY + hour * HOUR + number * HOUR / 10;
            look(&agent(clinician), clinician * 10 + usize::try_from(number).unwrap(), at)
        }));
    }
    // Whom the usual do not meet by chance: a celebrity, an employee and a namesake, each with a clinician of their own.
    for day in [-20, -13, -6, 0] {
        for (clinician, patient) in [(5, 100), (6, 101), (4, 102)] {
            rows.push(look(&agent(clinician), patient, MONDAY + day * DAY + 10 * HOUR));
        }
    }
    rows
}

fn planted() -> Vec<AuditRow> {
    let mut rows: Vec<AuditRow> = (0..80)
        .map(|patient| look(&agent(0), patient, MONDAY + 9 * HOUR + patient as i64 * 60_000_000))
        .collect();
    rows.extend(
        (0..7).map(|look_of| look(&agent(1), 10 + look_of, MONDAY + 2 * HOUR + look_of as i64 * 60_000_000)),
    );
    rows.push(look(&agent(2), 100, MONDAY + 11 * HOUR));
    rows.push(look(&agent(3), 101, MONDAY + 11 * HOUR));
    rows.push(look(&agent(4), 103, MONDAY + 11 * HOUR));
    rows.extend((0..12).map(|number| {
        let mut denied = look(&agent(5), 0, MONDAY + 12 * HOUR + number * 20_000_000);
        denied.outcome = 4;
        denied.patients.clear();
        denied
    }));
    let mut export = event::row_of(
        "reporting-app",
        Kind::ExportRequested,
        event::Result::Success,
        "rule",
        MONDAY + 3 * HOUR,
    );
    export.client = Some("reporting-app".into());
    rows.push(export);
    let mut glass = look(&agent(6), 60, MONDAY + 13 * HOUR);
    glass.kind = Kind::BreakGlass.code();
    rows.push(glass);
    rows.push(look(&agent(7), 70, MONDAY + 9 * HOUR));
    let mut far = look(&agent(7), 71, MONDAY + 9 * HOUR + HOUR / 2);
    far.network = Some("10.9.0.7".into());
    rows.push(far);
    rows
}

/// A webhook, and a mail server, that keep what they got.
struct Inbox {
    webhook: u16,
    mail: u16,
    posts: Arc<Mutex<Vec<Value>>>,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Inbox {
    async fn open() -> Inbox {
        let (posts, mails) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let smtp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (webhook, mail) = (http.local_addr().unwrap().port(), smtp.local_addr().unwrap().port());
        let taken = Arc::clone(&posts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = http.accept().await {
                let mut stream = BufReader::new(stream);
                let mut length = 0;
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap() > 2 {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        });
        let taken = Arc::clone(&mails);
        tokio::spawn(async move {
            while let Ok((stream, _)) = smtp.accept().await {
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 sink ESMTP\r\n").await.unwrap();
                let (mut line, mut text, mut is_data) = (String::new(), String::new(), false);
                while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                    let answer = match line.get(..4).unwrap_or_default() {
                        _ if is_data && line == ".\r\n" => {
                            is_data = false;
                            taken.lock().unwrap().push(std::mem::take(&mut text));
                            "250 taken\r\n"
                        }
                        _ if is_data => {
                            text.push_str(&line);
                            ""
                        }
                        "DATA" => {
                            is_data = true;
                            "354 go on\r\n"
                        }
                        "QUIT" => "221 bye\r\n",
                        _ => "250 ok\r\n",
                    };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    line.clear();
                }
            }
        });
        Inbox { webhook, mail, posts, mails }
    }
}

async fn hospital() -> (TestServer, Inbox) {
    let inbox = Inbox::open().await;
    let folder = std::env::temp_dir().join(format!("vesta-places-{}", std::process::id()));
    std::fs::write(&folder, "10.1.0.0/16 52.52 13.40\n10.9.0.0/16 -33.87 151.21\n").unwrap();
    let server = TestServer::start_at_with("2026-11-24T12:00:00Z", |config| {
        config.review.webhook = Some(format!("http://127.0.0.1:{}/officer", inbox.webhook));
        config.review.mail_server = Some(format!("smtp://127.0.0.1:{}", inbox.mail));
        config.review.mail_from = Some("vesta@example.org".into());
        config.review.mail_to = vec!["officer@example.org".into()];
        config.review.places = Some(folder);
    })
    .await;
    let mut entries = Vec::new();
    for number in 0..PATIENTS {
        let family = match number {
            102 | 103 => "O'Olsen".to_owned(),
            _ => format!("Family{number}"),
        };
        let label = match number {
            100 => Some("CEL"),
            101 => Some("EMP"),
            _ => None,
        };
        let mut patient =
            json!({"resourceType": "Patient", "id": format!("q{number}"), "name": [{"family": family}]});
        if let Some(label) = label {
            patient["meta"] = json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": label}]});
        }
        entries.push(
            json!({"resource": patient, "request": {"method": "PUT", "url": format!("Patient/q{number}")}}),
        );
    }
    for number in 0..CLINICIANS {
        let family = if number == 4 { "OOLSEN".to_owned() } else { format!("Doctor{number}") };
        let practitioner =
            json!({"resourceType": "Practitioner", "id": format!("p{number}"), "name": [{"family": family}]});
        entries.push(json!({"resource": practitioner, "request": {"method": "PUT", "url": format!("Practitioner/p{number}")}}));
    }
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    server.system().post("", &bundle).await.assert_status(200);
    (server, inbox)
}

fn key(finding: &Finding) -> (&'static str, &str) {
    (finding.detector.code(), finding.agent.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_case_is_reported_and_somebody_is_told() {
    let (server, inbox) = hospital().await;
    let mut rows = usual(&mut Numbers(0x9e37_79b9_7f4a_7c15));
    let events = rows.len();
    rows.extend(planted());
    rows.sort_by_key(|it| it.recorded);
    for some in rows.chunks(1000) {
        server.app.store.append_audit(TENANT, some.to_vec()).await.unwrap();
    }
    // Twelve ordinary days, and the one with the misuse.
    let mut false_alarms = Vec::new();
    let mut found = Vec::new();
    for day in (-14..=0_i64).filter(|day| *day == 0 || *day < -2) {
        let from = MONDAY + day * DAY;
        let findings = review::review(&server.app, TENANT, Period { from, to: from + DAY }).await.unwrap();
        for finding in findings {
            match day == 0 && PLANTED.contains(&key(&finding)) {
                true => found.push(finding),
                false => false_alarms.push(finding),
            }
        }
    }
    for planted in PLANTED {
        assert!(found.iter().any(|it| key(it) == planted), "{planted:?} was not found among {found:?}");
    }
    println!("{events} ordinary events in 29 days, 13 days reviewed: {} false alarms", false_alarms.len());
    for alarm in &false_alarms {
        println!("false alarm: {} {}: {}", alarm.detector.code(), alarm.agent, alarm.reason);
    }
    assert!(false_alarms.len() <= 3, "{false_alarms:#?}");

    // Each is an issue with its events as evidence, and a task that points to it.
    let officer = server.system();
    let issues = officer.get("DetectedIssue?_count=100").await.assert_status(200).json();
    let issues: Vec<Value> =
        issues["entry"].as_array().unwrap().iter().map(|it| it["resource"].clone()).collect();
    assert_eq!(issues.len(), found.len() + false_alarms.len());
    let codes: HashSet<&str> =
        issues.iter().map(|it| it["code"]["coding"][0]["code"].as_str().unwrap()).collect();
    assert_eq!(codes.len(), 9);
    let celebrity = issues.iter().find(|it| it["code"]["coding"][0]["code"] == "celebrity").unwrap();
    assert_eq!(celebrity["implicated"][0]["reference"], "Practitioner/p2");
    assert_eq!(celebrity["implicated"][1]["reference"], "Patient/q100");
    let event = celebrity["evidence"][0]["detail"][0]["reference"].as_str().unwrap();
    let event = officer.get(event).await.assert_status(200).json();
    assert!(event.to_string().contains("Patient/q100"), "{event}");
    // A suspicion is not in the patient's own record.
    let own = server.patient("q100").get("DetectedIssue").await.assert_status(200).json();
    assert!(own["entry"].as_array().is_none_or(Vec::is_empty), "{own}");
    let tasks =
        officer.get("Task?status=requested&_count=100&_include=Task:focus").await.assert_status(200).json();
    let of_type = |name: &str| {
        tasks["entry"].as_array().unwrap().iter().filter(|it| it["resource"]["resourceType"] == name).count()
    };
    assert_eq!((of_type("Task"), of_type("DetectedIssue")), (issues.len(), issues.len()));

    // The same day again, as the job does it: nothing is raised twice, and somebody is told.
    review::schedule(&server.app).await.unwrap();
    review::schedule(&server.app).await.unwrap();
    for _ in 0..400 {
        if inbox.posts.lock().unwrap().len() >= 2 && inbox.mails.lock().unwrap().len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let again = officer.get("DetectedIssue?_summary=count").await.assert_status(200).json();
    assert_eq!(again["total"], json!(issues.len()));
    let posts = inbox.posts.lock().unwrap().clone();
    assert_eq!(posts.len(), 2, "one notice of the day, one report of the week: {posts:?}");
    let notice = posts.iter().find(|it| it["data"]["kind"] == "activity-review").unwrap();
    assert_eq!(notice["data"]["findings"].as_array().unwrap().len(), 9, "{notice}");
    let report = posts.iter().find(|it| it["data"]["byUser"].is_array()).unwrap();
    assert!(report["data"]["events"].as_i64().unwrap() > 400, "{report}");
    let mails = inbox.mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().any(|it| it.contains("findings in the trail of 2026-11-23")), "{mails:?}");
    assert!(mails.iter().any(|it| it.contains("audit-report.html") && it.contains("audit-report.csv")));
    // Neither holds a name.
    for text in posts.iter().map(ToString::to_string).chain(mails) {
        assert!(!text.contains("Olsen") && !text.contains("Family1"), "{text}");
    }
}
