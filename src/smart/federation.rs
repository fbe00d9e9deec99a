//! Signing in through a provider of identities upstream, in the place of a password.
//!
//! Nobody's account is found by a name or address that a provider tells: an account is *linked* to a name
//! there, by an operator (a seed file), or by its user, who comes from the provider once and then gives the
//! password and second factor of the account. After that the provider stands for the password alone; our own
//! second factor is asked for as ever, unless the provider is registered as one whose `mfa` is believed.

use crate::audit::event::Kind;
use crate::crypto::token_hash;
use crate::smart::error::OAuthError;
use crate::smart::flow::{self, Current};
use crate::smart::identity_provider::{self, IdentityProvider, IdentityProviderRegistration};
use crate::smart::login;
use crate::smart::page::Reply;
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::smart::session::Browser;
use crate::store::identities::IdentityProviderRow;
use crate::store::tickets::TicketKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// How long somebody may take at the provider.
const LIFETIME_SECONDS: i64 = 600;

/// A name at a provider, of somebody who has yet to say whose account it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Unlinked {
    provider: String,
    subject: String,
}

#[derive(Serialize, Deserialize)]
struct Away {
    flow: String,
    provider: String,
    verifier: String,
    nonce: String,
}

/// Sends the browser to the provider.
///
/// # Errors
/// There is no such flow or provider, or it is another browser's.
pub async fn begin(request: &Request, form: &Form, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    let mut current = flow::open(request, form, cookie).await?;
    let provider = identity_provider::find(request, form.required("provider")?).await?;
    let provider = provider.ok_or_else(|| OAuthError::invalid_request("there is no such provider"))?;
    let asked = match provider.ask(request).await {
        Ok(asked) => asked,
        Err(error) => {
            tracing::warn!(request.id = %request.id, reason = %error, "a provider of identities cannot be asked");
            let complaint = format!("{} cannot be reached now", provider.registration.name);
            return flow::present(request, &mut current, Some(complaint)).await;
        }
    };
    let away = Away {
        flow: current.name.clone(),
        provider: provider.id,
        verifier: asked.verifier,
        nonce: asked.nonce,
    };
    let document = serde_json::to_string(&away).map_err(OAuthError::server_error)?;
    let hash = token_hash::hash(&asked.state);
    let ticket = (TicketKind::Federation, hash.as_slice());
    request.app.store.keep_ticket(request.tenant, ticket, &document, request.later(LIFETIME_SECONDS)).await?;
    Ok(Reply::redirect(asked.url).with(&current.browser))
}

/// Takes the answer of the provider.
///
/// # Errors
/// Nobody was sent there with this `state`, or by another browser.
pub async fn finish(request: &Request, form: &Form, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    let hash = token_hash::hash(form.required("state")?);
    let document = request.app.store.use_ticket(request.tenant, (TicketKind::Federation, &hash)).await?;
    let over = || OAuthError::invalid_request("this sign-in is over: go back to the app and begin again");
    let away: Away = serde_json::from_str(&document.ok_or_else(over)?).map_err(OAuthError::server_error)?;
    let flow = Form(vec![("flow".to_owned(), away.flow)]);
    let mut current = flow::open(request, &flow, cookie).await?;
    let provider = identity_provider::find(request, &away.provider).await?.ok_or_else(over)?;
    let claims = match form.one("code")? {
        // RFC 9207: an answer that says it is of another issuer is not this provider's.
        Some(code) if form.one("iss")?.is_none_or(|it| it == provider.registration.issuer) => {
            provider.redeem(request, code, (&away.verifier, &away.nonce)).await.map_err(|error| {
                tracing::info!(request.id = %request.id, reason = %error, "refused the answer of a provider");
            })
        }
        _ => Err(()),
    };
    let Ok(claims) = claims else {
        login::record_refusal(request, "", (Kind::Login, "refused by or at the provider")).await?;
        let complaint = format!("{} did not let you in", provider.registration.name);
        return flow::present(request, &mut current, Some(complaint)).await;
    };
    welcome(request, current, &provider, &claims).await
}

