//! One request to the authorization server, and the fields of its form.

use crate::access::principal::Principal;
use crate::access::scope::Scopes;
use crate::app::App;
use crate::fhir::id::{ResourceId, TenantId};
use crate::smart::error::OAuthError;
use std::sync::Arc;
use uuid::Uuid;

/// One request, as far as it matters here.
#[derive(Clone)]
pub struct Request {
    /// The server.
    pub app: Arc<App>,
    /// Whose accounts and clients.
    pub tenant: TenantId,
    /// The id of the request, `X-Request-Id`.
    pub id: Uuid,
    /// The address it came from.
    pub network: Option<String>,
    /// When it came, in microseconds since 1970.
    pub now: i64,
    /// Who administers, where it is a change to somebody or something else: for the trail.
    pub actor: Option<Arc<Principal>>,
}

/// The fields of a form or query, decoded, in the order received.
#[derive(Clone, Debug, Default)]
pub struct Form(pub Vec<(String, String)>);

impl Request {
    /// The time in seconds since 1970.
    #[must_use]
    pub fn now_seconds(&self) -> i64 {
        self.now.div_euclid(1_000_000)
    }

    /// The time so many seconds from now, in microseconds since 1970.
    #[must_use]
    pub fn later(&self, seconds: i64) -> i64 {
        self.now.saturating_add(seconds.saturating_mul(1_000_000))
    }

    /// Where the authorization server's own endpoints are: `https://host/auth/token`.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/auth/{name}", self.app.config.public_url())
    }

    /// Somebody who acts here, for the trail and for the door.
    #[must_use]
    pub fn principal(&self, subject: &str, client: &str, fhir_user: Option<&str>, scope: &str) -> Principal {
        Principal {
            tenant: self.tenant,
            subject: subject.to_owned(),
            client_id: client.to_owned(),
            fhir_user: fhir_user.map(str::to_owned),
            patient: fhir_user.and_then(|it| it.strip_prefix("Patient/")).and_then(ResourceId::parse),
            scopes: Scopes::parse(scope),
            role: None,
            strong_since: None,
            purpose: None,
            token_id: String::new(),
        }
    }
}

impl Form {
    /// The value of a field; nothing where it is missing or empty.
    ///
    /// # Errors
    /// RFC 6749 3.1 and 3.2: it is there more than once.
    pub fn one<'f>(&'f self, name: &'f str) -> Result<Option<&'f str>, OAuthError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(OAuthError::invalid_request(format!("{name} is there more than once")));
        }
        Ok(first.filter(|it| !it.is_empty()))
    }

    /// The value of a field that must be there.
    ///
    /// # Errors
    /// It is missing, empty, or there more than once.
    pub fn required<'f>(&'f self, name: &'f str) -> Result<&'f str, OAuthError> {
        self.one(name)?.ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
    }

    /// Every value of a field.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}
