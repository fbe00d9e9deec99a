//! Clients: what they registered, and whether they are who they say.
//!
//! <https://www.rfc-editor.org/rfc/rfc7591#section-2>,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/client-authentication.html>
//!
//! Authentication comes first, always, for every grant, by exactly one method, and by the one registered.

use crate::audit::event::Kind;
use crate::crypto::token_hash;
use crate::smart::client_assertion;
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use crate::store::clients::ClientRow;
use crate::store::grants::GrantTokenKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A client that may ask.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// What it registered.
    pub registration: Registration,
    secret_hash: Option<Vec<u8>>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: a public client, held to its redirect URIs and PKCE.
    #[default]
    None,
    /// A secret in the `Authorization` header.
    ClientSecretBasic,
    /// A secret in the form.
    ClientSecretPost,
    /// An assertion signed with its private key.
    PrivateKeyJwt,
}

/// What a client registered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// What users see.
    pub client_name: Option<String>,
    /// Where codes may go: exactly these.
    pub redirect_uris: Vec<String>,
    /// Where a browser may go after logging out.
    pub post_logout_redirect_uris: Vec<String>,
    /// `authorization_code`, `refresh_token`, `client_credentials`.
    pub grant_types: Vec<String>,
    /// How it proves who it is.
    pub token_endpoint_auth_method: AuthMethod,
    /// The most it may ask for; nothing said is everything but `system/`.
    pub scope: Option<String>,
    /// Its public keys.
    pub jwks: Option<Value>,
    /// Where its public keys are.
    pub jwks_uri: Option<String>,
    /// Where an EHR opens it.
    pub launch_uri: Option<String>,
    /// RS256 where nothing is said.
    pub id_token_signed_response_alg: Option<String>,
    /// Whether it may begin launches for users: an EHR.
    pub may_launch: bool,
    /// How often a minute each of its users, or it itself, may ask; 0 for any number. An operator says so.
    pub requests_per_minute: Option<u32>,
    /// The organization that it belongs to, `Organization/acme`, if that is not our own: it gets no personal data
    /// without an agreement that is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Whether it is given de-identified data alone: exports that say `_deidentify`, and nothing else. An operator
    /// says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deidentified_only: bool,
}

/// What a client presented to prove who it is.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The decoded user name and password of `Authorization: Basic`.
    pub basic: Option<(String, String)>,
    /// The DPoP proof: which key it holds.
    pub proof: Option<String>,
}

impl Registration {
    /// The names of all that a registration may say.
    pub(super) const FIELDS: [&'static str; 13] = [
        "client_name",
        "redirect_uris",
        "post_logout_redirect_uris",
        "grant_types",
        "token_endpoint_auth_method",
        "scope",
        "jwks",
        "jwks_uri",
        "launch_uri",
        "id_token_signed_response_alg",
        "may_launch",
        "requests_per_minute",
        "organization",
    ];

    /// Whether it proves itself with a secret.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        matches!(
            self.token_endpoint_auth_method,
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost
        )
    }

    /// Whether it may use that grant.
    #[must_use]
    pub fn allows_grant(&self, grant_type: &str) -> bool {
        match self.grant_types.as_slice() {
            [] => grant_type != "client_credentials",
            types => types.iter().any(|it| it == grant_type),
        }
    }

    /// What is wrong with it; empty when nothing is.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let uris = self.redirect_uris.iter().chain(&self.post_logout_redirect_uris);
        for uri in uris.filter(|uri| !is_good_uri(uri)) {
            complaints.push(format!("{uri} must be https, or http to this machine, without a fragment"));
        }
        if self.allows_grant("authorization_code") && self.redirect_uris.is_empty() && !self.may_launch {
            complaints.push("redirect_uris is missing".to_owned());
        }
        let is_asymmetric = self.token_endpoint_auth_method == AuthMethod::PrivateKeyJwt;
        if is_asymmetric == (self.jwks.is_none() && self.jwks_uri.is_none()) {
            complaints.push("jwks or jwks_uri goes with private_key_jwt, and only with it".to_owned());
        }
        if self.allows_grant("client_credentials") && !is_asymmetric {
            complaints.push("client_credentials needs private_key_jwt".to_owned());
        }
        if let Some(uri) = self.jwks_uri.as_ref().filter(|uri| !is_good_uri(uri)) {
            complaints.push(format!("{uri} must be https, or http to this machine"));
        }
        let jwks = self.jwks.as_ref().map(ToString::to_string);
        if jwks.is_some_and(|jwks| crate::crypto::jwks::KeySet::parse(&jwks).is_err()) {
            complaints.push("jwks holds no key that we check with: RS384 or ES384".to_owned());
        }
        if self
            .id_token_signed_response_alg
            .as_ref()
            .is_some_and(|it| crate::store::signing_keys::SigningAlgorithm::parse(it).is_none())
        {
            complaints.push("id_token_signed_response_alg must be RS256, ES256 or ES384".to_owned());
        }
        complaints
    }
}

/// HTTPS, HTTP to this machine, or an app's own scheme; no fragment.
pub(super) fn is_good_uri(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_safe = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback,
        // RFC 8252 7.1: the app's own, by a name that it has turned round.
        scheme => scheme.contains('.'),
    };
    is_safe && url.fragment().is_none() && !text.contains(char::is_whitespace)
}

