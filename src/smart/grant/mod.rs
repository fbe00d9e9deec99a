//! Grants: what a client holds, and the tokens that it is given for it.

pub mod authorization_code;
pub mod client_credentials;
pub mod refresh_token;

use crate::audit::event::Kind;
use crate::crypto::{random, token_hash};
use crate::smart::access_token;
use crate::smart::client::{self, Client};
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use crate::smart::{id_token, revoke};
use crate::store::grants::{GrantRow, GrantTokenKind, Grants};
use crate::store::signing_keys::SigningAlgorithm;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A grant with offline access ends after a year.
pub(super) const OFFLINE_SECONDS: i64 = 365 * 86_400;
/// One without ends with its session, which lives for twelve hours.
pub(super) const ONLINE_SECONDS: i64 = 12 * 3600;
/// A refresh token that nobody uses ends after a quarter of a year.
const REFRESH_SECONDS: i64 = 90 * 86_400;

/// What was granted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The scopes, as the client wrote them.
    pub scopes: Vec<String>,
    /// The patient in context.
    pub patient: Option<String>,
    /// The encounter in context.
    pub encounter: Option<String>,
    /// The resource that stands for the user.
    pub fhir_user: Option<String>,
    /// Further resources in context.
    pub fhir_context: Vec<Value>,
    /// What the app shall do.
    pub intent: Option<String>,
    /// Whether the app must show the patient's name.
    pub need_patient_banner: bool,
    /// For the id_token.
    pub nonce: Option<String>,
    /// PKCE.
    pub challenge: String,
    /// Where the code went.
    pub redirect_uri: String,
    /// When the user signed in, in seconds since 1970.
    pub auth_time: i64,
    /// A name of the session.
    pub sid: String,
    /// How the user signed in: words of RFC 8176.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The thumbprint of the key that its refresh tokens are bound to.
    #[serde(default)]
    pub key: Option<String>,
}

/// An access token, and what it says.
pub(super) struct AccessToken {
    pub(super) token: SecretString,
    pub(super) lifetime_seconds: i64,
}

impl Grant {
    /// What a stored grant says.
    pub(super) fn of(row: &GrantRow) -> Result<Grant, OAuthError> {
        serde_json::from_str(&row.document).map_err(OAuthError::server_error)
    }
}

/// Whether an encounter with that status has come to its end.
#[must_use]
pub(super) fn is_over(status: &str) -> bool {
    matches!(status, "finished" | "cancelled" | "entered-in-error")
}

/// Signs an access token: <https://www.rfc-editor.org/rfc/rfc9068>
pub(super) async fn sign_access_token(
    request: &Request,
    (subject, client): (&str, &str),
    scopes: &[String],
    (extra, longest_seconds): (Map<String, Value>, i64),
) -> Result<AccessToken, OAuthError> {
    let config = &request.app.config;
    let lifetime_seconds = i64::from(config.tokens.lifetime_seconds).min(longest_seconds);
    let now = request.now_seconds();
    let mut claims = json!({
        "iss": config.token_issuer(),
        "aud": config.token_audience(),
        "sub": subject,
        "client_id": client,
        "scope": scopes.join(" "),
        "iat": now,
        "exp": now + lifetime_seconds,
        "jti": random::token_urlsafe(16).expose_secret(),
    });
    if let Some(claims) = claims.as_object_mut() {
        claims.extend(extra);
        let client = client::find(request, client).await?;
        let limit = client.and_then(|it| it.registration.requests_per_minute);
        claims.extend(limit.map(|it| (access_token::REQUESTS_PER_MINUTE.to_owned(), it.into())));
    }
    let keys = request.app.store.signing_keys(request.tenant).await?;
    let key = keys.active(SigningAlgorithm::Es256);
    let key =
        key.ok_or_else(|| OAuthError::server_error(std::io::Error::other("there is no signing key")))?;
    let token = key.sign("at+jwt", &claims).map_err(OAuthError::server_error)?;
    Ok(AccessToken { token, lifetime_seconds })
}

/// RFC 7800: the key that whoever bears the token holds, if it is bound to one.
fn confirmation(key: Option<&str>) -> Option<(String, Value)> {
    key.map(|key| ("cnf".to_owned(), json!({ "jkt": key })))
}

fn token_type(key: Option<&str>) -> &'static str {
    if key.is_some() { "DPoP" } else { "Bearer" }
}

