//! On whose behalf, when, and how an interaction is performed.

use crate::access::facts::Facts;
use crate::access::principal::Principal;
use crate::app::App;
use crate::app::rules::Rules;
use crate::conformance::definitions::Definitions;
use crate::fhir::id::TenantId;
use crate::fhir::outcome::Outcome;
use crate::search::plan::Setting;
use crate::search::query::Handling;
use crate::search::verify::Verifier;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// One request, as far as it matters to interactions.
#[derive(Clone)]
pub struct Context {
    /// The server.
    pub app: Arc<App>,
    /// What is legal for the tenant, from the beginning of the request to its end: `app.rules(tenant)`.
    pub rules: Arc<Rules>,
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
    /// `Prefer: return=representation`: the answer to a bundle holds what was written.
    pub wants_representation: bool,
    /// `Prefer: respond-async`: the client will come back for the answer.
    pub respond_async: bool,
    /// What is read is de-identified before anybody gets it.
    pub deidentifies: bool,
    /// What decisions are made from: nothing to begin with. The door learns it, anew for every interaction.
    pub facts: KnownFacts,
}

/// What is known of the principal. A copy knows nothing: it may be of somebody else.
#[derive(Debug, Default)]
pub struct KnownFacts(Mutex<Option<Arc<Facts>>>);

/// `_count` where the client names none.
pub(super) const DEFAULT_COUNT: u32 = 50;
/// The greatest page that is served.
pub(super) const MAX_COUNT: u32 = 1000;

/// A `_count`, held to the greatest page that is served.
pub(super) fn page_size(value: &str) -> Result<u32, Outcome> {
    let count: Result<u32, _> = value.parse();
    match count {
        Ok(count) => Ok(count.clamp(1, MAX_COUNT)),
        Err(_) => Err(Outcome::value("_count is a whole number of at least 1").at("_count")),
    }
}

impl Clone for KnownFacts {
    fn clone(&self) -> KnownFacts {
        KnownFacts::default()
    }
}

impl KnownFacts {
    /// Learns them.
    pub(super) fn learn(&self, facts: Arc<Facts>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
    }

    /// What is known.
    ///
    /// # Errors
    /// Nothing is: whoever asks came in by another way than the door.
    pub(super) fn get(&self) -> Result<Arc<Facts>, Outcome> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.ok_or_else(|| Outcome::exception("a decision was asked for before anything was known"))
    }
}

impl Context {
    /// A request that did not come over the network: strict, with an id of its own, and nothing more asked for.
    #[must_use]
    pub fn new(app: &Arc<App>, rules: Arc<Rules>, principal: Principal, now: i64) -> Context {
        Context {
            app: Arc::clone(app),
            rules,
            principal,
            request_id: app.new_id(),
            network: None,
            now,
            handling: handling(true),
            wants_representation: false,
            respond_async: false,
            deidentifies: false,
            facts: KnownFacts::default(),
        }
    }

    /// Whose data is reached.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.principal.tenant
    }

    /// What is legal.
    #[must_use]
    pub fn definitions(&self) -> &Definitions {
        &self.rules.definitions
    }

    /// Looks at resources for the store.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.rules.verifier
    }

    /// What a query is read by.
    pub(super) fn setting<'a>(&'a self, base: &'a str) -> Setting<'a> {
        Setting {
            definitions: self.definitions(),
            base,
            now: self.now,
            handling: self.handling,
            default_count: DEFAULT_COUNT,
            max_count: MAX_COUNT,
            sets: None,
        }
    }

    /// The time of a new version: now, as it is when the deed is done, not when the request came.
    pub(super) fn deed_time(&self) -> i64 {
        self.app.clock.now_microseconds()
    }
}

/// What `Prefer: handling=` asks for, lenient where nothing is said.
#[must_use]
pub fn handling(is_strict: bool) -> Handling {
    if is_strict { Handling::Strict } else { Handling::Lenient }
}
