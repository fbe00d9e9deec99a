//! What all workers share, and one call as its endpoint sees it.

use super::extract::body;
use super::extract::format::{Format, Syntax};
use super::extract::preferences::{Body, Preferences};
use super::extract::{purpose, query};
use super::middleware::large_bodies::{LargeBodies, Room};
use super::middleware::rate_limit::RateLimits;
use super::respond::outcome::Refusal;
use super::route_table::Place;
use crate::access::principal::Principal;
use crate::app::App;
use crate::app::rules::Rules;
use crate::config::Config;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::types::Types;
use crate::fhir::xml;
use crate::interaction;
use crate::interaction::context::{self, Context};
use crate::interaction::request::{Instance, Interaction, Parameters};
use crate::interaction::response::Response;
use crate::interaction::turned_away::{self, Reason, Refused, TurnedAway};
use crate::tenancy::Tenancy;
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

/// What all workers share.
pub(super) struct Edge {
    /// The servers behind the edge.
    pub(super) tenancy: Arc<Tenancy>,
    /// What comes with the program, for the types that XML is read and written by.
    rules: Arc<Rules>,
    /// Who asked how often.
    pub(super) rate_limits: RateLimits,
    /// Where large bodies wait for their turn.
    pub(super) large_bodies: LargeBodies,
    /// Who was turned away a moment ago.
    pub(super) turned_away: Arc<TurnedAway>,
    /// What was counted, where this process counts.
    pub(super) metrics: Option<PrometheusHandle>,
    /// Where interactions run: not on the thread of a connection, which may go away.
    pub(super) runtime: Handle,
}

/// One request on its way.
pub(super) struct Call {
    /// What all workers share.
    pub(super) edge: Arc<Edge>,
    /// The server of the tenant that is asked.
    pub(super) app: Arc<App>,
    /// The path of ours that it fits.
    pub(super) place: Arc<Place>,
    /// Method, path, query, headers.
    pub(super) request: HttpRequest,
    /// The body, not read yet.
    pub(super) payload: Payload,
    /// The room that the body has, where it is large.
    pub(super) room: Room,
    /// The id of the request.
    pub(super) id: Uuid,
    /// When it came, in microseconds since 1970.
    pub(super) now: i64,
    /// The address it came from.
    pub(super) network: Option<String>,
}

impl Edge {
    pub(super) fn new(app: Arc<App>, metrics: Option<PrometheusHandle>) -> Edge {
        let rate_limits = RateLimits::new(&app.config.limits);
        let large_bodies = LargeBodies::new(&app.config.limits);
        let rules = app.known_rules(app.tenant);
        let tenancy = Arc::new(Tenancy::new(app));
        Edge {
            tenancy,
            rules,
            rate_limits,
            large_bodies,
            turned_away: Arc::default(),
            metrics,
            runtime: Handle::current(),
        }
    }

    /// The server of the first tenant: for what is the same for all of them.
    pub(super) fn app(&self) -> &Arc<App> {
        self.tenancy.first()
    }

    /// The types of R4, which XML is read and written by.
    pub(super) fn types(&self) -> &Types {
        &self.rules.definitions.types
    }
}

impl Call {
    /// Every setting.
    pub(super) fn config(&self) -> &Config {
        &self.app.config
    }

