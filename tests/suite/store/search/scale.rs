//! The searches of the benchmark over tables that grow: each page comes from an index, and takes no longer.
//!
//! By itself the test grows to twenty thousand observations. A million takes minutes to fill and is run by hand:
//!
//! ```sh
//! VESTA_TEST_OBSERVATIONS=10000,100000,1000000 cargo test --test suite store::search::scale -- --nocapture
//! ```

use super::super::{TENANT, a_type, an_id, store};
use super::VERIFIER;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::access::permit::Permit;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::sealing::{self, Level, SealingPolicy};
use vesta::fhir::json::Limits;
use vesta::fhir::resource::Resource;
use vesta::fhir::seal_class::SealedSpan;
use vesta::search::extract;
use vesta::search::index::Index;
use vesta::search::plan::{Setting, plan};
use vesta::search::query::{Handling, Query};
use vesta::store::Store;
use vesta::store::resources::{Deed, DeedKind};

const BASE: &str = "https://vesta.test/fhir";
const NOW: i64 = 1_795_426_800_000_000;
const DAY: i64 = 86_400_000_000;
/// Observations of each patient; so many encounters and requests are a tenth of that.
const EACH: usize = 100;
/// What stands for the patient in a pattern.
const SOMEBODY: &str = "00000000-0000-4000-8000-000000000000";
/// What stands for the id of a pattern: as long as any other, so that what is sealed stays where it is.
const NOBODY: &str = "11111111-0000-4000-8000-000000000000";
/// When whatever is in a pattern happened.
const THEN: &str = "2010-06-01T09:30:00Z";
const CODES: [&str; 10] =
    ["8867-4", "8302-2", "29463-7", "8310-5", "9279-1", "2339-0", "2947-0", "6298-4", "2069-3", "38483-4"];
const VALUES: usize = 20;
/// So many rows are a small table.
const SMALL: usize = 5_000;
/// Of each, the one in the middle counts.
const RUNS: usize = 9;

/// A resource that others are made of: they differ in whose they are and when.
struct Pattern {
    text: String,
    index: Index,
    sealed: Vec<SealedSpan>,
    then: i64,
}

fn pattern(definitions: &Definitions, value: &Value) -> Pattern {
    let resource = Resource::parse(value.to_string(), &Limits::default()).unwrap();
    let policy = SealingPolicy::embedded(&definitions.types, Level::default()).unwrap();
    Pattern {
        text: value.to_string(),
        index: extract::index(definitions, BASE, &resource),
        sealed: sealing::sealed_spans(definitions, &policy, &resource),
        then: THEN.parse::<jiff::Timestamp>().unwrap().as_microsecond(),
    }
}

impl Pattern {
    fn made(&self, resource_type: &str, (id, patient): (&str, &str), at: i64) -> Deed {
        let (moved, mut index) = (at - self.then, self.index.clone());
        for key in index.keys.iter_mut().filter(|it| it.value.contains(SOMEBODY)) {
            key.value = key.value.replace(SOMEBODY, patient).into();
        }
        for date in &mut index.dates {
            (date.low, date.high) = (date.low + moved, date.high + moved);
        }
        index.patients = vec![an_id(patient)];
        let when = jiff::Timestamp::from_microsecond(at).unwrap().to_string();
        let text = self.text.replace(SOMEBODY, patient).replace(NOBODY, id).replace(THEN, &when);
        deed(resource_type, id, text, index, self.sealed.clone())
    }
}

fn deed(of: &str, id: &str, text: String, index: Index, sealed: Vec<SealedSpan>) -> Deed {
    Deed {
        kind: DeedKind::Create,
        resource_type: a_type(of),
        id: an_id(id),
        version: 1,
        expected: None,
        last_updated: NOW,
        text,
        sealed,
        index,
    }
}

fn patterns(definitions: &Definitions) -> Vec<Pattern> {
    let subject = json!({"reference": format!("Patient/{SOMEBODY}")});
    let of = |code: &str, step: usize| {
        let (unit, value) = if code == "8302-2" { ("cm", 110 + step * 4) } else { ("/min", 55 + step) };
        let category = if code < "6" { "laboratory" } else { "vital-signs" };
        json!({"resourceType": "Observation", "id": NOBODY, "status": "final", "subject": subject, "effectiveDateTime": THEN,
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}})
    };
    let all = CODES.iter().flat_map(|code| (0..VALUES).map(move |step| (code, step)));
    all.map(|(code, step)| pattern(definitions, &of(code, step))).collect()
}

