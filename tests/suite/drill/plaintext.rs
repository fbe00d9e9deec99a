//! Nothing lies in the clear: planted names, identifiers, notes and diagnoses are in no file of the database,
//! its write-ahead log included, in no dump and in no log line, whichever way they came in.

use crate::support::program::Program;
use crate::support::server::{fhir, send};
use serde_json::json;
use std::path::Path;

/// What is planted. Long enough not to be met by chance.
const SECRETS: [&str; 9] = [
    "Zanzibarfamily",
    "Quokkagiven",
    "MRN-7Q4X9ZPLANT",
    "Wombatstreet 77",
    "555-0199-4471",
    "1931-07-23",
    "Narwhaldiagnosis",
    "Platypusnote",
    "Axolotlsearch",
];

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_nowhere() {
    let mut program = Program::new("plaintext");
    program.start();
    let caller = program.caller("demo-backend");
    let patient = json!({
        "resourceType": "Patient", "id": "planted",
        "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Platypusnote</div>"},
        "identifier": [{"system": "urn:mrn", "value": "MRN-7Q4X9ZPLANT"}],
        "name": [{"family": "Zanzibarfamily", "given": ["Quokkagiven"]}],
        "telecom": [{"system": "phone", "value": "555-0199-4471"}],
        "birthDate": "1931-07-23",
        "address": [{"line": ["Wombatstreet 77"], "city": "Zanzibarfamily"}],
        "contained": [{"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "#"},
            "name": [{"family": "Zanzibarfamily"}]}],
        "extension": [{"url": "http://example.org/e", "valueString": "Platypusnote"}],
    });
    caller.put("Patient/planted", &patient).await.assert_status(201);
    caller.put("Patient/planted", &patient).await.assert_status(200);
    let condition = json!({
        "resourceType": "Condition", "subject": {"reference": "Patient/planted", "display": "Quokkagiven Zanzibarfamily"},
        "code": {"coding": [{"system": "urn:codes", "code": "Narwhaldiagnosis", "display": "Narwhaldiagnosis"}], "text": "Narwhaldiagnosis"},
        "note": [{"text": "Platypusnote"}],
    });
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": condition, "request": {"method": "POST", "url": "Condition", "ifNoneExist": "code=Narwhaldiagnosis"}},
    ]});
    caller.post("", &bundle).await.assert_status(200);
    caller.post("Condition", &condition).await.assert_status(201);
    // Also what is asked for, refused or malformed.
    for path in [
        "Patient?family=Axolotlsearch",
        "Patient?identifier=urn:mrn|MRN-7Q4X9ZPLANT&_sort=birthdate",
        "Patient?birthdate=1931-07-23&_count=1",
        "Patient?family:contains=zibarfam",
        "Patient?Axolotlsearch=Axolotlsearch",
        "Condition?code=Narwhaldiagnosis&_count=1",
        "Patient/planted/_history",
        "Patient/planted/$everything",
        "Patient?birthdate=Axolotlsearch",
    ] {
        let answer = caller.get(path).await;
        assert!(answer.status < 500, "{path}: {}", answer.text());
    }
    let broken = r#"{"resourceType":"Patient","name":[{"family":"Zanzibarfamily"},"birthDate":"1931-07-23"}"#;
    let request = caller.request("POST", "Patient").header("content-type", "application/fhir+json");
    assert_eq!(send(request.body(broken)).await.status, 400);
    let wrong =
        json!({"resourceType": "Patient", "birthDate": "Axolotlsearch", "name": [{"Zanzibarfamily": 1}]});
    let refused = send(fhir(caller.request("POST", "Patient"), &wrong)).await;
    assert!((400..500).contains(&refused.status));
    // It is all there for whoever may see it.
    let read = caller.get("Patient/planted").await.assert_status(200).text();
    assert!(SECRETS[..6].iter().all(|it| read.contains(it)));
    program.stop();

    let mut found = Vec::new();
    scan(&program.data, &mut found);
    let log = std::fs::read(program.log()).unwrap();
    found.extend(SECRETS.iter().filter(|it| holds(&log, it)).map(|it| format!("the log: {it}")));
    assert!(found.is_empty(), "{found:#?}");
    // The scan does find what is there.
    std::fs::write(program.data.join("decoy"), "xx Zanzibarfamily xx").unwrap();
    scan(&program.data, &mut found);
    assert_eq!(found.len(), 1);
}

/// Looks through every file below a folder.
fn scan(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            scan(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.extend(
                SECRETS.iter().filter(|it| holds(&bytes, it)).map(|it| format!("{}: {it}", path.display())),
            );
        }
    }
}

/// As text, or as a dump would print the bytes.
fn holds(bytes: &[u8], secret: &str) -> bool {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    [secret.as_bytes(), hex.as_bytes()].iter().any(|needle| memchr::memmem::find(bytes, needle).is_some())
}
