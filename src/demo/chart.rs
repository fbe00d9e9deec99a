//! A chart in the making: whose it is, what is in it, and who wrote what.

use super::element::{moment, reference};
use super::person::Person;
use super::random::Random;
use jiff::civil::{Date, DateTime};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Everything about one patient, as it grows.
pub(super) struct Chart {
    /// The id of the patient, which begins every other id.
    pub(super) id: String,
    /// The dice.
    pub(super) random: Random,
    /// The day on which the chart ends.
    pub(super) today: Date,
    /// Who it is about.
    pub(super) person: Person,
    resources: Vec<Value>,
    counts: HashMap<&'static str, u32>,
    /// What was written and not yet vouched for.
    unsigned: Vec<String>,
}

/// A visit that things happen at.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// `Encounter/…`
    pub(super) encounter: String,
    /// When it began.
    pub(super) at: DateTime,
    /// `Practitioner/…`, who saw the patient.
    pub(super) by: &'static str,
}

/// The labels of what wants special care, and nothing for the rest.
/// <https://terminology.hl7.org/ValueSet-v3-InformationSensitivityPolicy.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// Nothing special.
    None,
    /// HIV and AIDS.
    Hiv,
    /// Substance use treatment under 42 CFR Part 2.
    Part2,
    /// Mental health.
    MentalHealth,
    /// Reproductive and sexual health.
    Reproductive,
}

impl Chart {
    pub(super) fn new(id: String, random: Random, today: Date, person: Person) -> Chart {
        Chart {
            id,
            random,
            today,
            person,
            resources: Vec::new(),
            counts: HashMap::new(),
            unsigned: Vec::new(),
        }
    }

    /// A reference to the patient.
    pub(super) fn patient(&self) -> Value {
        json!({ "reference": format!("Patient/{}", self.id), "display": self.person.full_name() })
    }

    /// Adds a resource, with the profile of US Core that it is to follow. Says how to refer to it.
    pub(super) fn add(&mut self, resource_type: &'static str, profile: &str, content: Value) -> String {
        self.add_labelled(resource_type, profile, Label::None, content)
    }

    /// Adds a resource that wants special care.
    pub(super) fn add_labelled(
        &mut self,
        resource_type: &'static str,
        profile: &str,
        label: Label,
        content: Value,
    ) -> String {
        let count = self.counts.entry(resource_type).or_default();
        *count += 1;
        let id = match resource_type {
            "Patient" => self.id.clone(),
            _ => format!("{}-{}-{count}", self.id, resource_type.to_lowercase()),
        };
        let address = format!("{resource_type}/{id}");
        if resource_type != "Provenance" {
            self.unsigned.push(address.clone());
        }
        self.resources.push(resource(resource_type, &id, profile, label.security(), content));
        address
    }

    /// Who wrote what was added since the last time: the author, and who sent it on.
    /// <https://hl7.org/fhir/us/core/STU7/StructureDefinition-us-core-provenance.html>
    pub(super) fn sign(&mut self, at: DateTime, author: &str) {
        let targets: Vec<Value> = self.unsigned.drain(..).map(|it| reference(&it)).collect();
        if targets.is_empty() {
            return;
        }
        const TRANSMITTER: &str =
            "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type";
        let hospital = reference("Organization/demo-hospital");
        self.add(
            "Provenance",
            "us-core-provenance",
            json!({
                "target": targets,
                "recorded": moment(at),
                "agent": [
                    {
                        "type": super::code::hl7("provenance-participant-type", "author", "Author"),
                        "who": reference(author),
                        "onBehalfOf": hospital,
                    },
                    {
                        "type": { "coding": [{ "system": TRANSMITTER, "code": "transmitter", "display": "Transmitter" }] },
                        "who": hospital,
                    },
                ],
            }),
        );
    }

    /// The resources, the patient first.
    pub(super) fn into_resources(self) -> Vec<Value> {
        self.resources
    }
}

impl Label {
    fn security(self) -> Option<Value> {
        let sensitivity = match self {
            Label::None => return None,
            Label::Hiv => [("HIV", "HIV/AIDS information sensitivity")].as_slice(),
            Label::Part2 => {
                &[("SUD", "substance use disorder information sensitivity"), ("42CFRPart2", "42 CFR Part2")]
            }
            Label::MentalHealth => &[("MH", "mental health information sensitivity")],
            Label::Reproductive => &[("SEX", "sexuality and reproductive health information sensitivity")],
        };
        let restricted = json!({
            "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
            "code": "R",
            "display": "restricted",
        });
        let labels = sensitivity.iter().map(|(code, display)| {
            json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code, "display": display })
        });
        Some(std::iter::once(restricted).chain(labels).collect())
    }
}

/// A resource: type, id and meta first, then what is in it.
pub(super) fn resource(
    resource_type: &str,
    id: &str,
    profile: &str,
    security: Option<Value>,
    content: Value,
) -> Value {
    let mut members = Map::new();
    members.insert("resourceType".to_owned(), resource_type.into());
    members.insert("id".to_owned(), id.into());
    let mut meta = Map::new();
    if !profile.is_empty() {
        let canonical = format!("http://hl7.org/fhir/us/core/StructureDefinition/{profile}|7.0.0");
        meta.insert("profile".to_owned(), json!([canonical]));
    }
    meta.extend(security.map(|labels| ("security".to_owned(), labels)));
    if !meta.is_empty() {
        members.insert("meta".to_owned(), Value::Object(meta));
    }
    if let Value::Object(content) = content {
        members.extend(content.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(members)
}
