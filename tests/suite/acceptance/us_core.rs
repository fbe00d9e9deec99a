//! US Core over TLS: its own examples go in and come out unchanged, and every search that it asks for finds them,
//! by GET and by POST.

use crate::support::data;
use crate::support::server::{Caller, TestServer, send};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The searches that are checked, by type: parameters that are given together, without a status where none is named.
const SEARCHES: &[(&str, &[&str])] = &[
    (
        "Patient",
        &[
            "_id",
            "identifier",
            "name",
            "birthdate name",
            "gender name",
            "birthdate family",
            "family gender",
            "death-date family",
        ],
    ),
    ("AllergyIntolerance", &["patient"]),
    ("Coverage", &["patient"]),
    ("Device", &["patient"]),
    ("Goal", &["patient"]),
    ("Immunization", &["patient"]),
    ("MedicationDispense", &["patient"]),
    ("CarePlan", &["patient category"]),
    ("CareTeam", &["patient status"]),
    (
        "Condition",
        &[
            "patient",
            "patient category",
            "patient clinical-status",
            "patient onset-date",
            "patient code",
            "patient recorded-date",
            "patient encounter",
            "patient asserted-date",
            "patient abatement-date",
        ],
    ),
    (
        "DiagnosticReport",
        &["patient", "patient category", "patient code", "patient category date", "patient status"],
    ),
    (
        "DocumentReference",
        &[
            "_id",
            "patient",
            "patient category",
            "patient category date",
            "patient type",
            "patient period",
            "patient status",
        ],
    ),
    (
        "Encounter",
        &[
            "_id",
            "patient",
            "date patient",
            "identifier",
            "class patient",
            "patient type",
            "patient location",
            "patient status",
            "patient discharge-disposition",
        ],
    ),
    (
        "MedicationRequest",
        &["patient intent", "patient intent status", "patient intent encounter", "patient intent authoredon"],
    ),
    (
        "Observation",
        &[
            "patient code",
            "patient category",
            "patient category date",
            "patient category status",
            "patient code date",
            "patient category _lastUpdated",
        ],
    ),
    ("Procedure", &["patient", "patient date", "patient code date", "patient status"]),
    (
        "ServiceRequest",
        &[
            "_id",
            "patient",
            "patient category",
            "patient category authored",
            "patient code",
            "patient code authored",
            "patient status",
        ],
    ),
    ("Location", &["address", "name", "address-city", "address-state", "address-postalcode"]),
    ("Organization", &["name", "address", "identifier"]),
    ("Practitioner", &["_id", "name", "identifier"]),
    ("PractitionerRole", &["specialty", "practitioner", "identifier"]),
    ("QuestionnaireResponse", &["patient", "patient status", "patient authored", "patient questionnaire"]),
    ("RelatedPerson", &["_id", "patient", "patient name"]),
    ("Specimen", &["_id", "patient"]),
];

/// Where the value of a parameter stands, if not in the element of its name.
const PLACES: &[(&str, &str, &str)] = &[
    ("", "_id", "id"),
    ("", "_lastUpdated", "meta.lastUpdated"),
    ("", "birthdate", "birthDate"),
    ("", "family", "name.family"),
    ("", "death-date", "deceasedDateTime"),
    ("", "clinical-status", "clinicalStatus"),
    ("", "onset-date", "onsetDateTime"),
    ("", "recorded-date", "recordedDate"),
    ("", "asserted-date", "extension.valueDateTime"),
    ("", "abatement-date", "abatementDateTime"),
    ("", "authoredon", "authoredOn"),
    ("", "discharge-disposition", "hospitalization.dischargeDisposition"),
    ("", "address", "address.city"),
    ("", "address-city", "address.city"),
    ("", "address-state", "address.state"),
    ("", "address-postalcode", "address.postalCode"),
    ("", "authored", "authored"),
    ("ServiceRequest", "authored", "authoredOn"),
    ("Encounter", "location", "location.location"),
    ("Encounter", "date", "period"),
    ("DiagnosticReport", "date", "effectiveDateTime"),
    ("Observation", "date", "effectiveDateTime"),
    ("Procedure", "date", "performedDateTime"),
    ("DocumentReference", "period", "context.period"),
    ("AllergyIntolerance", "patient", "patient"),
    ("Device", "patient", "patient"),
    ("Immunization", "patient", "patient"),
    ("RelatedPerson", "patient", "patient"),
    ("Coverage", "patient", "beneficiary"),
    ("", "patient", "subject"),
];

/// The parameters that are asked with comparators, too.
const DATES: [&str; 11] = [
    "birthdate",
    "death-date",
    "onset-date",
    "recorded-date",
    "asserted-date",
    "abatement-date",
    "authoredon",
    "authored",
    "date",
    "period",
    "_lastUpdated",
];

