//! Answers are held against the questionnaire that the tenant keeps, on every way in.

use crate::support::server::TestServer;
use serde_json::{Value, json};

fn form() -> Value {
    json!({"resourceType": "Questionnaire", "id": "form", "url": "http://example.org/form", "status": "active",
        "item": [{"linkId": "pain", "type": "integer", "required": true},
            {"linkId": "animal", "type": "choice", "answerValueSet": "http://example.org/animals"}]})
}

fn animals() -> Value {
    json!({"resourceType": "ValueSet", "id": "animals", "url": "http://example.org/animals", "status": "active",
        "compose": {"include": [{"system": "http://example.org/a", "concept": [{"code": "cat"}]}]}})
}

fn answered(pain: Value) -> Value {
    json!({"resourceType": "QuestionnaireResponse", "questionnaire": "http://example.org/form", "status": "completed",
        "item": [{"linkId": "pain", "answer": [pain]}]})
}

fn transaction(resources: &[Value]) -> Value {
    let entries: Vec<Value> = resources
        .iter()
        .map(|it| json!({"resource": it, "request": {"method": "POST", "url": it["resourceType"]}}))
        .collect();
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_compared_with_the_stored_questionnaire() {
    let server = TestServer::start().await;
    let system = server.system();
    let wrong = answered(json!({"valueString": "much"}));
    // Nobody can tell before the questionnaire is there.
    system.post("QuestionnaireResponse", &wrong).await.assert_status(201);
    system.put("Questionnaire/form", &form()).await.assert_status(201);
    system.put("ValueSet/animals", &animals()).await.assert_status(201);
    let refused = system.post("QuestionnaireResponse", &wrong).await.assert_status(400).json();
    let issue = &refused["issue"][0];
    assert_eq!(issue["expression"][0], "QuestionnaireResponse.item[0].answer[0].valueString");
    assert_eq!(issue["details"]["text"], "http://example.org/form");
    let right = answered(json!({"valueInteger": 3}));
    system.post("QuestionnaireResponse", &right).await.assert_status(201);
    system.put("QuestionnaireResponse/r", &with_id(&right, "r")).await.assert_status(201);
    system.put("QuestionnaireResponse/r", &with_id(&wrong, "r")).await.assert_status(400);
    let patch = json!([{"op": "remove", "path": "/item"}]);
    system.patch("QuestionnaireResponse/r", &patch).await.assert_status(400);
    let mut dog = right.clone();
    let coding = |code: &str| json!({"system": "http://example.org/a", "code": code});
    let animal = |code: &str| json!({"linkId": "animal", "answer": [{"valueCoding": coding(code)}]});
    dog["item"].as_array_mut().unwrap().push(animal("dog"));
    system.post("QuestionnaireResponse", &dog).await.assert_status(422);
    dog["item"][1] = animal("cat");
    system.post("QuestionnaireResponse", &dog).await.assert_status(201);
    let told = system.post("QuestionnaireResponse/$validate", &wrong).await.assert_status(200).json();
    assert_eq!(told["issue"][0]["severity"], "error", "{told}");
}

fn with_id(resource: &Value, id: &str) -> Value {
    let mut resource = resource.clone();
    resource["id"] = json!(id);
    resource
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_may_bring_the_questionnaire_and_the_answers() {
    let server = TestServer::start().await;
    let system = server.system();
    let wrong = transaction(&[form(), answered(json!({"valueString": "much"}))]);
    let refused = system.post("", &wrong).await.assert_status(400).text();
    assert!(refused.contains("Bundle.entry[1]"), "{refused}");
    system.post("", &transaction(&[form(), answered(json!({"valueInteger": 3}))])).await.assert_status(200);
    let wrong = transaction(&[answered(json!({"valueString": "much"}))]);
    system.post("", &wrong).await.assert_status(400);
}
