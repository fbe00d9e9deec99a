//! Who may see what beside their scopes: roles, labels, Consents, the relation of care, agreements, emergencies.
//! Each denial stands beside what is permitted.

mod agreement;
mod binary;
mod break_glass;
mod care;
mod consent;
mod explain;
mod labels;
mod role;
mod speed;
mod two_servers;

use crate::support::server::{Caller, TestServer};
use serde_json::{Value, json};
use vesta::access::role::{LINE_EXTENSION, POLICY, ROLE_EXTENSION};
use vesta::fhir::id::TenantId;
use vesta::store::clients::ClientRow;

/// Somebody of that role, by the word of the issuer of their token.
pub fn of_role(server: &TestServer, role: &str, id: &str, scope: &str) -> Caller {
    server.bearer(server.sign(&claims(server, role, id, scope)))
}

/// The claims of such a token.
pub fn claims(server: &TestServer, role: &str, id: &str, scope: &str) -> Value {
    let mut claims = server.claims(scope);
    claims["sub"] = id.into();
    claims["fhirUser"] = format!("Practitioner/{id}").into();
    claims["role"] = role.into();
    claims
}

pub fn patient(id: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "name": [{ "family": format!("Family-{id}") }] })
}

/// A policy that is stored in the place of a role's own.
pub fn policy(role: &str, lines: &[&str]) -> Value {
    let mut extensions = vec![json!({ "url": ROLE_EXTENSION, "valueCode": role })];
    extensions.extend(lines.iter().map(|it| json!({ "url": LINE_EXTENSION, "valueString": it })));
    json!({
        "resourceType": "Basic", "id": format!("role-{role}"), "extension": extensions,
        "code": { "coding": [{ "system": POLICY.0, "code": POLICY.1 }] }
    })
}

/// A client of another organization.
pub async fn put_client_of(server: &TestServer, id: &str, organization: &str) {
    let row = ClientRow {
        id: id.to_owned(),
        secret_hash: None,
        disabled: None,
        pending: None,
        document: json!({ "organization": organization }).to_string(),
    };
    server.app.store.put_client(TenantId::FIRST, &row).await.unwrap();
    server.app.facts_changed(TenantId::FIRST);
}

/// A Condition with an ICD-10-CM code.
pub fn condition(id: &str, patient: &str, code: &str) -> Value {
    json!({
        "resourceType": "Condition", "id": id, "subject": { "reference": format!("Patient/{patient}") },
        "clinicalStatus": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"
        }] },
        "code": { "coding": [{ "system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code }] }
    })
}

/// Stores these, each under its id.
pub async fn put(caller: &Caller, resources: &[Value]) {
    for it in resources {
        let path = format!("{}/{}", it["resourceType"].as_str().unwrap(), it["id"].as_str().unwrap());
        let answer = caller.put(&path, it).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
    }
}

/// The ids of the matches of a search, in order of their names.
pub async fn found(caller: &Caller, query: &str) -> Vec<String> {
    let answer = caller.get(query).await.assert_status(200).json();
    let entries = answer["entry"].as_array().cloned().unwrap_or_default();
    let ids = entries.iter().filter(|it| it["search"]["mode"] != "outcome");
    let mut ids: Vec<String> =
        ids.map(|it| it["resource"]["id"].as_str().unwrap_or("?").to_owned()).collect();
    ids.sort();
    ids
}

/// A resource is as absent: by every way that leads to it.
pub async fn assert_absent(caller: &Caller, resource_type: &str, id: &str, patient: &str) {
    let absent = caller.get(&format!("{resource_type}/not-there")).await;
    let of = format!("{resource_type}/{id}");
    for path in [of.clone(), format!("{of}/_history/1"), format!("{of}/_history"), format!("{of}/$meta")] {
        let answer = caller.get(&path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    assert_eq!(caller.get(&of).await.body, absent.body, "one 404 is like another");
    let searches = [
        format!("{resource_type}?_id={id}"),
        format!("{resource_type}?patient=Patient/{patient}"),
        format!("Patient/{patient}/{resource_type}"),
        format!("Patient?_id={patient}&_revinclude={resource_type}:patient"),
        format!("Patient/{patient}/$everything"),
        format!("?_type={resource_type}"),
    ];
    for query in searches {
        let answer = caller.get(&query).await;
        assert!(!answer.text().contains(&format!("\"{id}\"")), "{query}: {}", answer.text());
    }
    for query in [format!("{resource_type}/_history"), "_history".to_owned()] {
        assert!(!caller.get(&query).await.text().contains(&format!("/{id}\"")), "{query}");
    }
    let count = caller.get(&format!("{resource_type}?_id={id}&_summary=count")).await.assert_status(200);
    assert_eq!(count.json()["total"], 0);
    let chained = caller.get(&format!("Patient?_has:{resource_type}:patient:_id={id}")).await;
    assert_eq!(chained.json()["entry"].as_array().map_or(0, Vec::len), 0, "{}", chained.text());
    let test = json!([{ "op": "test", "path": "/id", "value": "x" }]);
    assert_eq!(caller.patch(&of, &test).await.status, 404);
}

/// The same resource is there, by every way.
pub async fn assert_there(caller: &Caller, resource_type: &str, id: &str, patient: &str) {
    let of = format!("{resource_type}/{id}");
    for path in [of.clone(), format!("{of}/_history/1"), format!("{of}/_history"), format!("{of}/$meta")] {
        caller.get(&path).await.assert_status(200);
    }
    let searches = [
        format!("{resource_type}?_id={id}"),
        format!("{resource_type}?patient=Patient/{patient}"),
        format!("Patient/{patient}/{resource_type}"),
        format!("Patient?_id={patient}&_revinclude={resource_type}:patient"),
        format!("Patient/{patient}/$everything"),
    ];
    for query in searches {
        let answer = caller.get(&query).await;
        assert!(answer.text().contains(&format!("\"{id}\"")), "{query}: {}", answer.text());
    }
    let chained = caller.get(&format!("Patient?_has:{resource_type}:patient:_id={id}")).await;
    assert_eq!(chained.json()["entry"].as_array().map_or(0, Vec::len), 1, "{}", chained.text());
}