/// The examples of US Core 7.0.0, and what they leave out.
fn examples() -> Vec<Value> {
    let of_7 = |it: &std::path::PathBuf| it.to_string_lossy().contains("/700/package/example/");
    let files = data::files("us-core-plain", "json").into_iter().filter(of_7);
    let mut all: Vec<Value> =
        files.map(|it| serde_json::from_slice(&std::fs::read(it).unwrap()).unwrap()).collect();
    all.retain(|it| it["resourceType"] != "Bundle");
    assert!(all.len() > 150, "only {} examples were found", all.len());
    all.push(json!({
        "resourceType": "PractitionerRole", "id": "cardiologist", "active": true,
        "identifier": [{ "system": "urn:example:roles", "value": "r-1" }],
        "practitioner": { "reference": "Practitioner/practitioner-1" },
        "organization": { "reference": "Organization/acme-lab" },
        "specialty": [{ "coding": [{ "system": "http://nucc.org/provider-taxonomy", "code": "207RC0000X" }] }],
        "telecom": [{ "system": "phone", "value": "555-0100" }]
    }));
    all.push(json!({
        "resourceType": "Encounter", "id": "with-identifier", "status": "finished",
        "identifier": [{ "system": "urn:example:visits", "value": "v-1" }],
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" },
        "type": [{ "text": "visit" }], "subject": { "reference": "Patient/example" }
    }));
    all
}

/// A server that has them all.
async fn start() -> (TestServer, Vec<Value>) {
    let server = TestServer::start_with_tls().await;
    let all = examples();
    for part in all.chunks(60) {
        let entries: Vec<Value> = part
            .iter()
            .map(|it| {
                let url = format!("{}/{}", it["resourceType"].as_str().unwrap(), it["id"].as_str().unwrap());
                json!({ "resource": it, "request": { "method": "PUT", "url": url } })
            })
            .collect();
        let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
        let answer = server.system().post("", &batch).await.assert_status(200).json();
        for (entry, it) in answer["entry"].as_array().unwrap().iter().zip(part) {
            let status = entry["response"]["status"].as_str().unwrap();
            assert!(status.starts_with("201"), "{} {}: {entry}", it["resourceType"], it["id"]);
        }
    }
    (server, all)
}

/// What follows a path of names, in the first item of every list.
fn at<'v>(resource: &'v Value, path: &str) -> Option<&'v Value> {
    let mut value = resource;
    for name in path.split('.') {
        value = value.get(name)?;
        while let Some(items) = value.as_array() {
            value = items.iter().find(|it| name != "extension" || it.get("valueDateTime").is_some())?;
        }
    }
    Some(value)
}

/// The path of the element that a parameter is about.
fn place(type_name: &str, parameter: &str) -> String {
    let mut places =
        PLACES.iter().filter(|(of, name, _)| *name == parameter && (of.is_empty() || *of == type_name));
    let own = places.clone().find(|(of, ..)| !of.is_empty());
    own.or_else(|| places.next()).map_or(parameter, |(.., path)| path).to_owned()
}

/// What is asked of a parameter to find that resource.
fn asked(resource: &Value, parameter: &str) -> Option<String> {
    let path = place(resource["resourceType"].as_str()?, parameter);
    let value = at(resource, &path)?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    if let Some(coding) = at(value, "coding") {
        return Some(format!(
            "{}|{}",
            coding["system"].as_str().unwrap_or_default(),
            coding["code"].as_str()?
        ));
    }
    if let Some(value) = text("value").or_else(|| text("code")) {
        return Some(format!("{}|{value}", text("system").unwrap_or_default()));
    }
    text("reference").or_else(|| text("start")).or_else(|| text("family")).or_else(|| text("name"))
}

