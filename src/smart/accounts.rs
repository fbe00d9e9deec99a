//! Accounts and clients as an operator makes them: from the command line or a seed file, again and again with
//! the same result.

use crate::audit::event::Kind;
use crate::crypto::password::{self, Password};
use crate::crypto::random;
use crate::crypto::token_hash;
use crate::crypto::totp::TotpSecret;
use crate::smart::client::Registration;
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use crate::store::accounts::{Account, Private};
use crate::store::clients::ClientRow;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

/// The roles that an account may have.
pub const ROLES: [&str; 7] =
    ["admin", "provider", "nurse", "billing", "patient", "auditor", "privacy-officer"];

/// The shortest secret of a client: it is not stretched, so it must not be guessable.
const SHORTEST_SECRET: usize = 16;

/// A user as an operator describes them.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// The name to sign in with.
    pub username: String,
    /// The password; what is left unsaid stays, for an account that is there.
    pub password: Option<SecretString>,
    /// The secret of the authenticator app, base32; without one the user enrols at the first sign-in.
    pub totp_secret: Option<String>,
    /// The resource that stands for the user.
    pub fhir_user: Option<String>,
    /// How the user is addressed.
    pub name: Option<String>,
    /// The role; `patient` for a patient, `provider` for anybody else, where nothing is said.
    pub role: Option<String>,
}

/// Makes an account, or changes the one of that name. Sessions and grants stay as they are.
///
/// # Errors
/// A field has a value that it cannot have, or the password is easy to guess.
pub async fn put_user(request: &Request, user: &User) -> Result<Uuid, OAuthError> {
    let bad = |what: &str| OAuthError::invalid_request(format!("user {}: {what}", user.username));
    let username = user.username.trim();
    if username.is_empty() || username.chars().count() > 256 || username.chars().any(char::is_control) {
        return Err(OAuthError::invalid_request("a user name has from 1 to 256 characters"));
    }
    let known = request.app.store.account_named(request.tenant, username).await?;
    let fhir_user = match &user.fhir_user {
        Some(text) => Some(checked_user(text).ok_or_else(|| {
            bad("fhir_user must be a Patient, Practitioner, PractitionerRole, RelatedPerson or Person, such as Practitioner/17")
        })?),
        None => known.as_ref().and_then(|it| it.fhir_user.clone()),
    };
    let is_patient = fhir_user.as_deref().is_some_and(|it| it.starts_with("Patient/"));
    let role = match (&user.role, &known) {
        (Some(role), _) if ROLES.contains(&role.as_str()) => role.clone(),
        (Some(_), _) => return Err(bad(&format!("role must be one of {}", ROLES.join(", ")))),
        (None, Some(known)) => known.role.clone(),
        (None, None) => (if is_patient { "patient" } else { "provider" }).to_owned(),
    };
    let password = match (&user.password, &known) {
        (Some(secret), Some(known)) if Password::from_stored(known.password.clone()).fits(secret) => {
            known.password.clone()
        }
        (Some(secret), _) => {
            password::check(secret, &[username]).map_err(|error| bad(&error.to_string()))?;
            let hash = Password::hash(secret).map_err(|error| bad(&error.to_string()))?;
            hash.to_stored().to_owned()
        }
        (None, Some(known)) => known.password.clone(),
        (None, None) => return Err(bad("password is missing")),
    };
    let before = known.as_ref().map(|it| it.private.clone()).unwrap_or_default();
    let totp = match &user.totp_secret {
        Some(text) => {
            Some(TotpSecret::parse(text).map_err(|error| bad(&error.to_string()))?.expose().to_owned())
        }
        None => before.totp,
    };
    let display = user.name.clone().or(before.display);
    let account = Account {
        id: known.as_ref().map_or_else(|| random::id(request.now), |it| it.id),
        fhir_user,
        role,
        password,
        disabled: None,
        totp_step: known.as_ref().map_or(0, |it| it.totp_step),
        private: Private {
            username: known.as_ref().map_or_else(|| username.to_owned(), |it| it.private.username.clone()),
            display,
            totp,
            recovery: before.recovery,
            passkeys: before.passkeys,
        },
    };
    if known.as_ref() != Some(&account) {
        request.app.store.put_account(request.tenant, &account).await?;
        let who = Who { user: &account.id.to_string(), ..Who::default() };
        record::success(request, who, Kind::UserChanged, "put").await?;
        let before = known.as_ref().map(|it| it.role.as_str());
        if before != Some(&account.role) {
            let rule = format!("role {} after {}", account.role, before.unwrap_or("none"));
            record::success(request, who, Kind::RoleChanged, &rule).await?;
        }
        request.app.facts_changed(request.tenant);
    }
    Ok(account.id)
}

