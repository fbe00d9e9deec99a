//! Profiles of a guide that name value sets which only the tenant keeps.

use super::guide::{archive, packages, write};
use super::put;
use crate::support::server::TestServer;
use serde_json::{Value, json};
use std::time::Duration;

const SYSTEM: &str = "http://codes.example/system";

fn url(kind: &str, name: &str) -> String {
    format!("http://codes.example/{kind}/{name}")
}

fn profile(name: &str, of: &str, elements: Value) -> Value {
    json!({"resourceType": "StructureDefinition", "url": url("StructureDefinition", name), "version": "1.0.0",
        "name": name, "status": "active", "kind": "resource", "abstract": false, "type": of, "derivation": "constraint",
        "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{of}"), "differential": {"element": elements}})
}

fn guide() -> Vec<u8> {
    let rule = |key: &str, expression: String| json!({"key": key, "severity": "error", "human": key, "expression": expression});
    let bound = |path: &str, strength: &str, set: &str| json!({"id": path, "path": path, "binding": {"strength": strength, "valueSet": url("ValueSet", set)}});
    let of_condition = profile(
        "held",
        "Condition",
        json!([{"id": "Condition", "path": "Condition", "constraint": [
                rule("is-warm", format!("severity.exists() implies severity.memberOf('{}')", url("ValueSet", "warm"))),
                rule("below", format!("code.coding.where(system = '{SYSTEM}').first().subsumedBy(evidence.code.first().coding.first()) or evidence.empty()"))]},
            bound("Condition.code", "required", "warm"),
            bound("Condition.bodySite", "extensible", "cold"),
            bound("Condition.category", "required", "nobody-has-it")]),
    );
    let of_patient = profile(
        "born",
        "Patient",
        json!([{"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}]),
    );
    let of_group = profile(
        "of-born",
        "Observation",
        json!([{"id": "Observation", "path": "Observation", "constraint": [
            rule("born", format!("contained.first().conformsTo('{}')", url("StructureDefinition", "born")))]}]),
    );
    let package = json!({"name": "codes.example", "version": "1.0.0", "fhirVersions": ["4.0.1"],
        "dependencies": {"hl7.fhir.r4.core": "4.0.1"}});
    archive(&[
        ("package.json", package),
        ("a.json", of_condition),
        ("b.json", of_patient),
        ("c.json", of_group),
    ])
}

fn condition(id: &str, code: &str, more: Value) -> Value {
    let mut it = json!({"resourceType": "Condition", "id": id, "subject": {"display": "somebody"},
        "meta": {"profile": [url("StructureDefinition", "held")]},
        "code": {"coding": [{"system": SYSTEM, "code": code}]}});
    it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    it
}

fn concept(code: &str) -> Value {
    json!({"coding": [{"system": SYSTEM, "code": code}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_held_against_value_sets_of_the_tenant() {
    let server = TestServer::start().await;
    let folder = std::env::temp_dir().join(format!("vesta-codes-{}", std::process::id()));
    let (is_done, printed) = packages(&server, &["add", &write(&folder, "guide.tgz", &guide())]);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(is_done, "{printed}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    // Who may write conditions and nothing else is held to what the tenant keeps all the same.
    let user = server.bearer(server.sign(&server.claims("system/Condition.cruds")));
    // Nobody has the value sets: nothing can be told, and nothing is refused.
    put(&user, &condition("early", "cold", json!({}))).await.assert_status(201);
    let system = server.system();
    let codes = json!({"resourceType": "CodeSystem", "id": "codes", "url": SYSTEM, "status": "active", "content": "complete",
        "concept": [{"code": "warm", "concept": [{"code": "hot"}]}, {"code": "cold"}]});
    put(&system, &codes).await.assert_status(201);
    let set = |id: &str| {
        json!({"resourceType": "ValueSet", "id": id, "url": url("ValueSet", id), "status": "active",
            "compose": {"include": [{"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": id}]}]}})
    };
    put(&system, &set("warm")).await.assert_status(201);
    put(&system, &set("cold")).await.assert_status(201);

    put(&user, &condition("hot", "hot", json!({}))).await.assert_status(201);
    let refused = put(&user, &condition("cold", "cold", json!({}))).await.assert_status(422).json();
    let issue = &refused["issue"][0];
    assert_eq!(
        (&issue["code"], &issue["expression"][0]),
        (&json!("code-invalid"), &json!("Condition.code")),
        "{refused}"
    );
    // An invariant asks as well: memberOf, subsumedBy.
    put(&user, &condition("severe", "hot", json!({"severity": concept("warm")}))).await.assert_status(201);
    let refused = put(&user, &condition("mild", "hot", json!({"severity": concept("cold")})))
        .await
        .assert_status(422)
        .text();
    assert!(refused.contains("is-warm"), "{refused}");
    let evidence = |code: &str| json!({"evidence": [{"code": [concept(code)]}]});
    put(&user, &condition("e1", "hot", evidence("warm"))).await.assert_status(201);
    let refused = put(&user, &condition("e2", "warm", evidence("hot"))).await.assert_status(422).text();
    assert!(refused.contains("below"), "{refused}");
    // What is extensible warns, on a write and when asked; what cannot be told refuses nothing.
    let lukewarm =
        condition("l", "warm", json!({"bodySite": [concept("warm")], "category": [concept("warm")]}));
    put(&user, &lukewarm).await.assert_status(201);
    let said = system.post("Condition/$validate", &lukewarm).await.assert_status(200).json();
    let warned = said["issue"].as_array().unwrap().iter().any(|it| {
        it["severity"] == "warning"
            && it["code"] == "code-invalid"
            && it["expression"][0] == "Condition.bodySite[0]"
    });
    assert!(warned && !said.to_string().contains(r#""error""#), "{said}");
    // The value set changes, and so does what is legal.
    put(
        &system,
        &json!({"resourceType": "ValueSet", "id": "warm", "url": url("ValueSet", "warm"), "status": "active",
        "compose": {"include": [{"system": SYSTEM}]}}),
    )
    .await
    .assert_status(200);
    put(&user, &condition("cold", "cold", json!({}))).await.assert_status(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invariant_may_ask_whether_something_conforms() {
    let server = TestServer::start().await;
    let folder = std::env::temp_dir().join(format!("vesta-conforms-{}", std::process::id()));
    let (is_done, printed) = packages(&server, &["add", &write(&folder, "guide.tgz", &guide())]);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(is_done, "{printed}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let seen = |id: &str, patient: Value| {
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
            "meta": {"profile": [url("StructureDefinition", "of-born")]}, "subject": {"reference": "#p"},
            "contained": [patient]})
    };
    let system = server.system();
    let born = json!({"resourceType": "Patient", "id": "p", "birthDate": "1970"});
    put(&system, &seen("a", born)).await.assert_status(201);
    let unborn = json!({"resourceType": "Patient", "id": "p", "gender": "male"});
    let refused = put(&system, &seen("b", unborn)).await.assert_status(422).text();
    assert!(refused.contains("the rule born is broken"), "{refused}");
}
