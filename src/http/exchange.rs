//! The way that every request takes, from its first header to the line in the log.

use super::edge::{Call, Edge};
use super::extract::caller;
use super::middleware::{access_log, cors, rate_limit, request_id, security_headers};
use super::respond::compress;
use super::respond::outcome::Refusal;
use super::route_table::Place;
use super::routes::{self, Endpoint, Entry, Guard};
use super::smart;
use crate::access::principal::Principal;
use crate::app::App;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::interaction::turned_away::Reason;
use actix_web::dev::Payload;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::{Instrument as _, Span, info_span};

/// What the log and the metrics name instead of a path that is none of ours.
const NO_ROUTE: &str = "none";

/// A request, whatever it is for.
pub(super) async fn with(edge: Arc<Edge>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let place = Place::find(request.match_info().as_str());
    let exchange = Exchange::begin(edge, place, request);
    let Some(place) = exchange.place.clone() else { return without_path(exchange).await };
    let Some(endpoint) = place.endpoint(exchange.request.method()) else {
        return without_method(exchange, place.path).await;
    };
    let mut principal = None;
    let app = match exchange.refusal_of_size() {
        Some(refusal) => Err(refusal),
        None => exchange.app(place.tenant()).await,
    };
    let answer = match app {
        Err(refusal) => Err(refusal),
        Ok(app) => {
            let call = exchange.call(app, place, payload);
            // A panic was logged, without its message, where it happened.
            let answering = answer(endpoint, call, &mut principal).instrument(exchange.span());
            let answering = AssertUnwindSafe(answering).catch_unwind();
            answering.await.unwrap_or_else(|_| Err(Outcome::exception("the endpoint panicked").into()))
        }
    };
    exchange.end(principal.as_ref(), answer).await
}

/// A path of ours, with a method that is not for it.
async fn without_method(exchange: Exchange, path: &'static str) -> HttpResponse {
    let methods = routes::methods_of(path);
    let answer = if exchange.request.method() == Method::OPTIONS {
        Ok(HttpResponse::new(StatusCode::NO_CONTENT))
    } else {
        let issue = Issue::error(IssueType::NotSupported, format!("this path is for {methods}"));
        Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, issue.into()))
    };
    let mut response = exchange.end(None, answer).await;
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

/// A path that is none of ours.
async fn without_path(exchange: Exchange) -> HttpResponse {
    let answer = match exchange.refusal_of_size() {
        Some(refusal) => Err(refusal),
        None if exchange.request.method() == Method::OPTIONS => Ok(HttpResponse::new(StatusCode::NO_CONTENT)),
        None => Err(nothing_here()),
    };
    exchange.end(None, answer).await
}

async fn answer(
    endpoint: &Endpoint,
    call: Call,
    principal: &mut Option<Principal>,
) -> Result<HttpResponse, Refusal> {
    if endpoint.guard == Guard::Metrics
        && let Err(refusal) = caller::require_metrics(&call)
    {
        caller::record_refusal(&call, &refusal).await;
        return Err(refusal);
    }
    match endpoint.entry {
        Entry::Anybody(entry) if endpoint.path.starts_with("/auth/") => {
            let address = call.network.clone().unwrap_or_default();
            let standing = rate_limit::take_address(&call.edge.rate_limits, &address);
            let answer = match standing.wait_seconds() {
                Some(wait) => Ok(smart::too_often(&call, wait).await),
                None => entry(call).await,
            };
            standing.tell(answer)
        }
        Entry::Anybody(entry) => entry(call).await,
        Entry::Bearer(entry) => {
            let bearer = match caller::require_bearer(&call).await {
                Ok(bearer) => bearer,
                Err(refusal) => {
                    caller::record_refusal(&call, &refusal).await;
                    return Err(refusal);
                }
            };
            *principal = Some(bearer.principal.clone());
            let standing = rate_limit::take(&call.edge.rate_limits, &bearer);
            let answer = match standing.refusal() {
                Some(refusal) => {
                    call.record_refusal(Reason::TooOften(&bearer.principal)).await;
                    Err(refusal)
                }
                None => entry(call, bearer.principal.clone()).await,
            };
            standing.tell(answer)
        }
    }
}

fn nothing_here() -> Refusal {
    Issue::error(IssueType::NotFound, "there is nothing at this path").into()
}

/// One request and its answer.
struct Exchange {
    edge: Arc<Edge>,
    place: Option<Arc<Place>>,
    request: HttpRequest,
    ids: request_id::Ids,
    start: Instant,
    _in_flight: access_log::InFlight,
}

impl Exchange {
    fn begin(edge: Arc<Edge>, place: Option<Place>, request: HttpRequest) -> Exchange {
        let ids = request_id::Ids::of(&request, || edge.app().new_id());
        let place = place.map(Arc::new);
        Exchange { edge, place, request, ids, start: Instant::now(), _in_flight: access_log::InFlight::new() }
    }

    /// What every line in the log says that is written on the way.
    fn span(&self) -> Span {
        info_span!("request", id = %self.ids.request)
    }

    /// The server of the tenant in the path.
    async fn app(&self, tenant: Option<&str>) -> Result<Arc<App>, Refusal> {
        let Some(slug) = tenant else {
            return Ok(Arc::clone(self.edge.app()));
        };
        if let Some(known) = self.edge.tenancy.known(slug) {
            return Ok(known);
        }
        let (edge, slug) = (Arc::clone(&self.edge), slug.to_owned());
        let asked = self.edge.runtime.spawn(async move { edge.tenancy.named(&slug).await }).await;
        let found = asked.unwrap_or_else(|_| Err(Outcome::exception("looking for a tenant panicked")))?;
        found.ok_or_else(nothing_here)
    }

    fn call(&self, app: Arc<App>, place: Arc<Place>, payload: Payload) -> Call {
        let config = &self.edge.app().config;
        Call {
            edge: Arc::clone(&self.edge),
            app,
            place,
            request: self.request.clone(),
            payload,
            room: None,
            id: self.ids.request,
            now: self.edge.app().clock.now_microseconds(),
            network: caller::network(&self.request, config.listener.plain_http),
        }
    }

    /// RFC 9110 15.5.15: a URI longer than the server is willing to interpret.
    fn refusal_of_size(&self) -> Option<Refusal> {
        let length = self.request.uri().path_and_query().map_or(0, |it| it.as_str().len());
        (length > self.edge.app().config.limits.uri_bytes).then(|| {
            let issue = Issue::error(IssueType::TooLong, "the URI is too long, use POST with _search");
            Refusal::new(StatusCode::URI_TOO_LONG, issue.into())
        })
    }

    async fn end(self, principal: Option<&Principal>, answer: Result<HttpResponse, Refusal>) -> HttpResponse {
        let mut response = match answer {
            Ok(response) => response,
            Err(refusal) => {
                access_log::cause(self.ids.request, &refusal);
                refusal.naming(self.ids.request).into_response(&self.request, self.edge.types())
            }
        };
        response = compress::compress(&self.request, response).await;
        security_headers::set(response.headers_mut(), self.edge.app().config.listener.plain_http);
        cors::allow(&self.request, &self.edge.app().config.listener.cors_origins, &mut response);
        self.ids.set(response.headers_mut());
        access_log::write(&access_log::Line {
            request_id: self.ids.request,
            method: self.request.method(),
            route: self.place.as_ref().map_or(NO_ROUTE, |it| it.path),
            status: response.status(),
            duration: self.start.elapsed(),
            principal,
        });
        response
    }
}
