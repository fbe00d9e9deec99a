//! A flow: from an authorization request to a code, one page after the other.
//!
//! Which page comes next is not stored, but follows from what is known: nobody has signed in, then the
//! second factor, then the patient, then the encounter, then consent. So going back, or opening the flow
//! twice, shows the right page and skips none. Each form names the step that it is of; one that is not the
//! step now is not taken. A flow belongs to the browser that opened it first, lives for ten minutes, and
//! ends with one code.

use crate::audit::event::Kind;
use crate::crypto::totp::TotpSecret;
use crate::crypto::{random, token_hash};
use crate::smart::authorize::{answer_url, refusal_url};
use crate::smart::client;
use crate::smart::consent;
use crate::smart::directory;
use crate::smart::error::OAuthError;
use crate::smart::federation::{self, Unlinked};
use crate::smart::identity_provider;
use crate::smart::launch::Launch;
use crate::smart::login::{self, Attempt};
use crate::smart::page::{self, Choice, Page, Reply};
use crate::smart::passkey::{self, Deed};
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::smart::session::Browser;
use crate::store::accounts::Account;
use crate::store::tickets::TicketKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// How long a user may take.
const LIFETIME_SECONDS: i64 = 600;

/// An authorization request under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Flow {
    /// The client; none where somebody signs in to our own pages.
    pub(super) client: Option<String>,
    /// Where the answer goes.
    pub(super) redirect_uri: String,
    /// The client's own.
    pub(super) state: Option<String>,
    /// The client's own, for the id_token.
    pub(super) nonce: Option<String>,
    /// PKCE.
    pub(super) challenge: String,
    /// What may be granted.
    pub(super) scopes: Vec<String>,
    /// What the EHR has open.
    pub(super) launch: Option<Launch>,
    /// The user must have signed in after that.
    pub(super) signed_in_after: i64,
    /// The user wants to be asked, or the app that they are.
    #[serde(default)]
    pub(super) must_ask: bool,
    /// No page may be shown.
    #[serde(default)]
    pub(super) is_silent: bool,
    /// The hash of the browser's cookie.
    pub(super) browser: Option<String>,
    /// The patient that was picked, or is the user.
    pub(super) patient: Option<String>,
    /// The encounter that was picked: empty for none.
    pub(super) encounter: Option<String>,
    /// Somebody came from a provider of identities, whose account is not known yet.
    #[serde(default)]
    pub(super) unlinked: Option<Unlinked>,
    /// The secret of an authenticator app that is being enrolled.
    pub(super) enrolling: Option<String>,
}

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    SignIn,
    SecondFactor,
    Enrolment,
    Patient,
    Encounter,
    Consent,
    /// Signed in to our own pages.
    Done,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::SignIn => "sign-in",
            Step::SecondFactor => "second-factor",
            Step::Enrolment => "enrolment",
            Step::Patient => "patient",
            Step::Encounter => "encounter",
            Step::Consent => "consent",
            Step::Done => "done",
        }
    }
}

/// A flow, its hidden name, and the browser and user that it is with.
pub(super) struct Current {
    pub(super) name: String,
    pub(super) flow: Flow,
    pub(super) browser: Browser,
    pub(super) account: Option<Account>,
    /// As it was read: whoever changed it in between wins.
    stored: String,
}

/// Keeps a new flow: its hidden name.
pub(super) async fn begin(request: &Request, flow: &Flow) -> Result<SecretString, OAuthError> {
    let name = random::token_urlsafe(32);
    let document = serde_json::to_string(flow).map_err(OAuthError::server_error)?;
    let hash = token_hash::hash(name.expose_secret());
    let ticket = (TicketKind::Flow, hash.as_slice());
    request.app.store.keep_ticket(request.tenant, ticket, &document, request.later(LIFETIME_SECONDS)).await?;
    Ok(name)
}

/// Begins a flow that only signs a user in, to go on with one of our own pages.
///
/// # Errors
/// The database fails.
pub async fn sign_in(request: &Request, then: &str) -> Result<Reply, OAuthError> {
    sign_in_since(request, then, 0).await
}

/// The same, for a user who has not signed in since then.
///
/// # Errors
/// The database fails.
pub async fn sign_in_since(request: &Request, then: &str, since: i64) -> Result<Reply, OAuthError> {
    let flow = Flow { redirect_uri: then.to_owned(), signed_in_after: since, ..Flow::default() };
    let name = begin(request, &flow).await?;
    Ok(Reply::redirect(address(request, &name)))
}

/// Where the pages of a flow are.
pub(super) fn address(request: &Request, name: &SecretString) -> String {
    format!("{}?flow={}", request.endpoint("flow"), name.expose_secret())
}

