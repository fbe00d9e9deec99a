//! History of an instance, a type, everything.

use super::{link, patient};
use crate::support::server::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_version_page_by_page() {
    let server = TestServer::start().await;
    let system = server.system();
    let mut it = patient("Adler");
    it["id"] = json!("a");
    for _ in 0..5 {
        system.put("Patient/a", &it).await;
    }
    system.delete("Patient/a").await.assert_status(204);
    for place in ["Patient/a/_history", "Patient/_history", "_history"] {
        let mut next = Some(format!("{place}?_count=4"));
        let mut seen = Vec::new();
        while let Some(url) = next {
            let bundle = system.get(&url).await.assert_status(200).json();
            assert_eq!(bundle["type"], "history");
            for entry in bundle["entry"].as_array().unwrap() {
                let method = entry["request"]["method"].as_str().unwrap();
                seen.push(format!("{method} {}", entry["response"]["etag"].as_str().unwrap()));
                assert_eq!(entry.get("resource").is_none(), method == "DELETE");
            }
            next = link(&bundle, "next");
        }
        let expected =
            ["DELETE W/\"6\"", "PUT W/\"5\"", "PUT W/\"4\"", "PUT W/\"3\"", "PUT W/\"2\"", "PUT W/\"1\""];
        assert_eq!(seen, expected, "{place}");
    }
    assert_eq!(system.get("Patient/none/_history").await.status, 404);
    assert_eq!(system.get("Patient/a/_history?_since=nonsense").await.status, 400);
    let later = system.get("Patient/a/_history?_since=2999-01-01T00:00:00Z").await.assert_status(200).json();
    assert_eq!(later.get("entry"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_link_is_nobody_elses() {
    let server = TestServer::start().await;
    let system = server.system();
    for name in ["Adler", "Berger", "Cramer"] {
        system.post("Patient", &patient(name)).await.assert_status(201);
    }
    for place in ["Patient/_history?_count=1", "Patient?_count=1"] {
        let bundle = system.get(place).await.assert_status(200).json();
        let next = link(&bundle, "next").unwrap();
        system.get(&next).await.assert_status(200);
        assert_eq!(server.user("user/*.rs").get(&next).await.status, 400);
        assert_eq!(system.get(&next.replace("_count=1", "_count=2")).await.status, 400);
    }
}
