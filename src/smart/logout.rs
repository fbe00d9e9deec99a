//! Logging out: <https://openid.net/specs/openid-connect-rpinitiated-1_0.html>
//!
//! An app that shows an id_token of the very session that the browser has logs its user out at once; anybody
//! else is asked first, so that no foreign page can log people out. The session ends, and with it every grant
//! that was not given for the time when the user is away.

use crate::audit::event::Kind;
use crate::crypto::token_hash;
use crate::smart::client;
use crate::smart::error::OAuthError;
use crate::smart::page::{self, Cookie, Page, Reply};
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::smart::session::Browser;
use crate::smart::{id_token, revoke};
use crate::store::grants::Grants;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const PURPOSE: &str = "log out";

/// Asks, or logs out.
///
/// # Errors
/// The address to go on to is none that the client registered, or the database fails.
pub async fn log_out(request: &Request, form: &Form, cookie: Option<&str>) -> Result<Reply, OAuthError> {
    let onward = onward(request, form).await?;
    let Some(browser) = Browser::known(request, cookie).await? else { return Ok(done(onward)) };
    let is_ours = form.one("csrf")?.is_some() && browser.check_csrf(PURPOSE, form).is_ok();
    if !is_ours && !is_hinted(request, form, &browser).await? {
        let names = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];
        let mut hidden = Vec::new();
        for name in names {
            hidden.extend(form.one(name)?.map(|value| (name, value.to_owned())));
        }
        let target = onward.as_deref().and_then(|it| url::Url::parse(it).ok());
        let target = target.map(|it| it.origin().ascii_serialization()).unwrap_or_default();
        let form = page::Form { csrf: browser.csrf(PURPOSE), onward: target, ..page::Form::default() };
        return Ok(Reply::page(Page::LogOut { form, hidden }));
    }
    request.app.store.end_session(request.tenant, &browser.session.hash).await?;
    revoke::revoke(request, &Grants::Session(&browser.session.hash)).await?;
    let user = browser.session.account.map(|it| it.to_string()).unwrap_or_default();
    record::success(request, Who { user: &user, ..Who::default() }, Kind::Logout, "asked by the user")
        .await?;
    Ok(done(onward))
}

fn done(onward: Option<String>) -> Reply {
    let reply = match onward {
        Some(url) => Reply::redirect(url),
        None => {
            let text = "You may close this window.".to_owned();
            Reply::page(Page::Notice { title: "You are logged out", text })
        }
    };
    Reply { cookie: Cookie::Clear, ..reply }
}

/// Where the browser goes on to: only where the client said that it may.
async fn onward(request: &Request, form: &Form) -> Result<Option<String>, OAuthError> {
    let Some(uri) = form.one("post_logout_redirect_uri")? else { return Ok(None) };
    let bad = || OAuthError::invalid_request("the app did not register this post_logout_redirect_uri");
    let client_id = match form.one("client_id")? {
        Some(id) => id.to_owned(),
        None => audience(form.one("id_token_hint")?.unwrap_or_default()).ok_or_else(bad)?,
    };
    let client = client::find(request, &client_id).await?.ok_or_else(bad)?;
    if !client.registration.post_logout_redirect_uris.iter().any(|it| it == uri) {
        return Err(bad());
    }
    let mut url = url::Url::parse(uri).map_err(|_| bad())?;
    if let Some(state) = form.one("state")? {
        url.query_pairs_mut().append_pair("state", state);
    }
    Ok(Some(url.to_string()))
}

/// Whether an id_token of ours names the browser's session.
async fn is_hinted(request: &Request, form: &Form, browser: &Browser) -> Result<bool, OAuthError> {
    let Some(hint) = form.one("id_token_hint")? else { return Ok(false) };
    let Some(client) = audience(hint) else { return Ok(false) };
    let Some(claims) = id_token::of_ours(request, hint, &client).await? else { return Ok(false) };
    let sid = URL_SAFE_NO_PAD.encode(token_hash::hash(&URL_SAFE_NO_PAD.encode(&browser.session.hash)));
    Ok(claims.get("sid").and_then(|it| it.as_str()) == Some(&sid))
}

/// Whom an id_token is for; it is not checked by this.
fn audience(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("aud")?.as_str()?.to_owned())
}
