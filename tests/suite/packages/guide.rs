use super::{changes, ids, patient, put, strict, until};
use crate::support::data;
use crate::support::server::{Caller, TestServer};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use vesta::app::App;
use vesta::clock::Clock;
use vesta::http::server::Server;

const CANONICAL: &str = "http://guide.example";

/// A guide as its authors publish it, with profiles that have no snapshot.
fn guide() -> Vec<u8> {
    let url = |kind: &str, name: &str| format!("{CANONICAL}/{kind}/{name}");
    let profile = |name: &str, of: &str, elements: Value| {
        json!({"resourceType": "StructureDefinition", "url": url("StructureDefinition", name), "version": "1.0.0",
            "name": name, "status": "active", "kind": if of == "Extension" { "complex-type" } else { "resource" },
            "abstract": false, "type": of, "derivation": "constraint", "description": "in\ntwo lines",
            "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{of}"),
            "context": [{"type": "element", "expression": "Patient"}], "differential": {"element": elements}})
    };
    let extension = profile(
        "eye-color",
        "Extension",
        json!([{"id": "Extension", "path": "Extension"},
            {"id": "Extension.url", "path": "Extension.url", "fixedUri": url("StructureDefinition", "eye-color")},
            {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "type": [{"code": "CodeableConcept"}],
                "binding": {"strength": "required", "valueSet": url("ValueSet", "eyes")}}]),
    );
    let of_patient = profile(
        "eye-patient",
        "Patient",
        json!([{"id": "Patient", "path": "Patient", "constraint": [{"key": "eye-1", "severity": "error",
                "human": "born", "expression": "birthDate.exists()"}]},
            {"id": "Patient.extension", "path": "Patient.extension",
                "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}},
            {"id": "Patient.extension:eye", "path": "Patient.extension", "sliceName": "eye", "min": 1, "max": "1",
                "type": [{"code": "Extension", "profile": [url("StructureDefinition", "eye-color")]}]},
            {"id": "Patient.gender", "path": "Patient.gender", "min": 1}]),
    );
    let parameter = |name: &str, kind: &str, expression: &str| {
        json!({"resourceType": "SearchParameter", "url": url("SearchParameter", name), "name": name, "code": name,
            "status": "active", "base": ["Patient"], "type": kind, "expression": expression, "description": "x"})
    };
    let eyes = format!("Patient.extension('{}').value", url("StructureDefinition", "eye-color"));
    let codes = json!([{"code": "blue"}, {"code": "brown", "concept": [{"code": "hazel"}]}]);
    let files = [
        (
            "package.json",
            json!({"name": "guide.example", "version": "1.0.0", "fhirVersions": ["4.0.1"],
            "dependencies": {"hl7.fhir.r4.core": "4.0.1", "not.here": "2.0.0"}}),
        ),
        ("extension.json", extension),
        ("patient.json", of_patient),
        (
            "eyes.json",
            json!({"resourceType": "ValueSet", "url": url("ValueSet", "eyes"), "status": "active",
            "compose": {"include": [{"system": url("CodeSystem", "eyes")}]}}),
        ),
        (
            "codes.json",
            json!({"resourceType": "CodeSystem", "url": url("CodeSystem", "eyes"), "status": "active",
            "content": "complete", "concept": codes}),
        ),
        ("eye-color.json", parameter("eye-color", "token", &eyes)),
        ("bad.json", parameter("broken", "token", "Patient.(")),
        ("taken.json", parameter("gender", "token", "Patient.active")),
    ];
    archive(&files)
}

