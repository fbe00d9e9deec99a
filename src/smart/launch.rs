//! Launches that an EHR begins: what a user has open, behind a hidden name that is good once.
//!
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch>
//!
//! A launch is for one client and one user, and is begun by an EHR that is itself a client with the right to
//! (`may_launch`), by an app that such a client's user has open, or from the command line.

use crate::audit::event::Kind;
use crate::crypto::{random, token_hash};
use crate::fhir::id::ResourceId;
use crate::smart::client::{self, Client};
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::store::tickets::TicketKind;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long an app may take to come back with its launch.
const LIFETIME_SECONDS: i64 = 600;

/// What a user has open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The app that is opened.
    pub client: String,
    /// The user who opens it: the id of the account. Nobody else may go on with it.
    pub account: Option<String>,
    /// The patient.
    pub patient: Option<String>,
    /// The encounter.
    pub encounter: Option<String>,
    /// Further resources: `fhirContext`.
    pub fhir_context: Vec<Value>,
    /// What the app shall do.
    pub intent: Option<String>,
    /// Whether the EHR shows the patient's name itself.
    pub has_patient_banner: bool,
}

/// Begins a launch: its hidden name.
///
/// # Errors
/// The database fails.
pub async fn begin(request: &Request, launch: &Launch) -> Result<SecretString, OAuthError> {
    let name = random::token_urlsafe(32);
    let document = serde_json::to_string(launch).map_err(OAuthError::server_error)?;
    let hash = token_hash::hash(name.expose_secret());
    let ticket = (TicketKind::Launch, hash.as_slice());
    request.app.store.keep_ticket(request.tenant, ticket, &document, request.later(LIFETIME_SECONDS)).await?;
    let user = launch.account.as_deref().unwrap_or_default();
    record::success(request, Who { user, client: &launch.client }, Kind::Launch, "begun").await?;
    Ok(name)
}

/// The answer to an EHR that asks to begin one: the name, and the address to open.
///
/// # Errors
/// The client or user is unknown, a field is malformed, or whoever asks may not.
pub async fn begin_for(request: &Request, ehr: &Client, form: &Form) -> Result<Value, OAuthError> {
    if !ehr.registration.may_launch || !ehr.is_confidential() {
        let who = Who { client: &ehr.id, ..Who::default() };
        let error = OAuthError::new("unauthorized_client", "this client may not begin launches");
        return Err(record::refused(request, who, (Kind::Launch, "may not launch"), error).await);
    }
    begin_with(request, form).await
}

/// Begins a launch as a form says, for whoever may.
pub(super) async fn begin_with(request: &Request, form: &Form) -> Result<Value, OAuthError> {
    let unknown = |what| OAuthError::invalid_request(format!("there is no such {what}"));
    let app = client::find(request, form.required("client")?).await?.ok_or_else(|| unknown("client"))?;
    let user = request.app.store.account_named(request.tenant, form.required("user")?).await?;
    let user = user.filter(|it| it.disabled.is_none()).ok_or_else(|| unknown("user"))?;
    let launch = Launch {
        client: app.id.clone(),
        account: Some(user.id.to_string()),
        patient: id_field(form, "patient")?,
        encounter: id_field(form, "encounter")?,
        fhir_context: context_field(form)?,
        intent: form.one("intent")?.map(str::to_owned),
        has_patient_banner: form.one("need_patient_banner")? == Some("false"),
    };
    let name = begin(request, &launch).await?;
    Ok(json!({
        "launch": name.expose_secret(),
        "iss": request.app.fhir_base(),
        "launch_url": launch_url(request, &app, name.expose_secret()),
        "expires_in": LIFETIME_SECONDS,
    }))
}

/// The address at which an EHR opens the app; nothing if the app has none.
#[must_use]
pub fn launch_url(request: &Request, app: &Client, name: &str) -> Option<String> {
    let mut url = url::Url::parse(app.registration.launch_uri.as_ref()?).ok()?;
    url.query_pairs_mut().append_pair("iss", &request.app.fhir_base()).append_pair("launch", name);
    Some(url.to_string())
}

/// The launch of that name, used up, if it is for that client.
pub(super) async fn resolve(
    request: &Request,
    name: &str,
    client: &str,
) -> Result<Option<Launch>, OAuthError> {
    let hash = token_hash::hash(name);
    let Some(document) = request.app.store.use_ticket(request.tenant, (TicketKind::Launch, &hash)).await?
    else {
        return Ok(None);
    };
    let launch: Launch = serde_json::from_str(&document).map_err(OAuthError::server_error)?;
    Ok(Some(launch).filter(|it| it.client == client))
}

fn id_field(form: &Form, name: &str) -> Result<Option<String>, OAuthError> {
    let Some(text) = form.one(name)? else { return Ok(None) };
    let text = text.rsplit('/').next().unwrap_or(text);
    match ResourceId::parse(text) {
        Some(id) => Ok(Some(id.as_str().to_owned())),
        None => Err(OAuthError::invalid_request(format!("{name} is not an id"))),
    }
}

fn context_field(form: &Form) -> Result<Vec<Value>, OAuthError> {
    let Some(text) = form.one("fhirContext")? else { return Ok(Vec::new()) };
    let items: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let is_good = !items.is_empty()
        && items.len() <= 20
        && items.iter().all(|it| {
            let known = |name: &String| {
                matches!(name.as_str(), "reference" | "canonical" | "identifier" | "type" | "role")
            };
            it.as_object().is_some_and(|it| it.keys().all(known))
                && (it.get("reference").is_some_and(Value::is_string)
                    || it.get("canonical").is_some_and(Value::is_string)
                    || it.get("identifier").is_some_and(Value::is_object))
        });
    if is_good {
        return Ok(items);
    }
    Err(OAuthError::invalid_request(
        "fhirContext is a JSON array of objects with reference, canonical or identifier",
    ))
}