impl Client {
    /// A stored client; nothing if it was disabled, or waits to be approved.
    ///
    /// # Errors
    /// What is stored is broken.
    pub fn from_row(row: ClientRow) -> Result<Option<Client>, OAuthError> {
        if row.disabled.is_some() || row.pending.is_some() {
            return Ok(None);
        }
        let registration = serde_json::from_str(&row.document).map_err(OAuthError::server_error)?;
        Ok(Some(Client { id: row.id, registration, secret_hash: row.secret_hash }))
    }

    /// The name that users see.
    #[must_use]
    pub fn name(&self) -> &str {
        self.registration.client_name.as_deref().unwrap_or(&self.id)
    }

    /// Whether it can keep a secret.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.registration.token_endpoint_auth_method != AuthMethod::None
    }
}

/// The client with that id, if there is one that is not disabled.
///
/// # Errors
/// The database fails.
pub async fn find(request: &Request, id: &str) -> Result<Option<Client>, OAuthError> {
    match request.app.store.client(request.tenant, id).await? {
        Some(row) => Client::from_row(row),
        None => Ok(None),
    }
}

/// Who asks, proven as far as they registered to prove it.
///
/// # Errors
/// `invalid_client` in the same words whatever is wrong; `invalid_request` for more than one method.
pub async fn authenticate(
    request: &Request,
    credentials: &Credentials,
    form: &Form,
) -> Result<Client, OAuthError> {
    let assertion = form.one("client_assertion")?;
    let secret = form.one("client_secret")?;
    let methods = [assertion.is_some(), secret.is_some(), credentials.basic.is_some()];
    if methods.iter().filter(|it| **it).count() > 1 {
        return Err(OAuthError::invalid_request("authenticate by one method only"));
    }
    let id = form.one("client_id")?;
    let claimed = match (&credentials.basic, assertion) {
        (Some((name, _)), _) => name.clone(),
        (None, Some(assertion)) => client_assertion::claimed_client(form, assertion)?,
        (None, None) => match id {
            Some(id) => id.to_owned(),
            None => owner_of_refresh_token(request, form).await?,
        },
    };
    let result = if id.is_some_and(|id| id != claimed) {
        Err("the client_id is another's")
    } else {
        prove(request, credentials, (&claimed, secret, assertion)).await?
    };
    match result {
        Ok(client) => Ok(client),
        Err(rule) => {
            let who = Who { client: &claimed, ..Who::default() };
            Err(record::refused(request, who, (Kind::TokenIssued, rule), OAuthError::invalid_client()).await)
        }
    }
}

/// RFC 6749 6: a public client that refreshes need not say who it is, and some never do; its token says it. A
/// confidential one fails all the same, by the proof that is missing.
async fn owner_of_refresh_token(request: &Request, form: &Form) -> Result<String, OAuthError> {
    if form.one("grant_type")? != Some("refresh_token") {
        return Err(OAuthError::invalid_client());
    }
    let hash = token_hash::hash(form.required("refresh_token")?);
    let token = (GrantTokenKind::Refresh, hash.as_slice());
    let found = request.app.store.find_grant_token(request.tenant, token).await?;
    found.map(|(row, _)| row.client).ok_or_else(OAuthError::invalid_client)
}

/// The client, or the reason why it is not: for the trail alone.
async fn prove(
    request: &Request,
    credentials: &Credentials,
    (claimed, secret, assertion): (&str, Option<&str>, Option<&str>),
) -> Result<Result<Client, &'static str>, OAuthError> {
    let Some(client) = find(request, claimed).await? else {
        return Ok(Err("there is no such client"));
    };
    let proof = match client.registration.token_endpoint_auth_method {
        AuthMethod::None if secret.is_none() && assertion.is_none() && credentials.basic.is_none() => Ok(()),
        AuthMethod::None => Err("a public client has nothing to prove itself with"),
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {
            let given = credentials.basic.as_ref().map(|(_, secret)| secret.as_str()).or(secret);
            let known = client.secret_hash.as_deref().unwrap_or_default();
            let is_right = given.is_some_and(|it| token_hash::is_same(&token_hash::hash(it), known));
            if is_right { Ok(()) } else { Err("the secret is missing or wrong") }
        }
        AuthMethod::PrivateKeyJwt => match assertion {
            Some(assertion) => client_assertion::check(request, &client, assertion).await?,
            None => Err("the assertion is missing"),
        },
    };
    Ok(proof.map(|()| client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_safe_ones() {
        for good in
            ["https://a.example/x?y=z", "http://localhost:8000/", "http://127.0.0.1/cb", "org.app:/cb"]
        {
            assert!(is_good_uri(good), "{good}");
        }
        for bad in [
            "http://a.example/",
            "https://a.example/#x",
            "javascript:alert(1)",
            "data:text/html,x",
            "/x",
            "https://a b",
        ] {
            assert!(!is_good_uri(bad), "{bad}");
        }
    }

    #[test]
    fn what_cannot_work_is_complained_about() {
        let mut registration = Registration::default();
        assert_eq!(registration.complaints().len(), 1);
        registration.redirect_uris.push("https://a.example/".into());
        assert!(registration.complaints().is_empty());
        registration.grant_types = vec!["client_credentials".into()];
        assert!(!registration.complaints().is_empty());
        registration.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
        registration.jwks = Some(serde_json::json!({ "keys": [] }));
        assert_eq!(registration.complaints().len(), 1);
    }
}
