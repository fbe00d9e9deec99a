//! What a seed says of the record itself: resources, and two of them in fewer words, care teams and Consents.
//!
//! They pass through the door like everything else, on the server's own behalf and with rows in the trail. What is
//! there already, and says the same, is left as it is: a seed that is put again makes no versions.

use crate::access::principal::Principal;
use crate::access::role;
use crate::access::scope::Scopes;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::resource::Resource;
use crate::interaction;
use crate::interaction::context::Context;
use crate::interaction::request::{Instance, Interaction, Parameters, Target};
use crate::smart::error::OAuthError;
use crate::smart::request::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

/// A care team: who cares for a patient.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedCareTeam {
    id: String,
    patient: String,
    members: Vec<String>,
}

/// A Consent: whom a patient permits or denies what. A denial is an exception to a general permission, and the other
/// way round.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedConsent {
    id: String,
    patient: String,
    decision: SeedDecision,
    #[serde(default)]
    actors: Vec<String>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    purposes: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SeedDecision {
    Permit,
    Deny,
}

impl SeedCareTeam {
    pub(super) fn resource(&self) -> Value {
        let members: Vec<Value> =
            self.members.iter().map(|it| json!({ "member": { "reference": it } })).collect();
        json!({
            "resourceType": "CareTeam",
            "id": self.id,
            "status": "active",
            "subject": { "reference": format!("Patient/{}", self.patient) },
            "participant": members
        })
    }
}

impl SeedConsent {
    pub(super) fn resource(&self) -> Value {
        let coding = |system: &str, code: &str| json!({ "coding": [{ "system": system, "code": code }] });
        let (general, kind) = match self.decision {
            SeedDecision::Permit => ("OPTOUT", "permit"),
            SeedDecision::Deny => ("OPTIN", "deny"),
        };
        let role = coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP");
        let actors: Vec<Value> =
            self.actors.iter().map(|it| json!({ "role": role, "reference": { "reference": it } })).collect();
        let codings = |system: &str, codes: &[String]| {
            codes.iter().map(|code| json!({ "system": system, "code": code })).collect::<Vec<_>>()
        };
        let mut provision = json!({ "type": kind });
        if let Some(fields) = provision.as_object_mut() {
            for (name, items) in [
                ("actor", actors),
                ("purpose", codings("http://terminology.hl7.org/CodeSystem/v3-ActReason", &self.purposes)),
                ("class", codings("http://hl7.org/fhir/resource-types", &self.types)),
            ] {
                if !items.is_empty() {
                    fields.insert(name.to_owned(), items.into());
                }
            }
        }
        json!({
            "resourceType": "Consent",
            "id": self.id,
            "status": "active",
            "scope": coding("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
            "category": [coding("http://loinc.org", "59284-0")],
            "patient": { "reference": format!("Patient/{}", self.patient) },
            "policyRule": coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", general),
            "provision": provision
        })
    }
}

/// A resource as a table of a seed says it.
pub(super) fn of_table(table: &Table) -> Result<Value, OAuthError> {
    serde_json::to_value(table).map_err(|_| OAuthError::invalid_request("a resource is no JSON"))
}

/// Puts a resource, if it is not there as it is said to be: whether it was put.
pub(super) async fn put(request: &Request, wanted: &Value) -> Result<bool, OAuthError> {
    let word = |name: &str| wanted.get(name).and_then(Value::as_str).unwrap_or_default();
    let (type_name, id) = (word("resourceType"), word("id"));
    let bad = |what: &str| OAuthError::invalid_request(format!("resource {type_name}/{id}: {what}"));
    let (Some(resource_type), Some(resource_id)) = (ResourceType::parse(type_name), ResourceId::parse(id))
    else {
        return Err(bad("it needs a resourceType and an id"));
    };
    let of = Instance { resource_type, id: resource_id };
    let read = Interaction::Read { of: of.clone(), parameters: Parameters::new() };
    let known = interaction::perform(&context(request, type_name).await?, read).await;
    let known = known.ok().and_then(|it| it.body);
    let known = known.and_then(|it| serde_json::from_str::<Value>(&it).ok()).unwrap_or_default();
    if says_the_same(wanted, &known) {
        return Ok(false);
    }
    let resource = Resource::parse(wanted.to_string().into_bytes(), &Limits::default());
    let update = Interaction::Update {
        target: Target::Instance(of),
        resource: resource.map_err(|outcome| bad(&outcome.to_json()))?,
        if_match: None,
        if_none_match_any: false,
    };
    match interaction::perform(&context(request, type_name).await?, update).await {
        Ok(_) => Ok(true),
        Err(outcome) if outcome.cause().is_some() => Err(outcome.into()),
        Err(outcome) => Err(bad(&outcome.to_json())),
    }
}

/// Whether a stored resource says what is wanted, but for what the server says of it.
fn says_the_same(wanted: &Value, known: &Value) -> bool {
    let own = |it: &Value| {
        let mut it = it.clone();
        if let Some(fields) = it.as_object_mut() {
            fields.remove("meta");
        }
        it
    };
    let profiles = |it: &Value| it.pointer("/meta/profile").cloned();
    known.is_object() && own(wanted) == own(known) && profiles(wanted) == profiles(known)
}

async fn context(request: &Request, type_name: &str) -> Result<Context, OAuthError> {
    let principal = Principal {
        role: Some(role::SERVER.to_owned()),
        scopes: Scopes::parse(&format!("system/{type_name}.cruds")),
        ..request.principal("vesta", "vesta-seed", None, "")
    };
    Ok(Context::new(&request.app, request.app.rules(request.tenant).await?, principal, request.now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_of_a_resource_makes_no_difference() {
        let wanted = json!({ "resourceType": "Patient", "id": "a", "active": true });
        let mut known = wanted.clone();
        known["meta"] = json!({ "versionId": "3", "security": [] });
        assert!(says_the_same(&wanted, &known));
        known["active"] = false.into();
        assert!(!says_the_same(&wanted, &known) && !says_the_same(&wanted, &Value::Null));
    }
}
