//! `X-Purpose-Of-Use`: why somebody asks, where their token does not say.
//!
//! A code of `v3-ActReason`, or `system|code`. Whether the role has that purpose is decided inside.

use crate::access::principal::Principal;
use crate::access::purpose;
use crate::fhir::outcome::Outcome;
use crate::http::edge::Call;

/// The header.
pub(crate) const HEADER: &str = "x-purpose-of-use";

/// The principal, with the purpose that the request names.
///
/// # Errors
/// It is no purpose of use, or another than the one of the token.
pub(crate) fn stated(call: &Call, principal: Principal) -> Result<Principal, Outcome> {
    let Some(text) = call.header(HEADER)? else { return Ok(principal) };
    let bad = |reason: &str| Outcome::value(reason).at(format!("http.{HEADER}"));
    let (system, code) = text.trim().rsplit_once('|').unwrap_or((purpose::SYSTEM, text.trim()));
    let code = purpose::known(code).filter(|_| system == purpose::SYSTEM);
    let code = code.ok_or_else(|| bad("not a purpose of use of v3-ActReason"))?;
    match principal.purpose.as_deref() {
        Some(granted) if !purpose::is_within(code, granted) => {
            Err(bad("the access token is for another purpose of use"))
        }
        _ => Ok(Principal { purpose: Some(code.to_owned()), ..principal }),
    }
}
