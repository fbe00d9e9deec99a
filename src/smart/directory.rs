//! Choosing the patient and the encounter: read through the one door, as the user who chooses.
//!
//! A patient is their own choice. Everybody else finds by name and birth date, in a form that is posted, so
//! that no name stands in an address; and can only choose what the door lets them read.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::request::{Instance, Interaction, Parameters};
use crate::interaction::{self};
use crate::smart::error::OAuthError;
use crate::smart::flow::{self, Current};
use crate::smart::page::{self, Choice, Page, Reply};
use crate::smart::request::{Form, Request};
use serde_json::Value;

/// What the picker itself may do on the user's behalf.
const SCOPE: &str = "user/Patient.rs user/Encounter.rs";
/// How many are shown.
const SHOWN: &str = "20";

/// The page to pick a patient; straight on for users who are one.
pub(super) async fn patients(
    request: &Request,
    current: &mut Current,
    form: page::Form,
) -> Result<Reply, OAuthError> {
    if choose_own(request, current).await? {
        return Box::pin(flow::present(request, current, None)).await;
    }
    Ok(Reply::page(Page::PatientPicker { form, found: None }).with(&current.browser))
}

/// A user who is a patient is their own choice: whether this one is.
pub(super) async fn choose_own(request: &Request, current: &mut Current) -> Result<bool, OAuthError> {
    let own = current.user()?.fhir_user.as_deref().and_then(|it| it.strip_prefix("Patient/"));
    let Some(own) = own.map(str::to_owned) else { return Ok(false) };
    current.flow.patient = Some(own);
    current.keep(request).await?;
    Ok(true)
}

/// Takes a patient, or looks for some.
pub(super) async fn take_patient(
    request: &Request,
    mut current: Current,
    form: &Form,
) -> Result<Reply, OAuthError> {
    if let Some(id) = form.one("patient")? {
        if read(request, &current, "Patient", id).await?.is_some() {
            current.flow.patient = Some(id.to_owned());
            current.keep(request).await?;
            return flow::present(request, &mut current, None).await;
        }
        let complaint = "there is no such patient, or none that you may see".to_owned();
        return flow::present(request, &mut current, Some(complaint)).await;
    }
    let mut parameters = vec![("_count".to_owned(), SHOWN.to_owned())];
    for (field, parameter) in [("name", "name"), ("birthdate", "birthdate")] {
        if let Some(value) = form.one(field)?.map(str::trim).filter(|it| !it.is_empty()) {
            parameters.push((parameter.to_owned(), escape(value)));
        }
    }
    let found = search(request, &current, "Patient", parameters).await;
    let client = client_name(request, &current).await?;
    let (found, complaint) = match found {
        Ok(found) => (Some(found.iter().map(patient_choice).collect()), None),
        Err(_) => (None, Some("this cannot be looked for: a birth date is written 1980-12-31".to_owned())),
    };
    let page = Page::PatientPicker { form: current.form(&client, complaint), found };
    Ok(Reply::page(page).with(&current.browser))
}

/// The page to pick an encounter of the patient.
pub(super) async fn encounters(
    request: &Request,
    current: &Current,
    form: page::Form,
) -> Result<Page, OAuthError> {
    let patient = current.patient().unwrap_or_default().to_owned();
    let parameters = vec![
        ("patient".to_owned(), patient),
        ("_sort".to_owned(), "-date".to_owned()),
        ("_count".to_owned(), SHOWN.to_owned()),
    ];
    let found = search(request, current, "Encounter", parameters).await.unwrap_or_default();
    Ok(Page::EncounterPicker { form, found: found.iter().map(encounter_choice).collect() })
}

/// Takes an encounter, or none.
pub(super) async fn take_encounter(
    request: &Request,
    mut current: Current,
    form: &Form,
) -> Result<Reply, OAuthError> {
    let id = form.one("encounter")?.unwrap_or_default();
    if !id.is_empty() {
        let subject = format!("Patient/{}", current.patient().unwrap_or_default());
        let found = read(request, &current, "Encounter", id).await?;
        let is_theirs = found.is_some_and(|it| text_at(&it, "/subject/reference") == Some(&subject));
        if !is_theirs {
            let complaint = "there is no such visit of this patient".to_owned();
            return flow::present(request, &mut current, Some(complaint)).await;
        }
    }
    current.flow.encounter = Some(id.to_owned());
    current.keep(request).await?;
    flow::present(request, &mut current, None).await
}

