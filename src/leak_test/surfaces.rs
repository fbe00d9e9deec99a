//! Where something can come out: every way to ask for a thing, and how the answer would show it.

use super::world::{BRIDGE, Kind, OWN, THINGS, Thing};
use serde_json::{Value, json};

/// A way to ask.
#[derive(Clone, Copy)]
pub struct Surface {
    /// Its name in the table.
    pub name: &'static str,
    /// Which things it can be asked for.
    pub takes: fn(&Thing) -> bool,
    /// The request for a thing.
    pub ask: fn(&Thing) -> Request,
    /// How the answer shows the thing to whoever may see it.
    pub shows: Shows,
}

/// How an answer shows a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Its word stands in the answer.
    Word,
    /// `total` is at least one.
    Total,
    /// The answer is a success; it need not hold the word.
    Success,
    /// Not shown by a probe that would change the thing, or that asks by way of another: there is no twin.
    Untouched,
    /// No twin, and no `total` above zero for what is hidden.
    Uncounted,
}

/// A request under the FHIR base.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path and query, without the base.
    pub path: String,
    /// A header beside the usual ones.
    pub header: Option<(&'static str, String)>,
    /// The body, and its type.
    pub body: Option<(&'static str, Value)>,
}

const FHIR: &str = "application/fhir+json";

fn get(path: String) -> Request {
    Request { method: "GET", path, header: None, body: None }
}

fn send(method: &'static str, path: String, body: Value) -> Request {
    Request { method, path, header: None, body: Some((FHIR, body)) }
}

/// What is there by itself, or as a part.
fn every(_: &Thing) -> bool {
    true
}

/// What is a resource of its own.
fn whole(thing: &Thing) -> bool {
    !thing.is_part()
}

/// What has an identifier, and a patient whom it names.
fn any(thing: &Thing) -> bool {
    whole(thing) && thing.resource_type != "Binary"
}

/// What is in the compartment of its patient.
fn of_record(thing: &Thing) -> bool {
    any(thing) && thing.kind != Kind::Device
}

/// What is found by the patient that it is about.
fn about_somebody(thing: &Thing) -> bool {
    any(thing) && thing.kind != Kind::Person
}

/// What is in the compartment of the patient that it is about.
fn of_somebodys_record(thing: &Thing) -> bool {
    about_somebody(thing) && thing.kind != Kind::Device
}

fn person(thing: &Thing) -> bool {
    thing.kind == Kind::Person
}

/// What the bridge leads to.
fn beyond_the_bridge(thing: &Thing) -> bool {
    matches!(thing.kind, Kind::Laboratory | Kind::Addiction)
}

fn laboratory(thing: &Thing) -> bool {
    thing.kind == Kind::Laboratory
}

fn observation(thing: &Thing) -> bool {
    thing.resource_type == "Observation"
}

const fn read(name: &'static str, takes: fn(&Thing) -> bool, ask: fn(&Thing) -> Request) -> Surface {
    Surface { name, takes, ask, shows: Shows::Word }
}

const fn probe(name: &'static str, takes: fn(&Thing) -> bool, ask: fn(&Thing) -> Request) -> Surface {
    Surface { name, takes, ask, shows: Shows::Untouched }
}

/// All of them.
pub const SURFACES: &[Surface] = &[
    read("read", every, |it| get(format!("{}/{}", it.resource_type, it.id))),
    Surface {
        name: "HEAD",
        takes: whole,
        ask: |it| Request { method: "HEAD", ..get(format!("{}/{}", it.resource_type, it.id)) },
        shows: Shows::Success,
    },
    read("vread", every, |it| get(format!("{}/{}/_history/1", it.resource_type, it.id))),
    read("history of one", every, |it| get(format!("{}/{}/_history", it.resource_type, it.id))),
    read("history of the type", every, |it| get(format!("{}/_history?_count=1000", it.resource_type))),
    read("history of all", every, |_| get("_history?_count=1000".to_owned())),
    read("search", any, |it| get(format!("{}?_id={}", it.resource_type, it.id))),
    read("search by identifier", any, |it| {
        get(format!("{}?identifier=urn:leak-test%7C{}", it.resource_type, it.id))
    }),
    Surface {
        name: "search by POST",
        takes: any,
        ask: |it| Request {
            method: "POST",
            path: format!("{}/_search", it.resource_type),
            header: None,
            body: Some(("application/x-www-form-urlencoded", Value::String(format!("_id={}", it.id)))),
        },
        shows: Shows::Word,
    },
    read("search by patient", about_somebody, |it| {
        get(format!("{}?patient=Patient/{}&_count=1000", it.resource_type, it.patient))
    }),
    read("search of several types", any, |it| get(format!("?_type={}&_id={}", it.resource_type, it.id))),
    read("compartment", of_somebodys_record, |it| {
        get(format!("Patient/{}/{}?_count=1000", it.patient, it.resource_type))
    }),
    read("compartment of all", of_somebodys_record, |it| {
        get(format!("Patient/{}/*?_count=1000", it.patient))
    }),
    read("_include", laboratory, |it| {
        get(format!("Provenance?target=Observation/{}&_include=Provenance:target", it.id))
    }),
    read("_revinclude", about_somebody, |it| {
        get(format!("Patient?_id={}&_revinclude={}:patient", it.patient, it.resource_type))
    }),
    read(":iterate", laboratory, |it| {
        get(format!(
            "Patient?_id={}&_revinclude=Provenance:target&_include:iterate=Provenance:target",
            it.patient
        ))
    }),
    read("_sort", any, |it| get(format!("{}?_sort=-_lastUpdated&_count=1000", it.resource_type))),
    read("_elements", any, |it| {
        get(format!("{}?_id={}&_elements=name,value,code,description,deviceName", it.resource_type, it.id))
    }),
    read("_filter", any, |it| get(format!("{}?_filter=_id%20eq%20{}", it.resource_type, it.id))),
    Surface {
        name: "_summary=count",
        takes: any,
        ask: |it| get(format!("{}?_id={}&_summary=count", it.resource_type, it.id)),
        shows: Shows::Total,
    },
    Surface {
        name: "_total",
        takes: any,
        ask: |it| get(format!("{}?_id={}&_total=accurate&_count=0", it.resource_type, it.id)),
        shows: Shows::Total,
    },
    Surface {
        name: "chain",
        takes: person,
        ask: |it| get(format!("Observation?patient.family={}&_summary=count", it.word)),
        shows: Shows::Total,
    },
    Surface {
        name: "_has",
        takes: about_somebody,
        ask: |it| get(format!("Patient?_has:{}:patient:_id={}&_summary=count", it.resource_type, it.id)),
        shows: Shows::Total,
    },
    read("batch", whole, |it| {
        send("POST", String::new(), bundle("batch", "GET", &format!("{}/{}", it.resource_type, it.id), None))
    }),
    read("transaction", any, |it| {
        let url = format!("{}?_id={}", it.resource_type, it.id);
        send("POST", String::new(), bundle("transaction", "GET", &url, None))
    }),
    read("$everything", of_record, |it| get(format!("Patient/{}/$everything?_count=1000", it.patient))),
    read("$lastn", observation, |it| {
        get(format!(
            "Observation/$lastn?patient=Patient/{}&category=laboratory,vital-signs&max=9",
            it.patient
        ))
    }),
    read(
        "$docref",
        |it| it.kind == Kind::Document,
        |it| get(format!("DocumentReference/$docref?patient={}", it.patient)),
    ),
    read("ViewDefinition/$run", any, |it| {
        let words = json!([{ "column": [{
            "name": "words", "path": "descendants().ofType(string)", "type": "string", "collection": true
        }] }]);
        let view = json!({
            "resourceType": "ViewDefinition", "name": "probe", "resource": it.resource_type,
            "where": [{ "path": format!("id = '{}'", it.id) }], "select": words
        });
        send("POST", "ViewDefinition/$run?_format=json".to_owned(), view)
    }),
    Surface {
        name: "$meta",
        takes: whole,
        ask: |it| get(format!("{}/{}/$meta", it.resource_type, it.id)),
        shows: Shows::Success,
    },
    Surface {
        name: "$validate",
        takes: any,
        ask: |it| get(format!("{}/{}/$validate", it.resource_type, it.id)),
        shows: Shows::Success,
    },
    Surface {
        name: "conditional create",
        takes: laboratory,
        ask: |it| Request {
            header: Some(("if-none-exist", format!("identifier=urn:leak-test%7C{}", it.id))),
            ..send("POST", "Observation".to_owned(), measured())
        },
        shows: Shows::Untouched,
    },
    Surface {
        name: "update",
        takes: laboratory,
        ask: |it| send("PUT", format!("Observation/{}", it.id), overwriting(it)),
        shows: Shows::Untouched,
    },
    Surface {
        name: "conditional update",
        takes: laboratory,
        ask: |it| {
            let mut body = overwriting(it);
            if let Some(body) = body.as_object_mut() {
                body.remove("id");
            }
            send("PUT", format!("Observation?identifier=urn:leak-test%7C{}", it.id), body)
        },
        shows: Shows::Untouched,
    },
    Surface {
        name: "PATCH test",
        takes: laboratory,
        ask: |it| patch(format!("Observation/{}", it.id), it.word),
        shows: Shows::Untouched,
    },
    Surface {
        name: "conditional PATCH",
        takes: laboratory,
        ask: |it| patch(format!("Observation?identifier=urn:leak-test%7C{}", it.id), it.word),
        shows: Shows::Untouched,
    },
    Surface {
        name: "delete",
        takes: whole,
        ask: |it| Request { method: "DELETE", ..get(format!("{}/{}", it.resource_type, it.id)) },
        shows: Shows::Untouched,
    },
    Surface {
        name: "conditional delete",
        takes: any,
        ask: |it| Request {
            method: "DELETE",
            ..get(format!("{}?identifier=urn:leak-test%7C{}", it.resource_type, it.id))
        },
        shows: Shows::Untouched,
    },
    Surface {
        name: "conditional reference",
        takes: person,
        ask: |it| {
            let refers = json!({
                "resourceType": "Flag", "status": "active", "code": { "text": "x" },
                "subject": { "reference": format!("Patient?identifier=urn:leak-test%7C{}", it.id) }
            });
            send("POST", String::new(), bundle("transaction", "POST", "Flag", Some(refers)))
        },
        shows: Shows::Untouched,
    },
    Surface {
        name: "the trail",
        takes: |it| it.kind == Kind::Laboratory,
        ask: |_| get("AuditEvent?_count=200".to_owned()),
        shows: Shows::Untouched,
    },
    Surface {
        name: "the trail of a patient",
        takes: person,
        ask: |it| get(format!("AuditEvent?patient=Patient/{}&_summary=count", it.id)),
        shows: Shows::Total,
    },
    Surface {
        name: "Provenance",
        takes: laboratory,
        ask: |it| {
            get(format!(
                "Provenance?target=Observation/{}-laboratory&_id={}-provenance&_summary=count",
                it.patient, it.patient
            ))
        },
        shows: Shows::Uncounted,
    },
    probe("_include from elsewhere", beyond_the_bridge, |_| {
        get(format!("Provenance?_id={BRIDGE}&_include=Provenance:target"))
    }),
    Surface {
        name: "chain from elsewhere",
        takes: beyond_the_bridge,
        ask: |it| {
            let end = format!("target:{}.identifier=urn:leak-test%7C{}", it.resource_type, it.id);
            get(format!("Provenance?_id={BRIDGE}&{end}&_summary=count"))
        },
        shows: Shows::Uncounted,
    },
    Surface {
        name: "search by an element",
        takes: |it| it.kind == Kind::Note,
        ask: |it| get(format!("Condition?evidence=urn:leak-test%7C{}&_summary=count", it.id)),
        shows: Shows::Uncounted,
    },
    read("XML", any, |it| {
        let path = format!("{}/{}?_format=application/fhir%2Bxml", it.resource_type, it.id);
        Request { header: Some(("accept", "application/fhir+xml".to_owned())), ..get(path) }
    }),
    Surface {
        name: "Binary as it is",
        takes: |it| it.resource_type == "Binary",
        ask: |it| Request {
            header: Some(("accept", format!("text/x-{}", it.word))),
            ..get(format!("Binary/{}", it.id))
        },
        shows: Shows::Success,
    },
    Surface {
        name: "If-None-Match",
        takes: whole,
        ask: |it| Request {
            header: Some(("if-none-match", "W/\"1\"".to_owned())),
            ..get(format!("{}/{}", it.resource_type, it.id))
        },
        shows: Shows::Untouched,
    },
    probe("$diff", |it| it.kind == Kind::Once, |it| get(format!("Condition/{}/$diff?from=2&to=1", it.id))),
    probe("$count", any, |it| get(format!("{}/$count?_id={}", it.resource_type, it.id))),
    probe("$accounting-of-disclosures", person, |it| {
        get(format!("Patient/{}/$accounting-of-disclosures", it.id))
    }),
    probe("$access-explain", any, |it| {
        let resource = format!("{}/{}", it.resource_type, it.id);
        get(format!("$access-explain?user=Practitioner/leak-nurse&role=nurse&resource={resource}"))
    }),
    probe("$member-match", person, |it| {
        let coverage = json!({
            "resourceType": "Coverage", "status": "active", "subscriberId": format!("{}-member", it.id),
            "beneficiary": { "display": "x" }, "payor": [{ "display": "x" }]
        });
        let member = json!({
            "resourceType": "Patient", "name": [{ "family": it.word }], "birthDate": "1970-01-01"
        });
        let parameters = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "MemberPatient", "resource": member },
            { "name": "CoverageToMatch", "resource": coverage }
        ] });
        send("POST", "Patient/$member-match".to_owned(), parameters)
    }),
    probe("$break-glass", person, |it| {
        let reason = json!({ "name": "reason", "valueString": "nothing that is one" });
        let parameters = json!({ "resourceType": "Parameters", "parameter": [reason] });
        send("POST", format!("Patient/{}/$break-glass", it.id), parameters)
    }),
    probe("$explain", any, |it| get(format!("{}/$explain?_id={}", it.resource_type, it.id))),
    probe("$graphql", any, |it| get(format!("{}/{}/$graphql?query=%7Bid%7D", it.resource_type, it.id))),
];