    /// The text of a header; nothing where it is missing.
    ///
    /// # Errors
    /// It is sent twice, or is not text.
    pub(super) fn header(&self, name: &'static str) -> Result<Option<&str>, Outcome> {
        let mut values = self.request.headers().get_all(name);
        let Some(first) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Outcome::value(format!("the header {name} must be sent once")));
        }
        match first.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(Outcome::value(format!("the header {name} must be ASCII text"))),
        }
    }

    /// All values of a header that may be sent as a list, joined.
    pub(super) fn list_header(&self, name: &'static str) -> String {
        let values = self.request.headers().get_all(name);
        values.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
    }

    /// What was asked, as clients write it. HTTP/2 has the host in its URI, HTTP/1.1 has not: ours stands here.
    pub(super) fn url(&self) -> String {
        let asked = self.request.uri().path_and_query().map_or("", |it| it.as_str());
        format!("{}{asked}", self.edge.app().config.public_url())
    }

    /// A part of the path; empty where its template has no such part.
    pub(super) fn path(&self, name: &str) -> &str {
        self.place.part(name)
    }

    /// The resource type in the path.
    ///
    /// # Errors
    /// R4 has no such type (404).
    pub(super) fn resource_type(&self) -> Result<ResourceType, Refusal> {
        self.type_at("type")
    }

    /// The resource type in that part of the path.
    ///
    /// # Errors
    /// R4 has no such type (404).
    pub(super) fn type_at(&self, name: &str) -> Result<ResourceType, Refusal> {
        ResourceType::parse(self.path(name)).ok_or_else(Refusal::unknown_type)
    }

    /// The id in the path.
    ///
    /// # Errors
    /// Nothing can have such an id, so nothing has.
    pub(super) fn resource_id(&self) -> Result<ResourceId, Refusal> {
        Ok(ResourceId::parse(self.path("id")).ok_or_else(Outcome::not_found)?)
    }

    /// The resource in the path.
    ///
    /// # Errors
    /// R4 has no such type, or nothing can have such an id.
    pub(super) fn instance(&self) -> Result<Instance, Refusal> {
        Ok(Instance { resource_type: self.resource_type()?, id: self.resource_id()? })
    }

    /// The query, decoded, without what is the transport's.
    ///
    /// # Errors
    /// It does not decode.
    pub(super) fn parameters(&self) -> Result<Parameters, Outcome> {
        let mut parameters = query::decode(self.request.query_string())?;
        parameters.retain(|(name, _)| name != "_format" && name != "_pretty");
        Ok(parameters)
    }

    /// How the answer shall be written.
    ///
    /// # Errors
    /// In no way that we can.
    pub(super) fn format(&self) -> Result<Format, Refusal> {
        Format::negotiate(self.request.query_string(), &self.list_header("accept"))
    }

    /// The `Prefer` header.
    pub(super) fn preferences(&self) -> Preferences {
        Preferences::parse(&self.list_header("prefer"))
    }

    /// The media type of the body, in lower case and without parameters; empty where none is stated.
    pub(super) fn content_type(&self) -> String {
        let value = self.request.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = value.unwrap_or_default().split(';').next().unwrap_or_default();
        media_type.trim().to_ascii_lowercase()
    }

    /// The body, decompressed.
    ///
    /// # Errors
    /// It is too large, too slow, or does not decompress; or there is no room for it now.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, Refusal> {
        let payload = std::mem::replace(&mut self.payload, Payload::None);
        let body = body::read(payload, &self.request, &self.app.config.limits).await?;
        self.room = self.edge.large_bodies.wait(body.len()).await?;
        Ok(body)
    }

    /// How much a document may ask of us.
    pub(super) fn json_limits(&self) -> Limits {
        Limits { size_bytes: self.config().limits.body_bytes, ..Limits::default() }
    }

    /// The body as a resource.
    ///
    /// # Errors
    /// It cannot be read, is of a type that we do not speak, or not a resource.
    pub(super) async fn resource(&mut self) -> Result<Resource, Refusal> {
        let syntax = body::require_fhir(&self.request)?;
        let body = self.body().await?;
        Ok(self.parse(syntax, body)?)
    }

    /// Bytes as a resource.
    ///
    /// # Errors
    /// They are none.
    pub(super) fn parse(&self, syntax: Syntax, body: Vec<u8>) -> Result<Resource, Outcome> {
        match syntax {
            Syntax::Json => Resource::parse(body, &self.json_limits()),
            Syntax::Xml => {
                let text = String::from_utf8(body).map_err(|_| Outcome::structure("not valid UTF-8"))?;
                Resource::parse(xml::to_json(self.edge.types(), &text)?, &self.json_limits())
            }
        }
    }

    /// Leaves a row in the trail for a request that is turned away.
    pub(super) async fn record_refusal(&self, reason: Reason<'_>) {
        let place = self.place.path;
        let refused = Refused {
            reason,
            request: self.id,
            network: self.network.as_deref(),
            endpoint: format!("{} {place}", self.request.method()),
        };
        let edge = &self.edge;
        turned_away::record((&edge.runtime, &self.app), &edge.turned_away, refused).await;
    }

    /// How an interaction is performed on behalf of the bearer: once the rules of the tenant are known.
    pub(super) fn context(
        &self,
        principal: Principal,
    ) -> impl Future<Output = Result<Context, Outcome>> + Send + use<> {
        let preferences = self.preferences();
        let app = Arc::clone(&self.app);
        let (request_id, network, now) = (self.id, self.network.clone(), self.now);
        async move {
            let rules = app.rules(principal.tenant).await?;
            Ok(Context {
                app,
                rules,
                principal,
                request_id,
                network,
                now,
                handling: context::handling(preferences.is_strict),
                wants_representation: preferences.body == Some(Body::Representation),
                respond_async: preferences.respond_async,
                deidentifies: false,
                facts: context::KnownFacts::default(),
            })
        }
    }

    /// Passes the interaction to the door, on behalf of the bearer.
    ///
    /// It goes on to its end also when the client goes away: a deed is done and recorded, or neither.
    ///
    /// # Errors
    /// It is refused or fails.
    pub(super) async fn perform(
        &self,
        principal: Principal,
        interaction: Interaction,
    ) -> Result<Response, Outcome> {
        let context = self.context(purpose::stated(self, principal)?);
        let room = self.room.clone();
        let deed = async move {
            let answer = interaction::perform(&context.await?, interaction).await;
            drop(room);
            answer
        };
        let task = self.edge.runtime.spawn(deed.instrument(Span::current()));
        task.await.unwrap_or_else(|_| Err(Outcome::exception("the interaction panicked")))
    }
}