/// Shows where a flow stands.
///
/// # Errors
/// There is no such flow, or it is another browser's.
pub async fn show(request: &Request, form: &Form, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    let mut current = open(request, form, cookie).await?;
    if current.step() == Step::Patient {
        directory::choose_own(request, &mut current).await?;
    }
    if current.step() == Step::Consent
        && let Some(granted) = consent::remembered(request, &current).await?
    {
        return consent::allow(request, current, granted, None).await;
    }
    if current.flow.is_silent {
        // OpenID Connect Core 3.1.2.6
        let code = match current.step() {
            Step::SignIn | Step::SecondFactor | Step::Enrolment => "login_required",
            Step::Consent => "consent_required",
            Step::Patient | Step::Encounter | Step::Done => "interaction_required",
        };
        return refuse(request, &current, OAuthError::new(code, "the user must be asked")).await;
    }
    present(request, &mut current, None).await
}

/// Takes a form of a flow.
///
/// # Errors
/// There is no such flow, it is another browser's, or the form is not of its page.
pub async fn go_on(request: &Request, form: &Form, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    let mut current = open(request, form, cookie).await?;
    current.browser.check_csrf(&current.name, form)?;
    let step = current.step();
    if form.one("decision")? == Some("cancel") {
        return refuse(request, &current, OAuthError::access_denied("the user went back")).await;
    }
    if form.required("step")? != step.name() {
        return present(request, &mut current, None).await;
    }
    match step {
        Step::SignIn => take_password(request, current, form).await,
        Step::SecondFactor => take_second_factor(request, current, form).await,
        Step::Enrolment => take_enrolment(request, current, form).await,
        Step::Patient => directory::take_patient(request, current, form).await,
        Step::Encounter => directory::take_encounter(request, current, form).await,
        Step::Consent => consent::take(request, current, form).await,
        Step::Done => present(request, &mut current, None).await,
    }
}

/// The flow that a form names, with the browser that it is of.
pub(super) async fn open(
    request: &Request,
    form: &Form,
    cookie: Option<&str>,
) -> Result<Current, OAuthError> {
    let over = || OAuthError::invalid_request("this sign-in is over: go back to the app and begin again");
    let name = form.one("flow")?.ok_or_else(over)?.to_owned();
    let hash = token_hash::hash(&name);
    let stored = request.app.store.ticket(request.tenant, (TicketKind::Flow, &hash)).await?;
    let stored = stored.ok_or_else(over)?;
    let flow: Flow = serde_json::from_str(&stored).map_err(OAuthError::server_error)?;
    let browser = Browser::of(request, cookie).await?;
    let account = login::account_of(request, &browser).await?;
    let mut current = Current { name, flow, browser, account, stored };
    match &current.flow.browser {
        Some(bound) if *bound != current.browser_name() => return Err(over()),
        Some(_) => {}
        None => {
            current.flow.browser = Some(current.browser_name());
            current.keep(request).await?;
        }
    }
    Ok(current)
}

impl Current {
    fn browser_name(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.browser.session.hash)
    }

    /// Keeps what has changed.
    pub(super) async fn keep(&mut self, request: &Request) -> Result<(), OAuthError> {
        let document = serde_json::to_string(&self.flow).map_err(OAuthError::server_error)?;
        let hash = token_hash::hash(&self.name);
        let ticket = (TicketKind::Flow, hash.as_slice());
        let change = (self.stored.as_str(), document.as_str());
        if !request.app.store.change_ticket(request.tenant, ticket, change).await? {
            return Err(OAuthError::invalid_request("this sign-in went on in another window"));
        }
        self.stored = document;
        Ok(())
    }

    /// Ends the flow: true once.
    pub(super) async fn end(&self, request: &Request) -> Result<bool, OAuthError> {
        let hash = token_hash::hash(&self.name);
        Ok(request.app.store.use_ticket(request.tenant, (TicketKind::Flow, &hash)).await?.is_some())
    }

    /// The user who has given both factors.
    pub(super) fn user(&self) -> Result<&Account, OAuthError> {
        let user = self.account.as_ref().filter(|_| self.browser.strong_account().is_some());
        user.ok_or_else(|| OAuthError::access_denied("nobody has signed in"))
    }

    /// The patient in context.
    pub(super) fn patient(&self) -> Option<&str> {
        let launched = self.flow.launch.as_ref().and_then(|it| it.patient.as_deref());
        launched.or(self.flow.patient.as_deref())
    }

    /// The encounter in context.
    pub(super) fn encounter(&self) -> Option<&str> {
        let launched = self.flow.launch.as_ref().and_then(|it| it.encounter.as_deref());
        launched.or(self.flow.encounter.as_deref()).filter(|it| !it.is_empty())
    }

    fn step(&self) -> Step {
        let session = &self.browser.session;
        let Some(account) = &self.account else { return Step::SignIn };
        let launched_by = self.flow.launch.as_ref().and_then(|it| it.account.as_deref());
        let is_other = launched_by.is_some_and(|user| user != account.id.to_string());
        if is_other || session.signed_in.is_none_or(|it| it < self.flow.signed_in_after) {
            return Step::SignIn;
        }
        if session.strong.is_none() {
            return if account.private.totp.is_some() { Step::SecondFactor } else { Step::Enrolment };
        }
        if self.flow.client.is_none() {
            return Step::Done;
        }
        let asks = |word: &str| self.flow.scopes.iter().any(|it| it == word);
        let needs_patient =
            asks("launch/patient") || self.flow.scopes.iter().any(|it| it.starts_with("patient/"));
        if needs_patient && self.patient().is_none() {
            return Step::Patient;
        }
        let is_asked = self.flow.encounter.is_none() && self.flow.launch.is_none();
        if asks("launch/encounter") && is_asked && self.patient().is_some() {
            return Step::Encounter;
        }
        Step::Consent
    }

    /// A form of this flow, with what was wrong with the last try.
    pub(super) fn form(&self, client: &str, complaint: Option<String>) -> page::Form {
        page::Form {
            flow: self.name.clone(),
            csrf: self.browser.csrf(&self.name),
            client: client.to_owned(),
            complaint,
            onward: onward(&self.flow.redirect_uri),
            question: None,
            providers: Vec::new(),
            retry_after_seconds: None,
        }
    }
}

