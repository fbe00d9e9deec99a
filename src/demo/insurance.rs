//! Who pays, and what the patient allows.

use super::chart::Chart;
use super::code::{act, code, hl7};
use super::element::{moment, named, reference};
use super::practice::{HOSPITAL, PAYER};
use jiff::civil::DateTime;
use serde_json::{Value, json};

/// The coverage of the patient, under their own name.
pub(super) fn coverage(chart: &mut Chart, from: DateTime) {
    let member = chart.random.digits(11);
    let subscriber: String = member.chars().take(9).collect();
    let class = |kind: &str, display: &str, value: &str, name: &str| json!({ "type": hl7("coverage-class", kind, display), "value": value, "name": name });
    let content = json!({
        "identifier": [{
            "type": hl7("v2-0203", "MB", "Member Number"),
            "system": "https://demo.vesta.example/member",
            "value": member,
        }],
        "status": "active",
        "type": code("https://nahdo.org/sopt", "3712", "PPO")
            .concept_with(act("PPO", "preferred provider organization policy")),
        "subscriberId": subscriber,
        "beneficiary": chart.patient(),
        "relationship": hl7("subscriber-relationship", "self", "Self"),
        "period": { "start": from.date().to_string() },
        "payor": [named(PAYER, "Evenflame Health Plan")],
        "class": [
            class("group", "Group", "EV-1042", "Employees of the lamp works"),
            class("plan", "Plan", "EV-GOLD", "Evenflame Gold"),
        ],
    });
    chart.add("Coverage", "us-core-coverage", content);
}

/// The patient agrees that the hospital shares their record for treatment, but for what bears these labels.
/// <https://hl7.org/fhir/R4/consent.html>
pub(super) fn consent(chart: &mut Chart, at: DateTime, withheld: &[(&str, &str)]) {
    let labels: Vec<Value> = withheld
        .iter()
        .map(|(code, display)| {
            json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code, "display": display })
        })
        .collect();
    let end = at.date().saturating_add(jiff::Span::new().years(10));
    let provision = json!({
        "type": "permit",
        "period": { "start": at.date().to_string(), "end": end.to_string() },
        "purpose": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT", "display": "treatment" }],
        "provision": (!labels.is_empty()).then(|| json!([{ "type": "deny", "securityLabel": labels }])),
    });
    let mut provision = provision;
    if let Some(members) = provision.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let content = json!({
        "status": "active",
        "scope": hl7("consentscope", "patient-privacy", "Privacy Consent"),
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0", "display": "Consent Document" }] }],
        "patient": chart.patient(),
        "dateTime": moment(at),
        "performer": [chart.patient()],
        "organization": [reference(HOSPITAL)],
        "policyRule": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN", "display": "opt-in" }] },
        "provision": provision,
    });
    chart.add("Consent", "", content);
}
