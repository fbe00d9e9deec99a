//! A provider of identities upstream, such as a hospital's: what an operator registered of it, where its
//! endpoints are, and what an id_token of its says.
//!
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>,
//! <https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>
//!
//! The `oauth2` library builds the request and reads the answer of the token endpoint; over our own HTTP
//! client, which follows no redirection and reads no more than 64 KiB.

use crate::crypto::jwks::KeySet;
use crate::crypto::jws::{self, Expected, JwsError};
use crate::crypto::token_hash;
use crate::smart::client::is_good_uri;
use crate::smart::error::OAuthError;
use crate::smart::jwks_uri;
use crate::smart::request::Request;
use crate::store::identities::IdentityProviderRow;
use futures_util::StreamExt as _;
use moka::sync::Cache;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, ExtraTokenFields, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::LazyLock;
use std::time::Duration;

const LEEWAY_SECONDS: i64 = 60;
const LONGEST_SECONDS: i64 = 86_400;
const LARGEST: usize = 64 * 1024;

static ENDPOINTS: LazyLock<Cache<String, Endpoints>> =
    LazyLock::new(|| Cache::builder().max_capacity(100).time_to_live(Duration::from_secs(300)).build());

/// A provider that users may come from.
#[derive(Clone, Debug)]
pub(super) struct IdentityProvider {
    pub(super) id: String,
    pub(super) registration: IdentityProviderRegistration,
}

/// What an operator registers of a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderRegistration {
    /// What users see.
    pub name: String,
    /// Its `iss`, below which its configuration is.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// The proof of it.
    pub client_secret: Option<String>,
    /// Whether `mfa` in the `amr` of its id_tokens stands for our own second factor.
    #[serde(default)]
    pub trusts_second_factor: bool,
}

/// Where its endpoints are.
#[derive(Clone, Debug, Deserialize)]
struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// What must be known again when the user comes back.
pub(super) struct Asked {
    pub(super) url: String,
    pub(super) state: String,
    pub(super) verifier: String,
    pub(super) nonce: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Client = oauth2::Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// Why the provider's answer is no good: for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("the configuration cannot be read: {0}")]
    Discovery(String),
    #[error("the configuration is of another issuer, or has an unsafe address")]
    Unsafe,
    #[error("the token endpoint cannot be asked, or refuses")]
    Token,
    #[error("there is no id_token")]
    NoIdToken,
    #[error("the id_token is not valid: {0}")]
    IdToken(#[from] JwsError),
    #[error("the claim {0} of the id_token is missing or wrong")]
    Claim(&'static str),
}

impl IdentityProviderRegistration {
    /// What is wrong with it; nothing where nothing is.
    #[must_use]
    pub fn complaint(&self) -> Option<&'static str> {
        if !is_good_uri(&self.issuer) || self.issuer.contains('?') {
            return Some("issuer must be https, or http to this machine");
        }
        let is_empty = self.name.trim().is_empty() || self.client_id.is_empty();
        is_empty.then_some("name and client_id are missing")
    }
}

/// The providers of this tenant.
pub(super) async fn all(request: &Request) -> Result<Vec<IdentityProvider>, OAuthError> {
    let rows = request.app.store.identity_providers(request.tenant).await?;
    let provider = |row: IdentityProviderRow| {
        let registration = serde_json::from_str(&row.document).map_err(OAuthError::server_error)?;
        Ok(IdentityProvider { id: row.id, registration })
    };
    rows.into_iter().map(provider).collect()
}

/// The provider with that id.
pub(super) async fn find(request: &Request, id: &str) -> Result<Option<IdentityProvider>, OAuthError> {
    Ok(all(request).await?.into_iter().find(|it| it.id == id))
}

impl IdentityProvider {
    /// Where the user is sent.
    pub(super) async fn ask(&self, request: &Request) -> Result<Asked, UpstreamError> {
        let endpoints = self.endpoints().await?;
        let url = AuthUrl::new(endpoints.authorization_endpoint).map_err(|_| UpstreamError::Unsafe)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().into_secret();
        let client = self.client(request)?.set_auth_uri(url);
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("openid".to_owned()))
            .set_pkce_challenge(challenge)
            .add_extra_param("nonce", nonce.clone())
            .url();
        Ok(Asked { url: url.into(), state: state.into_secret(), verifier: verifier.into_secret(), nonce })
    }

