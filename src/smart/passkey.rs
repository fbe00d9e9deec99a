//! Passkeys as a second factor: the question that an authenticator signs, and what its answer is good for.
//!
//! A question is good once, for five minutes, for one account and one deed, on every server. Passkeys need a
//! script in the browser; whoever has none there gives a one-time password, so a passkey is never the only
//! second factor.

use crate::audit::event::Kind;
use crate::crypto::webauthn::{self, PasskeyError, RelyingParty};
use crate::crypto::{random, token_hash};
use crate::smart::error::OAuthError;
use crate::smart::login::{self, Attempt};
use crate::smart::page::Question;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use crate::store::accounts::Account;
use crate::store::sign_in_failures::Subject;
use crate::store::tickets::TicketKind;
use secrecy::ExposeSecret as _;
use std::net::IpAddr;

const LIFETIME_SECONDS: i64 = 300;
/// Nobody carries more.
const MOST: usize = 10;

/// What a question is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// To give the second factor.
    SignIn,
    /// To add a passkey.
    Add,
}

impl Deed {
    fn document(self, account: &Account) -> String {
        let deed = match self {
            Deed::SignIn => "sign in",
            Deed::Add => "add",
        };
        format!("{deed} {}", account.id)
    }
}

/// A new question for the authenticators of an account; nothing where there can be none: an address without a
/// name has no passkeys.
pub(super) async fn ask(
    request: &Request,
    account: &Account,
    deed: Deed,
) -> Result<Option<Question>, OAuthError> {
    let Some(party) = party(request) else { return Ok(None) };
    if deed == Deed::SignIn && account.private.passkeys.is_empty() {
        return Ok(None);
    }
    let challenge = random::token_urlsafe(32);
    let hash = token_hash::hash(challenge.expose_secret());
    let ticket = (TicketKind::Passkey, hash.as_slice());
    let (document, expires) = (deed.document(account), request.later(LIFETIME_SECONDS));
    request.app.store.keep_ticket(request.tenant, ticket, &document, expires).await?;
    Ok(Some(Question {
        challenge: challenge.expose_secret().to_owned(),
        party: party.id,
        passkeys: account.private.passkeys.iter().map(|it| it.id.clone()).collect(),
    }))
}

/// Checks an answer as the second factor of an account.
pub(super) async fn second_factor(
    request: &Request,
    mut account: Account,
    answer: &str,
) -> Result<Attempt<Account>, OAuthError> {
    let username = account.private.username.clone();
    let id = account.id.to_string();
    if let Some(seconds) = login::locked(request, &username).await? {
        login::record_refusal(request, &id, (Kind::SecondFactor, "too many failures")).await?;
        return Ok(Attempt::Locked(seconds));
    }
    let checked = match asked(request, &account, Deed::SignIn, answer).await? {
        Ok((party, challenge)) => {
            webauthn::authenticate(&party, &challenge, answer, &account.private.passkeys)
        }
        Err(error) => Err(error),
    };
    match checked {
        Ok((place, counter)) => {
            if let Some(passkey) = account.private.passkeys.get_mut(place) {
                passkey.counter = counter;
            }
            let store = &request.app.store;
            store.put_account(request.tenant, &account).await?;
            store.forget_sign_in_failures(request.tenant, Subject::Account(&username)).await?;
            let who = Who { user: &id, ..Who::default() };
            record::success(request, who, Kind::SecondFactor, "passkey").await?;
            Ok(Attempt::Right(account))
        }
        Err(error) => {
            tracing::info!(request.id = %request.id, reason = %error, "refused a passkey");
            login::count(request, &username).await?;
            login::record_refusal(request, &id, (Kind::SecondFactor, "wrong passkey")).await?;
            Ok(Attempt::Wrong("this passkey is not good here: try again, or enter a code"))
        }
    }
}

/// Adds a passkey to an account. The inner error is what the user is told.
pub(super) async fn add(
    request: &Request,
    account: &mut Account,
    (answer, name): (&str, &str),
) -> Result<Result<(), &'static str>, OAuthError> {
    let id = account.id.to_string();
    let taken = match asked(request, account, Deed::Add, answer).await? {
        Ok((party, challenge)) => webauthn::register(&party, &challenge, answer, (&named(name), request.now)),
        Err(error) => Err(error),
    };
    let passkey = match taken {
        Ok(passkey) => passkey,
        Err(error) => {
            tracing::info!(request.id = %request.id, reason = %error, "refused a new passkey");
            login::record_refusal(request, &id, (Kind::UserChanged, "bad passkey")).await?;
            return Ok(Err("the passkey could not be added: try again"));
        }
    };
    let known = &mut account.private.passkeys;
    if known.iter().any(|it| it.id == passkey.id) {
        return Ok(Err("this passkey is there already"));
    }
    if known.len() >= MOST {
        return Ok(Err("there are ten passkeys: remove one first"));
    }
    known.push(passkey);
    request.app.store.put_account(request.tenant, account).await?;
    record::success(request, Who { user: &id, ..Who::default() }, Kind::UserChanged, "passkey added").await?;
    Ok(Ok(()))
}

/// Removes a passkey of an account, if it has that one.
pub(super) async fn remove(request: &Request, account: &mut Account, id: &str) -> Result<(), OAuthError> {
    let before = account.private.passkeys.len();
    account.private.passkeys.retain(|it| it.id != id);
    if account.private.passkeys.len() == before {
        return Ok(());
    }
    request.app.store.put_account(request.tenant, account).await?;
    let user = account.id.to_string();
    record::success(request, Who { user: &user, ..Who::default() }, Kind::UserChanged, "passkey removed")
        .await
}

/// The question that an answer is to, used up, if it was asked of this account for this deed.
async fn asked(
    request: &Request,
    account: &Account,
    deed: Deed,
    answer: &str,
) -> Result<Result<(RelyingParty, String), PasskeyError>, OAuthError> {
    let challenge = match webauthn::challenge_of(answer) {
        Ok(challenge) => challenge,
        Err(error) => return Ok(Err(error)),
    };
    let hash = token_hash::hash(&challenge);
    let ticket = (TicketKind::Passkey, hash.as_slice());
    let document = request.app.store.use_ticket(request.tenant, ticket).await?;
    let party = party(request).filter(|_| document == Some(deed.document(account)));
    Ok(party.map(|party| (party, challenge)).ok_or(PasskeyError::Elsewhere))
}

/// Our pages, where they have a name: an IP address cannot have passkeys.
fn party(request: &Request) -> Option<RelyingParty> {
    let party = RelyingParty::of(&request.app.config.public_url())?;
    let is_name = party.id.parse::<IpAddr>().is_err() && !party.id.starts_with('[');
    is_name.then_some(party)
}

/// What a user calls a passkey, as far as it can be shown.
fn named(name: &str) -> String {
    let name: String = name.trim().chars().filter(|it| !it.is_control()).take(60).collect();
    if name.is_empty() { "Passkey".to_owned() } else { name }
}
