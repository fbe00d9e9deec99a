//! Exports without what says who they are; and who may find out again.

use super::*;
use vesta::fhir::id::TenantId;
use vesta::store::clients::ClientRow;

const EXTENSION: &str = "https://vesta.example/fhir/bulk/deidentification";
const KEPT: &str = "_type=Patient,Observation,Device,Appointment";

/// A client that may have de-identified data alone.
async fn researcher(server: &TestServer) -> Caller {
    let document = json!({ "deidentified_only": true }).to_string();
    let row =
        ClientRow { id: "researcher".to_owned(), secret_hash: None, disabled: None, pending: None, document };
    server.app.store.put_client(TenantId::FIRST, &row).await.unwrap();
    server.app.facts_changed(TenantId::FIRST);
    reader(server, "researcher", "system/*.rs")
}

fn officer(server: &TestServer, role: &str) -> Caller {
    let mut claims = server.claims("user/*.rs");
    claims["sub"] = role.into();
    claims["fhirUser"] = format!("Practitioner/{role}").into();
    claims["role"] = role.into();
    server.bearer(server.sign(&claims))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_de_identified_export_names_nobody_and_joins_up() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let path = format!("Patient/$export?_deidentify=safe-harbor&{KEPT}");
    let manifest = manifest(&system, kick_off(&system, &path).await).await;
    let all = lines(&system, &manifest, "output").await;
    assert_eq!(all.len(), 9);
    let text = format!("{all:?}");
    for known in ["ann", "bob", "cyd", "obs-", "pacemaker", "weight"] {
        assert!(!text.contains(&format!("\"{known}")) && !text.contains(&format!("/{known}")), "{known}");
    }
    let patients: Vec<&String> = all.keys().filter(|it| it.starts_with("Patient/")).collect();
    for observation in all.values().filter(|it| it["resourceType"] == "Observation") {
        let subject = observation["subject"]["reference"].as_str().unwrap();
        assert!(patients.iter().any(|it| *it == subject), "{subject}");
        assert_eq!(observation["meta"]["security"][0]["code"], "PSEUDED");
    }
    let said = &manifest["extension"][EXTENSION];
    assert_eq!((said["method"].clone(), said["patients"].clone()), ("safe-harbor".into(), 3.into()));
    assert!(said["removed"]["name"].as_u64().unwrap() >= 3, "{said}");
    // Three are few.
    let warnings = lines(&system, &manifest, "error").await;
    assert!(warnings.keys().any(|it| it.contains("fewer than 11 patients")), "{warnings:?}");
    assert!(warnings.keys().any(|it| it.contains("small cells")), "{warnings:?}");
    // The same again for the same client, others for another.
    let again = exported(&system, &path).await;
    assert_eq!(names(&all), names(&again));
    let other = exported(&reader(&server, "registry", "system/*.rs"), &path).await;
    assert!(other.keys().all(|it| !all.contains_key(it)));
    let named = exported(&system, &format!("{path}&_recipient=registry")).await;
    assert!(named.keys().all(|it| !all.contains_key(it) && !other.contains_key(it)));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_deletions_are_under_pseudonyms_too() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let path = format!("Patient/$export?_deidentify=limited&_shiftDates=true&{KEPT}");
    let records =
        manifest(&system, kick_off(&system, &format!("{path}&organizeOutputBy=Patient")).await).await;
    let file = system.get(&path_of(records["output"][0]["url"].as_str().unwrap())).await.assert_status(200);
    for known in ["/ann\"", "/bob\"", "\"obs-"] {
        assert!(!file.text().contains(known), "{known}");
    }
    let before = exported(&system, &path).await;
    server.system().delete("Observation/weight").await.assert_status(204);
    let since = format!("{path}&_since=2000-01-01T00:00:00Z");
    let after = manifest(&system, kick_off(&system, &since).await).await;
    let deleted = lines(&system, &after, "deleted").await;
    assert_eq!(deleted.len(), 1);
    assert!(deleted.keys().all(|it| before.contains_key(it)), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_have_de_identified_data_alone_gets_nothing_else() {
    let server = TestServer::start().await;
    people(&server).await;
    let researcher = researcher(&server).await;
    let path = format!("Patient/$export?_deidentify=safe-harbor&{KEPT}");
    assert_eq!(exported(&researcher, &path).await.len(), 9);
    let group = format!("Group/outer/$export?_deidentify=safe-harbor&{KEPT}");
    assert_eq!(exported(&researcher, &group).await.keys().filter(|it| it.starts_with("Patient/")).count(), 2);
    kick_off(&researcher, "Patient/$export").await.assert_status(403);
    for narrowed in
        ["_typeFilter=Patient%3Ffamily%3Dann", "_until=2030-01-01T00:00:00Z", "_recipient=registry"]
    {
        kick_off(&researcher, &format!("{path}&{narrowed}")).await.assert_status(403);
    }
    let named = json!([
        { "name": "_deidentify", "valueString": "safe-harbor" },
        { "name": "patient", "valueReference": { "reference": "Patient/ann" } }
    ]);
    kick_off_by_post(&researcher, "Patient/$export", &named).await.assert_status(403);
    for path in
        ["Patient/ann", "Patient", "Observation?patient=ann", "Patient/ann/$everything", "Group/outer"]
    {
        let answer = researcher.get(path).await;
        assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_privacy_officer_alone_finds_out_who_it_is_and_the_trail_says_so() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let manifest =
        manifest(&system, kick_off(&system, "Patient/$export?_deidentify=safe-harbor&_type=Patient").await)
            .await;
    let recipient = manifest["extension"][EXTENSION]["recipient"].clone();
    let all = lines(&system, &manifest, "output").await;
    let ask = |pseudonym: &str, recipient: &Value| {
        json!({ "resourceType": "Parameters", "parameter": [
            { "name": "pseudonym", "valueString": pseudonym }, { "name": "recipient", "valueString": recipient },
            { "name": "reason", "valueString": "a finding that must be told" }
        ] })
    };
    let officer_of_privacy = officer(&server, "privacy-officer");
    let mut found = Vec::new();
    for name in all.keys() {
        let pseudonym = name.strip_prefix("Patient/").unwrap();
        let asked = ask(pseudonym, &recipient);
        let answer = officer_of_privacy.post("Patient/$reidentify", &asked).await.assert_status(200).json();
        found.push(answer["parameter"][0]["valueReference"]["reference"].as_str().unwrap().to_owned());
        for other in [&system, &officer(&server, "provider"), &officer(&server, "admin")] {
            let status = other.post("Patient/$reidentify", &asked).await.status;
            assert!(matches!(status, 403 | 404), "{status}");
        }
        officer_of_privacy
            .post("Patient/$reidentify", &ask(pseudonym, &"client other".into()))
            .await
            .assert_status(404);
    }
    found.sort();
    assert_eq!(found, ["Patient/ann", "Patient/bob", "Patient/cyd"]);
    let body = json!({ "resourceType": "Parameters", "parameter": [] });
    officer_of_privacy.post("Patient/$reidentify", &body).await.assert_status(400);
    let filter = vesta::store::audit_events::AuditFilter { count: 1000, ..Default::default() };
    let events = server.app.store.audit_events(TenantId::FIRST, &filter).await.unwrap();
    let told = events.iter().filter(|it| it.row.rule.as_deref() == Some("reidentified"));
    assert_eq!(told.count(), 3);
}
