//! Who calls: the bearer of a token, a program that reads metrics, and the address they come from.

use crate::app::GoodToken;
use crate::fhir::outcome::Outcome;
use crate::http::edge::Call;
use crate::http::respond::outcome::Refusal;
use crate::interaction::turned_away::Reason;
use crate::smart::access_token;
use crate::smart::dpop::Presented;
use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use secrecy::ExposeSecret as _;
use std::net::IpAddr;
use std::sync::Arc;

/// Who bears the access token, <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>: in the header
/// alone, for a URL or form stands in logs.
pub(crate) async fn require_bearer(call: &Call) -> Result<Arc<GoodToken>, Refusal> {
    let presented = presented(call)?.ok_or_else(|| Refusal::stranger(false))?;
    if let Some(good) = access_token::remembered(&call.app, &presented) {
        return Ok(good);
    }
    let is_dpop = presented.is_dpop;
    // On the runtime of the store, like everything that may ask the database.
    let app = Arc::clone(&call.app);
    let verified = call.edge.runtime.spawn(async move { access_token::verify(&app, &presented).await });
    match verified.await.unwrap_or_else(|_| Err(Outcome::exception("verifying a token panicked"))) {
        Ok(good) => Ok(good),
        // Nobody can say now whether the token is good.
        Err(outcome) if outcome.cause().is_some() => Err(outcome.into()),
        Err(_) if is_dpop => Err(Refusal::unproven()),
        Err(_) => Err(Refusal::stranger(true)),
    }
}

/// The token in the header, and the proof that it may need; nothing where there is no header.
///
/// # Errors
/// There is something else in the header, or there are two of one.
pub(crate) fn presented(call: &Call) -> Result<Option<Presented>, Refusal> {
    let header = call.header("authorization").map_err(|_| Refusal::stranger(true))?;
    let Some(header) = header else { return Ok(None) };
    let (scheme, token) = header.split_once(' ').ok_or_else(|| Refusal::stranger(true))?;
    let is_dpop = scheme.eq_ignore_ascii_case("dpop");
    if !is_dpop && !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::stranger(true));
    }
    let proof = call.header("dpop").map_err(|_| Refusal::unproven())?;
    let uri = call.request.uri();
    Ok(Some(Presented {
        is_dpop,
        token: token.trim().to_owned(),
        proof: proof.map(str::to_owned),
        method: call.request.method().to_string(),
        url: format!("{}{}", call.edge.app().config.public_url(), uri.path()),
    }))
}

/// Leaves a row in the trail for whoever is turned away as a stranger; not for one whose token nobody could
/// check.
pub(crate) async fn record_refusal(call: &Call, refusal: &Refusal) {
    if matches!(refusal.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let has_token = call.request.headers().contains_key(AUTHORIZATION);
        call.record_refusal(if has_token { Reason::BadToken } else { Reason::NoToken }).await;
    }
}

/// Lets in who reads metrics: with their token, or from this machine where there is none.
pub(crate) fn require_metrics(call: &Call) -> Result<(), Refusal> {
    match &call.config().listener.metrics_token {
        Some(expected) => {
            let token = call.header("authorization")?.and_then(bearer).unwrap_or_default();
            // The comparison takes the same time wherever the difference is.
            let is_same = bool::from(subtle::ConstantTimeEq::ct_eq(
                token.as_bytes(),
                expected.expose_secret().as_bytes(),
            ));
            if is_same { Ok(()) } else { Err(Refusal::stranger(!token.is_empty())) }
        }
        None if is_loopback(call.network.as_deref()) => Ok(()),
        None => Err(Outcome::forbidden("metrics are for this machine").into()),
    }
}

/// Where the request comes from. Behind a proxy on this machine, which alone can reach the plain listener,
/// that is what the proxy added last.
pub(crate) fn network(request: &HttpRequest, is_behind_proxy: bool) -> Option<String> {
    let forwarded = request.headers().get("x-forwarded-for").filter(|_| is_behind_proxy);
    let forwarded = forwarded.and_then(|it| it.to_str().ok()).and_then(|it| it.rsplit(',').next());
    let forwarded = forwarded.and_then(|it| it.trim().parse::<IpAddr>().ok());
    let peer = || request.peer_addr().map(|it| it.ip());
    forwarded.or_else(peer).map(|it| it.to_canonical().to_string())
}

fn is_loopback(network: Option<&str>) -> bool {
    network.and_then(|it| it.parse::<IpAddr>().ok()).is_some_and(|it| it.is_loopback())
}

/// The token in the header.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
