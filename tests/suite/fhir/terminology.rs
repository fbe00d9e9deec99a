//! Terminology: operations, and who may ask.

use super::ids;
use crate::support::server::TestServer;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn animals() -> Value {
    json!({"resourceType": "CodeSystem", "id": "animals", "url": "http://example.org/animals", "version": "1",
        "name": "Animals", "status": "active", "content": "complete", "caseSensitive": true,
        "concept": [
            {"code": "animal", "display": "Animal", "concept": [
                {"code": "cat", "display": "Cat", "definition": "It purrs",
                 "designation": [{"language": "de", "value": "Katze"}]},
                {"code": "bird", "display": "Bird", "concept": [{"code": "owl", "display": "Owl"}]}]},
            {"code": "dodo", "display": "Dodo", "property": [
                {"code": "parent", "valueCode": "bird"}, {"code": "inactive", "valueBoolean": true}]}]})
}

fn birds() -> Value {
    json!({"resourceType": "ValueSet", "id": "birds", "url": "http://example.org/birds", "status": "active",
        "compose": {"include": [{"system": "http://example.org/animals",
            "filter": [{"property": "concept", "op": "is-a", "value": "bird"}]}]}})
}

async fn server() -> TestServer {
    let server = TestServer::start().await;
    let system = server.system();
    system.put("CodeSystem/animals", &animals()).await.assert_status(201);
    system.put("ValueSet/birds", &birds()).await.assert_status(201);
    server
}