/// Files as a package holds them.
pub(super) fn archive(files: &[(&str, Value)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, json) in files {
        let text = json.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_cksum();
        tar.append_data(&mut header, format!("package/{name}"), text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The command, as an operator runs it beside the servers.
pub(super) fn packages(server: &TestServer, arguments: &[&str]) -> (bool, String) {
    server.command(["packages"].iter().chain(arguments))
}

/// Another server on the same database: it shares no memory with the first.
fn second(server: &TestServer) -> (Server, Caller) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://localhost:{}/fhir/", listener.local_addr().unwrap().port());
    let app = App::start(server.app.config.as_ref().clone(), Clock::system()).unwrap();
    let server_2 = Server::start(Arc::new(app), listener, None, None).unwrap();
    let token = server.sign(&server.claims("system/*.cruds"));
    (server_2, Caller::new(reqwest::Client::new(), base, Some(token)))
}

pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
    folder.join(name).to_string_lossy().into_owned()
}

/// The first place that an OperationOutcome names.
#[track_caller]
fn place(outcome: &Value) -> String {
    outcome["issue"][0]["expression"][0].as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guide_that_nobody_has_seen_is_held_to_and_searched_while_servers_run() {
    let server = TestServer::start().await;
    let folder = std::env::temp_dir().join(format!("vesta-packages-{}", std::process::id()));
    let archive = write(&folder, "guide.tgz", &guide());
    let (other_server, other) = second(&server);
    let system = server.system();
    put(&system, &patient("before-1", "blue")).await.assert_status(201);
    put(&system, &patient("before-2", "brown")).await.assert_status(201);
    let claiming = |id: &str, color: &str| {
        let mut it = patient(id, color);
        it["meta"] = json!({"profile": [format!("{CANONICAL}/StructureDefinition/eye-patient")]});
        it
    };
    let query = "Patient?eye-color=http://guide.example/CodeSystem/eyes|blue";
    strict(&system, query).await.assert_status(400);

    let (is_good, printed) = packages(&server, &["add", &archive]);
    assert!(is_good, "{printed}");
    for expected in ["not.here 2.0.0", "broken", "gender already", "added guide.example 1.0.0: 2 profiles"] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
    tokio::time::sleep(vesta::app::rules::FRESH).await;

    // Not searched with before it can be answered, and never left out.
    let refused = system.get(query).await.assert_status(400);
    assert!(
        refused.issue() == "not-supported" && refused.text().contains("being built"),
        "{}",
        refused.text()
    );
    for caller in [&system, &other] {
        let mut it = claiming("a", "blue");
        it.as_object_mut().unwrap().remove("gender");
        let refused = put(caller, &it).await;
        assert!((400..500).contains(&refused.status), "{}", refused.text());
        assert!(place(&refused.json()).starts_with("Patient"), "{}", refused.text());
        assert!(refused.text().contains("gender"), "{}", refused.text());
        let refused = put(caller, &claiming("a", "green")).await;
        assert!((400..500).contains(&refused.status), "{}", refused.text());
        assert!(place(&refused.json()).starts_with("Patient.extension[0].value"), "{}", refused.text());
    }
    put(&other, &claiming("during-1", "blue")).await.assert_status(201);
    put(&system, &patient("before-2", "blue")).await.assert_status(200);
    put(&system, &claiming("during-2", "hazel")).await.assert_status(201);

    assert_eq!(ids(&until(&system, query).await), ["before-1", "before-2", "during-1"]);
    assert_eq!(ids(&until(&other, query).await), ["before-1", "before-2", "during-1"]);
    assert!(ids(&strict(&system, "Patient?eye-color=brown").await.assert_status(200).json()).is_empty());
    let metadata = system.get("metadata").await.json();
    let patients = metadata["rest"][0]["resource"].as_array().unwrap().iter();
    let patients: Vec<&Value> = patients.filter(|it| it["type"] == "Patient").collect();
    assert!(patients[0]["searchParam"].to_string().contains("eye-color"));
    assert_eq!(changes(&server).await, 2, "one for the package, one for what was built");

    let (is_good, printed) = packages(&server, &["list"]);
    assert!(is_good && printed.contains("active    search parameter Patient.eye-color"), "{printed}");
    let (is_good, printed) = packages(&server, &["remove", "guide.example", "1.0.0"]);
    assert!(is_good, "{printed}");
    tokio::time::sleep(vesta::app::rules::FRESH).await;
    strict(&other, query).await.assert_status(400);
    assert!(!packages(&server, &["remove", "guide.example", "1.0.0"]).0);
    let broken = write(&folder, "broken.tgz", b"this is no archive");
    let (is_good, printed) = packages(&server, &["add", &broken]);
    assert!(!is_good && printed.contains("not a gzipped tar archive"), "{printed}");
    other_server.abandon();
    let _ = std::fs::remove_dir_all(folder);
}

/// MIMIC on FHIR 0.1.2, as it was published: it is not among the guides that come with the program.
#[tokio::test(flavor = "multi_thread")]
async fn a_published_guide_is_added_and_its_profiles_are_held_to() {
    let server = TestServer::start().await;
    let folder = data::folder("test-suites-dev").join("fhir-test-cases/validator/mimic");
    let encounter: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("encounter.json")).unwrap()).unwrap();
    let system = server.system();
    system.post("Encounter", &encounter).await.assert_status(201);
    let (is_good, printed) = packages(&server, &["add", folder.join("mimic-0.1.2.tgz").to_str().unwrap()]);
    assert!(is_good && printed.contains("profiles"), "{printed}");
    tokio::time::sleep(vesta::app::rules::FRESH).await;
    let refused = system.post("Encounter", &encounter).await.assert_status(422).json();
    let mut places: Vec<String> = refused["issue"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["severity"] == "error")
        .map(|it| it["expression"][0].as_str().unwrap_or_default().to_owned())
        .collect();
    places.sort();
    assert_eq!(places, ["Encounter.class", "Encounter.type[0]"], "{refused}");
}