async fn welcome(
    request: &Request,
    mut current: Current,
    provider: &IdentityProvider,
    claims: &Map<String, Value>,
) -> Result<Reply, OAuthError> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let store = &request.app.store;
    let known = store.account_of_identity(request.tenant, (&provider.id, subject)).await?;
    let Some(id) = known else {
        current.flow.unlinked = Some(Unlinked { provider: provider.id.clone(), subject: subject.to_owned() });
        current.keep(request).await?;
        let complaint = format!(
            "{} knows you, and we do not yet: sign in here once, and the two are linked",
            provider.registration.name
        );
        return flow::present(request, &mut current, Some(complaint)).await;
    };
    let Some(account) = login::by_id(request, id).await? else {
        login::record_refusal(request, &id.to_string(), (Kind::Login, "the account is disabled")).await?;
        let complaint = format!("{} did not let you in", provider.registration.name);
        return flow::present(request, &mut current, Some(complaint)).await;
    };
    let who = id.to_string();
    record::success(request, Who { user: &who, ..Who::default() }, Kind::Login, "provider of identities")
        .await?;
    let has_both = provider.registration.trusts_second_factor
        && claims.get("amr").and_then(Value::as_array).is_some_and(|it| it.iter().any(|it| it == "mfa"));
    let before = current.browser.session.hash.clone();
    current.browser = Browser::open(request, Some(account.id), "fed").await?;
    store.end_session(request.tenant, &before).await?;
    if has_both {
        let rule = (Kind::SecondFactor, "second factor of the provider");
        record::success(request, Who { user: &who, ..Who::default() }, rule.0, rule.1).await?;
        current.browser = current.browser.strengthened(request, "").await?;
    }
    current.account = Some(account);
    flow::rebind(request, current).await
}

/// Links the name of somebody who came from a provider to the account that they have just signed in to.
pub(super) async fn link(request: &Request, current: &mut Current) -> Result<(), OAuthError> {
    let Some(unlinked) = current.flow.unlinked.take() else { return Ok(()) };
    let account = current.user()?.id;
    let identity = (unlinked.provider.as_str(), unlinked.subject.as_str());
    if request.app.store.link_identity(request.tenant, account, identity).await? {
        let user = account.to_string();
        let who = Who { user: &user, ..Who::default() };
        record::success(request, who, Kind::UserChanged, "linked to a provider").await?;
    }
    Ok(())
}

/// Registers a provider, as an operator does.
///
/// # Errors
/// The registration cannot work.
pub async fn put_provider(
    request: &Request,
    id: &str,
    registration: &IdentityProviderRegistration,
) -> Result<(), OAuthError> {
    let bad = |what: &str| OAuthError::invalid_request(format!("identity provider {id}: {what}"));
    let is_id = (1..=60).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    if !is_id {
        return Err(bad("the id has from 1 to 60 letters, digits and hyphens"));
    }
    if let Some(complaint) = registration.complaint() {
        return Err(bad(complaint));
    }
    let document = serde_json::to_string(registration).map_err(OAuthError::server_error)?;
    let row = IdentityProviderRow { id: id.to_owned(), document };
    let known = request.app.store.identity_providers(request.tenant).await?;
    if !known.contains(&row) {
        request.app.store.put_identity_provider(request.tenant, &row).await?;
        record::success(request, Who::default(), Kind::ConfigurationChanged, "identity provider").await?;
    }
    Ok(())
}

/// Links an account to its name at a provider, as an operator does.
///
/// # Errors
/// There is no such provider, or the name there is another account's.
pub async fn put_identity(
    request: &Request,
    account: Uuid,
    (provider, subject): (&str, &str),
) -> Result<(), OAuthError> {
    if identity_provider::find(request, provider).await?.is_none() {
        return Err(OAuthError::invalid_request(format!("there is no identity provider {provider}")));
    }
    let store = &request.app.store;
    match store.account_of_identity(request.tenant, (provider, subject)).await? {
        Some(known) if known == account => Ok(()),
        Some(_) => Err(OAuthError::invalid_request(format!("this name at {provider} is another user's"))),
        None => {
            store.link_identity(request.tenant, account, (provider, subject)).await?;
            let user = account.to_string();
            let who = Who { user: &user, ..Who::default() };
            record::success(request, who, Kind::UserChanged, "linked to a provider by an operator").await
        }
    }
}
