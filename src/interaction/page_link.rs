//! Page links: where the next page begins, sealed, so that a link tells nothing and fits nobody else.
//!
//! The token is bound to the principal and to the query it continues: somebody else's link, or the same one
//! behind another query, does not open.

use super::context::Context;
use super::request::Parameters;
use crate::fhir::outcome::Outcome;
use url::form_urlencoded;

/// The parameter that carries the token.
pub(super) const CURSOR: &str = "_cursor";

/// The cursor of a request, if there is one, and the other parameters.
pub(super) async fn take(
    ctx: &Context,
    place: &str,
    parameters: &Parameters,
) -> Result<(Option<serde_json::Value>, Parameters), Outcome> {
    let rest: Parameters = parameters.iter().filter(|(name, _)| name != CURSOR).cloned().collect();
    let mut tokens = parameters.iter().filter(|(name, _)| name == CURSOR).map(|(_, value)| value);
    let Some(token) = tokens.next() else { return Ok((None, rest)) };
    let opened = ctx.app.store.open_token(ctx.tenant(), &binding(ctx, place, &rest), token).await?;
    let cursor = opened.and_then(|text| serde_json::from_slice(&text).ok());
    match (cursor, tokens.next()) {
        (Some(cursor), None) => Ok((Some(cursor), rest)),
        _ => Err(Outcome::value("this page link is not valid, or not yours").at(CURSOR)),
    }
}

/// The URL of the next page.
pub(super) async fn next(
    ctx: &Context,
    place: &str,
    parameters: &Parameters,
    cursor: &serde_json::Value,
) -> Result<String, Outcome> {
    let text = cursor.to_string();
    let binding = binding(ctx, place, parameters);
    let token = ctx.app.store.seal_token(ctx.tenant(), &binding, text.as_bytes()).await?;
    let mut parameters = parameters.clone();
    parameters.push((CURSOR.to_owned(), token));
    Ok(url(ctx, place, &parameters))
}

/// The absolute URL of a query.
pub(super) fn url(ctx: &Context, place: &str, parameters: &Parameters) -> String {
    let base = ctx.app.fhir_base();
    let slash = if place.is_empty() { "" } else { "/" };
    if parameters.is_empty() {
        return format!("{base}{slash}{place}");
    }
    format!("{base}{slash}{place}?{}", encode(parameters))
}

/// Parameters as a query string.
pub(super) fn encode(parameters: &Parameters) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    out.extend_pairs(parameters);
    out.finish()
}

/// Whose link it is, and what it continues.
fn binding(ctx: &Context, place: &str, parameters: &Parameters) -> Vec<u8> {
    let principal = &ctx.principal;
    let patient = principal.patient.as_ref().map_or("", |it| it.as_str());
    let parts = [&*principal.subject, &*principal.client_id, patient, place, &encode(parameters)];
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}
