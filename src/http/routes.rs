//! ENDPOINTS: everything the server answers to, on one page.
//!
//! A row is a method, a path, a guard and a function. The first path that fits is taken, so the special ones
//! stand before the general ones. `HEAD` follows `GET`, `OPTIONS` is answered for every path, a path that
//! fits with another method is 405, everything else 404. Each tenant but the first has the same rows behind
//! `/t/{tenant}`. Nothing can be mounted without a row, and the tests
//! walk the rows: see `README.md` for how to add one.

use super::edge::{Call, Edge};
use super::exchange;
use super::respond::outcome::Refusal;
use super::{admin, binary, bulk, fhir, health, import, smart, views};
use crate::access::principal::Principal;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;

/// One endpoint.
pub struct Endpoint {
    /// The method.
    pub method: &'static str,
    /// The path, with its variable parts in braces: the template that logs and metrics name.
    pub path: &'static str,
    /// Who may come in.
    pub guard: Guard,
    pub(super) entry: Entry,
}

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Everybody.
    Public,
    /// The bearer of a valid access token.
    Bearer,
    /// Programs on this machine, and the bearer of the token for metrics.
    Metrics,
}

/// What an endpoint makes of a call.
pub(super) type Answering = LocalBoxFuture<'static, Result<HttpResponse, Refusal>>;

/// The function of an endpoint: with or without a principal, as the guard says.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    Anybody(fn(Call) -> Answering),
    Bearer(fn(Call, Principal) -> Answering),
}

