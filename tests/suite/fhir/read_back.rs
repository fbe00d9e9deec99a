//! What was sent comes back: member by member, in order, every digit of every number.
//!
//! `VESTA_READ_BACK=all` takes every file of Synthea instead of a few.

use crate::support::data;
use crate::support::server::{Caller, TestServer, fhir_text, send};
use std::collections::HashMap;
use std::path::PathBuf;
use vesta::fhir::json::{Json, Limits, Node};

/// What a server may add to `meta`, or change there.
const SERVERS_OWN: [&str; 3] = ["versionId", "lastUpdated", "security"];

/// Files that bring what others refer to by their identifiers.
fn is_practice(path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.contains("hospitalinformation") || name.contains("practitionerinformation")
}

fn files(set: &str, most: usize) -> Vec<PathBuf> {
    let is_of_set = |it: &PathBuf| it.components().any(|part| part.as_os_str() == set);
    let all: Vec<PathBuf> = data::files("synthea-dev", "json").into_iter().filter(is_of_set).collect();
    assert!(!all.is_empty(), "there is no set {set}");
    let (mut practice, mut patients): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| is_practice(it));
    practice.sort();
    // The smallest, so that it does not take long.
    patients.sort_by_key(|it| std::fs::metadata(it).map_or(0, |it| it.len()));
    patients.truncate(most);
    practice.into_iter().chain(patients).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn synthetic_patients_come_back_digit_by_digit() {
    let is_all = std::env::var_os("VESTA_READ_BACK").is_some_and(|it| it == "all");
    let mut compared = 0;
    for set in ["synthea-2021-uscore", "synthea-2019"] {
        let server = TestServer::start().await;
        let system = server.system();
        for path in files(set, if is_all { usize::MAX } else { 3 }) {
            let text = std::fs::read_to_string(&path).unwrap();
            compared += load_and_compare(&system, &text).await;
        }
    }
    println!("{compared} resources came back as they were sent");
    assert!(compared > 500, "only {compared} resources were compared");
}

async fn load_and_compare(system: &Caller, text: &str) -> usize {
    let sent = Json::parse(text, &Limits::default()).unwrap();
    let answer = send(fhir_text(system.request("POST", ""), text)).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let answered = Json::parse(answer.body, &Limits::default()).unwrap();
    let locations: Vec<String> = entries(&answered)
        .map(|it| it.get("response").unwrap().string("location").unwrap().into_owned())
        .map(|it| it.split("/_history/").next().unwrap().to_owned())
        .map(|it| it.rsplit('/').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("/"))
        .collect();
    let urls = entries(&sent).map(|it| it.string("fullUrl").unwrap_or_default().into_owned());
    let became: HashMap<String, String> = urls.zip(locations.iter().cloned()).collect();
    let mut compared = 0;
    for (entry, location) in entries(&sent).zip(&locations) {
        let answer = system.get(location).await;
        assert_eq!(answer.status, 200, "{location}");
        let back = Json::parse(answer.body, &Limits::default()).unwrap();
        let resource = entry.get("resource").unwrap();
        if let Err(difference) = same_resource(resource, back.root(), &became) {
            panic!("{location}: {difference}");
        }
        compared += 1;
    }
    compared
}

fn entries(bundle: &Json) -> impl Iterator<Item = Node<'_>> {
    bundle.root().get("entry").into_iter().flat_map(|it| it.items())
}

/// A resource of its own: its id and parts of its `meta` are the server's.
fn same_resource(sent: Node<'_>, back: Node<'_>, became: &HashMap<String, String>) -> Result<(), String> {
    let members = |of: Node<'_>| -> Vec<String> {
        let names = of.members().map(|(name, _)| name.as_str().unwrap().into_owned());
        names.filter(|it| !matches!(it.as_str(), "id" | "meta")).collect()
    };
    if members(sent) != members(back) {
        return Err(format!("members {:?} became {:?}", members(sent), members(back)));
    }
    for name in members(sent) {
        same(sent.get(&name).unwrap(), back.get(&name).unwrap(), became)?;
    }
    let meta = sent.get("meta").into_iter().flat_map(|it| it.members());
    for (name, value) in meta.filter(|(name, _)| !SERVERS_OWN.iter().any(|it| name.is(it))) {
        let name = name.as_str().unwrap();
        let kept = back.get("meta").and_then(|it| it.get(&name)).ok_or(format!("meta.{name} is gone"))?;
        same(value, kept, became)?;
    }
    Ok(())
}

fn same(sent: Node<'_>, back: Node<'_>, became: &HashMap<String, String>) -> Result<(), String> {
    if sent.kind() != back.kind() {
        return Err(format!("{}: {} became {}", sent.path(), sent.raw(), back.raw()));
    }
    if sent.is_object() {
        let pairs: Vec<_> = sent.members().zip(back.members()).collect();
        if pairs.len() != sent.members().count() || pairs.len() != back.members().count() {
            return Err(format!("{}: {} became {}", sent.path(), sent.raw(), back.raw()));
        }
        for ((name, value), (kept_name, kept)) in pairs {
            if name.as_str() != kept_name.as_str() {
                return Err(format!("{}: a member became {}", value.path(), kept_name.raw()));
            }
            let is_reference = name.is("reference") && value.as_str().is_some();
            if !is_reference || !is_same_reference(value, kept, became) {
                same(value, kept, became)?;
            }
        }
        return Ok(());
    }
    if sent.is_array() {
        if sent.items().count() != back.items().count() {
            return Err(format!("{}: {} became {}", sent.path(), sent.raw(), back.raw()));
        }
        return sent.items().zip(back.items()).try_for_each(|(one, other)| same(one, other, became));
    }
    // Of a number every digit, of a string every letter, though not how it was escaped.
    let is_same = match (sent.as_str(), back.as_str()) {
        (Some(one), Some(other)) => one == other || rewritten(&one, became) == other,
        _ => sent.raw() == back.raw(),
    };
    if is_same { Ok(()) } else { Err(format!("{}: {} became {}", sent.path(), sent.raw(), back.raw())) }
}

/// Whether a reference within the bundle, or by criteria, was followed.
fn is_same_reference(sent: Node<'_>, back: Node<'_>, became: &HashMap<String, String>) -> bool {
    let (Some(sent), Some(back)) = (sent.as_str(), back.as_str()) else { return false };
    match sent.split_once('?') {
        Some((of, _)) => back.strip_prefix(of).is_some_and(|rest| rest.starts_with('/')),
        None => became.get(&*sent).is_some_and(|it| **it == *back),
    }
}

/// Text in which addresses of the bundle were followed: narratives, `Attachment.url`.
fn rewritten(text: &str, became: &HashMap<String, String>) -> String {
    let mut text = text.to_owned();
    if text.contains("urn:uuid:") {
        for (from, to) in became {
            text = text.replace(from, to);
        }
    }
    text
}