/// A resource, as far as the user may read it.
pub(super) async fn read(
    request: &Request,
    current: &Current,
    type_name: &str,
    id: &str,
) -> Result<Option<Value>, OAuthError> {
    let (Some(resource_type), Some(id)) = (ResourceType::parse(type_name), ResourceId::parse(id)) else {
        return Ok(None);
    };
    let of = Instance { resource_type, id };
    let interaction = Interaction::Read { of, parameters: Parameters::new() };
    match perform(request, current, interaction).await {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(_) => Ok(None),
    }
}

async fn search(
    request: &Request,
    current: &Current,
    type_name: &str,
    parameters: Parameters,
) -> Result<Vec<Value>, Outcome> {
    let resource_type = ResourceType::parse(type_name);
    let interaction = Interaction::Search { resource_type, compartment: None, parameters };
    let text = perform(request, current, interaction).await?;
    let mut bundle: Value = serde_json::from_str(&text).unwrap_or_default();
    let entries = bundle.get_mut("entry").and_then(Value::as_array_mut).map(std::mem::take);
    let resources = entries.unwrap_or_default().into_iter();
    let resources = resources.filter_map(|mut entry| Some(entry.get_mut("resource")?.take()));
    Ok(resources.filter(|it| text_at(it, "/resourceType") == Some(type_name)).collect())
}

async fn perform(request: &Request, current: &Current, interaction: Interaction) -> Result<String, Outcome> {
    let user = current.user().map_err(|_| Outcome::login())?;
    let client = current.flow.client.as_deref().unwrap_or("vesta");
    let principal = request.principal(&user.id.to_string(), client, user.fhir_user.as_deref(), SCOPE);
    let rules = request.app.rules(request.tenant).await?;
    let ctx = Context {
        request_id: request.id,
        network: request.network.clone(),
        ..Context::new(&request.app, rules, principal, request.now)
    };
    let response = interaction::perform(&ctx, interaction).await?;
    Ok(response.body.unwrap_or_default())
}

async fn client_name(request: &Request, current: &Current) -> Result<String, OAuthError> {
    let Some(id) = &current.flow.client else { return Ok(String::new()) };
    let client = crate::smart::client::find(request, id).await?;
    Ok(client.map(|it| it.name().to_owned()).unwrap_or_default())
}

fn patient_choice(patient: &Value) -> Choice {
    let sex = text_at(patient, "/gender").unwrap_or("sex unknown");
    let born = text_at(patient, "/birthDate").unwrap_or("birth date unknown");
    Choice {
        value: text_at(patient, "/id").unwrap_or_default().to_owned(),
        label: name_of(patient),
        detail: format!("{born}, {sex}"),
    }
}

fn encounter_choice(encounter: &Value) -> Choice {
    let kind = ["/type/0/text", "/type/0/coding/0/display", "/class/display", "/class/code"];
    let kind = kind.iter().find_map(|it| encounter.pointer(it).and_then(Value::as_str)).unwrap_or("visit");
    let start = text_at(encounter, "/period/start").unwrap_or("date unknown");
    Choice {
        value: text_at(encounter, "/id").unwrap_or_default().to_owned(),
        label: format!("{kind}, {}", start.split('T').next().unwrap_or_default()),
        detail: text_at(encounter, "/status").unwrap_or_default().to_owned(),
    }
}

/// The official name, or the first.
pub(super) fn name_of(person: &Value) -> String {
    let names = person.get("name").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let official = names.iter().find(|it| text_at(it, "/use") == Some("official")).or(names.first());
    let Some(name) = official else { return "no name".to_owned() };
    if let Some(text) = text_at(name, "/text") {
        return text.to_owned();
    }
    let given = name.get("given").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let words: Vec<&str> = given.iter().chain(name.get("family")).filter_map(Value::as_str).collect();
    words.join(" ")
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str()
}

/// A value that stands for itself in a search: <https://hl7.org/fhir/R4/search.html#escaping>
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars().take(200) {
        if matches!(letter, '\\' | ',' | '$' | '|') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