/// Everything the server answers to.
pub static ENDPOINTS: &[Endpoint] = &[
    public("GET", "/health/live", |call| Box::pin(health::live(call))),
    public("GET", "/health/ready", |call| Box::pin(health::ready(call))),
    metrics("GET", "/metrics", |call| Box::pin(health::metrics(call))),
    // https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
    public("GET", "/fhir/.well-known/smart-configuration", |call| Box::pin(smart::smart_configuration(call))),
    public("GET", "/.well-known/smart-configuration", |call| Box::pin(smart::smart_configuration(call))),
    public("GET", "/.well-known/openid-configuration", |call| Box::pin(smart::openid_configuration(call))),
    public("GET", "/.well-known/oauth-authorization-server", |call| {
        Box::pin(smart::openid_configuration(call))
    }),
    // RFC 8414 3.1: where the issuer has a path, it follows the well-known name
    public("GET", "/.well-known/oauth-authorization-server/t/{tenant}", |call| {
        Box::pin(smart::openid_configuration(call))
    }),
    public("GET", "/.well-known/jwks.json", |call| Box::pin(smart::key_set(call))),
    // The authorization server: its own guards are in `smart`
    public("GET", "/auth/authorize", |call| Box::pin(smart::authorize(call))),
    public("POST", "/auth/authorize", |call| Box::pin(smart::authorize_by_post(call))),
    public("GET", "/auth/flow", |call| Box::pin(smart::flow(call))),
    public("POST", "/auth/flow", |call| Box::pin(smart::flow_by_post(call))),
    public("POST", "/auth/token", |call| Box::pin(smart::token(call))),
    public("POST", "/auth/introspect", |call| Box::pin(smart::introspect(call))),
    public("POST", "/auth/revoke", |call| Box::pin(smart::revoke(call))),
    public("POST", "/auth/register", |call| Box::pin(smart::register(call))),
    public("POST", "/auth/launch", |call| Box::pin(smart::launch(call))),
    public("GET", "/auth/userinfo", |call| Box::pin(smart::user_info(call))),
    public("POST", "/auth/userinfo", |call| Box::pin(smart::user_info(call))),
    public("GET", "/auth/logout", |call| Box::pin(smart::logout(call))),
    public("POST", "/auth/logout", |call| Box::pin(smart::logout_by_post(call))),
    public("GET", "/auth/manage", |call| Box::pin(smart::manage(call))),
    public("POST", "/auth/manage", |call| Box::pin(smart::manage_by_post(call))),
    public("GET", "/auth/federate", |call| Box::pin(smart::federate(call))),
    public("GET", "/auth/federation", |call| Box::pin(smart::federation(call))),
    public("GET", "/auth/factors", |call| Box::pin(smart::factors(call))),
    public("POST", "/auth/factors", |call| Box::pin(smart::factors_by_post(call))),
    public("GET", "/auth/brands", |call| Box::pin(smart::brands(call))),
    // Accounts, clients and launches, for those who administer: `smart::administration`
    bearer("GET", "/admin/users", |call, who| Box::pin(admin::users(call, who))),
    bearer("POST", "/admin/users", |call, who| Box::pin(admin::create_user(call, who))),
    bearer("GET", "/admin/users/{id}", |call, who| Box::pin(admin::user(call, who))),
    bearer("PUT", "/admin/users/{id}", |call, who| Box::pin(admin::update_user(call, who))),
    bearer("DELETE", "/admin/users/{id}", |call, who| Box::pin(admin::disable_user(call, who))),
    bearer("POST", "/admin/users/{id}/${operation}", |call, who| Box::pin(admin::user_operation(call, who))),
    bearer("GET", "/admin/clients", |call, who| Box::pin(admin::clients(call, who))),
    bearer("POST", "/admin/clients", |call, who| Box::pin(admin::create_client(call, who))),
    bearer("GET", "/admin/clients/{id}", |call, who| Box::pin(admin::client(call, who))),
    bearer("PUT", "/admin/clients/{id}", |call, who| Box::pin(admin::update_client(call, who))),
    bearer("DELETE", "/admin/clients/{id}", |call, who| Box::pin(admin::disable_client(call, who))),
    bearer("POST", "/admin/clients/{id}/${operation}", |call, who| {
        Box::pin(admin::client_operation(call, who))
    }),
    bearer("POST", "/admin/registrations", |call, who| Box::pin(admin::give_leave(call, who))),
    bearer("POST", "/admin/launches", |call, who| Box::pin(admin::begin_launch(call, who))),
    public("GET", "/assets/style.css", |call| Box::pin(smart::style_sheet(call))),
    public("GET", "/assets/passkey.js", |call| Box::pin(smart::passkey_script(call))),
    public("GET", "/assets/smart-style.json", |call| Box::pin(smart::style(call))),
    // https://hl7.org/fhir/R4/http.html#capabilities
    public("GET", "/fhir/metadata", |call| Box::pin(fhir::capabilities(call))),
    // https://hl7.org/fhir/uv/bulkdata/export.html
    bearer("GET", "/fhir/$export", |call, who| Box::pin(bulk::export(call, who))),
    bearer("POST", "/fhir/$export", |call, who| Box::pin(bulk::export_by_post(call, who))),
    bearer("GET", "/fhir/Patient/$export", |call, who| Box::pin(bulk::export(call, who))),
    bearer("POST", "/fhir/Patient/$export", |call, who| Box::pin(bulk::export_by_post(call, who))),
    bearer("GET", "/fhir/Group/{id}/$export", |call, who| Box::pin(bulk::export(call, who))),
    bearer("POST", "/fhir/Group/{id}/$export", |call, who| Box::pin(bulk::export_by_post(call, who))),
    bearer("GET", "/fhir/$export/{job}", |call, who| Box::pin(bulk::status(call, who))),
    bearer("DELETE", "/fhir/$export/{job}", |call, who| Box::pin(bulk::remove(call, who))),
    bearer("GET", "/fhir/$export/{job}/{file}", |call, who| Box::pin(bulk::file(call, who))),
    bearer("POST", "/fhir/$import", |call, who| Box::pin(import::import(call, who))),
    bearer("GET", "/fhir/$import/{job}", |call, who| Box::pin(import::status(call, who))),
    bearer("DELETE", "/fhir/$import/{job}", |call, who| Box::pin(import::remove(call, who))),
    bearer("GET", "/fhir/$import/{job}/{file}", |call, who| Box::pin(import::file(call, who))),
    // https://sql-on-fhir.org/ig/latest/operations.html
    bearer("GET", "/fhir/$viewdefinition-run", |call, who| Box::pin(views::run(call, who))),
    bearer("POST", "/fhir/$viewdefinition-run", |call, who| Box::pin(views::run(call, who))),
    bearer("GET", "/fhir/ViewDefinition/$viewdefinition-run", |call, who| Box::pin(views::run(call, who))),
    bearer("POST", "/fhir/ViewDefinition/$viewdefinition-run", |call, who| Box::pin(views::run(call, who))),
    bearer("GET", "/fhir/ViewDefinition/$run", |call, who| Box::pin(views::run(call, who))),
    bearer("POST", "/fhir/ViewDefinition/$run", |call, who| Box::pin(views::run(call, who))),
    bearer("GET", "/fhir/ViewDefinition/{id}/$viewdefinition-run", |call, who| {
        Box::pin(views::run(call, who))
    }),
    bearer("POST", "/fhir/ViewDefinition/{id}/$viewdefinition-run", |call, who| {
        Box::pin(views::run(call, who))
    }),
    bearer("GET", "/fhir/ViewDefinition/{id}/$run", |call, who| Box::pin(views::run(call, who))),
    bearer("POST", "/fhir/ViewDefinition/{id}/$run", |call, who| Box::pin(views::run(call, who))),
    bearer("GET", "/fhir/$viewdefinition-export", |call, who| Box::pin(views::export(call, who))),
    bearer("POST", "/fhir/$viewdefinition-export", |call, who| Box::pin(views::export(call, who))),
    bearer("GET", "/fhir/ViewDefinition/$viewdefinition-export", |call, who| {
        Box::pin(views::export(call, who))
    }),
    bearer("POST", "/fhir/ViewDefinition/$viewdefinition-export", |call, who| {
        Box::pin(views::export(call, who))
    }),
    bearer("GET", "/fhir/ViewDefinition/{id}/$viewdefinition-export", |call, who| {
        Box::pin(views::export(call, who))
    }),
    bearer("POST", "/fhir/ViewDefinition/{id}/$viewdefinition-export", |call, who| {
        Box::pin(views::export(call, who))
    }),
    bearer("GET", "/fhir/ViewDefinition", |call, who| Box::pin(views::list(call, who))),
    bearer("GET", "/fhir/ViewDefinition/{id}", |call, who| Box::pin(views::read(call, who))),
    // The whole system
    bearer("GET", "/fhir", |call, who| Box::pin(fhir::search(call, who))),
    bearer("POST", "/fhir", |call, who| Box::pin(fhir::bundle(call, who))),
    bearer("POST", "/fhir/_search", |call, who| Box::pin(fhir::search_by_post(call, who))),
    bearer("GET", "/fhir/_history", |call, who| Box::pin(fhir::history(call, who))),
    bearer("GET", "/fhir/${operation}", |call, who| Box::pin(fhir::operation(call, who))),
    bearer("POST", "/fhir/${operation}", |call, who| Box::pin(fhir::operation_by_post(call, who))),
    // https://hl7.org/fhir/R4/binary.html
    bearer("POST", "/fhir/Binary", |call, who| Box::pin(binary::create(call, who))),
    bearer("GET", "/fhir/Binary/{id}", |call, who| Box::pin(binary::read(call, who))),
    bearer("PUT", "/fhir/Binary/{id}", |call, who| Box::pin(binary::update(call, who))),
    bearer("PATCH", "/fhir/Binary/{id}", |call, who| Box::pin(fhir::patch(call, who))),
    bearer("DELETE", "/fhir/Binary/{id}", |call, who| Box::pin(fhir::delete(call, who))),
    bearer("GET", "/fhir/Binary/{id}/_history/{version}", |call, who| Box::pin(binary::vread(call, who))),
    // A type
    bearer("GET", "/fhir/{type}", |call, who| Box::pin(fhir::search(call, who))),
    bearer("POST", "/fhir/{type}", |call, who| Box::pin(fhir::create(call, who))),
    bearer("PUT", "/fhir/{type}", |call, who| Box::pin(fhir::conditional_update(call, who))),
    bearer("PATCH", "/fhir/{type}", |call, who| Box::pin(fhir::conditional_patch(call, who))),
    bearer("DELETE", "/fhir/{type}", |call, who| Box::pin(fhir::conditional_delete(call, who))),
    bearer("POST", "/fhir/{type}/_search", |call, who| Box::pin(fhir::search_by_post(call, who))),
    bearer("GET", "/fhir/{type}/_history", |call, who| Box::pin(fhir::history(call, who))),
    bearer("GET", "/fhir/{type}/${operation}", |call, who| Box::pin(fhir::operation(call, who))),
    bearer("POST", "/fhir/{type}/${operation}", |call, who| Box::pin(fhir::operation_by_post(call, who))),
    // A resource
    bearer("GET", "/fhir/{type}/{id}", |call, who| Box::pin(fhir::read(call, who))),
    bearer("PUT", "/fhir/{type}/{id}", |call, who| Box::pin(fhir::update(call, who))),
    bearer("PATCH", "/fhir/{type}/{id}", |call, who| Box::pin(fhir::patch(call, who))),
    bearer("DELETE", "/fhir/{type}/{id}", |call, who| Box::pin(fhir::delete(call, who))),
    bearer("GET", "/fhir/{type}/{id}/_history", |call, who| Box::pin(fhir::history(call, who))),
    bearer("GET", "/fhir/{type}/{id}/_history/{version}", |call, who| Box::pin(fhir::vread(call, who))),
    bearer("GET", "/fhir/{type}/{id}/${operation}", |call, who| Box::pin(fhir::operation(call, who))),
    bearer("POST", "/fhir/{type}/{id}/${operation}", |call, who| {
        Box::pin(fhir::operation_by_post(call, who))
    }),
    // A compartment
    bearer("POST", "/fhir/{type}/{id}/_search", |call, who| Box::pin(fhir::search_by_post(call, who))),
    bearer("GET", "/fhir/{type}/{id}/{member}", |call, who| Box::pin(fhir::search(call, who))),
    bearer("POST", "/fhir/{type}/{id}/{member}/_search", |call, who| {
        Box::pin(fhir::search_by_post(call, who))
    }),
];