/// The surfaces that say by success alone that something is there.
pub const TELLING: &[&str] = &[
    "read",
    "HEAD",
    "vread",
    "history of one",
    "$meta",
    "$validate",
    "XML",
    "Binary as it is",
    "If-None-Match",
    "$accounting-of-disclosures",
    "$access-explain",
    "$member-match",
    "$break-glass",
    "$explain",
    "$graphql",
    "PATCH test",
    "conditional PATCH",
    "conditional reference",
];

fn bundle(kind: &str, method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({ "request": { "method": method, "url": url } });
    if let (Some(resource), Some(entry)) = (resource, entry.as_object_mut()) {
        entry.insert("resource".to_owned(), resource);
    }
    json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] })
}

/// Something new about the patient whom most may see.
fn measured() -> Value {
    json!({
        "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": format!("Patient/{OWN}") }
    })
}

fn overwriting(thing: &Thing) -> Value {
    json!({
        "resourceType": "Observation", "id": thing.id, "status": "final", "code": { "text": "x" },
        "subject": { "reference": format!("Patient/{}", thing.patient) }
    })
}

fn patch(path: String, word: &str) -> Request {
    let operations = json!([{ "op": "test", "path": "/valueString", "value": word }]);
    Request { method: "PATCH", path, header: None, body: Some(("application/json-patch+json", operations)) }
}

/// Requests whose answers would tell what is hidden from what never was, by status, by body or by what they do.
#[must_use]
pub fn oracles(resource_type: &str, id: &str) -> Vec<Request> {
    let place = format!("{resource_type}/{id}");
    let mut all: Vec<Request> =
        ["", "/_history/1", "/_history", "/$meta"].iter().map(|it| get(format!("{place}{it}"))).collect();
    let mut body = match resource_type {
        "Observation" => measured(),
        of => json!({ "resourceType": of }),
    };
    if let Some(members) = body.as_object_mut() {
        members.insert("id".to_owned(), id.into());
    }
    let put = send("PUT", place.clone(), body);
    for version in ["W/\"1\"", "W/\"99\""] {
        all.push(Request { header: Some(("if-match", version.to_owned())), ..put.clone() });
    }
    all.push(Request { header: Some(("if-none-match", "*".to_owned())), ..put.clone() });
    all.push(put);
    all.push(Request { method: "DELETE", ..get(place.clone()) });
    all.push(patch(place, "x"));
    all
}

/// The things that a surface can be asked for.
pub fn things(surface: &Surface) -> impl Iterator<Item = &'static Thing> {
    THINGS.iter().filter(|it| (surface.takes)(it))
}
