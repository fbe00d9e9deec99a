//! How often one user, or one system, may ask: <https://www.rfc-editor.org/rfc/rfc6585#section-4>
//!
//! Users have a limit and systems, which move whole populations, none: both are settings. Each process counts
//! for itself.

use crate::access::principal::Principal;
use crate::access::scope::Level;
use crate::config::Limits;
use crate::fhir::outcome::Outcome;
use crate::http::respond::outcome::Refusal;
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// After so many requests, those who have been quiet are forgotten.
const TIDY_EVERY: u32 = 10_000;

type Limiter = RateLimiter<String, DashMapStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// Who asked how often.
pub(crate) struct RateLimits {
    users: Option<Limit>,
    systems: Option<Limit>,
}

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
        }
    }
}

impl Limit {
    fn new(per_minute: u32) -> Option<Limit> {
        let per_minute = NonZeroU32::new(per_minute)?;
        let limiter = RateLimiter::keyed(Quota::per_minute(per_minute));
        Some(Limit { per_minute, limiter: limiter.with_middleware(), taken: AtomicU32::new(0) })
    }
}

/// Counts a request.
pub(crate) fn take(limits: &RateLimits, principal: &Principal) -> Standing {
    let is_system = principal.fhir_user.is_none()
        && principal.patient.is_none()
        && principal.scopes.resources().iter().all(|scope| scope.level == Level::System);
    let limit = if is_system { &limits.systems } else { &limits.users };
    let Some(limit) = limit else { return Standing { per_minute: 0, remaining: 0, wait_seconds: None } };
    if limit.taken.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
        limit.limiter.retain_recent();
    }
    let per_minute = limit.per_minute.get();
    match limit.limiter.check_key(&format!("{}/{}", principal.tenant.0, principal.subject)) {
        Ok(state) => Standing { per_minute, remaining: state.remaining_burst_capacity(), wait_seconds: None },
        Err(until) => {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Standing { per_minute, remaining: 0, wait_seconds: Some(wait.as_secs() + 1) }
        }
    }
}

impl Standing {
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