const fn public(method: &'static str, path: &'static str, answer: fn(Call) -> Answering) -> Endpoint {
    Endpoint { method, path, guard: Guard::Public, entry: Entry::Anybody(answer) }
}

const fn metrics(method: &'static str, path: &'static str, answer: fn(Call) -> Answering) -> Endpoint {
    Endpoint { method, path, guard: Guard::Metrics, entry: Entry::Anybody(answer) }
}

const fn bearer(
    method: &'static str,
    path: &'static str,
    answer: fn(Call, Principal) -> Answering,
) -> Endpoint {
    Endpoint { method, path, guard: Guard::Bearer, entry: Entry::Bearer(answer) }
}

/// Mounts every row.
pub(super) fn mount(edge: &Arc<Edge>, config: &mut ServiceConfig) {
    let edge = Arc::clone(edge);
    config.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
        exchange::with(Arc::clone(&edge), request, payload.into_inner())
    }));
}

/// Whether each tenant has that path for itself: all but what is about the process.
#[must_use]
pub fn is_of_tenant(path: &str) -> bool {
    !path.starts_with("/health/") && path != "/metrics" && !path.contains("{tenant}")
}

/// The methods that a path is there for, `HEAD` and `OPTIONS` included.
pub(super) fn methods_of(path: &str) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path == path) {
        methods.push(endpoint.method);
        if endpoint.method == "GET" {
            methods.push("HEAD");
        }
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_row_stands_twice_and_none_behind_a_wider_one() {
        let rows: HashSet<_> = ENDPOINTS.iter().map(|it| (it.method, it.path)).collect();
        assert_eq!(rows.len(), ENDPOINTS.len());
        for (place, row) in ENDPOINTS.iter().enumerate() {
            for wider in ENDPOINTS.iter().take(place).filter(|it| it.path != row.path) {
                let (mine, theirs) = (row.path.split('/'), wider.path.split('/'));
                let is_hidden = mine.clone().count() == theirs.clone().count()
                    && mine.zip(theirs).all(|(mine, theirs)| theirs.starts_with('{') || theirs == mine);
                assert!(!is_hidden, "{} is hidden by {}", row.path, wider.path);
            }
        }
    }

    #[test]
    fn a_path_tells_its_methods() {
        assert_eq!(methods_of("/fhir/{type}/{id}"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
    }
}
