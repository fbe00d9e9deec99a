//! Who asks: the person or system, the client that speaks for them, and what they were granted.

use super::scope::Scopes;
use crate::fhir::id::{ResourceId, TenantId};

/// The bearer of a verified token. Never built from anything less.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Whose data can be reached at all.
    pub tenant: TenantId,
    /// The user or, for a system, the client itself (`sub`).
    pub subject: String,
    /// The client that the token was issued to (`client_id`).
    pub client_id: String,
    /// The resource that stands for the user, such as `Practitioner/17` (`fhirUser`).
    pub fhir_user: Option<String>,
    /// The patient in context, for `patient/` scopes (`patient`).
    pub patient: Option<ResourceId>,
    /// What was granted.
    pub scopes: Scopes,
    /// The role, where the issuer of the token says one; an account of ours has its own.
    pub role: Option<String>,
    /// When the user last proved who they are with a second factor, in seconds since 1970 (`auth_time`, where `acr`
    /// says so).
    pub strong_since: Option<i64>,
    /// Why the data is asked for: a code of `v3-ActReason` such as `TREAT`.
    pub purpose: Option<String>,
    /// The token itself (`jti`), so that the trail can name it.
    pub token_id: String,
}
