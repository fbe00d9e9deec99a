//! What a view may ask of one resource, and how its cells are held to their types.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use vesta::conformance::definitions::Definitions;
use vesta::fhir::json::{Json, Limits};
use vesta::views::definition::View;
use vesta::views::writing::{Format, Writing};

fn rows(select: &Value, resource: &Value) -> Result<Value, String> {
    let definitions = Definitions::embedded().unwrap();
    let view = json!({ "resource": "Patient", "select": select }).to_string();
    let view = View::parse(&definitions.types, &view).map_err(|it| it.to_json())?;
    let json = Json::parse(resource.to_string(), &Limits::default()).unwrap();
    let rows = view.rows(&definitions.types, json.root()).map_err(|it| it.to_json())?;
    let mut out = Vec::new();
    let mut writing = Writing::of(&view, Format::Json).unwrap();
    writing.push(rows, &mut out).unwrap();
    writing.finish(&mut out).unwrap();
    Ok(serde_json::from_slice(&out).unwrap())
}

#[test]
fn no_view_makes_too_much_of_a_resource() {
    let names: Vec<Value> = (0..200).map(|it| json!({ "family": format!("f{it}") })).collect();
    let patient = json!({ "resourceType": "Patient", "id": "p", "name": names });
    let each = |name: &str| json!({ "forEach": "name", "column": [{ "name": name, "path": "family" }] });
    let endless = json!([{ "repeat": ["$this"], "column": [{ "name": "a", "path": "id" }] }]);
    let product = json!([each("a"), each("b"), each("c"), each("d")]);
    let slow = json!([{
        "forEach": "name",
        "column": [{ "name": "a", "path": "%resource.name.where(%resource.name.family.exists($this = 'x')).count()" }]
    }]);
    for select in [endless, product, slow] {
        let begun = Instant::now();
        let refused = rows(&select, &patient).unwrap_err();
        assert!(refused.contains("too-costly"), "{refused}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
    let mut deep = json!({ "column": [{ "name": "a", "path": "id" }] });
    for _ in 0..20 {
        deep = json!({ "select": [deep] });
    }
    assert!(rows(&json!([deep]), &patient).unwrap_err().contains("nest too deeply"));
}

#[test]
fn cells_are_of_the_type_of_their_column() {
    let patient = json!({
        "resourceType": "Patient", "id": "p", "active": true, "birthDate": "1980-02", "multipleBirthInteger": 2,
        "address": [{ "period": { "start": "2020-01-01T10:00:00Z" } }]
    });
    let one = |path: &str, of: &str| {
        rows(&json!([{ "column": [{ "name": "a", "path": path, "type": of }] }]), &patient)
            .map(|rows| rows[0]["a"].clone())
    };
    for (path, of, cell) in [
        ("active", "boolean", json!(true)),
        ("active", "string", json!("true")),
        ("birthDate", "date", json!("1980-02")),
        ("birthDate", "http://hl7.org/fhir/StructureDefinition/date", json!("1980-02")),
        ("multipleBirth.ofType(integer)", "integer", json!(2)),
        ("multipleBirth.ofType(integer)", "decimal", json!(2)),
        ("address.period.start", "dateTime", json!("2020-01-01T10:00:00Z")),
        ("deceased.ofType(boolean)", "boolean", json!(null)),
    ] {
        assert_eq!(one(path, of), Ok(cell), "{path} {of}");
    }
    for (path, of) in [
        ("active", "integer"),
        ("birthDate", "decimal"),
        ("address.period.start", "date"),
        ("address", "string"),
        ("address.period", "string"),
        ("4000000000", "integer"),
        ("id", "Patient"),
    ] {
        assert!(one(path, of).is_err(), "{path} {of}");
    }
}
