//! How often one user, or one system, may ask: <https://www.rfc-editor.org/rfc/rfc6585#section-4>
//!
//! Users have a limit and systems, which move whole populations, none: both are settings, and a client may have
//! one of its own. At the authorization server addresses have one, and clients that fail to prove who they are.
//! Each process counts for itself.

use crate::access::scope::Level;
use crate::app::GoodToken;
use crate::config::limits::Limits;
use crate::fhir::outcome::Outcome;
use crate::http::respond::outcome::Refusal;
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use moka::sync::Cache;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// After so many requests, those who have been quiet are forgotten.
const TIDY_EVERY: u32 = 10_000;

type Limiter = RateLimiter<String, DashMapStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// Who asked how often.
pub(crate) struct RateLimits {
    users: Option<Limit>,
    systems: Option<Limit>,
    addresses: Option<Limit>,
    /// Of clients with a limit of their own, by that limit.
    own: RwLock<HashMap<u32, Arc<Limit>>>,
    /// How often each failed of late: and when.
    failures: Cache<String, Arc<Mutex<VecDeque<Instant>>>>,
    failures_allowed: usize,
}

/// Failures are counted for so long.
const FAILURES_COUNT: Duration = Duration::from_secs(900);
/// So many that failed are remembered.
const FAILED: u64 = 50_000;
/// So many limits of clients are told apart; beyond that the general one holds.
const OWN_LIMITS: usize = 1000;

struct Limit {
    per_minute: NonZeroU32,
    limiter: Limiter,
    taken: AtomicU32,
}

/// How a caller stands.
pub(crate) struct Standing {
    per_minute: u32,
    remaining: u32,
    /// The seconds to wait, where the limit is reached.
    wait_seconds: Option<u64>,
}

impl RateLimits {
    /// With the limits of the settings; 0 is none.
    pub(crate) fn new(limits: &Limits) -> RateLimits {
        RateLimits {
            users: Limit::new(limits.user_requests_per_minute),
            systems: Limit::new(limits.system_requests_per_minute),
            addresses: Limit::new(limits.sign_in_requests_per_minute),
            own: RwLock::default(),
            failures: Cache::builder().max_capacity(FAILED).time_to_idle(FAILURES_COUNT).build(),
            failures_allowed: usize::try_from(limits.client_failures).unwrap_or(usize::MAX),
        }
    }

    /// The limit of those who have that limit of their own.
    fn own(&self, per_minute: NonZeroU32) -> Option<Arc<Limit>> {
        let known = self.own.read().unwrap_or_else(PoisonError::into_inner).get(&per_minute.get()).cloned();
        if known.is_some() {
            return known;
        }
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= OWN_LIMITS {
            return None;
        }
        let limit = Arc::new(Limit::of(per_minute));
        Some(Arc::clone(own.entry(per_minute.get()).or_insert(limit)))
    }

    /// How many seconds that one must wait, who failed too often.
    pub(crate) fn wait_after_failures(&self, who: &str) -> Option<u64> {
        if self.failures_allowed == 0 {
            return None;
        }
        let failures = self.failures.get(who)?;
        let mut times = failures.lock().unwrap_or_else(PoisonError::into_inner);
        while times.front().is_some_and(|first| first.elapsed() >= FAILURES_COUNT) {
            times.pop_front();
        }
        let first = times.front().filter(|_| times.len() >= self.failures_allowed)?;
        Some(FAILURES_COUNT.saturating_sub(first.elapsed()).as_secs() + 1)
    }

    /// Counts a failure.
    pub(crate) fn count_failure(&self, who: String) {
        if self.failures_allowed > 0 {
            let failures = self.failures.get_with(who, Arc::default);
            failures.lock().unwrap_or_else(PoisonError::into_inner).push_back(Instant::now());
        }
    }
}

impl Limit {
    fn new(per_minute: u32) -> Option<Limit> {
        NonZeroU32::new(per_minute).map(Limit::of)
    }

    fn of(per_minute: NonZeroU32) -> Limit {
        let limiter = RateLimiter::keyed(Quota::per_minute(per_minute));
        Limit { per_minute, limiter: limiter.with_middleware(), taken: AtomicU32::new(0) }
    }

    fn take(&self, who: &String) -> Standing {
        if self.taken.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let per_minute = self.per_minute.get();
        match self.limiter.check_key(who) {
            Ok(state) => {
                Standing { per_minute, remaining: state.remaining_burst_capacity(), wait_seconds: None }
            }
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                Standing { per_minute, remaining: 0, wait_seconds: Some(wait.as_secs() + 1) }
            }
        }
    }
}

/// Counts a request of somebody with a token.
pub(crate) fn take(limits: &RateLimits, token: &GoodToken) -> Standing {
    let principal = &token.principal;
    let who = format!("{}/{}", principal.tenant.0, principal.subject);
    if let Some(own) = token.requests_per_minute {
        let Some(per_minute) = NonZeroU32::new(own) else { return Standing::unlimited() };
        if let Some(limit) = limits.own(per_minute) {
            return limit.take(&format!("{who}/{}", principal.client_id));
        }
    }
    let is_system = principal.fhir_user.is_none()
        && principal.patient.is_none()
        && principal.scopes.resources().iter().all(|scope| scope.level == Level::System);
    let limit = if is_system { &limits.systems } else { &limits.users };
    limit.as_ref().map_or_else(Standing::unlimited, |limit| limit.take(&who))
}

/// Counts a request of somebody at an address, who may have no token yet.
pub(crate) fn take_address(limits: &RateLimits, address: &str) -> Standing {
    limits.addresses.as_ref().map_or_else(Standing::unlimited, |limit| limit.take(&address.to_owned()))
}

impl Standing {
    fn unlimited() -> Standing {
        Standing { per_minute: 0, remaining: 0, wait_seconds: None }
    }

    /// The seconds to wait, if the limit is reached.
    pub(crate) fn wait_seconds(&self) -> Option<u64> {
        self.wait_seconds
    }

    /// No, if the limit is reached.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let wait = self.wait_seconds?;
        let refusal = Refusal::from(Outcome::throttled("too many requests, wait as Retry-After says"));
        Some(refusal.with(RETRY_AFTER, HeaderValue::from(wait)))
    }

    /// Tells the caller how they stand: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>
    pub(crate) fn tell(&self, answer: Result<HttpResponse, Refusal>) -> Result<HttpResponse, Refusal> {
        let Standing { per_minute, remaining, wait_seconds } = self;
        if *per_minute == 0 {
            return answer;
        }
        let standing = format!("\"minute\";r={remaining};t={}", wait_seconds.unwrap_or(60));
        let policy = format!("\"minute\";q={per_minute};w=60");
        let headers = [(RATE_LIMIT, standing), (RATE_LIMIT_POLICY, policy)];
        let headers =
            headers.into_iter().filter_map(|(name, it)| Some((name, HeaderValue::from_str(&it).ok()?)));
        match answer {
            Ok(mut response) => {
                headers.for_each(|(name, value)| {
                    response.headers_mut().insert(name, value);
                });
                Ok(response)
            }
            Err(refusal) => Err(headers.fold(refusal, |refusal, (name, value)| refusal.with(name, value))),
        }
    }
}
