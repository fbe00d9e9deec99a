use super::*;
use crate::load::source;
use std::io::Write as _;
use std::path::PathBuf;

/// The parcels of a file with that name and content, which may be compressed.
fn parcels(name: &str, content: &[u8]) -> Vec<Parcel> {
    let folder = std::env::temp_dir().join(format!("vesta-parcel-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    let mut found = Vec::new();
    let sources = source::find(&[PathBuf::from(&path)]).unwrap();
    cut(&sources[0], &mut |parcel| {
        found.push(parcel);
        true
    })
    .unwrap();
    std::fs::remove_file(path).unwrap();
    found
}

#[test]
fn lines_become_batches_that_put() {
    let mut text = String::new();
    for number in 0..250 {
        text.push_str(&format!("{{\"resourceType\":\"Basic\",\"id\":\"b{number}\",\"n\":1.00}}\n\n"));
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let forms = [
        ("a.ndjson", text.clone().into_bytes()),
        ("b.ndjson.gz", gzip.finish().unwrap()),
        ("c.ndjson.zst", zstd::encode_all(text.as_bytes(), 1).unwrap()),
    ];
    for (name, content) in forms {
        let parcels = parcels(name, &content);
        assert_eq!(parcels.iter().map(|it| it.places.len()).collect::<Vec<_>>(), [100, 100, 50], "{name}");
        assert!(parcels[0].places[99].ends_with(&format!("{name}:199")), "{}", parcels[0].places[99]);
        assert!(parcels.iter().all(|it| it.is_idempotent && it.unsent.is_empty()));
        let bundle: serde_json::Value = serde_json::from_str(&parcels[2].body).unwrap();
        assert_eq!(bundle["entry"][0]["request"], serde_json::json!({"method": "PUT", "url": "Basic/b200"}));
        assert!(parcels[2].body.contains("\"n\":1.00"), "digits are kept");
        assert_eq!(parcels.iter().map(|it| it.bytes_read).sum::<u64>(), text.len() as u64);
        assert_ne!(parcels[0].key, parcels[1].key);
    }
}

#[test]
fn a_line_that_is_no_resource_is_told_and_not_sent() {
    let parcels = parcels("d.ndjson", b"{\"resourceType\":\"Basic\"}\n{\"resourceType\":\"Pat\"}\n{");
    assert_eq!(parcels[0].places.len(), 1);
    assert!(!parcels[0].is_idempotent, "it has no id");
    let told: Vec<&str> = parcels[0].unsent.iter().map(|it| it.place.rsplit_once(':').unwrap().1).collect();
    assert_eq!(told, ["2", "3"]);
    assert_eq!(parcels[0].unsent[0].expression, ["resourceType"]);
}

#[test]
fn a_transaction_goes_as_it_is() {
    let text = r#"{ "resourceType":"Bundle", "type":"transaction", "entry":[ {"resource":{"resourceType":"Basic"},"request":{"method":"POST","url":"Basic"}} ] }"#;
    let parcels = parcels("e.json", text.as_bytes());
    assert_eq!(parcels[0].body, text);
    assert!(!parcels[0].is_idempotent);
    assert!(parcels[0].places[0].ends_with("e.json entry 0"));
}

#[test]
fn a_collection_becomes_a_transaction() {
    let text = r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Basic","id":"x"}},{"resource":{"resourceType":"Basic"}}]}"#;
    let parcels = parcels("f.json", text.as_bytes());
    assert_eq!(
        parcels[0].body,
        concat!(
            r#"{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Basic","id":"x"},"#,
            r#""request":{"method":"PUT","url":"Basic/x"}},{"resource":{"resourceType":"Basic"},"request":{"method":"POST","url":"Basic"}}]}"#
        )
    );
}

#[test]
fn a_resource_alone_is_put() {
    let parcels = parcels("g.json", br#"{"resourceType":"Group","id":"g"}"#);
    assert!(parcels[0].body.contains(r#""method":"PUT","url":"Group/g""#));
    assert_eq!(parcels[0].places.len(), 1);
}
