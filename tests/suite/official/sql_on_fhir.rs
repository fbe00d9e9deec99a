//! The shared cases of SQL on FHIR: every one passes, or stands in the list with its reason.

use crate::support::data;
use serde_json::Value;
use vesta::conformance::definitions::Definitions;
use vesta::fhir::json::{Json, Limits};
use vesta::views::definition::View;
use vesta::views::writing::{Format, Writing};

const KNOWN_FAILURES: &str = include_str!("../../official/sql_on_fhir_known_failures.txt");

#[test]
fn the_shared_cases_of_sql_on_fhir_pass() {
    let definitions = Definitions::embedded().unwrap();
    let folder = data::folder("test-suites-dev").join("sof-v2-tests");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for path in paths.iter().filter(|it| it.extension().is_some_and(|it| it == "json")) {
        let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for case in file["tests"].as_array().unwrap() {
            count += 1;
            let name = format!("{}/{}", file["title"].as_str().unwrap(), case["title"].as_str().unwrap());
            if let Err(reason) = check(&definitions, &file["resources"], case) {
                failures.push((name, reason));
            }
        }
    }
    assert!(count > 100, "only {count} cases were found");
    let known: Vec<&str> = KNOWN_FAILURES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next())
        .collect();
    let new: Vec<_> = failures.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
    assert!(new.is_empty(), "{} of {count} fail:\n{new:#?}", new.len());
    assert_eq!(failures.len(), known.len(), "the list of known failures can shrink");
}

fn check(definitions: &Definitions, resources: &Value, case: &Value) -> Result<(), String> {
    let result = run(definitions, resources, &case["view"]);
    if case["expectError"] == true {
        return result.map_or(Ok(()), |rows| Err(format!("gives {rows:?}, an error is expected")));
    }
    let (columns, rows) = result?;
    let expected: Vec<Value> = case["expect"].as_array().unwrap().clone();
    if let Some(names) = case["expectColumns"].as_array() {
        let names: Vec<&str> = names.iter().map(|it| it.as_str().unwrap()).collect();
        if names != columns {
            return Err(format!("the columns are {columns:?}"));
        }
    }
    // The order of rows is not defined.
    let sorted = |rows: &[Value]| {
        let mut rows: Vec<String> = rows.iter().map(canonical).collect();
        rows.sort();
        rows
    };
    if sorted(&rows) != sorted(&expected) {
        return Err(format!("gives {rows:?}, expected is {expected:?}"));
    }
    Ok(())
}

/// With its members by name.
fn canonical(row: &Value) -> String {
    let mut members: Vec<String> =
        row.as_object().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
    members.sort();
    members.join(" ")
}

fn run(
    definitions: &Definitions,
    resources: &Value,
    view: &Value,
) -> Result<(Vec<String>, Vec<Value>), String> {
    let view = View::parse(&definitions.types, &view.to_string()).map_err(|it| it.to_json())?;
    let mut out = Vec::new();
    let mut writing = Writing::of(&view, Format::Json).map_err(|it| it.to_json())?;
    let mut parquet = Writing::of(&view, Format::Parquet).map_err(|it| it.to_json())?;
    for resource in resources.as_array().unwrap() {
        let json = Json::parse(resource.to_string(), &Limits::default()).unwrap();
        let rows = view.rows(&definitions.types, json.root()).map_err(|it| it.to_json())?;
        writing.push(rows.clone(), &mut out).map_err(|it| it.to_json())?;
        parquet.push(rows, &mut Vec::new()).map_err(|it| it.to_json())?;
    }
    writing.finish(&mut out).map_err(|it| it.to_json())?;
    parquet.finish(&mut Vec::new()).map_err(|it| it.to_json())?;
    let columns = view.columns.iter().map(|it| it.name.clone()).collect();
    Ok((columns, serde_json::from_slice(&out).map_err(|it| it.to_string())?))
}