fn encoded(fields: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What is found, asked both ways.
async fn found(caller: &Caller, resource_type: &str, fields: &[(String, String)]) -> BTreeSet<String> {
    let mut fields = fields.to_vec();
    fields.push(("_count".into(), "500".into()));
    let query = encoded(&fields);
    let by_get = caller.get(&format!("{resource_type}?{query}")).await.assert_status(200).json();
    let post = caller.request("POST", &format!("{resource_type}/_search"));
    let post = post.header("content-type", "application/x-www-form-urlencoded").body(query.clone());
    let by_post = send(post).await.assert_status(200).json();
    let ids = |bundle: &Value| -> BTreeSet<String> {
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|it| it["search"]["mode"] != "outcome")
            .map(|it| {
                let of = &it["resource"];
                format!("{}/{}", of["resourceType"].as_str().unwrap(), of["id"].as_str().unwrap())
            })
            .collect()
    };
    assert_eq!(ids(&by_get), ids(&by_post), "{resource_type}?{query}");
    assert_eq!(by_get["total"], by_post["total"], "{resource_type}?{query}");
    ids(&by_get)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_us_core_come_back_and_every_search_finds_them() {
    let (server, all) = start().await;
    let system = server.system();
    // As they went in: whatever a profile says must be supported was in there.
    let mut stored = Vec::new();
    for sent in &all {
        let url = format!("{}/{}", sent["resourceType"].as_str().unwrap(), sent["id"].as_str().unwrap());
        let back = system.get(&url).await.assert_status(200).json();
        let without_meta = |it: &Value| {
            let mut it = it.clone();
            it.as_object_mut().unwrap().remove("meta");
            it
        };
        if sent["resourceType"] != "Binary" {
            assert_eq!(without_meta(&back), without_meta(sent), "{url}");
            assert_eq!(back["meta"]["profile"], sent["meta"]["profile"], "{url}");
        }
        stored.push(back);
    }
    let mut missed = Vec::new();
    for (resource_type, combinations) in SEARCHES {
        for combination in *combinations {
            let with_all = stored.iter().filter(|it| it["resourceType"] == *resource_type).find_map(|it| {
                let fields: Option<Vec<(String, String)>> =
                    combination.split(' ').map(|name| Some((name.to_owned(), asked(it, name)?))).collect();
                Some((it, fields?))
            });
            let Some((resource, fields)) = with_all else {
                missed.push(format!("{resource_type} {combination}: no example has them all"));
                continue;
            };
            let url = format!("{resource_type}/{}", resource["id"].as_str().unwrap());
            let date = fields.iter().position(|(name, _)| DATES.contains(&name.as_str()));
            // Nothing that takes a while equals the moment at which it began.
            let takes_a_while =
                |name: &str| at(resource, &place(resource_type, name)).is_some_and(Value::is_object);
            let mut fields = fields;
            for (name, value) in &mut fields {
                if DATES.contains(&name.as_str()) && takes_a_while(name) {
                    *value = format!("ge{value}");
                }
            }
            if !found(&system, resource_type, &fields).await.contains(&url) {
                missed.push(format!("{resource_type} {combination}: {url} was not found by {fields:?}"));
            }
            let Some(date) = date else { continue };
            let value = fields[date].1.trim_start_matches("ge").to_owned();
            let at_most = if takes_a_while(&fields[date].0) { "2999-01-01" } else { value.as_str() };
            for (asked, finds) in [
                (format!("ge{value}"), true),
                (format!("le{at_most}"), true),
                ("gt1850-01-01".to_owned(), true),
                ("lt1850-01-01".to_owned(), false),
            ] {
                fields[date].1 = asked;
                if found(&system, resource_type, &fields).await.contains(&url) != finds {
                    missed.push(format!("{resource_type} {combination}: {fields:?} on {url}"));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));

    // One of several values, what comes along, and what tells of it.
    let fields = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let either = found(
        &system,
        "Condition",
        &fields(&[("patient", "example"), ("clinical-status", "active,resolved")]),
    )
    .await;
    let active =
        found(&system, "Condition", &fields(&[("patient", "example"), ("clinical-status", "active")])).await;
    let resolved =
        found(&system, "Condition", &fields(&[("patient", "example"), ("clinical-status", "resolved")]))
            .await;
    assert!(!active.is_empty());
    assert_eq!(either, active.union(&resolved).cloned().collect());
    let prescriptions = found(
        &system,
        "MedicationRequest",
        &fields(&[("patient", "example"), ("intent", "order"), ("_include", "MedicationRequest:medication")]),
    )
    .await;
    assert!(prescriptions.iter().any(|it| it.starts_with("Medication/")), "{prescriptions:?}");
    let provenance = all.iter().find(|it| it["resourceType"] == "Provenance").unwrap();
    let target = provenance["target"][0]["reference"].as_str().unwrap();
    let (target_type, target_id) = target.split_once('/').unwrap();
    let told =
        found(&system, target_type, &fields(&[("_id", target_id), ("_revinclude", "Provenance:target")]))
            .await;
    assert!(told.contains(&format!("Provenance/{}", provenance["id"].as_str().unwrap())), "{told:?}");
    let documents = system.get("DocumentReference/$docref?patient=example").await.assert_status(200).json();
    assert!(!documents["entry"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_names_every_profile_and_search_of_us_core() {
    let server = TestServer::start_with_tls().await;
    let statement = server.stranger().get("metadata").await.assert_status(200).json();
    let instantiates = statement["instantiates"].to_string();
    assert!(instantiates.contains("us/core/CapabilityStatement/us-core-server"), "{instantiates}");
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let mut missing = Vec::new();
    for (resource_type, combinations) in SEARCHES {
        let of = resources.iter().find(|it| it["type"] == *resource_type).unwrap();
        if !of["supportedProfile"].to_string().contains("us/core/StructureDefinition/us-core-") {
            missing.push(format!("{resource_type}: supportedProfile"));
        }
        let known: Vec<&str> =
            of["searchParam"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
        for name in combinations.iter().flat_map(|it| it.split(' ')) {
            if !known.contains(&name) {
                missing.push(format!("{resource_type}: {name}"));
            }
        }
        let includes = of["searchRevInclude"].to_string();
        if !includes.contains("Provenance:target") {
            missing.push(format!("{resource_type}: Provenance:target"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