/// The answer of the token endpoint for a grant of a user, with these of its scopes.
async fn answer(
    request: &Request,
    client: &Client,
    (row, grant): (&GrantRow, &Grant),
    (scopes, key): (&[String], Option<&str>),
) -> Result<Value, OAuthError> {
    let subject = row.account.map(|it| it.to_string()).unwrap_or_default();
    let has = |word: &str| scopes.iter().any(|it| it == word);
    let mut extra = Map::new();
    let mut claim = |name: &str, value: Option<&String>| {
        extra.extend(value.map(|value| (name.to_owned(), Value::from(value.clone()))));
    };
    claim("patient", grant.patient.as_ref());
    claim("encounter", grant.encounter.as_ref());
    claim("visit", row.encounter.as_ref());
    claim("fhirUser", grant.fhir_user.as_ref());
    claim("family", Some(&row.id.to_string()));
    claim("sid", Some(&grant.sid));
    // RFC 9068 2.2.1: how the user proved who they are, for what needs a fresh proof.
    extra.insert("auth_time".to_owned(), grant.auth_time.into());
    extra.insert("acr".to_owned(), id_token::TWO_FACTORS.into());
    extra.extend(confirmation(key));
    let access = sign_access_token(request, (&subject, &client.id), scopes, (extra, i64::MAX)).await?;
    let mut answer = json!({
        "access_token": access.token.expose_secret(),
        "token_type": token_type(key),
        "expires_in": access.lifetime_seconds,
        "scope": scopes.join(" "),
        "need_patient_banner": grant.need_patient_banner,
        "smart_style_url": format!("{}/assets/smart-style.json", request.app.config.public_url()),
    });
    let Some(fields) = answer.as_object_mut() else { return Ok(answer) };
    let mut field = |name: &str, value: Option<Value>| {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    };
    field("patient", grant.patient.clone().map(Value::from));
    field("encounter", grant.encounter.clone().map(Value::from));
    field("intent", grant.intent.clone().map(Value::from));
    let mut context = grant.fhir_context.clone();
    if let Some(id) = &grant.encounter
        && !context.is_empty()
    {
        context.push(json!({ "reference": format!("Encounter/{id}") }));
    }
    field("fhirContext", (!context.is_empty()).then_some(Value::from(context)));
    if has("openid") {
        let claims = id_token::claims(request, (&subject, &client.id), grant, &access.token);
        field("id_token", Some(id_token::sign(request, client, &claims).await?.into()));
    }
    let may_refresh = client.registration.allows_grant("refresh_token");
    let granted = |word: &str| grant.scopes.iter().any(|it| it == word);
    if may_refresh && (granted("offline_access") || granted("online_access")) {
        let refresh = random::token_urlsafe(32);
        let hash = token_hash::hash(refresh.expose_secret());
        let token = (GrantTokenKind::Refresh, hash.as_slice());
        let expires = request.later(REFRESH_SECONDS).min(row.expires);
        request.app.store.keep_grant_token(request.tenant, token, row.id, expires).await?;
        field("refresh_token", Some(refresh.expose_secret().into()));
    }
    Ok(answer)
}

/// A code or refresh token came twice: whoever has it second, or first, stole it. All of the family ends, and
/// that is certain before the answer leaves.
async fn replayed(request: &Request, client: &Client, family: Uuid) -> Result<OAuthError, OAuthError> {
    revoke::revoke(request, &Grants::Family(family)).await?;
    let who = Who { client: &client.id, ..Who::default() };
    record::record(request, who, Kind::Replay, (crate::audit::event::Result::SeriousFailure, "used before"))
        .await?;
    Ok(OAuthError::invalid_grant("it was used before: everything that came of it is revoked"))
}

/// Whether the user may still act, and the grant still stands: the rule that says no.
async fn standing(
    request: &Request,
    client: &Client,
    row: &GrantRow,
) -> Result<Option<&'static str>, OAuthError> {
    if row.client != client.id {
        return Ok(Some("it was given to another client"));
    }
    if row.revoked.is_some() || row.expires <= request.now {
        return Ok(Some("it was revoked, or is over"));
    }
    if let Some(account) = row.account
        && crate::smart::login::by_id(request, account).await?.is_none()
    {
        return Ok(Some("the user may not sign in any more"));
    }
    if let Some(hash) = &row.session {
        let oldest = request.later(-ONLINE_SECONDS);
        if !request.app.store.session_is_open(request.tenant, hash, oldest).await? {
            return Ok(Some("the user has logged out"));
        }
    }
    if let Some(encounter) = &row.encounter
        && !crate::smart::revocation::is_under_way(request, encounter).await?
    {
        revoke::revoke(request, &Grants::Family(row.id)).await?;
        return Ok(Some("the visit is over"));
    }
    Ok(None)
}
