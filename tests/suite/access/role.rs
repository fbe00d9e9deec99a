//! Roles: what somebody's position takes away, and how a tenant changes it.

use super::{condition, found, of_role, patient, policy, put};
use crate::support::server::TestServer;
use serde_json::json;

const ALL: &str = "user/*.cruds user/AuditEvent.rs";

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_what_it_is_there_for_and_no_more() {
    let server = TestServer::start().await;
    let observation = json!({
        "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "Weight" },
        "subject": { "reference": "Patient/a" }
    });
    put(&server.system(), &[patient("a"), condition("flu", "a", "J10.1"), observation]).await;
    let cases = [
        ("provider", "Patient/a", 200),
        ("provider", "Observation/o", 200),
        ("provider", "AuditEvent", 403),
        ("billing", "Condition/flu", 200),
        ("billing", "Observation/o", 403),
        ("billing", "Observation", 403),
        ("admin", "Patient/a", 403),
        ("admin", "Patient?name=Family-a", 403),
        ("admin", "Organization", 200),
        ("auditor", "Patient/a", 403),
        ("auditor", "AuditEvent", 200),
        ("privacy-officer", "Patient/a", 200),
        ("privacy-officer", "AuditEvent", 200),
        ("juggler", "Organization", 403),
    ];
    for (role, path, status) in cases {
        let answer = of_role(&server, role, "u", ALL).get(path).await;
        assert_eq!(answer.status, status, "{role} {path}: {}", answer.text());
    }
    // What a type is closed for is closed everywhere: as an include, a chain, in a record, in all types.
    let billing = of_role(&server, "billing", "u", ALL);
    assert_eq!(found(&billing, "Patient?_revinclude=Observation:patient").await, ["a"]);
    assert_eq!(found(&billing, "Patient?_has:Observation:patient:status=final").await, Vec::<String>::new());
    assert_eq!(found(&billing, "Patient/a/$everything").await, ["a", "flu"]);
    assert!(!billing.get("_history").await.text().contains("Observation/o"));
    assert_eq!(billing.post("Patient", &patient("x")).await.status, 403);
    // The role of an account of ours counts, whatever a token says.
    let mut claims = super::claims(&server, "server", "u", ALL);
    assert_eq!(
        server.bearer(server.sign(&claims)).get("Patient/a").await.status,
        401,
        "nobody is the server"
    );
    claims["role"] = json!(7);
    assert_eq!(server.bearer(server.sign(&claims)).get("Patient/a").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_that_a_role_does_not_see_are_left_out_everywhere() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut flu = condition("flu", "a", "J10.1");
    flu["note"] = json!([{ "text": "secret-note" }]);
    flu["stage"] = json!([{ "summary": { "coding": [{ "system": "http://s", "code": "secret-stage" }] } }]);
    flu["text"] = json!({ "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">secret-note</div>" });
    put(&system, &[patient("a"), flu.clone()]).await;
    flu["note"][0]["text"] = json!("secret-note-2");
    put(&system, &[flu.clone()]).await;
    let billing = of_role(&server, "billing", "b", "user/*.cruds");
    for path in [
        "Condition/flu",
        "Condition/flu/_history/1",
        "Condition/flu/_history",
        "Condition/_history",
        "_history",
        "Condition",
        "Condition?_elements=note",
        "Condition?_summary=data",
        "Patient?_revinclude=Condition:patient",
        "Patient/a/Condition",
        "Patient/a/$everything",
        "Condition/flu/$diff",
        "Condition/flu/$validate",
    ] {
        let answer = billing.get(path).await.assert_status(200).text();
        assert!(!answer.contains("secret"), "{path}: {answer}");
        let whole = system.get(path).await.assert_status(200).text();
        let is_told = whole.contains("secret") || path.contains('$') || path.contains("_elements");
        assert!(is_told, "{path}: {whole}");
    }
    let shown = billing.get("Condition/flu").await.json();
    assert_eq!(shown["meta"]["tag"][0]["code"], "SUBSETTED");
    // No searching, sorting or following by what is not shown.
    for query in [
        "Condition?stage=secret-stage",
        "Condition?stage:missing=true",
        "Condition?_text=secret",
        "Condition?_sort=stage",
        "Condition?evidence=x",
        "Patient?_has:Condition:patient:stage=secret-stage",
    ] {
        let answer = billing.get(query).await;
        assert_eq!(answer.status, 403, "{query}: {}", answer.text());
    }
    system.get("Condition?stage=secret-stage").await.assert_status(200);
    billing.get("Condition?code=J10.1").await.assert_status(200);
    // A part is never put over the whole: by whoever got it, nor by whoever kept it.
    let part = system.get("Condition/flu?_elements=code").await.json();
    assert_eq!(part["meta"]["tag"][0]["code"], "SUBSETTED");
    system.put("Condition/flu", &part).await.assert_status(422);
    assert_eq!(billing.put("Condition/flu", &flu).await.status, 403, "the role may not, either way");
    system.put("Condition/flu", &flu).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_changes_a_role_and_only_those_who_may() {
    let server = TestServer::start().await;
    put(&server.system(), &[patient("a")]).await;
    let auditor = of_role(&server, "auditor", "u", ALL);
    auditor.get("Patient/a").await.assert_status(403);
    let wider = policy("auditor", &["purpose HOPERAT", "may rs Patient AuditEvent"]);
    let provider = of_role(&server, "provider", "p", ALL);
    assert_eq!(provider.put("Basic/role-auditor", &wider).await.status, 404, "ids are not theirs to choose");
    assert_eq!(provider.post("Basic", &wider).await.status, 403);
    assert_eq!(
        server.system().post("Basic", &wider).await.status,
        403,
        "nor is it a program's to change roles"
    );
    auditor.get("Patient/a").await.assert_status(403);
    let admin = of_role(&server, "admin", "p", ALL);
    admin.put("Basic/role-auditor", &wider).await.assert_status(201);
    // It bites at the next request.
    auditor.get("Patient/a").await.assert_status(200);
    assert_eq!(provider.delete("Basic/role-auditor").await.status, 204, "as deleted as it can be");
    auditor.get("Patient/a").await.assert_status(200);
    let stolen = json!([{ "op": "replace", "path": "/extension/1/valueString", "value": "may cruds *" }]);
    assert_eq!(provider.patch("Basic/role-auditor", &stolen).await.status, 404);
    // Nonsense is refused with its place, and changes nothing.
    let nonsense = policy("auditor", &["may everything *"]);
    assert_eq!(admin.put("Basic/role-auditor", &nonsense).await.assert_status(400).issue(), "value");
    auditor.get("Patient/a").await.assert_status(200);
    // Without it, the default is back; each change is a version, and an event of its own kind.
    admin.delete("Basic/role-auditor").await.assert_status(204);
    auditor.get("Patient/a").await.assert_status(403);
    let events = server.system().get("AuditEvent?_count=100").await.text();
    assert!(events.contains("\"110135\""), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_from_a_put_whether_an_id_is_taken() {
    let server = TestServer::start().await;
    let system = server.system();
    put(&system, &[patient("a"), patient("b"), condition("b1", "b", "J10.1")]).await;
    let mut claims = server.claims("patient/*.cruds");
    claims["sub"] = "a".into();
    claims["patient"] = "a".into();
    claims["fhirUser"] = "Patient/a".into();
    let alice = server.bearer(server.sign(&claims));
    let hidden = alice.put("Condition/b1", &condition("b1", "a", "J10.1")).await;
    let absent = alice.put("Condition/none", &condition("none", "a", "J10.1")).await;
    assert_eq!((hidden.status, absent.status), (404, 404), "{}", absent.text());
    assert_eq!(hidden.body, absent.body);
    // A new resource gets its id from the server, and can then be changed.
    let mut new = condition("x", "a", "J10.1");
    new.as_object_mut().unwrap().remove("id");
    let made = alice.post("Condition", &new).await.assert_status(201).json();
    let id = made["id"].as_str().unwrap();
    alice.put(&format!("Condition/{id}"), &condition(id, "a", "J11.1")).await.assert_status(200);
    // Whoever loads data says the ids.
    system.put("Condition/none", &condition("none", "a", "J10.1")).await.assert_status(201);
}