/// The origin of an address, or its scheme where that is an app's own.
fn onward(redirect_uri: &str) -> String {
    let Ok(url) = url::Url::parse(redirect_uri) else { return String::new() };
    match url.origin() {
        url::Origin::Opaque(_) => format!("{}:", url.scheme()),
        origin => origin.ascii_serialization(),
    }
}

/// The page of the step that a flow is at.
pub(super) async fn present(
    request: &Request,
    current: &mut Current,
    complaint: Option<String>,
) -> Result<Reply, OAuthError> {
    let client = match &current.flow.client {
        Some(id) => {
            client::find(request, id).await?.ok_or_else(OAuthError::invalid_client)?.name().to_owned()
        }
        None => String::new(),
    };
    let form = current.form(&client, complaint);
    let page = match current.step() {
        Step::SignIn => {
            let providers = identity_provider::all(request).await?.into_iter().map(|it| Choice {
                value: it.id,
                label: it.registration.name,
                detail: String::new(),
            });
            Page::SignIn(page::Form { providers: providers.collect(), ..form })
        }
        Step::SecondFactor => {
            let question = match &current.account {
                Some(account) => passkey::ask(request, account, Deed::SignIn).await?,
                None => None,
            };
            Page::SecondFactor(page::Form { question, ..form })
        }
        Step::Enrolment => enrolment(request, current, form).await?,
        Step::Patient => return directory::patients(request, current, form).await,
        Step::Encounter => directory::encounters(request, current, form).await?,
        Step::Consent => consent::page(request, current, form).await?,
        Step::Done => {
            current.end(request).await?;
            return Ok(Reply::redirect(current.flow.redirect_uri.clone()).with(&current.browser));
        }
    };
    Ok(Reply::page(page).with(&current.browser))
}

/// Tells the client no, and ends the flow.
pub(super) async fn refuse(
    request: &Request,
    current: &Current,
    error: OAuthError,
) -> Result<Reply, OAuthError> {
    current.end(request).await?;
    let user = current.account.as_ref().map(|it| it.id.to_string()).unwrap_or_default();
    let client = current.flow.client.as_deref().unwrap_or_default();
    let who = Who { user: &user, client };
    let error = record::refused(request, who, (Kind::Consent, "refused by the user or a rule"), error).await;
    if current.flow.client.is_none() {
        let text = "Nobody was signed in.".to_owned();
        return Ok(Reply::page(Page::Notice { title: "Cancelled", text }));
    }
    let state = current.flow.state.as_deref();
    Ok(Reply::redirect(refusal_url(request, &current.flow.redirect_uri, state, &error))
        .with(&current.browser))
}

/// Sends the client its code.
pub(super) fn answer(request: &Request, current: &Current, code: &SecretString) -> Reply {
    let state = current.flow.state.as_deref();
    let parameters = [("code", code.expose_secret())];
    Reply::redirect(answer_url(request, &current.flow.redirect_uri, state, &parameters))
        .with(&current.browser)
}

