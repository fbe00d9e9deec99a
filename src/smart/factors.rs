//! The page on which users look after their ways to sign in: passkeys, and recovery codes.
//!
//! Whoever changes them has given both factors within the last five minutes (step-up): a browser that was
//! left alone shall not be enough to let somebody else in for good.

use crate::audit::event::Kind;
use crate::crypto::totp;
use crate::smart::error::OAuthError;
use crate::smart::identity_provider;
use crate::smart::page::{self, Choice, Page, Reply};
use crate::smart::passkey::{self, Deed};
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::smart::session::Browser;
use crate::smart::{flow, login};
use crate::store::accounts::Account;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

const PURPOSE: &str = "factors";
/// How long ago both factors may have been given.
const FRESH_SECONDS: i64 = 300;

/// Shows them; whoever has not signed in lately does so first.
///
/// # Errors
/// The database fails.
pub async fn show(request: &Request, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    match freshly_signed_in(request, cookie).await? {
        Some((browser, account)) => list(request, &browser, &account, None).await,
        None => again(request).await,
    }
}

/// Takes a change.
///
/// # Errors
/// The form is not ours, or the database fails.
pub async fn change(request: &Request, form: &Form, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    let Some((browser, mut account)) = freshly_signed_in(request, cookie).await? else {
        return again(request).await;
    };
    browser.check_csrf(PURPOSE, form)?;
    if let Some(answer) = form.one("passkey")? {
        let name = form.one("name")?.unwrap_or_default();
        let complaint = passkey::add(request, &mut account, (answer, name)).await?.err();
        return list(request, &browser, &account, complaint).await;
    }
    if let Some(provider) = form.one("unlink")? {
        if request.app.store.unlink_identity(request.tenant, account.id, provider).await? {
            let user = account.id.to_string();
            let who = Who { user: &user, ..Who::default() };
            record::success(request, who, Kind::UserChanged, "unlinked from a provider").await?;
        }
    } else if let Some(id) = form.one("remove")? {
        passkey::remove(request, &mut account, id).await?;
    } else if form.one("recovery")?.is_some() {
        return renew_codes(request, &browser, account).await;
    }
    list(request, &browser, &account, None).await
}

async fn again(request: &Request) -> Result<Reply, OAuthError> {
    flow::sign_in_since(request, &request.endpoint("factors"), request.later(-FRESH_SECONDS)).await
}

async fn freshly_signed_in(
    request: &Request,
    cookie: Option<&str>,
) -> Result<Option<(Browser, Account)>, OAuthError> {
    let Some(browser) = Browser::known(request, cookie).await? else { return Ok(None) };
    let oldest = request.later(-FRESH_SECONDS);
    let is_fresh = browser.session.signed_in.is_some_and(|it| it >= oldest);
    let Some(id) = browser.strong_account().filter(|_| is_fresh) else { return Ok(None) };
    Ok(login::by_id(request, id).await?.map(|account| (browser, account)))
}

async fn renew_codes(
    request: &Request,
    browser: &Browser,
    mut account: Account,
) -> Result<Reply, OAuthError> {
    let codes = totp::recovery_codes();
    account.private.recovery = codes.iter().map(|code| totp::recovery_hash(code.expose_secret())).collect();
    request.app.store.put_account(request.tenant, &account).await?;
    let user = account.id.to_string();
    record::success(request, Who { user: &user, ..Who::default() }, Kind::UserChanged, "new recovery codes")
        .await?;
    let codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
    let page = Page::RecoveryCodes { form: page::Form::default(), codes };
    Ok(Reply::page(page).with(browser))
}

async fn list(
    request: &Request,
    browser: &Browser,
    account: &Account,
    complaint: Option<&str>,
) -> Result<Reply, OAuthError> {
    let passkeys = account.private.passkeys.iter().map(|it| Choice {
        value: it.id.clone(),
        label: it.name.clone(),
        detail: format!("added on {}", day(it.created)),
    });
    let form = page::Form {
        csrf: browser.csrf(PURPOSE),
        complaint: complaint.map(str::to_owned),
        question: passkey::ask(request, account, Deed::Add).await?,
        ..page::Form::default()
    };
    let mut linked = Vec::new();
    for (id, created) in request.app.store.identities_of(request.tenant, account.id).await? {
        let provider = identity_provider::find(request, &id).await?;
        let label = provider.map_or_else(|| id.clone(), |it| it.registration.name);
        linked.push(Choice { value: id, label, detail: format!("linked on {}", day(created)) });
    }
    let page = Page::Factors {
        form,
        linked,
        user: (account.id.to_string(), account.private.username.clone()),
        passkeys: passkeys.collect(),
        codes_left: account.private.recovery.len(),
    };
    Ok(Reply::page(page).with(browser))
}

/// The day of a time in microseconds, in UTC.
pub(super) fn day(microseconds: i64) -> String {
    let time = Timestamp::from_microsecond(microseconds).unwrap_or_default();
    time.to_string().chars().take(10).collect()
}
