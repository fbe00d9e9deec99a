//! The token endpoint: who asks, then what they have to show for it.
//!
//! <https://www.rfc-editor.org/rfc/rfc6749#section-3.2>

use crate::smart::client::{self, Credentials};
use crate::smart::dpop;
use crate::smart::error::OAuthError;
use crate::smart::grant::{authorization_code, client_credentials, refresh_token};
use crate::smart::request::{Form, Request};
use serde_json::Value;

/// Answers a token request.
///
/// # Errors
/// The client is not who it says, may not use this grant, or has nothing good to show.
pub async fn token(request: &Request, credentials: &Credentials, form: &Form) -> Result<Value, OAuthError> {
    let client = client::authenticate(request, credentials, form).await?;
    let grant_type = form.required("grant_type")?;
    if !matches!(grant_type, "authorization_code" | "refresh_token" | "client_credentials") {
        return Err(OAuthError::new("unsupported_grant_type", "this grant_type is not supported"));
    }
    if !client.registration.allows_grant(grant_type) {
        return Err(OAuthError::new(
            "unauthorized_client",
            "the client did not register for this grant_type",
        ));
    }
    let key = dpop::of_token_request(request, &client.id, credentials.proof.as_deref()).await?;
    let key = key.as_deref();
    match grant_type {
        "authorization_code" => authorization_code::run(request, &client, form, key).await,
        "refresh_token" => refresh_token::run(request, &client, form, key).await,
        _ => client_credentials::run(request, &client, form, key).await,
    }
}
