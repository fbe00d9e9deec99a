//! Kick-off, status, files, delete; and every way to be refused.

use super::*;
use crate::support::server::fhir;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_from_kick_off_to_delete() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let kicked_off = kick_off(&system, "$export").await.assert_status(202);
    let status = path_of(kicked_off.header("content-location"));
    let manifest = manifest(&system, kicked_off).await;
    assert_eq!(manifest["requiresAccessToken"], true);
    assert_eq!(manifest["request"], format!("{}/fhir/$export", server.url()));
    assert!(manifest["transactionTime"].as_str().unwrap().ends_with('Z'));
    let all = lines(&system, &manifest, "output").await;
    assert_eq!(
        names(&all),
        [
            "Appointment/both",
            "Binary/bytes",
            "Device/pacemaker",
            "Group/inner",
            "Group/outer",
            "Observation/obs-ann",
            "Observation/obs-bob",
            "Observation/obs-cyd",
            "Observation/weight",
            "Organization/house",
            "Patient/ann",
            "Patient/bob",
            "Patient/cyd"
        ]
    );
    for (name, line) in &all {
        let read = system.get(&format!("{name}?_format=json")).await;
        if !name.starts_with("Binary") {
            assert_eq!(read.assert_status(200).json(), *line, "{name}");
        }
    }
    assert!(!system.get(&status).await.header("expires").is_empty());
    let file = path_of(manifest["output"][0]["url"].as_str().unwrap());
    system.delete(&status).await.assert_status(202);
    assert_eq!(system.get(&status).await.assert_status(404).issue(), "not-found");
    system.get(&file).await.assert_status(404);
    system.delete(&status).await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_and_groups_are_exported_with_what_is_theirs() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let patients = exported(&system, "Patient/$export").await;
    assert!(patients.contains_key("Device/pacemaker") && patients.contains_key("Organization/house"));
    assert!(!patients.contains_key("Binary/bytes"));
    assert_eq!(patients.len(), 12);
    let inner = exported(&system, "Group/inner/$export?_type=Patient,Observation,Appointment,Device").await;
    assert_eq!(names(&inner), ["Appointment/both", "Device/pacemaker", "Observation/obs-bob", "Patient/bob"]);
    // Groups in groups count, inactive members do not.
    let outer = exported(&system, "Group/outer/$export?_type=Patient,Appointment").await;
    assert_eq!(names(&outer), ["Appointment/both", "Patient/ann", "Patient/bob"]);
    kick_off(&system, "Group/nobody/$export").await.assert_status(404);
    let named = json!([
        { "name": "patient", "valueReference": { "reference": "Patient/cyd" } },
        { "name": "_type", "valueString": "Patient,Observation" }
    ]);
    let manifest = manifest(&system, kick_off_by_post(&system, "Patient/$export", &named).await).await;
    assert_eq!(names(&lines(&system, &manifest, "output").await), ["Observation/obs-cyd", "Patient/cyd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_one_patient_after_the_other() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let path = "Group/outer/$export?_type=Patient,Observation,Appointment,Device&organizeOutputBy=Patient";
    let manifest = manifest(&system, kick_off(&system, path).await).await;
    assert_eq!(manifest["outputOrganizedBy"], "Patient");
    assert_eq!(manifest["output"].as_array().unwrap().len(), 1);
    assert!(manifest["output"][0]["type"].is_null());
    let file = system.get(&path_of(manifest["output"][0]["url"].as_str().unwrap())).await.assert_status(200);
    let mut records: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut whose = String::new();
    for line in file.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["resourceType"] == "Parameters" {
            assert_eq!(line["parameter"][0]["name"], "header");
            whose = line["parameter"][0]["valueReference"]["reference"].as_str().unwrap().to_owned();
        } else {
            let name = format!("{}/{}", line["resourceType"].as_str().unwrap(), line["id"].as_str().unwrap());
            records.entry(whose.clone()).or_default().push(name);
        }
    }
    assert_eq!(
        records["Patient/ann"],
        ["Patient/ann", "Appointment/both", "Observation/obs-ann", "Observation/weight"]
    );
    assert_eq!(
        records["Patient/bob"],
        ["Patient/bob", "Appointment/both", "Device/pacemaker", "Observation/obs-bob"]
    );
    assert_eq!(records.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_elements_and_times_narrow_an_export() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let filtered = exported(
        &system,
        "Patient/$export?_type=Patient,Observation&_typeFilter=Observation%3Fcode%3D29463-7&\
         _typeFilter=Observation%3Fpatient.family%3Dbob",
    );
    let filtered = filtered.await;
    assert_eq!(
        names(&filtered),
        ["Observation/obs-bob", "Observation/weight", "Patient/ann", "Patient/bob", "Patient/cyd"]
    );
    let parts = exported(&system, "$export?_type=Patient&_elements=Patient.name,Observation.code").await;
    let ann = &parts["Patient/ann"];
    assert_eq!(ann["name"][0]["family"], "ann");
    assert_eq!(ann["meta"]["tag"][0]["code"], "SUBSETTED");
    let first = manifest(&system, kick_off(&system, "$export?_type=Patient").await).await;
    let since = first["transactionTime"].as_str().unwrap().to_owned();
    let everything = server.system();
    let dan = json!({ "resourceType": "Patient", "id": "dan" });
    everything.put("Patient/dan", &dan).await.assert_status(201);
    everything.delete("Observation/weight").await;
    let path = format!("$export?_since={since}");
    let second = manifest(&system, kick_off(&system, &path).await).await;
    assert_eq!(names(&lines(&system, &second, "output").await), ["Patient/dan"]);
    assert_eq!(names(&lines(&system, &second, "deleted").await), ["Observation/weight"]);
    assert_eq!(second["deleted"][0]["type"], "Bundle");
    let before = exported(&system, &format!("$export?_type=Patient&_until={since}")).await;
    assert_eq!(names(&before), ["Patient/ann", "Patient/bob", "Patient/cyd"]);
    // Only whoever was a patient's is told to the patient's group.
    let group = format!("Group/inner/$export?_since={since}");
    let group = manifest(&system, kick_off(&system, &group).await).await;
    assert_eq!(group["deleted"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_refused_or_told() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    assert_eq!(system.get("$export").await.assert_status(400).issue(), "required");
    for format in ["application/fhir%2Bndjson", "application/ndjson", "ndjson"] {
        let path = format!("$export?_type=Patient&_outputFormat={format}");
        kick_off(&system, &path).await.assert_status(202);
    }
    for (path, status) in [
        ("$export?_outputFormat=text/csv", 400),
        ("$export?_type=Patient,Nonsense", 400),
        ("$export?_since=yesterday", 400),
        ("$export?_nonsense=1", 400),
        ("$export?_type=Patient&_typeFilter=Patient%3Fnonsense%3D1", 400),
        ("$export?_type=Patient&_typeFilter=Patient%3F_count%3D1", 400),
        ("Patient/$export?patient=Patient/ann", 400),
        ("Patient/$export?_type=Binary", 400),
        ("Observation/$export", 404),
        ("Patient/ann/$export", 404),
    ] {
        let answer = kick_off(&system, path).await;
        assert!(
            answer.status == status || (status == 404 && answer.status == 400),
            "{path}: {}",
            answer.status
        );
        assert!(!answer.issue().is_empty());
    }
    let lenient = system.request("GET", "$export?_type=Organization,Nonsense&_nonsense=1");
    let lenient = send(lenient.header("prefer", "respond-async, handling=lenient")).await;
    let told = manifest(&system, lenient).await;
    assert_eq!(names(&lines(&system, &told, "output").await), ["Organization/house"]);
    assert_eq!(lines(&system, &told, "error").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_systems_export_and_only_what_they_may_read() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let user = server.user("user/*.rs system/*.rs");
    kick_off(&user, "$export").await.assert_status(403);
    kick_off(&server.patient("ann"), "Patient/$export").await.assert_status(403);
    kick_off(&reader(&server, "a", "system/*.cud"), "$export").await.assert_status(403);
    kick_off(&reader(&server, "a", "user/*.rs"), "$export").await.assert_status(403);
    let narrow = reader(&server, "narrow", "system/Patient.rs system/Observation.rs?code=29463-7");
    kick_off(&narrow, "$export?_type=Patient,Device").await.assert_status(403);
    kick_off(&narrow, "Group/outer/$export").await.assert_status(403);
    let found = exported(&narrow, "$export").await;
    assert_eq!(names(&found), ["Observation/weight", "Patient/ann", "Patient/bob", "Patient/cyd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_there_for_its_client_alone() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let (system, other) =
        (reader(&server, "analyst", "system/*.rs"), reader(&server, "other", "system/*.rs"));
    let kicked_off = kick_off(&system, "$export?_type=Patient").await.assert_status(202);
    let status = path_of(kicked_off.header("content-location"));
    let manifest = manifest(&system, kicked_off).await;
    let file = path_of(manifest["output"][0]["url"].as_str().unwrap());
    for path in [&status, &file] {
        assert_eq!(other.get(path).await.assert_status(404).issue(), "not-found");
        server.stranger().get(path).await.assert_status(401);
        server.patient("ann").get(path).await.assert_status(403);
    }
    other.delete(&status).await.assert_status(404);
    // A token that reads less than the export holds does not fetch it.
    reader(&server, "analyst", "system/Device.rs").get(&file).await.assert_status(403);
    for path in ["$export/nonsense", "$export/00000000-0000-7000-8000-000000000000"] {
        system.get(path).await.assert_status(404);
    }
    system.get(&format!("{file}x")).await.assert_status(404);
    system.get(&file).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_compressed_and_in_parts() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let manifest = manifest(&system, kick_off(&system, "$export?_type=Observation").await).await;
    let file = path_of(manifest["output"][0]["url"].as_str().unwrap());
    let plain = system.get(&file).await.assert_status(200);
    assert_eq!(plain.header("accept-ranges"), "bytes");
    assert_eq!(plain.header("content-length"), plain.body.len().to_string());
    let gzip = send(system.request("GET", &file).header("accept-encoding", "gzip")).await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzip.body.as_slice()), &mut unpacked)
        .unwrap();
    assert_eq!(unpacked, plain.body);
    let zstd = send(system.request("GET", &file).header("accept-encoding", "zstd")).await;
    assert_eq!(zstd::decode_all(zstd.body.as_slice()).unwrap(), plain.body);
    let part = send(system.request("GET", &file).header("range", "bytes=10-19")).await.assert_status(206);
    assert_eq!(part.body, plain.body[10..20]);
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{}", plain.body.len()));
    let part = send(system.request("GET", &file).header("range", "bytes=99999999-")).await;
    part.assert_status(416);
    let etag = plain.header("etag").to_owned();
    let again = system.request("GET", &file).header("range", "bytes=5-").header("if-range", &etag);
    assert_eq!(send(again).await.assert_status(206).body, plain.body[5..]);
    let again = system.request("GET", &file).header("range", "bytes=5-").header("if-range", "\"old\"");
    assert_eq!(send(again).await.assert_status(200).body, plain.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_under_way_and_files_grow_old() {
    let server = TestServer::start_with_tls_and(|config| config.bulk.jobs_per_client = 0).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let refused = kick_off(&system, "$export").await.assert_status(429);
    assert_eq!((refused.issue().as_str(), refused.header("retry-after")), ("throttled", "10"));

    let server = TestServer::start_with_tls_and(|config| config.bulk.kept_hours = 0).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let kicked_off = kick_off(&system, "$export").await.assert_status(202);
    let status = path_of(kicked_off.header("content-location"));
    for _ in 0..500 {
        if system.get(&status).await.status == 404 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the export does not grow old");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_in_the_trail() {
    let server = TestServer::start_with_tls().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let kicked_off = kick_off(&system, "$export?_type=Patient").await.assert_status(202);
    let status = path_of(kicked_off.header("content-location"));
    let manifest = manifest(&system, kicked_off).await;
    system.get(&path_of(manifest["output"][0]["url"].as_str().unwrap())).await.assert_status(200);
    system.delete(&status).await.assert_status(202);
    kick_off(&server.patient("ann"), "$export").await.assert_status(403);
    let client = server.database.superuser().await;
    let rows = client
        .query(
            "select kind, outcome, cardinality(patients) from audit_events \
             where client in ('analyst', 'a-client') and kind in (4, 19, 20, 21) order by id",
            &[],
        )
        .await
        .unwrap();
    let rows: Vec<(i16, i16, i32)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(rows, [(19, 0, 0), (4, 0, 3), (20, 0, 0), (21, 0, 0), (19, 4, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lies_in_the_clear_and_what_is_deleted_is_gone() {
    let server = TestServer::start_with_tls().await;
    let system = server.system();
    let patient = json!({ "resourceType": "Patient", "id": "p", "name": [{ "family": "Quetzalcoatl" }] });
    system.put("Patient/p", &patient).await.assert_status(201);
    let system = reader(&server, "analyst", "system/*.rs");
    let kicked_off =
        kick_off(&system, "$export?_type=Patient&_typeFilter=Patient%3Fname%3DQuetzalcoatl").await;
    let status = path_of(kicked_off.header("content-location"));
    let manifest = manifest(&system, kicked_off).await;
    assert!(names(&lines(&system, &manifest, "output").await) == ["Patient/p"]);
    let files = std::path::PathBuf::from(server.app.config.bulk.files.clone().unwrap());
    let kept = files_under(&files);
    assert_eq!(kept.len(), 1);
    let sealed = std::fs::read(&kept[0]).unwrap();
    assert!(!sealed.windows(12).any(|it| it == b"Quetzalcoatl"));
    // Cut short or changed, a file is not sent.
    let path = path_of(manifest["output"][0]["url"].as_str().unwrap());
    let mut changed = sealed.clone();
    changed[40] ^= 1;
    std::fs::write(&kept[0], &changed).unwrap();
    let broken = system.request("GET", &path).send().await;
    assert!(broken.is_err() || broken.unwrap().bytes().await.is_err());
    system.delete(&status).await.assert_status(202);
    assert!(files_under(&files).is_empty());
    let client = server.database.superuser().await;
    let left: i64 = client.query_one("select count(*) from files", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

fn files_under(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files_under(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_that_it_exports() {
    let server = TestServer::start_with_tls().await;
    let statement = server.stranger().get("metadata").await.assert_status(200).json();
    assert!(statement["instantiates"].to_string().contains("uv/bulkdata/CapabilityStatement/bulk-data"));
    let operations = statement["rest"][0]["operation"].to_string();
    assert!(operations.contains("uv/bulkdata/OperationDefinition/export"), "{operations}");
    let of = |name: &str| {
        let resources = statement["rest"][0]["resource"].as_array().unwrap().clone();
        resources.into_iter().find(|it| it["type"] == name).unwrap()["operation"].to_string()
    };
    assert!(of("Group").contains("OperationDefinition/group-export"));
    assert!(of("Patient").contains("OperationDefinition/patient-export"));
    let posted = fhir(server.system().request("POST", "$export"), &json!({ "resourceType": "Patient" }));
    send(posted.header("prefer", "respond-async")).await.assert_status(400);
}
