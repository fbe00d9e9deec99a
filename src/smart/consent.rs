//! Consent: what the user lets the app do, scope by scope, and finer where a type has parts.
//!
//! Every app asks, unless the user wanted the answer to that very question remembered. What is not ticked is
//! not granted; nothing ticked is a no. The grant is stored before its code exists, and the decision is in the
//! trail before the browser leaves.

use crate::audit::event::Kind;
use crate::crypto::{random, token_hash};
use crate::smart::client::{self, Client};
use crate::smart::directory;
use crate::smart::error::OAuthError;
use crate::smart::flow::{self, Current};
use crate::smart::grant::{self, Grant};
use crate::smart::granting;
use crate::smart::page::{self, Page, Reply, ScopeChoice};
use crate::smart::record::{self, Who};
use crate::smart::remembered::{self, Remembered};
use crate::smart::request::{Form, Request};
use crate::store::grants::{GrantRow, GrantTokenKind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::Value;

/// RFC 6749 4.1.2: ten minutes at most; SMART apps come back at once.
const CODE_SECONDS: i64 = 60;

/// The page that asks.
pub(super) async fn page(request: &Request, current: &Current, form: page::Form) -> Result<Page, OAuthError> {
    let patient = match current.patient() {
        Some(id) => {
            let found = directory::read(request, current, "Patient", id).await?;
            Some(found.map_or_else(|| format!("Patient/{id}"), |it| directory::name_of(&it)))
        }
        None => None,
    };
    let mut scopes = Vec::new();
    for scope in &current.flow.scopes {
        let choice = |scope: &str, label: String, is_finer| ScopeChoice {
            id: granting::element_id(scope),
            scope: scope.to_owned(),
            label,
            is_finer,
        };
        scopes.push(choice(scope, granting::describe(scope), false));
        scopes.extend(granting::finer(scope).iter().map(|it| choice(&it.scope, it.label.to_owned(), true)));
    }
    let may_remember = remembered::is_fit(&client_of(request, current).await?, &current.flow.redirect_uri);
    Ok(Page::Consent { form, patient, scopes, may_remember })
}

/// What the user granted when the same was asked before; nothing where they must be asked.
pub(super) async fn remembered(
    request: &Request,
    current: &Current,
) -> Result<Option<Vec<String>>, OAuthError> {
    let client = client_of(request, current).await?;
    if current.flow.must_ask || !remembered::is_fit(&client, &current.flow.redirect_uri) {
        return Ok(None);
    }
    let known = (current.user()?.id, client.id.as_str());
    remembered::answer(request, known, (&current.flow.scopes, current.patient())).await
}

async fn client_of(request: &Request, current: &Current) -> Result<Client, OAuthError> {
    let id = current.flow.client.as_deref().unwrap_or_default();
    client::find(request, id).await?.ok_or_else(OAuthError::invalid_client)
}

/// Takes the user's decision.
pub(super) async fn take(request: &Request, current: Current, form: &Form) -> Result<Reply, OAuthError> {
    if form.one("decision")? != Some("allow") {
        return flow::refuse(request, &current, OAuthError::access_denied("the user said no")).await;
    }
    let granted = granting::chosen(&current.flow.scopes, form.all("scope"));
    if granted.is_empty() {
        return flow::refuse(request, &current, OAuthError::access_denied("the user granted nothing")).await;
    }
    let is_kept = form.one("remember")? == Some("yes")
        && remembered::is_fit(&client_of(request, &current).await?, &current.flow.redirect_uri);
    let answer = Remembered {
        asked: current.flow.scopes.clone(),
        granted: granted.clone(),
        patient: current.patient().map(str::to_owned),
    };
    allow(request, current, granted, is_kept.then_some(answer)).await
}

/// Grants these scopes, and sends the app its code.
pub(super) async fn allow(
    request: &Request,
    current: Current,
    granted: Vec<String>,
    to_remember: Option<Remembered>,
) -> Result<Reply, OAuthError> {
    let user = current.user()?.clone();
    let launched_patient = current.flow.launch.as_ref().and_then(|it| it.patient.as_deref());
    let is_own = user.fhir_user.as_deref().is_none_or(|it| match it.strip_prefix("Patient/") {
        Some(own) => launched_patient.is_none_or(|patient| patient == own),
        None => true,
    });
    let is_seen = match launched_patient {
        Some(id) if !user.fhir_user.as_deref().is_some_and(|it| it.starts_with("Patient/")) => {
            directory::read(request, &current, "Patient", id).await?.is_some()
        }
        _ => true,
    };
    if !is_own || !is_seen {
        let error = OAuthError::access_denied("the user may not see the patient of this launch");
        return flow::refuse(request, &current, error).await;
    }
    if !current.end(request).await? {
        return Err(OAuthError::invalid_request("this sign-in is over: go back to the app and begin again"));
    }
    let row = grant_row(request, &current, &granted).await?;
    if let Some(answer) = to_remember {
        remembered::keep(request, (user.id, &row.client), &answer).await?;
    }
    request.app.store.keep_grant(request.tenant, &row).await?;
    let code = random::token_urlsafe(32);
    let hash = token_hash::hash(code.expose_secret());
    let token = (GrantTokenKind::Code, hash.as_slice());
    request.app.store.keep_grant_token(request.tenant, token, row.id, request.later(CODE_SECONDS)).await?;
    let who = Who { user: &user.id.to_string(), client: &row.client };
    record::success(request, who, Kind::Consent, "consent of the user").await?;
    Ok(flow::answer(request, &current, &code))
}

async fn grant_row(request: &Request, current: &Current, granted: &[String]) -> Result<GrantRow, OAuthError> {
    let user = current.user()?;
    let flow = &current.flow;
    let has = |word: &str| granted.iter().any(|it| it == word);
    let launch = flow.launch.clone().unwrap_or_default();
    let needs_patient =
        has("launch") || has("launch/patient") || granted.iter().any(|it| it.starts_with("patient/"));
    let patient = current.patient().filter(|_| needs_patient).map(str::to_owned);
    let encounter = current.encounter().filter(|_| has("launch") || has("launch/encounter"));
    let session = &current.browser.session;
    let grant = Grant {
        scopes: granted.to_vec(),
        patient,
        encounter: encounter.map(str::to_owned),
        fhir_user: user.fhir_user.clone(),
        fhir_context: launch.fhir_context,
        intent: launch.intent,
        need_patient_banner: !launch.has_patient_banner,
        nonce: flow.nonce.clone(),
        challenge: flow.challenge.clone(),
        redirect_uri: flow.redirect_uri.clone(),
        auth_time: session.signed_in.unwrap_or(request.now).div_euclid(1_000_000),
        key: None,
        methods: session.methods.split_ascii_whitespace().map(str::to_owned).collect(),
        sid: URL_SAFE_NO_PAD.encode(token_hash::hash(&URL_SAFE_NO_PAD.encode(&session.hash))),
    };
    let is_offline = has("offline_access");
    let lifetime = if is_offline { grant::OFFLINE_SECONDS } else { grant::ONLINE_SECONDS };
    Ok(GrantRow {
        id: random::id(request.now),
        created: request.now,
        expires: request.later(lifetime),
        revoked: None,
        account: Some(user.id),
        client: flow.client.clone().unwrap_or_default(),
        session: (!is_offline).then(|| session.hash.clone()),
        encounter: visit(request, current, encounter).await?,
        document: serde_json::to_string(&grant).map_err(OAuthError::server_error)?,
    })
}

/// The encounter that the grant ends with: one that is under way. Whoever opens a visit that is over, to look
/// back at it, is not bound to it.
async fn visit(
    request: &Request,
    current: &Current,
    encounter: Option<&str>,
) -> Result<Option<String>, OAuthError> {
    let Some(id) = encounter else { return Ok(None) };
    let found = directory::read(request, current, "Encounter", id).await?.unwrap_or(Value::Null);
    let is_open = found.get("status").and_then(Value::as_str).is_some_and(|it| !grant::is_over(it));
    Ok(is_open.then(|| id.to_owned()))
}
