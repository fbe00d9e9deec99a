//! Where something can come out: every way to ask for a thing, and how the answer would show it.

use super::world::{Kind, THINGS, Thing};
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
    /// Not shown by a probe that would change the thing: only that the hidden stays as it was.
    Untouched,
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

fn any(_: &Thing) -> bool {
    true
}

/// What is found by the patient that it is about.
fn about_somebody(thing: &Thing) -> bool {
    thing.kind != Kind::Person
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

/// All of them.
pub const SURFACES: &[Surface] = &[
    read("read", any, |it| get(format!("{}/{}", it.resource_type, it.id))),
    Surface {
        name: "HEAD",
        takes: any,
        ask: |it| Request { method: "HEAD", ..get(format!("{}/{}", it.resource_type, it.id)) },
        shows: Shows::Success,
    },
    read("vread", any, |it| get(format!("{}/{}/_history/1", it.resource_type, it.id))),
    read("history of one", any, |it| get(format!("{}/{}/_history", it.resource_type, it.id))),
    read("history of the type", any, |it| get(format!("{}/_history?_count=1000", it.resource_type))),
    read("history of all", any, |_| get("_history?_count=1000".to_owned())),
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
    read("compartment", about_somebody, |it| {
        get(format!("Patient/{}/{}?_count=1000", it.patient, it.resource_type))
    }),
    read("compartment of all", about_somebody, |it| get(format!("Patient/{}/*?_count=1000", it.patient))),
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
        get(format!("{}?_id={}&_elements=name,value,code,description", it.resource_type, it.id))
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
        takes: |it| it.kind == Kind::Person,
        ask: |it| get(format!("Observation?patient.family={}&_summary=count", it.word)),
        shows: Shows::Total,
    },
    Surface {
        name: "_has",
        takes: about_somebody,
        ask: |it| get(format!("Patient?_has:{}:patient:_id={}&_summary=count", it.resource_type, it.id)),
        shows: Shows::Total,
    },
    read("batch", any, |it| {
        send("POST", String::new(), bundle("batch", "GET", &format!("{}/{}", it.resource_type, it.id), None))
    }),
    read("transaction", any, |it| {
        let url = format!("{}?_id={}", it.resource_type, it.id);
        send("POST", String::new(), bundle("transaction", "GET", &url, None))
    }),
    read("$everything", any, |it| get(format!("Patient/{}/$everything?_count=1000", it.patient))),
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
        takes: any,
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
        takes: about_somebody,
        ask: |it| Request {
            header: Some(("if-none-exist", format!("identifier=urn:leak-test%7C{}", it.id))),
            ..send("POST", "Basic".to_owned(), json!({ "resourceType": "Basic", "code": { "text": "x" } }))
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
        takes: any,
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
        takes: |it| it.kind == Kind::Person,
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
        takes: any,
        ask: |_| get("AuditEvent?_count=200".to_owned()),
        shows: Shows::Untouched,
    },
];

fn bundle(kind: &str, method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({ "request": { "method": method, "url": url } });
    if let (Some(resource), Some(entry)) = (resource, entry.as_object_mut()) {
        entry.insert("resource".to_owned(), resource);
    }
    json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] })
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

/// The surfaces that a thing can be asked for by.
pub fn of(thing: &Thing) -> impl Iterator<Item = &'static Surface> {
    SURFACES.iter().filter(|it| (it.takes)(thing))
}

/// The things that a surface can be asked for.
pub fn things(surface: &Surface) -> impl Iterator<Item = &'static Thing> {
    THINGS.iter().filter(|it| (surface.takes)(it))
}
