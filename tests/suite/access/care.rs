//! The relation of care: whoever needs one sees the patients that they have to do with.

use super::{assert_absent, assert_there, condition, found, of_role, patient, put};
use crate::support::server::TestServer;
use serde_json::{Value, json};

fn encounter(id: &str, patient: &str, who: &str, status: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": id, "status": status,
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" },
        "subject": { "reference": format!("Patient/{patient}") },
        "participant": [{ "individual": { "reference": who } }]
    })
}

fn team(id: &str, patient: &str, who: &str, status: &str) -> Value {
    json!({
        "resourceType": "CareTeam", "id": id, "status": status,
        "subject": { "reference": format!("Patient/{patient}") },
        "participant": [{ "member": { "reference": who } }]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nurse_sees_the_patients_in_their_care() {
    let server = TestServer::start().await;
    let system = server.system();
    put(&system, &[patient("a"), patient("b"), condition("a1", "a", "J10.1"), condition("b1", "b", "J10.1")])
        .await;
    let nurse = of_role(&server, "nurse", "nan", "user/*.cruds");
    assert_eq!(found(&nurse, "Patient").await, Vec::<String>::new());
    assert_absent(&nurse, "Condition", "a1", "a").await;
    put(&system, &[team("t", "a", "Practitioner/nan", "active")]).await;
    assert_eq!(found(&nurse, "Patient").await, ["a"]);
    assert_there(&nurse, "Condition", "a1", "a").await;
    assert_absent(&nurse, "Condition", "b1", "b").await;
    // Somebody else's nurse, and a clinician whose role asks for no relation.
    assert_eq!(found(&of_role(&server, "nurse", "ned", "user/*.rs"), "Patient").await, Vec::<String>::new());
    assert_eq!(found(&of_role(&server, "provider", "dr", "user/*.rs"), "Patient").await, ["a", "b"]);
    // Directories are everybody's.
    put(&system, &[json!({ "resourceType": "Organization", "id": "org", "name": "Ward" })]).await;
    assert_eq!(found(&nurse, "Organization").await, ["org"]);
    // What they write is about their patients, too, and they cannot make themselves part of a team.
    let new = |patient: &str| {
        let mut it = condition("x", patient, "J10.1");
        it.as_object_mut().unwrap().remove("id");
        it
    };
    nurse.post("Condition", &new("a")).await.assert_status(201);
    nurse.post("Condition", &new("b")).await.assert_status(403);
    let mut joins = team("x", "b", "Practitioner/nan", "active");
    joins.as_object_mut().unwrap().remove("id");
    nurse.post("CareTeam", &joins).await.assert_status(403);
    nurse.put("Condition/b1", &condition("b1", "a", "J10.1")).await.assert_status(404);
    nurse.put("Condition/a1", &condition("a1", "b", "J10.1")).await.assert_status(403);
    nurse.put("Condition/a1", &condition("a1", "a", "J11.1")).await.assert_status(200);
    // A task is about whom it is for.
    let task = |patient: &str| {
        json!({ "resourceType": "Task", "status": "requested", "intent": "order",
                "for": { "reference": format!("Patient/{patient}") } })
    };
    let mine = nurse.post("Task", &task("a")).await.assert_status(201).json();
    nurse.get(&format!("Task/{}", mine["id"].as_str().unwrap())).await.assert_status(200);
    let other = system.post("Task", &task("b")).await.assert_status(201).json();
    nurse.get(&format!("Task/{}", other["id"].as_str().unwrap())).await.assert_status(404);
    // The team ends, and with it the view.
    put(&system, &[team("t", "a", "Practitioner/nan", "inactive")]).await;
    assert_eq!(found(&nurse, "Patient").await, Vec::<String>::new());
    assert_absent(&nurse, "Condition", "a1", "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn care_comes_of_encounters_positions_and_general_practitioners() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut own = patient("g");
    own["generalPractitioner"] = json!([{ "reference": "Practitioner/nan" }]);
    let position = json!({
        "resourceType": "PractitionerRole", "id": "pos", "active": true,
        "practitioner": { "reference": "Practitioner/nan" }, "organization": { "reference": "Organization/ward" }
    });
    put(
        &system,
        &[
            own,
            patient("e"),
            patient("c"),
            patient("o"),
            patient("p"),
            encounter("e1", "e", "Practitioner/nan", "in-progress"),
            encounter("c1", "c", "Practitioner/nan", "cancelled"),
            team("ot", "o", "Organization/ward", "active"),
            team("pt", "p", "PractitionerRole/pos", "active"),
        ],
    )
    .await;
    let nurse = of_role(&server, "nurse", "nan", "user/*.rs");
    assert_eq!(found(&nurse, "Patient").await, ["e", "g"]);
    put(&system, std::slice::from_ref(&position)).await;
    assert_eq!(found(&nurse, "Patient").await, ["e", "g", "o", "p"]);
    let mut over = position;
    over["active"] = json!(false);
    put(&system, &[over]).await;
    assert_eq!(found(&nurse, "Patient").await, ["e", "g"]);
}