fn value<'a>(parameters: &'a Value, name: &str) -> &'a Value {
    let list = parameters["parameter"].as_array().unwrap();
    let found = list.iter().find(|it| it["name"] == name);
    let members = found.and_then(Value::as_object);
    members.and_then(|it| it.iter().find(|(key, _)| key.starts_with("value"))).map_or(&Value::Null, |it| it.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_looked_up_and_compared() {
    let server = server().await;
    let system = server.system();
    let url = "CodeSystem/$lookup?system=http://example.org/animals&code=cat";
    let cat = system.get(url).await.assert_status(200).json();
    assert_eq!((value(&cat, "name"), value(&cat, "display")), (&json!("Animals"), &json!("Cat")));
    assert_eq!(value(&cat, "definition"), "It purrs");
    let cat = system.get(&format!("{url}&displayLanguage=de")).await.json();
    assert_eq!(value(&cat, "display"), "Katze");
    let coding = json!({"resourceType": "Parameters", "parameter": [{"name": "coding", "valueCoding":
        {"system": "http://example.org/animals", "code": "owl"}}]});
    let owl = system.post("CodeSystem/$lookup", &coding).await.assert_status(200).text();
    assert!(owl.contains(r#""valueCode":"bird""#), "{owl}");
    let missing = "CodeSystem/$lookup?system=http://example.org/animals&code=unicorn";
    assert_eq!(system.get(missing).await.assert_status(404).issue(), "not-found");
    let missing = "CodeSystem/$lookup?system=http://example.org/nothing&code=cat";
    assert_eq!(system.get(missing).await.assert_status(404).issue(), "not-found");
    for (one, other, outcome) in [
        ("animal", "dodo", "subsumes"),
        ("owl", "animal", "subsumed-by"),
        ("cat", "cat", "equivalent"),
        ("cat", "bird", "not-subsumed"),
    ] {
        let asked = format!("$subsumes?codeA={one}&codeB={other}");
        let url = format!("CodeSystem/{asked}&system=http://example.org/animals");
        assert_eq!(value(&system.get(&url).await.json(), "outcome"), outcome, "{one} {other}");
        let answer = system.get(&format!("CodeSystem/animals/{asked}")).await.json();
        assert_eq!(value(&answer, "outcome"), outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn value_sets_are_written_out() {
    let server = server().await;
    let system = server.system();
    let codes = |body: &Value| -> Vec<String> {
        let contains = body["expansion"]["contains"].as_array().cloned().unwrap_or_default();
        contains.iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
    };
    let url = "ValueSet/$expand?url=http://example.org/birds";
    let all = system.get(url).await.assert_status(200).json();
    assert_eq!(
        (codes(&all), &all["expansion"]["total"]),
        (vec!["bird".into(), "owl".into(), "dodo".into()], &json!(3))
    );
    assert_eq!(all["expansion"]["contains"][2]["inactive"], true);
    assert_eq!(codes(&system.get("ValueSet/birds/$expand").await.json()), codes(&all));
    assert_eq!(codes(&system.get(&format!("{url}&activeOnly=true")).await.json()), ["bird", "owl"]);
    assert_eq!(codes(&system.get(&format!("{url}&filter=OW")).await.json()), ["owl"]);
    let page = system.get(&format!("{url}&offset=1&count=1")).await.json();
    assert_eq!((codes(&page), &page["expansion"]["offset"]), (vec!["owl".into()], &json!(1)));
    let nested = system.get(&format!("{url}&excludeNested=false")).await.json();
    assert_eq!(codes(&nested), ["bird"]);
    assert_eq!(nested["expansion"]["contains"][0]["contains"][1]["code"], "dodo");
    let inline = json!({"resourceType": "ValueSet", "status": "active", "compose": {
        "include": [{"system": "http://example.org/animals"}],
        "exclude": [{"valueSet": ["http://example.org/birds"]}]}});
    let answer = system.post("ValueSet/$expand", &inline).await.assert_status(200).json();
    assert_eq!(codes(&answer), ["animal", "cat"]);
    // What comes with the program needs no resource.
    let gender = "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender";
    assert!(codes(&system.get(gender).await.assert_status(200).json()).contains(&"female".to_owned()));
    assert_eq!(
        system.get("ValueSet/$expand?url=http://example.org/none").await.assert_status(404).issue(),
        "not-found"
    );
    assert_eq!(system.get(&format!("{url}&count=many")).await.assert_status(400).issue(), "value");
    assert_eq!(system.get("ValueSet/$expand").await.assert_status(400).issue(), "required");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_validated() {
    let server = server().await;
    let system = server.system();
    let set = "ValueSet/$validate-code?url=http://example.org/birds&system=http://example.org/animals";
    for (query, result) in [
        (format!("{set}&code=owl"), true),
        (format!("{set}&code=owl&display=owl"), true),
        (format!("{set}&code=owl&display=Cat"), false),
        (format!("{set}&code=cat"), false),
        ("ValueSet/birds/$validate-code?code=owl".into(), true),
        ("CodeSystem/$validate-code?url=http://example.org/animals&code=cat".into(), true),
        ("CodeSystem/animals/$validate-code?code=unicorn".into(), false),
        ("CodeSystem/$validate-code?url=urn:ietf:bcp:47&code=de-CH".into(), true),
    ] {
        let answer = system.get(&query).await.assert_status(200).json();
        assert_eq!(value(&answer, "result"), result, "{query}: {answer}");
        assert_eq!(value(&answer, "message").is_null(), result, "{query}: {answer}");
    }
    let concept = json!({"resourceType": "Parameters", "parameter": [
        {"name": "url", "valueUri": "http://example.org/birds"},
        {"name": "codeableConcept", "valueCodeableConcept": {"coding": [
            {"system": "urn:x", "code": "owl"}, {"system": "http://example.org/animals", "code": "owl"}]}}]});
    let answer = system.post("ValueSet/$validate-code", &concept).await.assert_status(200).json();
    assert_eq!((value(&answer, "result"), value(&answer, "display")), (&json!(true), &json!("Owl")));
    let unknown = "CodeSystem/$validate-code?url=http://example.org/none&code=x";
    assert_eq!(system.get(unknown).await.assert_status(404).issue(), "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_translated_both_ways() {
    let server = server().await;
    let system = server.system();
    let map = json!({"resourceType": "ConceptMap", "id": "m", "url": "http://example.org/map", "status": "active",
        "sourceUri": "http://example.org/birds", "targetUri": "http://example.org/latin",
        "group": [{"source": "http://example.org/animals", "target": "urn:latin", "element": [
            {"code": "owl", "target": [{"code": "strix", "display": "Strix", "equivalence": "wider"}]}],
            "unmapped": {"mode": "fixed", "code": "avis"}}]});
    system.put("ConceptMap/m", &map).await.assert_status(201);
    let asked = "code=owl&system=http://example.org/animals";
    for url in [
        format!("ConceptMap/$translate?url=http://example.org/map&{asked}"),
        format!("ConceptMap/m/$translate?{asked}"),
        format!("ConceptMap/$translate?{asked}&targetsystem=urn:latin"),
        format!(
            "ConceptMap/$translate?{asked}&source=http://example.org/birds&target=http://example.org/latin"
        ),
    ] {
        let answer = system.get(&url).await.assert_status(200).json();
        assert_eq!(value(&answer, "result"), true, "{url} {answer}");
        assert!(answer.to_string().contains("strix"), "{url} {answer}");
    }
    let back = "ConceptMap/m/$translate?code=strix&system=urn:latin&reverse=true";
    let back = system.get(back).await.assert_status(200).text();
    assert!(back.contains(r#""valueCode":"narrower""#) && back.contains(r#""code":"owl""#), "{back}");
    let other = system.get("ConceptMap/m/$translate?code=cat&system=http://example.org/animals").await.text();
    assert!(other.contains("avis"), "{other}");
    let none = system.get("ConceptMap/m/$translate?code=cat&system=urn:other").await.json();
    assert_eq!(value(&none, "result"), false);
    let unknown = format!("ConceptMap/$translate?url=http://example.org/none&{asked}");
    assert_eq!(system.get(&unknown).await.assert_status(404).issue(), "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_search_may_not_ask() {
    let server = server().await;
    let allowed = server.user("user/ValueSet.rs user/CodeSystem.rs");
    allowed.get("ValueSet/birds/$expand").await.assert_status(200);
    let stranger = server.user("user/Patient.rs");
    for url in [
        "ValueSet/$expand?url=http://example.org/birds",
        "ValueSet/$validate-code?url=http://example.org/birds&code=owl",
        "CodeSystem/$lookup?system=http://example.org/animals&code=owl",
        "CodeSystem/$subsumes?system=http://example.org/animals&codeA=owl&codeB=cat",
        "ConceptMap/$translate?system=http://example.org/animals&code=owl",
    ] {
        assert_eq!(stranger.get(url).await.status, 403, "{url}");
    }
    // A code system that may not be searched counts as one that is not there.
    let half = server.user("user/ValueSet.rs");
    assert_eq!(half.get("ValueSet/birds/$expand").await.assert_status(404).issue(), "not-found");
    assert!(ids(&stranger.get("Patient").await.json()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_go_by_value_set_and_hierarchy() {
    let server = server().await;
    let system = server.system();
    system
        .put("Patient/a", &json!({"resourceType": "Patient", "id": "a", "gender": "female"}))
        .await
        .assert_status(201);
    for code in ["animal", "cat", "bird", "owl", "dodo"] {
        let seen = json!({"resourceType": "Observation", "id": code, "status": "final", "subject": {"reference": "Patient/a"},
            "code": {"coding": [{"system": "http://example.org/animals", "code": code}]}});
        system.put(&format!("Observation/{code}"), &seen).await.assert_status(201);
    }
    let found = async |query: &str| {
        let mut found = ids(&system.get(query).await.assert_status(200).json());
        found.sort();
        found
    };
    let birds = ["bird", "dodo", "owl"];
    assert_eq!(found("Observation?code:in=http://example.org/birds").await, birds);
    assert_eq!(found("Observation?code:in=ValueSet/birds").await, birds);
    assert_eq!(found("Observation?code:not-in=http://example.org/birds").await, ["animal", "cat"]);
    assert_eq!(found("Observation?code:below=http://example.org/animals|bird").await, birds);
    assert_eq!(
        found("Observation?code:above=http://example.org/animals|owl").await,
        ["animal", "bird", "owl"]
    );
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert_eq!(found(&format!("Observation?subject:Patient.gender:in={gender}")).await.len(), 5);
    assert!(found(&format!("Observation?subject:Patient.gender:not-in={gender}")).await.is_empty());
    assert_eq!(found("Patient?_has:Observation:patient:code:in=http://example.org/birds").await, ["a"]);
    // More codes than are asked one by one.
    let all: Vec<Value> =
        (0..3000).map(|it| json!({"code": format!("c{it}")})).chain([json!({"code": "owl"})]).collect();
    let many = json!({"resourceType": "ValueSet", "id": "many", "url": "http://example.org/many", "status": "active",
        "compose": {"include": [{"system": "http://example.org/more", "concept": all},
            {"system": "http://example.org/animals", "concept": [{"code": "cat"}]}]}});
    system.put("ValueSet/many", &many).await.assert_status(201);
    assert_eq!(found("Observation?code:in=http://example.org/many").await, ["cat"]);
    assert_eq!(found("Observation?code:in=http://example.org/many&_sort=date").await, ["cat"]);
    assert_eq!(found("Patient?_has:Observation:patient:code:in=http://example.org/many").await, ["a"]);
    assert_eq!(found("Observation?code:not-in=http://example.org/many").await.len(), 4);

    let unknown = "Observation?code:in=http://example.org/none";
    assert_eq!(system.get(unknown).await.assert_status(404).issue(), "not-found");
    assert_eq!(system.get("Observation?code:below=owl").await.assert_status(400).issue(), "value");
    // Whoever may not see the value set learns nothing of it: the answer is that of one that is not there.
    let user = server.user("user/Observation.rs");
    let hidden = user.get("Observation?code:in=http://example.org/birds").await.assert_status(404).text();
    assert_eq!(hidden.replace("birds", "none"), user.get(unknown).await.text());
    assert_eq!(user.get("Observation?code:in=ValueSet/birds").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_held_to_so_many_codes() {
    let server = TestServer::start().await;
    let system = server.system();
    let all: Vec<Value> = (0..5001).map(|it| json!({"code": format!("c{it}")})).collect();
    let many = json!({"resourceType": "ValueSet", "id": "many", "url": "http://example.org/many", "status": "active",
        "compose": {"include": [{"system": "http://example.org/more", "concept": all}]}});
    system.put("ValueSet/many", &many).await.assert_status(201);
    let answer = system.get("Observation?code:in=http://example.org/many").await;
    assert_eq!(answer.issue(), "too-costly");
    system.get("ValueSet/many/$expand?count=1").await.assert_status(200);
}

/// The command, as an operator runs it beside the servers.
fn import(server: &TestServer, system: &str, files: &[&Path]) -> (bool, String) {
    let file = |file: &Option<PathBuf>| file.clone().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vesta"))
        .args(["terminology", "import", system, "--release", "2026"])
        .args(files)
        .env("VESTA_DATABASE_URL", server.database.settings.url.expose_secret())
        .env("VESTA_ROOT_KEY_FILE", file(&server.app.config.keys.root_key_file))
        .env("VESTA_CHECKPOINT_KEY_FILE", file(&server.app.config.keys.checkpoint_key_file))
        .env("VESTA_TOKEN_KEY_SET", file(&server.app.config.tokens.key_set_file))
        .output()
        .expect("the command runs");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn big_code_systems_are_imported_and_asked() {
    let server = TestServer::start().await;
    let folder = std::env::temp_dir().join(format!("vesta-terminology-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let concepts = file(
        "concepts.txt",
        "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n1\t2026\t1\tm\td\n2\t2026\t1\tm\td\n3\t2026\t0\tm\td\n4\t2026\t1\tm\td\n",
    );
    let names = file(
        "names.txt",
        "id\tactive\tconceptId\ttypeId\tterm\n9\t1\t1\t900000000000003001\tFinding (finding)\n8\t1\t2\t900000000000003001\tPain (finding)\n",
    );
    let steps = file(
        "steps.txt",
        "id\tactive\tsourceId\tdestinationId\ttypeId\n5\t1\t2\t1\t116680003\n6\t1\t3\t2\t116680003\n",
    );
    let (is_done, printed) = import(&server, "snomed", &[&concepts, &names, &steps]);
    assert!(is_done && printed.contains("imported http://snomed.info/sct"), "{printed}");
    let (is_done, printed) = import(&server, "loinc", &[&concepts]);
    assert!(!is_done && printed.contains("first line"), "{printed}");
    std::fs::remove_dir_all(&folder).unwrap();

    let system = server.system();
    let sct = "http://snomed.info/sct";
    let pain = system.get(&format!("CodeSystem/$lookup?system={sct}&code=2")).await.assert_status(200).json();
    assert_eq!(
        (value(&pain, "display"), value(&pain, "version")),
        (&json!("Pain (finding)"), &json!("2026"))
    );
    let above = system.get(&format!("CodeSystem/$subsumes?system={sct}&codeA=1&codeB=3")).await.json();
    assert_eq!(value(&above, "outcome"), "subsumes");
    let inline = |filter: Value| {
        json!({"resourceType": "ValueSet", "status": "active", "id": "findings", "url": "http://example.org/findings",
        "compose": {"include": [{"system": sct, "filter": filter}]}})
    };
    let findings = inline(json!([{"property": "concept", "op": "is-a", "value": "1"}]));
    let all = system.post("ValueSet/$expand", &findings).await.assert_status(200).json();
    assert_eq!(all["expansion"]["total"], 3);
    assert_eq!(system.post("ValueSet/$expand", &inline(json!([]))).await.issue(), "too-costly");
    system.put("ValueSet/findings", &findings).await.assert_status(201);
    for (code, expected) in [("3", true), ("4", false), ("5", false)] {
        let url = format!("ValueSet/findings/$validate-code?system={sct}&code={code}");
        assert_eq!(value(&system.get(&url).await.json(), "result"), expected, "{code}");
    }
    for code in ["1", "2", "4"] {
        let seen = json!({"resourceType": "Observation", "id": code, "status": "final",
            "code": {"coding": [{"system": sct, "code": code}]}});
        system.put(&format!("Observation/{code}"), &seen).await.assert_status(201);
    }
    for query in [
        format!("code:below={sct}|1"),
        "code:in=http://example.org/findings".to_owned(),
        format!("code:above={sct}|2"),
    ] {
        let mut found = ids(&system.get(&format!("Observation?{query}")).await.assert_status(200).json());
        found.sort();
        assert_eq!(found, ["1", "2"], "{query}");
    }
    let loinc = "CodeSystem/$lookup?system=http://loinc.org&code=1-8";
    assert_eq!(system.get(loinc).await.assert_status(404).issue(), "not-found");
}
