//! Requests that are turned away at the door: without a good token, or asking too often. Each is in the trail.
//!
//! # Decision 2026-11-24
//! The first of its kind is written before its answer leaves, like everything else. Those that follow from the
//! same address within a second are counted, and become one more row at the second's end: whoever knocks a
//! thousand times a second costs the trail two rows, not a thousand. The road not taken, one row at the end for
//! all of them, would let a first refusal be lost with the process. Where the trail cannot be written the
//! caller is turned away all the same: nothing is released by that.

use crate::access::principal::Principal;
use crate::app::App;
use crate::audit::event::{self, Kind, Occasion};
use crate::fhir::id::TenantId;
use crate::store::audit_log::AuditRow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use uuid::Uuid;

/// How long those that are alike are counted together.
const TOGETHER: Duration = Duration::from_secs(1);
/// How long a caller waits for the row of their refusal.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many addresses are told apart at once; beyond that they are counted as one.
const ADDRESSES: usize = 10_000;

/// Who is being counted now.
#[derive(Default)]
pub struct TurnedAway {
    counts: Mutex<HashMap<Key, u64>>,
}

/// A request that is turned away.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Why.
    pub reason: Reason<'a>,
    /// The id of the request.
    pub request: Uuid,
    /// The address it came from.
    pub network: Option<&'a str>,
    /// Its method, and the template of its path.
    pub endpoint: String,
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug)]
pub enum Reason<'a> {
    /// It has no token.
    NoToken,
    /// Its token is none, or not good any more.
    BadToken,
    /// Its bearer asks too often.
    TooOften(&'a Principal),
    /// Whoever signs in or asks for tokens does so too often from that address.
    TooOftenFrom,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    kind: Kind,
    agent: String,
    network: Option<String>,
}

/// Records it, alone or with those that are like it. The rows are written on that runtime, the store's.
pub async fn record(
    (runtime, app): (&Handle, &Arc<App>),
    turned_away: &Arc<TurnedAway>,
    refused: Refused<'_>,
) {
    let row = refused.row(app.clock.now_microseconds());
    let key = Key {
        tenant: app.tenant,
        kind: refused.kind(),
        agent: row.agent.clone(),
        network: row.network.clone(),
    };
    let Some(key) = turned_away.first(key) else { return };
    let (app, turned_away) = (Arc::clone(app), Arc::clone(turned_away));
    let mut more = row.clone();
    let tenant = key.tenant;
    let appending = runtime.spawn(append(Arc::clone(&app), tenant, row));
    runtime.spawn(async move {
        tokio::time::sleep(TOGETHER).await;
        let count = turned_away.end(&key);
        if count > 0 {
            more.recorded = app.clock.now_microseconds();
            more.request = None;
            more.detail = more.detail.map(|first| format!("{first}&count={count}"));
            append(app, tenant, more).await;
        }
    });
    let _ = tokio::time::timeout(PATIENCE, appending).await;
}

async fn append(app: Arc<App>, tenant: TenantId, row: AuditRow) {
    if let Err(error) = app.store.append_audit(tenant, vec![row]).await {
        tracing::error!(%error, "a request that was turned away is not in the trail");
    }
}

impl TurnedAway {
    /// The key to count under, if this is the first of its kind; the others are counted.
    fn first(&self, key: Key) -> Option<Key> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match counts.len() < ADDRESSES || counts.contains_key(&key) {
            true => key,
            false => Key { network: None, agent: String::new(), ..key },
        };
        match counts.get_mut(&key) {
            Some(count) => {
                *count += 1;
                None
            }
            None => {
                counts.insert(key.clone(), 0);
                Some(key)
            }
        }
    }

    /// Stops counting: how many came after the first.
    fn end(&self, key: &Key) -> u64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or(0)
    }
}

impl Refused<'_> {
    fn kind(&self) -> Kind {
        match self.reason {
            Reason::NoToken => Kind::Unauthenticated,
            Reason::BadToken => Kind::MalformedToken,
            Reason::TooOften(_) | Reason::TooOftenFrom => Kind::RateLimited,
        }
    }

    fn row(&self, now: i64) -> AuditRow {
        let (kind, result) = (self.kind(), event::Result::MinorFailure);
        let mut row = match self.reason {
            Reason::TooOften(principal) => {
                let occasion = Occasion { principal, request: self.request, network: self.network, now };
                event::row(&occasion, kind, result, "requests a minute")
            }
            Reason::TooOftenFrom => event::row_of("unknown", kind, result, "requests a minute", now),
            Reason::NoToken => event::row_of("unknown", kind, result, "no token", now),
            Reason::BadToken => event::row_of("unknown", kind, result, "no good token", now),
        };
        row.request = Some(self.request);
        row.network = self.network.map(str::to_owned);
        row.detail = Some(format!("endpoint={}", self.endpoint));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(network: &str) -> Key {
        Key {
            tenant: TenantId::FIRST,
            kind: Kind::Unauthenticated,
            agent: "unknown".to_owned(),
            network: Some(network.to_owned()),
        }
    }

    #[test]
    fn the_first_is_written_and_the_rest_are_counted() {
        let counts = TurnedAway::default();
        assert!(counts.first(key("a")).is_some());
        assert!(counts.first(key("b")).is_some());
        assert!((0..5).all(|_| counts.first(key("a")).is_none()));
        assert_eq!((counts.end(&key("a")), counts.end(&key("b"))), (5, 0));
        assert!(counts.first(key("a")).is_some());
    }

    #[test]
    fn addresses_without_end_take_no_memory_without_end() {
        let counts = TurnedAway::default();
        let written = (0..ADDRESSES * 2).filter(|it| counts.first(key(&it.to_string())).is_some()).count();
        assert_eq!(written, ADDRESSES + 1);
        assert!(counts.first(key("3")).is_none(), "who is counted already, is counted on");
    }
}
