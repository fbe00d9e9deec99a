//! Terminology: operations, and who may ask.

use super::ids;
use crate::support::server::TestServer;
use serde_json::{Value, json};

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

pub(super) fn value<'a>(parameters: &'a Value, name: &str) -> &'a Value {
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
        "$closure?name=mine",
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
    assert_eq!(found("Observation?_filter=code in http://example.org/birds").await, birds);
    assert_eq!(
        found("Observation?_filter=code in http://example.org/birds and not (code eq dodo)").await,
        ["bird", "owl"]
    );
    assert_eq!(found("Observation?_filter=code ss http://example.org/animals|bird").await, birds);
    assert_eq!(
        found("Observation?_filter=code sb http://example.org/animals|owl and status eq final").await,
        ["animal", "bird", "owl"]
    );
    let hidden = system.get("Observation?_filter=code in http://example.org/none").await;
    assert_eq!(hidden.assert_status(404).issue(), "not-found");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_grows_and_is_its_keepers_own() {
    let server = server().await;
    let system = server.system();
    let asked = |name: &str, codes: &[&str], version: Option<&str>| {
        let mut parameter = vec![json!({"name": "name", "valueString": name})];
        parameter.extend(codes.iter().map(
            |it| json!({"name": "concept", "valueCoding": {"system": "http://example.org/animals", "code": it}}),
        ));
        parameter.extend(version.map(|it| json!({"name": "version", "valueString": it})));
        json!({"resourceType": "Parameters", "parameter": parameter})
    };
    let pairs = |map: &Value| {
        let elements = map["group"][0]["element"].as_array().cloned().unwrap_or_default();
        let mut pairs = Vec::new();
        for element in &elements {
            for target in element["target"].as_array().unwrap() {
                assert_eq!(target["equivalence"], "subsumes");
                pairs.push(format!(
                    "{} < {}",
                    element["code"].as_str().unwrap(),
                    target["code"].as_str().unwrap()
                ));
            }
        }
        pairs.sort();
        pairs
    };
    let url = "$closure";
    // Before it is begun there is none.
    assert_eq!(system.post(url, &asked("t", &["cat"], None)).await.assert_status(404).issue(), "not-found");
    let map = system.post(url, &asked("t", &[], None)).await.assert_status(200).json();
    assert_eq!(
        (&map["resourceType"], &map["version"], &map["group"]),
        (&json!("ConceptMap"), &json!("0"), &Value::Null)
    );
    let map = system.post(url, &asked("t", &["owl", "cat"], None)).await.assert_status(200).json();
    assert_eq!((&map["version"], pairs(&map)), (&json!("1"), vec![]));
    let map = system.post(url, &asked("t", &["bird", "owl"], None)).await.assert_status(200).json();
    assert_eq!((&map["version"], pairs(&map)), (&json!("2"), vec!["owl < bird".to_owned()]));
    let map = system.post(url, &asked("t", &["animal", "dodo"], None)).await.assert_status(200).json();
    let expected = ["bird < animal", "cat < animal", "dodo < animal", "dodo < bird", "owl < animal"];
    assert_eq!((&map["version"], pairs(&map)), (&json!("3"), expected.map(str::to_owned).to_vec()));
    // What is there already is nothing new.
    let map = system.post(url, &asked("t", &["owl"], None)).await.assert_status(200).json();
    assert_eq!((&map["version"], pairs(&map)), (&json!("3"), vec![]));
    // Everything since a version, for who lost it.
    let map = system.post(url, &asked("t", &[], Some("1"))).await.assert_status(200).json();
    assert_eq!(pairs(&map).len(), 6);
    assert_eq!(pairs(&system.post(url, &asked("t", &[], Some("2"))).await.json()).len(), 5);
    let ahead = system.post(url, &asked("t", &[], Some("9"))).await;
    assert_eq!(ahead.issue(), "business-rule");
    // A code that does not exist adds nothing, nor does what came with it.
    let unknown = system.post(url, &asked("t", &["cat", "unicorn"], None)).await.assert_status(422);
    assert_eq!(unknown.issue(), "code-invalid");
    assert_eq!(system.post(url, &asked("", &[], None)).await.assert_status(400).issue(), "value");
    assert_eq!(system.post(url, &json!({"resourceType": "Parameters"})).await.issue(), "required");
    // Another client has no such table.
    let other = server.user("user/CodeSystem.rs");
    assert_eq!(other.post(url, &asked("t", &["cat"], None)).await.assert_status(404).issue(), "not-found");
    // Begun anew it is empty.
    system.post(url, &asked("t", &[], None)).await.assert_status(200);
    let map = system.post(url, &asked("t", &["owl", "bird"], None)).await.assert_status(200).json();
    assert_eq!((&map["version"], pairs(&map)), (&json!("1"), vec!["owl < bird".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_about_codes_is_told_to_everybody() {
    let server = TestServer::start().await;
    let told = server.stranger().get("metadata?mode=terminology").await.assert_status(200).json();
    assert_eq!(
        (&told["resourceType"], &told["kind"]),
        (&json!("TerminologyCapabilities"), &json!("instance"))
    );
    assert_eq!(
        told["implementation"]["url"],
        server.stranger().get("metadata").await.json()["implementation"]["url"]
    );
    let whole = server.stranger().get("metadata?mode=full").await.assert_status(200).text();
    assert!(whole.contains("CapabilityStatement") && whole.contains(r#""name":"closure""#));
    let validated =
        server.system().post("TerminologyCapabilities/$validate", &told).await.assert_status(200).json();
    assert_eq!(validated["issue"][0]["severity"], "information", "{validated}");
    let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "metadata?mode=terminology"}}]});
    let answer = server.system().post("", &bundle).await.assert_status(200).json();
    assert_eq!(answer["entry"][0]["resource"]["resourceType"], "TerminologyCapabilities");
}
