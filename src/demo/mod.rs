//! Made-up patients: clinically plausible, conformant to US Core 7.0.0, and the same for the same seed.
//!
//! <https://hl7.org/fhir/us/core/STU7/>
//!
//! For trying out, tests, load and the training of compression dictionaries. A [`Demo`] is a small
//! practice ([`practice`]: organizations, places, people at work) and any number of charts, each made on
//! its own from the seed and its number, so that millions can be written with the memory of one.
//! The stories of the first ten cover every element that US Core 7 says must be supported, a child's
//! growth, and what wants labels and consent; then they come round again with other people.
//!
//! No clock: the day is an argument. Nobody in here lives, and every text is ours; codes of LOINC, SNOMED
//! CT, RxNorm and CVX are used as codes.
//!
//! # Decision 2026-11-24
//! Resources are built with `serde_json`, not `fhir::tree`: nothing is received here whose digits must be
//! kept, and the literals read like the resources that they become.

mod chart;
mod code;
mod condition;
mod element;
mod encounter;
mod insurance;
mod medication;
mod note;
mod observation;
mod person;
mod plan;
mod practice;
mod prevention;
mod random;
mod story;

use jiff::civil::Date;
use serde_json::{Value, json};

/// The id of the patient whom everybody finds first.
pub const PATIENT: &str = "demo-patient";
/// The id of the clinician who cares for everybody.
pub const CLINICIAN: &str = "demo-clinician";

/// A made-up practice and its patients.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// How many patients.
    pub patients: u32,
    /// What the dice are thrown with.
    pub seed: u64,
    /// The day on which the charts end.
    pub today: Date,
}

impl Demo {
    /// What all charts refer to: organizations, places, people at work, medications, questionnaires.
    #[must_use]
    pub fn practice(&self) -> Vec<Value> {
        practice::resources(self.seed)
    }

    /// The chart of one patient, from 1: everything about them, the patient first. The first is
    /// [`PATIENT`].
    #[must_use]
    pub fn chart(&self, number: u32) -> Vec<Value> {
        story::chart(self.seed, self.today, number)
    }

    /// The practice, then one chart after the other, each a transaction.
    pub fn bundles(&self) -> impl Iterator<Item = Value> + use<> {
        let demo = *self;
        std::iter::once_with(move || transaction(demo.practice()))
            .chain((1..=self.patients).map(move |number| transaction(demo.chart(number))))
    }

    /// Every resource, the practice first, in an order in which nothing is referred to before it is there
    /// but for the rare circle.
    pub fn resources(&self) -> impl Iterator<Item = Value> + use<> {
        let demo = *self;
        std::iter::once_with(move || demo.practice())
            .chain((1..=self.patients).map(move |number| demo.chart(number)))
            .flatten()
    }
}

/// A transaction that puts each resource where its id says.
fn transaction(resources: Vec<Value>) -> Value {
    let entries = resources.into_iter().map(|resource| {
        let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let url = format!("{}/{}", text("resourceType"), text("id"));
        json!({ "resource": resource, "request": { "method": "PUT", "url": url } })
    });
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests;
