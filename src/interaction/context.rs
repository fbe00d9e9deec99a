//! On whose behalf, when, and how an interaction is performed.

use crate::access::principal::Principal;
use crate::app::App;
use crate::search::query::Handling;
use std::sync::Arc;
use uuid::Uuid;

/// One request, as far as it matters to interactions.
#[derive(Clone)]
pub struct Context {
    /// The server.
    pub app: Arc<App>,
    /// Who asks.
    pub principal: Principal,
    /// The id of the request, `X-Request-Id`.
    pub request_id: Uuid,
    /// The address it came from.
    pub network: Option<String>,
    /// When it came, in microseconds since 1970.
    pub now: i64,
    /// `Prefer: handling=`: lenient where nothing is said.
    pub handling: Handling,
}
