//! What is asked of the server, by name.

use crate::server::Server;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One kind of request, asked again and again.
pub struct Operation {
    pub name: &'static str,
    /// The bare database's counterpart.
    pub floor: Option<&'static str>,
    pub make: fn(&Subjects, usize) -> Request,
    /// How many resources one of them writes.
    pub resources: usize,
}

/// A request to make.
pub struct Request {
    pub method: reqwest::Method,
    pub path: String,
    pub body: Option<Value>,
}

/// Whom the questions are about.
pub struct Subjects {
    patients: Vec<Patient>,
    /// Ids of observations that were there, or were created meanwhile.
    created: Mutex<Vec<String>>,
    turn: AtomicUsize,
}

struct Patient {
    id: String,
    family: String,
    identifier: String,
}

impl Subjects {
    /// Some patients of the server, and some of its observations.
    pub async fn find(server: &Server) -> Subjects {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let patients = newest_of(server, "Patient", 100).await;
        let patients = patients.iter().map(|patient| {
            let identifier = &patient["identifier"][0];
            Patient {
                id: text(&patient["id"]),
                family: text(&patient["name"][0]["family"]),
                identifier: format!("{}|{}", text(&identifier["system"]), text(&identifier["value"])),
            }
        });
        let observations = newest_of(server, "Observation", 500).await;
        let observations = observations.iter().map(|it| text(&it["id"])).collect();
        Subjects {
            patients: patients.collect(),
            created: Mutex::new(observations),
            turn: AtomicUsize::new(0),
        }
    }

    /// Remembers what was created.
    pub fn remember(&self, id: String) {
        self.created.lock().unwrap().push(id);
    }

    fn patient(&self) -> &Patient {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.patients[turn % self.patients.len()]
    }

    fn observation(&self) -> String {
        let created = self.created.lock().unwrap();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // 7919 is prime: neighbours in time are not neighbours on disk.
        created.get(turn * 7919 % created.len().max(1)).cloned().unwrap_or_else(|| "none".to_owned())
    }
}

/// The resources of a type that were written last.
async fn newest_of(server: &Server, resource_type: &str, count: usize) -> Vec<Value> {
    let url = format!("{}/{resource_type}/_history?_count={count}", server.base);
    let response =
        server.client.get(url).bearer_auth(server.token()).send().await.expect("the server answers");
    let status = response.status();
    let bundle: Value = response.json().await.expect("a bundle");
    let entries = bundle["entry"].as_array().unwrap_or_else(|| panic!("no {resource_type}: {status}"));
    entries.iter().map(|it| it["resource"].clone()).filter(|it| it.is_object()).collect()
}

/// All of them, in the order in which they are measured: what is asked of patients as Synthea made them comes before
/// what gives them thousands of heart rates more.
pub fn all() -> Vec<Operation> {
    let search = |name, make| Operation { name, floor: None, make, resources: 0 };
    vec![
        Operation {
            name: "search: patient, newest first",
            floor: Some("search"),
            make: newest,
            resources: 0,
        },
        search("search: patient and code", |it, _| {
            get(format!("Observation?patient={}&code=http://loinc.org|8302-2", it.patient().id))
        }),
        search("search: patient and category", |it, _| {
            get(format!("Observation?patient={}&category=laboratory&_count=20", it.patient().id))
        }),
        search("search: code, date, sorted", |_, _| {
            get("Observation?code=http://loinc.org|8867-4&date=ge2012-01-01&_sort=-date&_count=20".into())
        }),
        search("search: code and quantity", |_, _| {
            get("Observation?code=http://loinc.org|8302-2&value-quantity=gt150||cm&_count=20".into())
        }),
        search("search: name", |it, _| {
            get(format!("Patient?family={}", it.patient().family.chars().take(4).collect::<String>()))
        }),
        search("search: identifier", |it, _| get(format!("Patient?identifier={}", it.patient().identifier))),
        search("search: birth date and gender", |_, _| {
            get("Patient?birthdate=ge1960&birthdate=lt1990&gender=female&_count=20".into())
        }),
        search("search: chain", |it, _| {
            get(format!("Encounter?patient.family={}&_count=20", it.patient().family))
        }),
        search("search: include", |it, _| {
            get(format!(
                "MedicationRequest?patient={}&_include=MedicationRequest:encounter&_count=20",
                it.patient().id
            ))
        }),
        search("search: count", |it, _| {
            get(format!("Observation?patient={}&_summary=count", it.patient().id))
        }),
        Operation { name: "$everything", floor: None, make: everything, resources: 0 },
        Operation { name: "create", floor: Some("create"), make: create, resources: 1 },
        Operation { name: "read", floor: Some("read"), make: read, resources: 0 },
        Operation { name: "update", floor: Some("update"), make: update, resources: 1 },
        Operation {
            name: "transaction of 100",
            floor: Some("transaction"),
            make: transaction,
            resources: 100,
        },
        Operation { name: "history", floor: None, make: history, resources: 0 },
    ]
}

fn get(path: String) -> Request {
    Request { method: reqwest::Method::GET, path: path.replace('|', "%7C").replace(' ', "%20"), body: None }
}

fn newest(subjects: &Subjects, _: usize) -> Request {
    get(format!("Observation?patient={}&_sort=-date&_count=20", subjects.patient().id))
}

fn observation(subjects: &Subjects, number: usize) -> Value {
    let day = format!("2026-{:02}-{:02}T09:30:00Z", 1 + number % 12, 1 + number % 28);
    json!({
        "resourceType": "Observation",
        "meta": { "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-heart-rate"] },
        "status": "final",
        "category": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "Vital Signs" }] }],
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4", "display": "Heart rate" }], "text": "Heart rate" },
        "subject": { "reference": format!("Patient/{}", subjects.patient().id) },
        "effectiveDateTime": day,
        "issued": day,
        "valueQuantity": { "value": 55 + number % 60, "unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min" },
    })
}

fn create(subjects: &Subjects, number: usize) -> Request {
    let body = observation(subjects, number);
    Request { method: reqwest::Method::POST, path: "Observation".into(), body: Some(body) }
}

fn read(subjects: &Subjects, _: usize) -> Request {
    get(format!("Observation/{}", subjects.observation()))
}

fn update(subjects: &Subjects, number: usize) -> Request {
    let id = subjects.observation();
    let mut body = observation(subjects, number);
    body["id"] = id.clone().into();
    Request { method: reqwest::Method::PUT, path: format!("Observation/{id}"), body: Some(body) }
}

fn transaction(subjects: &Subjects, number: usize) -> Request {
    let entry = |at: usize| json!({ "resource": observation(subjects, number * 100 + at), "request": { "method": "POST", "url": "Observation" } });
    let entries: Vec<Value> = (0..100).map(entry).collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    Request { method: reqwest::Method::POST, path: String::new(), body: Some(bundle) }
}

fn history(subjects: &Subjects, _: usize) -> Request {
    get(format!("Observation/{}/_history?_count=10", subjects.observation()))
}

fn everything(subjects: &Subjects, _: usize) -> Request {
    get(format!("Patient/{}/$everything?_count=100", subjects.patient().id))
}
