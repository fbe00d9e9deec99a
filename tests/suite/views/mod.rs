//! Analysts' views over HTTP: rows in every format, and every way not to get them. Each denial stands beside its permit.

mod bounds;

use crate::access::{condition, of_role, patient, put};
use crate::bulk::{kick_off, manifest, path_of, people, reader};
use crate::support::server::{Answer, Caller, TestServer, fhir, send};
use serde_json::{Value, json};

const RUN: &str = "ViewDefinition/$viewdefinition-run";

/// A view of these columns: name, path and type.
fn view(resource: &str, columns: &[(&str, &str, &str)]) -> Value {
    let columns = columns.iter().map(|(name, path, of)| json!({ "name": name, "path": path, "type": of }));
    json!({
        "resourceType": "ViewDefinition", "name": "mine", "status": "active", "resource": resource,
        "select": [{ "column": columns.collect::<Vec<_>>() }]
    })
}

/// The parameters of a run of that view.
fn of(view: &Value, more: &[Value]) -> Value {
    let mut parameters = vec![json!({ "name": "viewResource", "resource": view })];
    parameters.extend_from_slice(more);
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

async fn post(caller: &Caller, path: &str, body: &Value) -> Answer {
    send(fhir(caller.request("POST", path), body)).await
}

/// The ids that a view of a type shows to somebody, in order.
async fn ids(caller: &Caller, resource: &str) -> Vec<String> {
    let body = of(&view(resource, &[("id", "id", "id")]), &[]);
    let answer = post(caller, &format!("{RUN}?_format=json"), &body).await.assert_status(200).json();
    let rows = answer.as_array().unwrap().iter();
    let mut ids: Vec<String> = rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_run_in_every_format() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let columns = [
        ("key", "getResourceKey()", "string"),
        ("family", "name.family.first()", "string"),
        ("born", "birthDate", "date"),
    ];
    let body = of(&view("Patient", &columns), &[]);
    let csv = post(&system, &format!("{RUN}?_format=csv"), &body).await.assert_status(200);
    assert_eq!(csv.header("content-type"), "text/csv;charset=utf-8;header=present");
    assert_eq!(csv.text(), "key,family,born\r\nPatient/ann,ann,\r\nPatient/bob,bob,\r\nPatient/cyd,cyd,\r\n");
    let bare = post(&system, &format!("{RUN}?_format=csv&header=false&_limit=1"), &body).await;
    assert_eq!(bare.assert_status(200).text(), "Patient/ann,ann,\r\n");
    let lines = post(&system, "$viewdefinition-run", &body).await.assert_status(200);
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    assert_eq!(lines.text().lines().next(), Some(r#"{"key":"Patient/ann","family":"ann","born":null}"#));
    let accepted =
        fhir(system.request("POST", RUN), &body).header("accept", "application/vnd.apache.parquet");
    let parquet = send(accepted).await.assert_status(200);
    assert_eq!(parquet.header("content-type"), "application/vnd.apache.parquet");
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    // One of those that come with the program, by its name and of one patient.
    let path = "ViewDefinition/us_core_observations/$run?_format=json&patient=Patient/ann";
    let rows = system.get(path).await.assert_status(200).json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter().all(|row| row["patient_key"] == "Patient/ann" && row["system"] == "http://loinc.org")
    );
    let group = format!("{RUN}?viewReference=ViewDefinition/us_core_patients&group=Group/inner&_format=json");
    let rows = system.get(&group).await.assert_status(200).json();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["patient_id"]), (1, &json!("bob")));
    assert_eq!(system.get("ViewDefinition").await.assert_status(200).json()["total"], 4);
    assert_eq!(system.get("ViewDefinition/us_core_patients").await.json()["resource"], "Patient");
    system.get("ViewDefinition/nothing").await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_that_are_sent_along_are_all_that_is_looked_at() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let other = json!({ "name": "resource", "resource": { "resourceType": "Device", "id": "other" } });
    let sent = json!({ "name": "resource", "resource": { "resourceType": "Patient", "id": "sent" } });
    let body = of(&view("Patient", &[("id", "id", "id")]), &[sent, other.clone()]);
    let rows = post(&system, &format!("{RUN}?_format=json"), &body).await.assert_status(200).json();
    assert_eq!(rows, json!([{ "id": "sent" }]));
    let body = of(&view("Patient", &[("id", "id", "id")]), &[other]);
    let rows = post(&system, &format!("{RUN}?_format=json"), &body).await.assert_status(200).json();
    assert_eq!(rows, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_their_place_and_nothing_of_the_content() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = reader(&server, "analyst", "system/*.rs");
    let family = view("Patient", &[("n", "name.family", "integer")]);
    let broken = view("Patient", &[("n", "name.(", "string")]);
    let nameless = view("Patient", &[("1n", "id", "id")]);
    let unknown = view("Nothing", &[("n", "id", "id")]);
    for (body, place) in [
        (&family, "ViewDefinition.select[0].column[0].path"),
        (&broken, "ViewDefinition.select[0].column[0].path"),
        (&nameless, "ViewDefinition.select[0].column[0].name"),
        (&unknown, "ViewDefinition.resource"),
    ] {
        let answer = post(&system, RUN, &of(body, &[])).await.assert_status(400);
        assert_eq!(answer.json()["issue"][0]["expression"][0], place);
        assert!(!answer.text().contains("\"ann\""));
    }
    let good = of(&view("Patient", &[("id", "id", "id")]), &[]);
    for query in ["_format=xml", "_limit=0", "_since=yesterday", "patient=Group/1", "nonsense=1"] {
        post(&system, &format!("{RUN}?{query}"), &good).await.assert_status(400);
    }
    system.get(RUN).await.assert_status(400);
    system.get(&format!("{RUN}?viewReference=nothing")).await.assert_status(404);
    post(&system, RUN, &patient("x")).await.assert_status(400);
    let trail = of(&view("AuditEvent", &[("id", "id", "id")]), &[]);
    assert_ne!(post(&system, RUN, &trail).await.status, 200, "the trail is read by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_shows_what_its_caller_may_see() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut flu = condition("flu", "a", "J10.1");
    flu["note"] = json!([{ "text": "secret-note" }]);
    put(&system, &[patient("a"), patient("b"), flu, condition("cold", "b", "J00")]).await;
    assert_eq!(ids(&system, "Condition").await, ["cold", "flu"]);
    // Another patient's.
    assert_eq!(ids(&server.patient("b"), "Condition").await, ["cold"]);
    assert_eq!(ids(&server.patient("b"), "Patient").await, ["b"]);
    let body = of(&view("Condition", &[("id", "id", "id")]), &[]);
    let others = post(&server.patient("b"), &format!("{RUN}?patient=Patient/a&_format=json"), &body).await;
    assert_eq!(others.assert_status(200).json(), json!([]));
    // A type that the scope does not have.
    let patients = reader(&server, "analyst", "system/Patient.rs");
    assert_eq!(ids(&patients, "Patient").await, ["a", "b"]);
    post(&patients, RUN, &body).await.assert_status(403);
    // Elements that the role is not shown.
    let notes = of(&view("Condition", &[("note", "note.text.first()", "string")]), &[]);
    let billing = of_role(&server, "billing", "b", "user/*.rs");
    assert!(post(&system, RUN, &notes).await.assert_status(200).text().contains("secret-note"));
    let shown = post(&billing, RUN, &notes).await.assert_status(200).text();
    assert!(shown.contains("null") && !shown.contains("secret"), "{shown}");
    // What a patient forbids.
    let doctor = of_role(&server, "provider", "dr", "user/*.rs");
    assert_eq!(ids(&doctor, "Condition").await, ["cold", "flu"]);
    let consent = json!({
        "resourceType": "Consent", "id": "no", "status": "active",
        "scope": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"
        }] },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": "Patient/a" },
        "policyRule": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"
        }] },
        "provision": { "type": "deny", "actor": [{
            "role": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"
            }] },
            "reference": { "reference": "Practitioner/dr" }
        }] }
    });
    put(&system, &[consent]).await;
    assert_eq!(ids(&doctor, "Condition").await, ["cold"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_view_read_stands_in_the_trail() {
    let server = TestServer::start().await;
    people(&server).await;
    let analyst = reader(&server, "analyst", "system/Patient.rs");
    assert_eq!(ids(&analyst, "Patient").await.len(), 3);
    let body = of(&view("Condition", &[("id", "id", "id")]), &[]);
    post(&analyst, RUN, &body).await.assert_status(403);
    let client = server.database.superuser().await;
    let rows = client
        .query(
            "select kind, outcome, cardinality(patients) from audit_events where client = 'analyst' order by id",
            &[],
        )
        .await
        .unwrap();
    let rows: Vec<(i16, i16, i32)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(rows, [(10, 0, 0), (4, 0, 3), (10, 4, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_exported_like_resources() {
    let server = TestServer::start().await;
    people(&server).await;
    let analyst = reader(&server, "analyst", "system/*.rs");
    let path = "ViewDefinition/$viewdefinition-export";
    let view = |name: &str| json!({ "name": "viewReference", "valueReference": { "reference": name } });
    let body = json!({ "resourceType": "Parameters", "parameter": [
        view("ViewDefinition/us_core_patients"), view("ViewDefinition/us_core_observations"),
        { "name": "_format", "valueCode": "csv" }
    ] });
    let asked = |caller: &Caller| fhir(caller.request("POST", path), &body).header("prefer", "respond-async");
    let kicked_off = send(asked(&analyst)).await.assert_status(202);
    let status = path_of(kicked_off.header("content-location"));
    let manifest = manifest(&analyst, kicked_off).await;
    let output = manifest["output"].as_array().unwrap();
    assert_eq!(output.len(), 2, "{manifest}");
    for (file, name, of, count) in [
        (&output[0], "us_core_patients", "Patient", 3),
        (&output[1], "us_core_observations", "Observation", 4),
    ] {
        assert_eq!((&file["name"], &file["type"], &file["count"]), (&json!(name), &json!(of), &json!(count)));
        let answer = analyst.get(&path_of(file["url"].as_str().unwrap())).await.assert_status(200);
        assert!(answer.header("content-type").starts_with("text/csv"));
        assert_eq!(answer.text().lines().count(), count + 1, "{}", answer.text());
    }
    // Nobody else's, not for users, not of types that the scope does not have, and never without asking to wait.
    let url = path_of(output[0]["url"].as_str().unwrap());
    reader(&server, "other", "system/*.rs").get(&url).await.assert_status(404);
    send(asked(&server.patient("ann"))).await.assert_status(403);
    send(asked(&reader(&server, "analyst", "system/Patient.rs"))).await.assert_status(403);
    post(&analyst, path, &body).await.assert_status(400);
    analyst.delete(&status).await.assert_status(202);
    analyst.get(&url).await.assert_status(404);
    // A view without rows has a file with its columns.
    let empty = "ViewDefinition/us_core_medications/$viewdefinition-export?_format=parquet";
    let manifest = crate::bulk::manifest(&analyst, kick_off(&analyst, empty).await).await;
    let file = analyst.get(&path_of(manifest["output"][0]["url"].as_str().unwrap())).await.assert_status(200);
    assert!(file.body.starts_with(b"PAR1") && file.body.ends_with(b"PAR1"));
}
