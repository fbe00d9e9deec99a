//! A client's own credentials, for a token without a user: backend services,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html>
//!
//! Only for clients that sign: a shared secret is not enough for access to everybody's records.

use crate::audit::event::Kind;
use crate::smart::client::{AuthMethod, Client};
use crate::smart::error::OAuthError;
use crate::smart::granting;
use crate::smart::record::{self, Who};
use crate::smart::request::{Form, Request};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

/// SMART: five minutes at most.
const LONGEST_SECONDS: i64 = 300;

pub(in crate::smart) async fn run(
    request: &Request,
    client: &Client,
    form: &Form,
    key: Option<&str>,
) -> Result<Value, OAuthError> {
    let who = Who { user: &client.id, client: &client.id };
    let registration = &client.registration;
    if registration.token_endpoint_auth_method != AuthMethod::PrivateKeyJwt {
        let error = OAuthError::new("unauthorized_client", "client_credentials needs private_key_jwt");
        return Err(record::refused(request, who, (Kind::TokenIssued, "not a backend service"), error).await);
    }
    let scopes = granting::permitted(form.required("scope")?, registration.scope.as_deref(), true);
    if scopes.is_empty() {
        let error = OAuthError::invalid_scope("none of these scopes may be had by this client");
        return Err(record::refused(request, who, (Kind::TokenIssued, "no scope is permitted"), error).await);
    }
    let subject = (client.id.as_str(), client.id.as_str());
    let mut extra = Map::new();
    extra.extend(super::confirmation(key));
    let access = super::sign_access_token(request, subject, &scopes, (extra, LONGEST_SECONDS)).await?;
    record::success(request, who, Kind::TokenIssued, "client credentials").await?;
    Ok(json!({
        "access_token": access.token.expose_secret(),
        "token_type": super::token_type(key),
        "expires_in": access.lifetime_seconds,
        "scope": scopes.join(" "),
    }))
}
