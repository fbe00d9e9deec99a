//! Signing in: a password, then a second factor.
//!
//! After five failures in a quarter of an hour nobody may try for that account name, or from that address,
//! until the first of them is a quarter of an hour old. An unknown name takes as long as a wrong password,
//! is counted as one, and is told the same. Passwords are checked two at a time, whatever comes in: each
//! takes 19 MiB and tens of milliseconds, and a flood of them shall wait, not win.

use crate::audit::event::Kind;
use crate::crypto::password::Password;
use crate::crypto::totp::{self, TotpSecret};
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use crate::smart::session::Browser;
use crate::store::accounts::Account;
use crate::store::sign_in_failures::Subject;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// So many failures...
const FAILURES: i32 = 5;
/// ...within so long.
const WINDOW_SECONDS: i64 = 900;

static CHECKING: Semaphore = Semaphore::const_new(2);

/// What came of a try.
pub(super) enum Attempt<T> {
    /// It was right.
    Right(T),
    /// It was wrong, and what the user is told.
    Wrong(&'static str),
    /// Nobody may try now: the seconds to wait.
    Locked(i64),
}

/// Checks a user name and password.
pub(super) async fn password(
    request: &Request,
    username: &str,
    password: SecretString,
) -> Result<Attempt<Account>, OAuthError> {
    if let Some(seconds) = locked(request, username).await? {
        record_refusal(request, "", (Kind::Login, "too many failures")).await?;
        return Ok(Attempt::Locked(seconds));
    }
    let account = request.app.store.account_named(request.tenant, username).await?;
    let stored = account.as_ref().map_or_else(
        || Password::nobody().clone(),
        |account| Password::from_stored(account.password.clone()),
    );
    let is_right = {
        let _turn = CHECKING.acquire().await.map_err(OAuthError::server_error)?;
        let check = tokio::task::spawn_blocking(move || stored.fits(&password));
        check.await.map_err(OAuthError::server_error)?
    };
    let id = account.as_ref().map(|it| it.id.to_string()).unwrap_or_default();
    match account.filter(|it| is_right && it.disabled.is_none()) {
        Some(account) => {
            let who = Who { user: &id, ..Who::default() };
            record::success(request, who, Kind::Login, "password").await?;
            Ok(Attempt::Right(account))
        }
        None => {
            count(request, username).await?;
            record_refusal(request, &id, (Kind::Login, "wrong user name or password")).await?;
            Ok(Attempt::Wrong("the user name or the password is wrong"))
        }
    }
}

/// Checks a code of the second factor, or a recovery code, which is used up.
pub(super) async fn second_factor(
    request: &Request,
    mut account: Account,
    code: &str,
) -> Result<Attempt<Account>, OAuthError> {
    let username = account.private.username.clone();
    let id = account.id.to_string();
    if let Some(seconds) = locked(request, &username).await? {
        record_refusal(request, &id, (Kind::SecondFactor, "too many failures")).await?;
        return Ok(Attempt::Locked(seconds));
    }
    let secret = account.private.totp.as_deref().and_then(|it| TotpSecret::parse(it).ok());
    let step = secret.and_then(|secret| secret.step_of(code, request.now_seconds()));
    let store = &request.app.store;
    let rule = match step {
        Some(step) if store.use_totp_step(request.tenant, account.id, step).await? => {
            Some("one-time password")
        }
        Some(_) => {
            record_refusal(request, &id, (Kind::SecondFactor, "the code was used before")).await?;
            return Ok(Attempt::Wrong("this code was used before: wait for the next one"));
        }
        None => {
            let hash = totp::recovery_hash(code);
            let place = account.private.recovery.iter().position(|it| *it == hash);
            if let Some(place) = place {
                account.private.recovery.remove(place);
                store.put_account(request.tenant, &account).await?;
            }
            place.map(|_| "recovery code")
        }
    };
    match rule {
        Some(rule) => {
            store.forget_sign_in_failures(request.tenant, Subject::Account(&username)).await?;
            let who = Who { user: &id, ..Who::default() };
            record::success(request, who, Kind::SecondFactor, rule).await?;
            Ok(Attempt::Right(account))
        }
        None => {
            count(request, &username).await?;
            record_refusal(request, &id, (Kind::SecondFactor, "wrong code")).await?;
            Ok(Attempt::Wrong("the code is wrong"))
        }
    }
}

/// Enrols an authenticator app that has shown a first code, and gives the recovery codes.
pub(super) async fn enrol(
    request: &Request,
    mut account: Account,
    (secret, code): (&TotpSecret, &str),
) -> Result<Attempt<Vec<String>>, OAuthError> {
    let id = account.id.to_string();
    let Some(step) = secret.step_of(code, request.now_seconds()) else {
        record_refusal(request, &id, (Kind::UserChanged, "wrong code")).await?;
        return Ok(Attempt::Wrong("the code is wrong: check the clock of your device"));
    };
    let codes = totp::recovery_codes();
    account.private.totp = Some(secret.expose().to_owned());
    account.private.recovery = codes.iter().map(|code| totp::recovery_hash(code.expose_secret())).collect();
    account.totp_step = step;
    request.app.store.put_account(request.tenant, &account).await?;
    let username = &account.private.username;
    request.app.store.forget_sign_in_failures(request.tenant, Subject::Account(username)).await?;
    let who = Who { user: &id, ..Who::default() };
    record::success(request, who, Kind::UserChanged, "one-time password").await?;
    Ok(Attempt::Right(codes.iter().map(|code| code.expose_secret().to_owned()).collect()))
}

/// The account of a browser, if somebody has signed in and was not disabled since.
pub(super) async fn account_of(request: &Request, browser: &Browser) -> Result<Option<Account>, OAuthError> {
    let Some(id) = browser.session.account else { return Ok(None) };
    by_id(request, id).await
}

/// The account with that id, if it was not disabled.
pub(super) async fn by_id(request: &Request, id: Uuid) -> Result<Option<Account>, OAuthError> {
    let account = request.app.store.account_by_id(request.tenant, id).await?;
    Ok(account.filter(|it| it.disabled.is_none()))
}

/// The seconds for which nobody may try.
pub(super) async fn locked(request: &Request, username: &str) -> Result<Option<i64>, OAuthError> {
    let since = request.later(-WINDOW_SECONDS);
    let store = &request.app.store;
    let until =
        store.sign_in_locked_until(request.tenant, &subjects(request, username), (since, FAILURES)).await?;
    Ok(until.map(|until| until.saturating_sub(request.now).div_euclid(1_000_000).max(0) + 1))
}

/// Counts a failure.
pub(super) async fn count(request: &Request, username: &str) -> Result<(), OAuthError> {
    Ok(request.app.store.count_sign_in_failure(request.tenant, &subjects(request, username)).await?)
}

fn subjects<'a>(request: &'a Request, username: &'a str) -> Vec<Subject<'a>> {
    let address = request.network.as_deref().map(Subject::Address);
    std::iter::once(Subject::Account(username)).chain(address).collect()
}

/// Records a failure.
pub(super) async fn record_refusal(
    request: &Request,
    user: &str,
    (kind, rule): (Kind, &'static str),
) -> Result<(), OAuthError> {
    let who = Who { user, ..Who::default() };
    record::record(request, who, kind, (crate::audit::event::Result::MinorFailure, rule)).await
}
