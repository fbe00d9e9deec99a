//! Why the authorization server refuses: the codes of RFC 6749, 6750, 7009, 7591 and OpenID Connect.
//!
//! The description tells the client's author what to change. It names no user, and says nothing that helps
//! to guess: the cause is for the log.

use crate::fhir::outcome::Outcome;
use crate::store::error::StoreError;
use std::sync::Arc;

/// A refusal, in the words of OAuth.
#[derive(Clone, Debug)]
pub struct OAuthError {
    /// The code, such as `invalid_grant`.
    pub code: &'static str,
    /// One clause for the client's author.
    pub description: String,
    /// Where nobody may ask before, how many seconds to wait.
    pub retry_after_seconds: Option<i64>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl OAuthError {
    /// A refusal with that code.
    #[must_use]
    pub fn new(code: &'static str, description: impl Into<String>) -> OAuthError {
        OAuthError { code, description: description.into(), retry_after_seconds: None, cause: None }
    }

    /// A parameter is missing, malformed, or there twice.
    #[must_use]
    pub fn invalid_request(description: impl Into<String>) -> OAuthError {
        OAuthError::new("invalid_request", description)
    }

    /// Whoever asks is not who they say. Always these very words.
    #[must_use]
    pub fn invalid_client() -> OAuthError {
        OAuthError::new("invalid_client", "client authentication failed")
    }

    /// The code, refresh token or verifier is not good, or no more.
    #[must_use]
    pub fn invalid_grant(description: impl Into<String>) -> OAuthError {
        OAuthError::new("invalid_grant", description)
    }

    /// A scope is unknown, or more than may be had.
    #[must_use]
    pub fn invalid_scope(description: impl Into<String>) -> OAuthError {
        OAuthError::new("invalid_scope", description)
    }

    /// The access token is not good, or no more.
    #[must_use]
    pub fn invalid_token() -> OAuthError {
        OAuthError::new("invalid_token", "the access token is not valid")
    }

    /// The user, or a rule, said no.
    #[must_use]
    pub fn access_denied(description: impl Into<String>) -> OAuthError {
        OAuthError::new("access_denied", description)
    }

    /// Our fault, or the database's.
    #[must_use]
    pub fn server_error(cause: impl std::error::Error + Send + Sync + 'static) -> OAuthError {
        let cause: Arc<dyn std::error::Error + Send + Sync> = Arc::new(cause);
        OAuthError { cause: Some(cause), ..OAuthError::new("server_error", "the server could not do it") }
    }

    /// The HTTP status where the answer is JSON.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.code {
            "invalid_client" | "invalid_token" => 401,
            "access_denied" | "insufficient_scope" => 403,
            "slow_down" => 429,
            "server_error" => 500,
            "temporarily_unavailable" => 503,
            _ => 400,
        }
    }

    /// What is logged and never sent.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync)> {
        self.cause.as_deref()
    }

    /// The answer, as RFC 6749 5.2 writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({ "error": self.code, "error_description": self.description }).to_string()
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> OAuthError {
        let code = if matches!(error, StoreError::Unavailable(_)) {
            "temporarily_unavailable"
        } else {
            "server_error"
        };
        OAuthError { code, ..OAuthError::server_error(error) }
    }
}

impl From<Outcome> for OAuthError {
    fn from(outcome: Outcome) -> OAuthError {
        let code = if outcome.status() == 503 { "temporarily_unavailable" } else { "server_error" };
        OAuthError { code, ..OAuthError::server_error(std::io::Error::other(outcome.to_json())) }
    }
}