fn uuid(kind: u32, number: usize) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

fn family(number: usize) -> String {
    // Four hundred names, of which twenty begin alike.
    let (head, tail) = (number % 20, number / 20 % 20);
    format!(
        "{}ore{}",
        ["Ab", "Be", "Ce", "Du", "Em"][head % 5].repeat(1 + head / 5),
        ["a", "e", "i", "o"][tail % 4].repeat(1 + tail / 4)
    )
}

/// Patients from one number to another, with everything of theirs.
async fn fill(store: &Store, definitions: &Definitions, patterns: &[Pattern], (from, to): (usize, usize)) {
    let sealing = SealingPolicy::embedded(&definitions.types, Level::default()).unwrap();
    let subject = json!({"reference": format!("Patient/{SOMEBODY}")});
    let encounter = pattern(
        definitions,
        &json!({"resourceType": "Encounter", "id": NOBODY, "status": "finished", "subject": subject,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "period": {"start": THEN, "end": THEN}}),
    );
    let request = pattern(
        definitions,
        &json!({"resourceType": "MedicationRequest", "id": NOBODY, "status": "active", "intent": "order", "subject": subject,
            "authoredOn": THEN, "encounter": {"reference": format!("Encounter/{SOMEBODY}")},
            "medicationCodeableConcept": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "161"}]}}),
    );
    let mut deeds: Vec<Deed> = Vec::new();
    for number in from..to {
        let id = uuid(1, number);
        let born = format!("{}-{:02}-{:02}", 1930 + number * 37 % 90, 1 + number % 12, 1 + number % 28);
        let person = json!({"resourceType": "Patient", "id": id, "gender": if number / 3 % 2 == 0 { "female" } else { "male" },
            "birthDate": born, "name": [{"family": family(number), "given": ["Ann"]}],
            "identifier": [{"system": "urn:mrn", "value": format!("m{number}")}]});
        let resource = Resource::parse(person.to_string(), &Limits::default()).unwrap();
        let sealed = sealing::sealed_spans(definitions, &sealing, &resource);
        let index = extract::index(definitions, BASE, &resource);
        deeds.push(deed("Patient", &id, person.to_string(), index, sealed));
        for place in 0..EACH {
            let at = NOW - DAY * i64::try_from((number * 31 + place * 37) % 5000).unwrap();
            let other = uuid(2, number * EACH + place);
            let pattern = &patterns[(number * 7 + place * 13) % patterns.len()];
            deeds.push(pattern.made("Observation", (&other, &id), at));
            if place % 10 == 0 {
                let visit = uuid(3, number * EACH + place);
                deeds.push(encounter.made("Encounter", (&visit, &id), at));
                deeds.push(request.made("MedicationRequest", (&uuid(4, number * EACH + place), &id), at));
            }
        }
        if deeds.len() >= 4000 {
            store.write(TENANT, std::mem::take(&mut deeds), vec![]).await.unwrap();
        }
    }
    store.write(TENANT, deeds, vec![]).await.unwrap();
}

/// The eleven searches of `tests/bench/operation.rs`, of a patient who is there from the beginning.
fn searches() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let (id, family) = (uuid(1, 7), family(7));
    let text = |it: &str| it.to_owned();
    let patient = ("patient", id);
    vec![
        ("Observation", vec![patient.clone(), ("_sort", text("-date")), ("_count", text("20"))]),
        ("Observation", vec![patient.clone(), ("code", text("http://loinc.org|8302-2"))]),
        ("Observation", vec![patient.clone(), ("category", text("laboratory")), ("_count", text("20"))]),
        (
            "Observation",
            vec![
                ("code", text("http://loinc.org|8867-4")),
                ("date", text("ge2012-01-01")),
                ("_sort", text("-date")),
                ("_count", text("20")),
            ],
        ),
        (
            "Observation",
            vec![
                ("code", text("http://loinc.org|8302-2")),
                ("value-quantity", text("gt150||cm")),
                ("_count", text("20")),
            ],
        ),
        ("Patient", vec![("family", family.chars().take(4).collect())]),
        ("Patient", vec![("identifier", text("urn:mrn|m7"))]),
        (
            "Patient",
            vec![
                ("birthdate", text("ge1960")),
                ("birthdate", text("lt1990")),
                ("gender", text("female")),
                ("_count", text("20")),
            ],
        ),
        ("Encounter", vec![("patient.family", family), ("_count", text("20"))]),
        (
            "MedicationRequest",
            vec![patient.clone(), ("_include", text("MedicationRequest:encounter")), ("_count", text("20"))],
        ),
        ("Observation", vec![patient, ("_summary", text("count"))]),
    ]
}

