//! Security labels: worked out on every write, taken away by nobody, and hiding what they are on.

use super::{assert_absent, assert_there, condition, found, of_role, patient, put};
use crate::support::server::{TestServer, send};
use serde_json::json;
use vesta::fhir::id::{ResourceId, ResourceType, TenantId};
use vesta::search::index::Index;
use vesta::store::resources::{Deed, DeedKind};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_labelled_is_absent_for_those_who_may_not_see_it() {
    let server = TestServer::start().await;
    let system = server.system();
    put(&system, &[patient("a"), condition("drink", "a", "F10.20"), condition("flu", "a", "J10.1")]).await;
    // The system sees all, the patient what is theirs, a clinician all but what 42 CFR Part 2 keeps apart.
    assert_eq!(found(&system, "Condition").await, ["drink", "flu"]);
    assert_there(&system, "Condition", "drink", "a").await;
    assert_there(&server.patient("a"), "Condition", "drink", "a").await;
    let clinician = of_role(&server, "provider", "dr", "user/*.cruds");
    assert_absent(&clinician, "Condition", "drink", "a").await;
    assert_there(&clinician, "Condition", "flu", "a").await;
    let total = clinician.get("Condition?_total=accurate&_count=1").await.assert_status(200).json();
    assert_eq!(total["total"], 1);
    // The label can be searched for by those who see it.
    let labelled = "Condition?_security=http://terminology.hl7.org/CodeSystem/v3-ActCode|SUD";
    assert_eq!(found(&system, labelled).await, ["drink"]);
    assert_eq!(found(&clinician, labelled).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_a_label_away() {
    let server = TestServer::start().await;
    let system = server.system();
    put(&system, &[patient("a"), condition("hiv", "a", "B20")]).await;
    let mut bare = condition("hiv", "a", "B20");
    bare["meta"] = json!({ "security": [] });
    bare.as_object_mut().unwrap().remove("meta");
    let put_back = system.put("Condition/hiv", &bare).await.assert_status(200).json();
    assert_eq!(put_back["meta"]["security"][0]["code"], "HIV");
    let meta = json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta", "valueMeta": {
        "security": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV" }]
    } }] });
    let answer = system.post("Condition/hiv/$meta-delete", &meta).await.assert_status(200);
    assert!(answer.text().contains("HIV"), "{}", answer.text());
    // In a transaction, and by a patch that makes a resource sensitive.
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "resource": condition("t", "a", "F32.1"), "request": { "method": "PUT", "url": "Condition/t" }
    }] });
    system.post("", &bundle).await.assert_status(200);
    let read = system.get("Condition/t").await.json();
    assert_eq!(read["meta"]["security"][0]["code"], "MH");
    let patch = json!([{ "op": "replace", "path": "/code/coding/0/code", "value": "F11.20" }]);
    let patched = system.patch("Condition/t", &patch).await.assert_status(200).text();
    assert!(patched.contains("SUD"), "{patched}");
    // What is sensitive no more is labelled no more, once the client sends it so.
    let plain = system.put("Condition/t", &condition("t", "a", "J10.1")).await.assert_status(200).text();
    assert!(!plain.contains("security"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_of_use_opens_or_closes_a_label() {
    let server = TestServer::start().await;
    put(&server.system(), &[patient("a"), condition("hiv", "a", "B20")]).await;
    let clinician = of_role(&server, "provider", "dr", "user/*.rs");
    clinician.get("Condition/hiv").await.assert_status(200);
    let ask = |purpose: &'static str| {
        let request = clinician.request("GET", "Condition/hiv").header("x-purpose-of-use", purpose);
        crate::support::server::send(request)
    };
    ask("ETREAT").await.assert_status(200);
    ask("http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT").await.assert_status(200);
    ask("HRESCH").await.assert_status(404);
    ask("FUN").await.assert_status(400);
    ask("HSYSADMIN").await.assert_status(403);
    // What a clinician finds sensitive they may write down, though they do not see it afterwards.
    let clinician = of_role(&server, "provider", "dr", "user/*.cruds");
    let mut new = condition("x", "a", "F10.20");
    new.as_object_mut().unwrap().remove("id");
    let made = clinician.post("Condition", &new).await.assert_status(201).json();
    clinician.get(&format!("Condition/{}", made["id"].as_str().unwrap())).await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_its_code_was_sensitive_is_labelled_by_a_reindex() {
    let server = TestServer::start().await;
    let system = server.system();
    put(&system, &[patient("a")]).await;
    let mut old = condition("old", "a", "F10.20");
    old["meta"] = json!({ "versionId": "1", "lastUpdated": "2026-01-01T00:00:00.000000Z" });
    let deed = Deed {
        kind: DeedKind::Update,
        resource_type: ResourceType::parse("Condition").unwrap(),
        id: ResourceId::parse("old").unwrap(),
        version: 1,
        expected: None,
        last_updated: 1_767_225_600_000_000,
        text: old.to_string(),
        sealed: Vec::new(),
        index: Index::default(),
    };
    server.app.store.write(TenantId::FIRST, vec![deed], Vec::new()).await.unwrap();
    let clinician = of_role(&server, "provider", "dr", "user/*.cruds");
    clinician.get("Condition/old").await.assert_status(200);
    let begun = send(system.request("POST", "Condition/$reindex")).await.assert_status(202).json();
    let job = begun["parameter"][0]["valueString"].as_str().unwrap().to_owned();
    loop {
        let told = system.get(&format!("$reindex?job={job}")).await.assert_status(200).text();
        assert!(!told.contains("failed"), "{told}");
        if told.contains("\"done\"") && !told.contains("running") && !told.contains("waiting") {
            break;
        }
    }
    assert_absent(&clinician, "Condition", "old", "a").await;
    let labelled = system.get("Condition/old").await.assert_status(200).json();
    assert_eq!(
        (&labelled["meta"]["versionId"], &labelled["meta"]["security"][0]["code"]),
        (&json!("2"), &json!("SUD"))
    );
}
