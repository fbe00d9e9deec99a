//! Cohorts, counts and matches.

use super::*;

fn cohort(filters: &[&str]) -> Value {
    let extension = |query: &&str| {
        json!({
            "url": "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/member-filter",
            "valueExpression": { "language": "application/x-fhir-query", "expression": query }
        })
    };
    json!({
        "resourceType": "Group", "id": "cohort", "type": "person", "actual": true, "name": "c",
        "modifierExtension": filters.iter().map(extension).collect::<Vec<_>>()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_is_whom_its_filters_describe() {
    let server = TestServer::start().await;
    people(&server).await;
    let system = server.system();
    let group = cohort(&["Observation?code=29463-7,8302-2", "Patient?family=ann,bob"]);
    system.put("Group/cohort", &group).await.assert_status(201);
    // It is exported as its filters say, whoever is written in it.
    let analyst = reader(&server, "analyst", "system/*.rs");
    let found = exported(&analyst, "Group/cohort/$export?_type=Patient").await;
    assert_eq!(names(&found), ["Patient/ann", "Patient/bob"]);
    let refreshed =
        system.post("Group/cohort/$refresh-members", &json!({ "resourceType": "Parameters" })).await;
    let refreshed = refreshed.assert_status(200).json();
    assert_eq!(refreshed["member"].as_array().unwrap().len(), 2);
    assert_eq!(refreshed["member"][0]["entity"]["reference"], "Patient/ann");
    assert!(refreshed["extension"][0]["valueDateTime"].is_string());
    system.delete("Observation/obs-bob").await;
    let again = system.post("Group/cohort/$refresh-members", &json!({ "resourceType": "Parameters" })).await;
    assert_eq!(again.assert_status(200).json()["member"].as_array().unwrap().len(), 1);
    // Who may not write the group, or not search what it asks for, refreshes nothing.
    let refused =
        analyst.post("Group/cohort/$refresh-members", &json!({ "resourceType": "Parameters" })).await;
    refused.assert_status(403);
    let narrow = reader(&server, "narrow", "system/Group.cruds system/Patient.rs");
    let refused =
        narrow.post("Group/cohort/$refresh-members", &json!({ "resourceType": "Parameters" })).await;
    refused.assert_status(403);
    let plain = system.post("Group/inner/$refresh-members", &json!({ "resourceType": "Parameters" })).await;
    plain.assert_status(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_numbers_are_not_told() {
    let server = TestServer::start().await;
    let system = server.system();
    for number in 0..30 {
        let gender = if number < 3 { "other" } else { "female" };
        let id = format!("p{number}");
        let patient =
            json!({ "resourceType": "Patient", "id": id, "gender": gender, "active": number % 2 == 0 });
        system.put(&format!("Patient/{id}"), &patient).await.assert_status(201);
    }
    let count = system.get("Patient/$count?active=true,false&by=gender").await.assert_status(200).json();
    assert_eq!(count["parameter"][0], json!({ "name": "count", "valueInteger": 30 }));
    let text = count.to_string();
    assert_eq!((text.matches("fewer than 28").count(), text.contains("27}")), (2, false), "{text}");
    let few = system.get("Patient/$count?gender=other").await.assert_status(200).json();
    assert_eq!(few["parameter"][0]["valueString"], "fewer than 11");
    system.get("Patient/$count?by=birthdate").await.assert_status(400);
    system.get("Patient/$count?nonsense=1").await.assert_status(400);
    server.bearer(server.token("user/Observation.rs", None)).get("Patient/$count").await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_matched_by_name_birthday_and_coverage() {
    let server = TestServer::start().await;
    let system = server.system();
    for (id, card) in [("m1", "A-1"), ("m2", "A-2")] {
        let patient = json!({
            "resourceType": "Patient", "id": id, "birthDate": "1980-02-03", "gender": "female",
            "name": [{ "family": "Rivera", "given": ["Ana"] }],
            "identifier": [{ "type": { "coding": [{ "code": "MB" }] }, "system": "urn:us", "value": id }]
        });
        system.put(&format!("Patient/{id}"), &patient).await.assert_status(201);
        let coverage = json!({
            "resourceType": "Coverage", "status": "active", "subscriberId": card,
            "beneficiary": { "reference": format!("Patient/{id}") }, "payor": [{ "display": "us" }]
        });
        system.post("Coverage", &coverage).await.assert_status(201);
    }
    let ask = |family: &str, card: &str| {
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "MemberPatient", "resource": { "resourceType": "Patient", "birthDate": "1980-02-03",
                "gender": "female", "name": [{ "family": family, "given": ["Ana"] }] } },
            { "name": "CoverageToMatch", "resource": { "resourceType": "Coverage", "status": "active",
                "subscriberId": card, "beneficiary": { "display": "x" }, "payor": [{ "display": "us" }] } }
        ]});
        let system = server.system();
        async move { system.post("Patient/$member-match", &body).await }
    };
    let found = ask("Rivera", "A-2").await.assert_status(200).json();
    assert_eq!(found["parameter"][0]["valueIdentifier"]["value"], "m2");
    assert_eq!(found["parameter"][1]["valueReference"]["reference"], "Patient/m2");
    let (nobody, other) = (ask("Rivera", "A-3").await, ask("Nobody", "A-1").await);
    assert_eq!(nobody.assert_status(422).text(), other.assert_status(422).text());
    let user = server.user("user/Patient.rs");
    user.post("Patient/$member-match", &json!({ "resourceType": "Parameters" })).await.assert_status(403);
}