fn planned(definitions: &Definitions, of: &str, parameters: &[(&str, String)]) -> Query {
    let setting = Setting {
        sets: None,
        definitions,
        base: BASE,
        now: NOW,
        handling: Handling::Strict,
        default_count: 20,
        max_count: 1000,
    };
    let parameters: Vec<(String, String)> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    plan(&setting, &[a_type(of)], &parameters).unwrap().0
}

/// Whether a table of some size is read from end to end; a small one is read faster like that.
fn reads_whole(explained: &str, observations: usize) -> bool {
    let tables = [("observation", 1), ("encounter", 10), ("medicationrequest", 10), ("patient", EACH)];
    tables.iter().any(|(table, share)| {
        explained.contains(&format!("Seq Scan on {table} ")) && observations / share >= SMALL
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_no_longer_from_a_table_that_grew() {
    let sizes = std::env::var_os("VESTA_TEST_OBSERVATIONS").and_then(|it| it.into_string().ok());
    let sizes = sizes.unwrap_or_else(|| "2000,20000".to_owned());
    let sizes: Vec<usize> = sizes.split(',').map(|it| it.parse().unwrap()).collect();
    let definitions = Arc::new(Definitions::embedded().unwrap());
    let (database, store) = store().await;
    let permit = Permit::everything("test");
    let patterns = Arc::new(patterns(&definitions));
    let superuser = database.superuser().await;
    let searches = searches();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); searches.len()];
    let mut filled = 0;
    for size in &sizes {
        let begun = Instant::now();
        let (from, to) = (filled / EACH, size / EACH);
        let middle = from + (to - from) / 2;
        let halves = [(from, middle), (middle, to)].map(|part| {
            let (store, definitions, patterns) =
                (store.clone(), Arc::clone(&definitions), Arc::clone(&patterns));
            tokio::spawn(async move { fill(&store, &definitions, &patterns, part).await })
        });
        for half in halves {
            half.await.unwrap();
        }
        filled = *size;
        superuser.batch_execute("vacuum analyze").await.unwrap();
        println!("{size} observations after {:.1} s more", begun.elapsed().as_secs_f64());
        for ((of, parameters), times) in searches.iter().zip(&mut times) {
            let query = planned(&definitions, of, parameters);
            let permitted = permit.search(query);
            let mut runs = Vec::new();
            let mut found = 0;
            for _ in 0..RUNS {
                let begun = Instant::now();
                let page = store.search(TENANT, &permitted, &VERIFIER).await.unwrap();
                runs.push(begun.elapsed());
                found = page.matches.len() + usize::try_from(page.total.unwrap_or(0)).unwrap();
            }
            assert!(found > 0, "{of} {parameters:?} finds nothing");
            runs.sort();
            times.push(runs[RUNS / 2]);
        }
    }
    let mut slow = Vec::new();
    for ((of, parameters), times) in searches.iter().zip(&times) {
        let query = planned(&definitions, of, parameters);
        let explained = store.explain(TENANT, &permit.search(query), &VERIFIER).await.unwrap();
        let names: Vec<&str> = parameters.iter().map(|(name, _)| *name).collect();
        let shown: Vec<String> = times.iter().map(|it| format!("{:.1}", it.as_secs_f64() * 1000.0)).collect();
        println!("{of} {}: {} ms", names.join(" "), shown.join(" "));
        let (first, last) = (times[0], times[times.len() - 1]);
        let is_slower = last > first * 3 + Duration::from_millis(15);
        if reads_whole(&explained, filled) || is_slower {
            slow.push(format!("{of} {}: {} ms\n{explained}", names.join(" "), shown.join(" ")));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}