    /// The claims of the id_token that a code is good for.
    pub(super) async fn redeem(
        &self,
        request: &Request,
        code: &str,
        (verifier, nonce): (&str, &str),
    ) -> Result<Map<String, Value>, UpstreamError> {
        let endpoints = self.endpoints().await?;
        let url = TokenUrl::new(endpoints.token_endpoint.clone()).map_err(|_| UpstreamError::Unsafe)?;
        let client = self.client(request)?.set_token_uri(url);
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request_async(&send)
            .await
            .map_err(|_| UpstreamError::Token)?;
        let token = answer.extra_fields().id_token.as_deref().ok_or(UpstreamError::NoIdToken)?;
        let mut claims = self.verify(request, &jwks_uri::keys(request, &endpoints.jwks_uri).await, token);
        if matches!(claims, Err(JwsError::UnknownKey | JwsError::WrongSignature)) {
            let keys = jwks_uri::keys_again(request, &endpoints.jwks_uri).await;
            claims = self.verify(request, &keys, token);
        }
        let claims = claims?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if !token_hash::is_same(text("nonce").as_bytes(), nonce.as_bytes()) {
            return Err(UpstreamError::Claim("nonce"));
        }
        if !(1..=255).contains(&text("sub").len()) {
            return Err(UpstreamError::Claim("sub"));
        }
        // Core 3.1.3.7: of several audiences one must be meant.
        let is_shared = claims.get("aud").and_then(Value::as_array).is_some_and(|it| it.len() > 1);
        let azp = text("azp");
        if (is_shared || !azp.is_empty()) && azp != self.registration.client_id {
            return Err(UpstreamError::Claim("azp"));
        }
        Ok(claims)
    }

    fn verify(&self, request: &Request, keys: &KeySet, token: &str) -> Result<Map<String, Value>, JwsError> {
        let expected = Expected {
            token_type: "JWT",
            issuer: &self.registration.issuer,
            audience: &self.registration.client_id,
            now_seconds: request.now_seconds(),
            leeway_seconds: LEEWAY_SECONDS,
            max_lifetime_seconds: LONGEST_SECONDS,
        };
        jws::verify(keys, token, &expected)
    }

    fn client(&self, request: &Request) -> Result<Client, UpstreamError> {
        let redirect = RedirectUrl::new(request.endpoint("federation")).map_err(|_| UpstreamError::Unsafe)?;
        let client = Client::new(ClientId::new(self.registration.client_id.clone()));
        let client = client.set_redirect_uri(redirect);
        Ok(match &self.registration.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
            None => client,
        })
    }

    async fn endpoints(&self) -> Result<Endpoints, UpstreamError> {
        let issuer = &self.registration.issuer;
        if let Some(known) = ENDPOINTS.get(issuer) {
            return Ok(known);
        }
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let text = jwks_uri::get(&url).await.map_err(UpstreamError::Discovery)?;
        let endpoints: Endpoints =
            serde_json::from_str(&text).map_err(|error| UpstreamError::Discovery(error.to_string()))?;
        let addresses = [&endpoints.authorization_endpoint, &endpoints.token_endpoint, &endpoints.jwks_uri];
        if endpoints.issuer != *issuer || !addresses.into_iter().all(|it| is_good_uri(it)) {
            return Err(UpstreamError::Unsafe);
        }
        ENDPOINTS.insert(issuer.clone(), endpoints.clone());
        Ok(endpoints)
    }
}

/// Asks the token endpoint.
async fn send(request: oauth2::HttpRequest) -> Result<oauth2::HttpResponse, std::io::Error> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(std::io::Error::other)?;
    let request = reqwest::Request::try_from(request).map_err(std::io::Error::other)?;
    let answer = client.execute(request).await.map_err(|error| std::io::Error::other(error.without_url()))?;
    let mut response = oauth2::http::Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(answer.headers());
    }
    let mut body = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|error| std::io::Error::other(error.without_url()))?);
        if body.len() > LARGEST {
            return Err(std::io::Error::other("too large"));
        }
    }
    response.body(body).map_err(std::io::Error::other)
}