async fn take_password(request: &Request, mut current: Current, form: &Form) -> Result<Reply, OAuthError> {
    let username = form.one("username")?.unwrap_or_default().chars().take(256).collect::<String>();
    let password = SecretString::from(form.one("password")?.unwrap_or_default());
    match login::password(request, &username, password).await? {
        Attempt::Right(account) => {
            let launched_by = current.flow.launch.as_ref().and_then(|it| it.account.as_deref());
            if launched_by.is_some_and(|user| user != account.id.to_string()) {
                let complaint = "the app was opened by another user".to_owned();
                return present(request, &mut current, Some(complaint)).await;
            }
            let before = current.browser.session.hash.clone();
            current.browser = Browser::open(request, Some(account.id), "pwd").await?;
            request.app.store.end_session(request.tenant, &before).await?;
            current.account = Some(account);
            rebind(request, current).await
        }
        Attempt::Wrong(complaint) => present(request, &mut current, Some(complaint.to_owned())).await,
        Attempt::Locked(seconds) => locked(request, &mut current, seconds).await,
    }
}

async fn take_second_factor(
    request: &Request,
    mut current: Current,
    form: &Form,
) -> Result<Reply, OAuthError> {
    let code = form.one("otp")?.unwrap_or_default();
    let account = current.account.clone().ok_or_else(|| OAuthError::access_denied("nobody has signed in"))?;
    // RFC 8176: `swk` claims less than `hwk`, and is true of every passkey.
    let (attempt, method) = match form.one("passkey")? {
        Some(answer) => (passkey::second_factor(request, account, answer).await?, "swk"),
        None => (login::second_factor(request, account, code).await?, "otp"),
    };
    match attempt {
        Attempt::Right(account) => {
            current.account = Some(account);
            current.browser = current.browser.strengthened(request, method).await?;
            federation::link(request, &mut current).await?;
            rebind(request, current).await
        }
        Attempt::Wrong(complaint) => present(request, &mut current, Some(complaint.to_owned())).await,
        Attempt::Locked(seconds) => locked(request, &mut current, seconds).await,
    }
}

async fn take_enrolment(request: &Request, mut current: Current, form: &Form) -> Result<Reply, OAuthError> {
    let code = form.one("otp")?.unwrap_or_default();
    let account = current.account.clone().ok_or_else(|| OAuthError::access_denied("nobody has signed in"))?;
    let Some(secret) = current.flow.enrolling.as_deref().and_then(|it| TotpSecret::parse(it).ok()) else {
        return present(request, &mut current, None).await;
    };
    match login::enrol(request, account, (&secret, code)).await? {
        Attempt::Right(codes) => {
            current.flow.enrolling = None;
            current.browser = current.browser.strengthened(request, "otp").await?;
            federation::link(request, &mut current).await?;
            current.flow.browser = Some(current.browser_name());
            current.keep(request).await?;
            let page = Page::RecoveryCodes { form: current.form("", None), codes };
            Ok(Reply::page(page).with(&current.browser))
        }
        Attempt::Wrong(complaint) => present(request, &mut current, Some(complaint.to_owned())).await,
        Attempt::Locked(seconds) => locked(request, &mut current, seconds).await,
    }
}

/// The flow goes on under the browser's new cookie.
pub(super) async fn rebind(request: &Request, mut current: Current) -> Result<Reply, OAuthError> {
    current.flow.browser = Some(current.browser_name());
    current.keep(request).await?;
    Ok(Reply::redirect(format!("{}?flow={}", request.endpoint("flow"), current.name)).with(&current.browser))
}

async fn enrolment(request: &Request, current: &mut Current, form: page::Form) -> Result<Page, OAuthError> {
    let known = current.flow.enrolling.as_deref().and_then(|it| TotpSecret::parse(it).ok());
    let secret = match known {
        Some(secret) => secret,
        None => {
            let secret = TotpSecret::random();
            current.flow.enrolling = Some(secret.expose().to_owned());
            current.keep(request).await?;
            secret
        }
    };
    let name = current.account.as_ref().map(|it| it.private.username.as_str()).unwrap_or_default();
    let picture = secret.qr_code(name).unwrap_or_default();
    Ok(Page::Enrolment { form, secret: secret.expose().to_owned(), picture })
}

async fn locked(request: &Request, current: &mut Current, seconds: i64) -> Result<Reply, OAuthError> {
    let complaint = format!("too many failures: wait {} minutes", seconds.div_euclid(60) + 1);
    let mut reply = present(request, current, Some(complaint)).await?;
    if let page::Body::Page(page) = &mut reply.body
        && let Page::SignIn(form) | Page::SecondFactor(form) = page.as_mut()
    {
        form.retry_after_seconds = Some(seconds);
    }
    Ok(reply)
}
