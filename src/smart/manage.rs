//! The page on which users see the apps that they have let in, and take that back.

use crate::audit::event::Kind;
use crate::smart::client;
use crate::smart::error::OAuthError;
use crate::smart::factors::day;
use crate::smart::grant::Grant;
use crate::smart::page::{self, Choice, Page, Reply};
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::smart::session::Browser;
use crate::smart::{flow, granting, login, revoke};
use crate::store::accounts::Account;
use crate::store::grants::Grants;
use uuid::Uuid;

const PURPOSE: &str = "manage";

/// Shows the apps; whoever has not signed in does so first.
///
/// # Errors
/// The database fails.
pub async fn show(request: &Request, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    match signed_in(request, cookie).await? {
        Some((browser, account)) => list(request, &browser, &account).await,
        None => flow::sign_in(request, &request.endpoint("manage")).await,
    }
}

/// Takes an app's access back.
///
/// # Errors
/// The form is not ours, or the database fails.
pub async fn change(request: &Request, form: &Form, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    let Some((browser, account)) = signed_in(request, cookie).await? else {
        return flow::sign_in(request, &request.endpoint("manage")).await;
    };
    browser.check_csrf(PURPOSE, form)?;
    if let Some(id) = form.one("grant")?.and_then(|it| Uuid::parse_str(it).ok())
        && let Some(row) = request.app.store.grant(request.tenant, id).await?
        && row.account == Some(account.id)
    {
        revoke::revoke(request, &Grants::Family(id)).await?;
        let who = Who { user: &account.id.to_string(), client: &row.client };
        request.app.store.forget_consent(request.tenant, account.id, &row.client).await?;
        record::success(request, who, Kind::TokenRevoked, "asked by the user").await?;
    }
    if let Some(client) = form.one("forget")? {
        request.app.store.forget_consent(request.tenant, account.id, client).await?;
        let who = Who { user: &account.id.to_string(), client };
        record::success(request, who, Kind::Consent, "forgotten by the user").await?;
    }
    list(request, &browser, &account).await
}

async fn signed_in(
    request: &Request,
    cookie: Option<&str>,
) -> Result<Option<(Browser, Account)>, OAuthError> {
    let Some(browser) = Browser::known(request, cookie).await? else { return Ok(None) };
    let Some(id) = browser.strong_account() else { return Ok(None) };
    Ok(login::by_id(request, id).await?.map(|account| (browser, account)))
}

async fn list(request: &Request, browser: &Browser, account: &Account) -> Result<Reply, OAuthError> {
    let mut grants = Vec::new();
    for row in request.app.store.grants_of(request.tenant, account.id).await? {
        let client = client::find(request, &row.client).await?;
        let label = client.map_or_else(|| row.client.clone(), |it| it.name().to_owned());
        let scopes = Grant::of(&row)?.scopes;
        let scopes: Vec<String> = scopes.iter().map(|it| granting::describe(it)).collect();
        let detail = format!("Since {}: {}.", day(row.created), scopes.join("; "));
        grants.push(Choice { value: row.id.to_string(), label, detail });
    }
    let mut remembered = Vec::new();
    for row in request.app.store.consents_of(request.tenant, account.id).await? {
        let client = client::find(request, &row.client).await?;
        let label = client.map_or_else(|| row.client.clone(), |it| it.name().to_owned());
        remembered.push(Choice {
            value: row.client,
            label,
            detail: format!("Since {}, for ninety days.", day(row.created)),
        });
    }
    let form = page::Form { csrf: browser.csrf(PURPOSE), ..page::Form::default() };
    Ok(Reply::page(Page::Grants { form, grants, remembered }).with(browser))
}
