//! Sessions: the browser that we know again, and the proof that a form came from our own page.
//!
//! The cookie is a random secret, of which the database has the hash. It changes when a password was given,
//! so that nobody can plant one (session fixation). A session that is not used for fifteen minutes is over,
//! and every session after twelve hours. The CSRF token of a form is derived from the cookie: only a page
//! that we gave to this browser can hold it.

use crate::crypto::{random, token_hash};
use crate::smart::error::OAuthError;
use crate::smart::request::{Form, Request};
use crate::store::sessions::{Lifetime, Session};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

/// How long sessions live.
pub const LIFETIME: Lifetime =
    Lifetime { idle_microseconds: 15 * MINUTE, absolute_microseconds: 720 * MINUTE };
const MINUTE: i64 = 60_000_000;

/// A browser, and the cookie that it shall have.
pub struct Browser {
    /// What is stored of it.
    pub session: Session,
    /// The cookie.
    pub cookie: SecretString,
    /// Whether the browser must be told the cookie.
    pub is_new: bool,
}

impl Browser {
    /// The browser that sent this cookie, if its session is alive.
    ///
    /// # Errors
    /// The database fails.
    pub async fn known(request: &Request, cookie: Option<&str>) -> Result<Option<Browser>, OAuthError> {
        let Some(cookie) = cookie.filter(|it| it.len() < 200) else { return Ok(None) };
        let hash = token_hash::hash(cookie);
        let session = request.app.store.use_session(request.tenant, &hash, LIFETIME).await?;
        let browser = |session| Browser { session, cookie: SecretString::from(cookie), is_new: false };
        Ok(session.map(browser))
    }

    /// The same, or a new session that nobody has signed in to.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(request: &Request, cookie: Option<&str>) -> Result<Browser, OAuthError> {
        match Browser::known(request, cookie).await? {
            Some(browser) => Ok(browser),
            None => Browser::open(request, None, "").await,
        }
    }

    /// A new session, with a new cookie: after the password of that account, or whatever `method` says, was
    /// given.
    ///
    /// # Errors
    /// The database fails.
    pub async fn open(request: &Request, account: Option<Uuid>, method: &str) -> Result<Browser, OAuthError> {
        let cookie = random::token_urlsafe(32);
        let session = Session {
            hash: token_hash::hash(cookie.expose_secret()),
            created: request.now,
            account,
            signed_in: account.map(|_| request.now),
            strong: None,
            methods: method.to_owned(),
        };
        request.app.store.open_session(request.tenant, &session).await?;
        Ok(Browser { session, cookie, is_new: true })
    }

    /// The same user with the second factor given: again a new cookie.
    ///
    /// # Errors
    /// The database fails.
    pub async fn strengthened(self, request: &Request, method: &str) -> Result<Browser, OAuthError> {
        let cookie = random::token_urlsafe(32);
        let session = Session {
            hash: token_hash::hash(cookie.expose_secret()),
            strong: Some(request.now),
            methods: format!("{} {method} mfa", self.session.methods),
            ..self.session.clone()
        };
        request.app.store.open_session(request.tenant, &session).await?;
        request.app.store.end_session(request.tenant, &self.session.hash).await?;
        Ok(Browser { session, cookie, is_new: true })
    }

    /// The token that a form on a page for that purpose holds.
    #[must_use]
    pub fn csrf(&self, purpose: &str) -> String {
        token_hash::derive(self.cookie.expose_secret(), purpose)
    }

    /// Whether a form came from such a page.
    ///
    /// # Errors
    /// It did not.
    pub fn check_csrf(&self, purpose: &str, form: &Form) -> Result<(), OAuthError> {
        let given = form.one("csrf")?.unwrap_or_default();
        if token_hash::is_same(given.as_bytes(), self.csrf(purpose).as_bytes()) {
            return Ok(());
        }
        Err(OAuthError::invalid_request("this form is out of date: go back to the app and begin again"))
    }

    /// The account of somebody who has given both factors.
    #[must_use]
    pub fn strong_account(&self) -> Option<Uuid> {
        self.session.account.filter(|_| self.session.strong.is_some())
    }
}