/// Forgets the second factor of a user who has lost it: the id of the account. Sessions end.
///
/// # Errors
/// There is no such user.
pub async fn reset_second_factor(request: &Request, username: &str) -> Result<Uuid, OAuthError> {
    let account = request.app.store.account_named(request.tenant, username).await?;
    let Some(mut account) = account else {
        return Err(OAuthError::invalid_request("there is no such user"));
    };
    account.private.totp = None;
    account.private.recovery.clear();
    account.private.passkeys.clear();
    request.app.store.put_account(request.tenant, &account).await?;
    request.app.store.end_sessions_of(request.tenant, account.id).await?;
    let who = Who { user: &account.id.to_string(), ..Who::default() };
    record::success(request, who, Kind::UserChanged, "second factor reset").await?;
    Ok(account.id)
}

/// Puts these recovery codes, by their hashes, in the place of those that an account has.
///
/// # Errors
/// The database fails.
pub(super) async fn set_recovery_codes(
    request: &Request,
    id: Uuid,
    hashes: Vec<String>,
) -> Result<(), OAuthError> {
    let Some(mut account) = request.app.store.account_by_id(request.tenant, id).await? else {
        return Ok(());
    };
    if account.private.recovery == hashes {
        return Ok(());
    }
    account.private.recovery = hashes;
    request.app.store.put_account(request.tenant, &account).await?;
    let who = Who { user: &id.to_string(), ..Who::default() };
    record::success(request, who, Kind::UserChanged, "new recovery codes").await
}

/// Gives an account another password. Sessions end.
///
/// # Errors
/// There is no such account, or the password is easy to guess.
pub async fn set_password(request: &Request, id: Uuid, secret: &SecretString) -> Result<(), OAuthError> {
    let account = request.app.store.account_by_id(request.tenant, id).await?;
    let Some(mut account) = account else {
        return Err(OAuthError::invalid_request("there is no such user"));
    };
    let bad = |error: password::PasswordError| OAuthError::invalid_request(error.to_string());
    password::check(secret, &[&account.private.username]).map_err(bad)?;
    account.password = Password::hash(secret).map_err(bad)?.to_stored().to_owned();
    request.app.store.put_account(request.tenant, &account).await?;
    request.app.store.end_sessions_of(request.tenant, id).await?;
    let who = Who { user: &id.to_string(), ..Who::default() };
    record::success(request, who, Kind::UserChanged, "password reset").await
}

/// Makes a client, or changes the one of that id; without a secret the one it has stays.
///
/// # Errors
/// The registration cannot work, or the secret is too short.
pub async fn put_client(
    request: &Request,
    id: &str,
    (registration, secret): (&Registration, Option<&SecretString>),
) -> Result<(), OAuthError> {
    let bad = |what: &str| OAuthError::invalid_request(format!("client {id}: {what}"));
    let is_id = (1..=200).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic() && it != b':');
    if !is_id {
        return Err(bad("the id has from 1 to 200 letters, digits and signs, and no colon"));
    }
    if let Some(complaint) = registration.complaints().first() {
        return Err(bad(complaint));
    }
    let known = request.app.store.client(request.tenant, id).await?;
    let is_symmetric = registration.is_symmetric();
    let secret_hash = match secret {
        Some(_) if !is_symmetric => {
            return Err(bad("a secret goes with client_secret_basic or client_secret_post"));
        }
        Some(secret) if secret.expose_secret().len() < SHORTEST_SECRET => {
            return Err(bad(&format!("a secret has at least {SHORTEST_SECRET} characters")));
        }
        Some(secret) => Some(token_hash::hash(secret.expose_secret())),
        None => known.as_ref().and_then(|it| it.secret_hash.clone()).filter(|_| is_symmetric),
    };
    if is_symmetric && secret_hash.is_none() {
        return Err(bad("the secret is missing"));
    }
    let document = serde_json::to_string(registration).map_err(OAuthError::server_error)?;
    let pending = known.as_ref().and_then(|it| it.pending);
    let row = ClientRow { id: id.to_owned(), secret_hash, disabled: None, pending, document };
    if known.as_ref() != Some(&row) {
        request.app.store.put_client(request.tenant, &row).await?;
        let who = Who { client: id, ..Who::default() };
        record::success(request, who, Kind::ClientChanged, "put").await?;
        request.app.facts_changed(request.tenant);
    }
    Ok(())
}

fn checked_user(text: &str) -> Option<String> {
    let (resource_type, id) = text.split_once('/')?;
    let types = ["Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"];
    let is_user = types.contains(&resource_type) && crate::fhir::id::ResourceId::parse(id).is_some();
    is_user.then(|| text.to_owned())
}
