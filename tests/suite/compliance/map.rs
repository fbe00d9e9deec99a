//! The map is data: every proof it names is a test, and the server serves it and lets nobody else write it.

use crate::support::server::TestServer;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use vesta::compliance::{controls, published};
use vesta::fhir::id::TenantId;

#[test]
fn every_proof_is_a_test() {
    let mut missing = Vec::new();
    for control in controls::all().unwrap() {
        for proof in &control.proofs {
            if !is_test(proof) {
                missing.push(format!("{}: {proof}", control.id));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
    assert!(!is_test("audit::tampering::no_such_test") && !is_test("nowhere::every_change_is_found"));
}

/// Whether `a::b::name` is a test function of `tests/suite/a/b.rs`, `src/a/b.rs` or a `tests.rs` beside it.
fn is_test(proof: &str) -> bool {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (module, name) = proof.rsplit_once("::").unwrap();
    let path = module.replace("::", "/");
    let files = [
        format!("tests/suite/{path}.rs"),
        format!("tests/suite/{path}/mod.rs"),
        format!("src/{path}.rs"),
        format!("src/{path}/mod.rs"),
        format!("src/{path}/tests.rs"),
    ];
    files.iter().filter_map(|it| fs::read_to_string(root.join(it)).ok()).any(|text| {
        let at = text.find(&format!("fn {name}("));
        at.is_some_and(|at| {
            let before: String = text[..at].lines().rev().take(4).collect();
            before.contains("#[test]") || before.contains("#[tokio::test")
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_map_is_read_by_all_and_written_by_nobody_else() {
    let server = TestServer::start().await;
    published::publish(&server.app, TenantId::FIRST).await.unwrap();
    published::publish(&server.app, TenantId::FIRST).await.unwrap();
    let system = server.system();
    let found = system.get("CodeSystem/hipaa-controls").await.assert_status(200);
    assert_eq!(found.header("etag"), "W/\"1\"", "what did not change is not written again");
    let map = found.json();
    assert_eq!(map["concept"].as_array().unwrap().len(), controls::all().unwrap().len());
    let url = map["url"].as_str().unwrap();
    let by_url = system.get(&format!("CodeSystem?url={url}")).await.assert_status(200).json();
    assert_eq!(by_url["entry"].as_array().unwrap().len(), 1);
    for (resource_type, id) in published::published() {
        let path = format!("{resource_type}/{id}");
        let mut own = server.user("user/*.rs").get(&path).await.assert_status(200).json();
        own["title"] = json!("mine");
        for status in [
            system.put(&path, &own).await.status,
            system.patch(&path, &json!([{"op": "replace", "path": "/title", "value": "mine"}])).await.status,
            system
                .post(
                    "",
                    &json!({"resourceType": "Bundle", "type": "transaction", "entry": [
                {"resource": own, "request": {"method": "PUT", "url": path}}]}),
                )
                .await
                .status,
        ] {
            assert!((400..500).contains(&status), "{path}: {status}");
        }
        system.delete(&path).await;
        let left = system.get(&path).await.assert_status(200).json();
        assert_ne!(left["title"], json!("mine"), "{path}");
    }
    // Others of these types are written as ever.
    let other = json!({"resourceType": "Library", "id": "other", "status": "draft", "type": {"text": "x"}});
    system.put("Library/other", &other).await.assert_status(201);
}
