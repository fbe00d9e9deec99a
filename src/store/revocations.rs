//! Access tokens that are dead before their time, in memory.
//!
//! An access token lives for minutes, so the news that its user, client or family was revoked need not be
//! remembered for longer: the whole of it fits into memory, and a request is checked without asking the
//! database. The news is read again once it is a fifth of a second old, and at once after a change of our
//! own; so another server knows with its next request, and an idle one asks before it answers. If it cannot
//! ask, it does not answer.
//!
//! # Decision 2026-11-24
//! Read again by age, not pushed by `listen`: a notification tells nothing when its connection is the one that
//! broke, so the age would have to be watched all the same, and five small questions a second cost nothing.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was revoked. Its number is stored and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// A user: the `sub` of their tokens.
    User,
    /// A client: the `client_id` of its tokens.
    Client,
    /// All tokens of one grant: their `family`.
    Family,
    /// One token: its `jti`.
    Token,
    /// Not a token, but the keys of a subject of the store, or of the tenant (0), which were destroyed: whoever
    /// keeps them, forgets them.
    Key,
}

/// What was revoked, as far as it still matters.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    /// What, and until when tokens of it must have been issued to be dead, in microseconds since 1970.
    entries: HashMap<(RevocationKind, String), i64>,
    expires: HashMap<(RevocationKind, String), i64>,
    /// Every transaction before this one is in `entries`.
    horizon: i64,
}

/// The news of each tenant.
#[derive(Default)]
pub(super) struct RevocationNews {
    tenants: Mutex<HashMap<TenantId, Arc<News>>>,
}

#[derive(Default)]
struct News {
    known: Mutex<Option<(Instant, Arc<Revocations>)>>,
    /// One asks, the others wait for the answer.
    asking: tokio::sync::Mutex<()>,
}

/// How old the news may be.
const FRESH: Duration = Duration::from_millis(200);

impl RevocationKind {
    pub(super) fn code(self) -> i16 {
        match self {
            RevocationKind::User => 1,
            RevocationKind::Client => 2,
            RevocationKind::Family => 3,
            RevocationKind::Token => 4,
            RevocationKind::Key => 5,
        }
    }

    fn from_code(code: i16) -> Option<RevocationKind> {
        match code {
            1 => Some(RevocationKind::User),
            2 => Some(RevocationKind::Client),
            3 => Some(RevocationKind::Family),
            4 => Some(RevocationKind::Token),
            5 => Some(RevocationKind::Key),
            _ => None,
        }
    }
}

impl Revocations {
    /// Whether a token of that subject, issued then (in microseconds since 1970), is dead.
    #[must_use]
    pub fn cover(&self, kind: RevocationKind, subject: &str, issued: i64) -> bool {
        // Mostly there is nothing, and this is asked four times for every request.
        !self.entries.is_empty()
            && self.entries.get(&(kind, subject.to_owned())).is_some_and(|until| issued <= *until)
    }
}

impl Store {
    /// What was revoked, no older than a fifth of a second.
    ///
    /// # Errors
    /// The database cannot be asked: then no token may be taken.
    pub async fn revocations(&self, tenant: TenantId) -> Result<Arc<Revocations>, StoreError> {
        let news = self.news(tenant);
        if let Some(known) = news.fresh() {
            return Ok(known);
        }
        let _turn = news.asking.lock().await;
        if let Some(known) = news.fresh() {
            return Ok(known);
        }
        let asked = Instant::now();
        let mut revocations = match &*news.known.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((_, known)) => Revocations::clone(known),
            None => Revocations::default(),
        };
        self.read_revocations(tenant, &mut revocations).await?;
        let revocations = Arc::new(revocations);
        *news.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, revocations.clone()));
        Ok(revocations)
    }

    /// The same, where it is in memory and no older than that.
    #[must_use]
    pub fn known_revocations(&self, tenant: TenantId) -> Option<Arc<Revocations>> {
        self.news(tenant).fresh()
    }

    /// Revokes every token of a subject that was issued until now, and tells every server.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoke(
        &self,
        tenant: TenantId,
        (kind, subject): (RevocationKind, &str),
        news_expire: i64,
    ) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into revocations (tenant, kind, subject, at, expires) values ($1, $2, $3, $4, $5)",
        );
        let sql = sql.with(tenant.0).with(kind.code()).with(subject).with(self.now()).with(news_expire);
        self.act(tenant, &sql).await?;
        self.revocations_changed(tenant);
        Ok(())
    }

    /// The next request asks again.
    pub(super) fn revocations_changed(&self, tenant: TenantId) {
        let news = self.news(tenant);
        let mut known = news.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, _)) = &mut *known
            && let Some(earlier) = asked.checked_sub(FRESH)
        {
            *asked = earlier;
        }
    }

    fn news(&self, tenant: TenantId) -> Arc<News> {
        let mut tenants = self.shared.revocations.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(tenant).or_default().clone()
    }

    /// Reads what transactions did that could not be seen the last time.
    async fn read_revocations(
        &self,
        tenant: TenantId,
        revocations: &mut Revocations,
    ) -> Result<(), StoreError> {
        type Row = (i64, Option<i16>, Option<String>, Option<i64>, Option<i64>);
        type RowTypes = (BigInt, Nullable<SmallInt>, Nullable<Text>, Nullable<BigInt>, Nullable<BigInt>);
        let sql = Sql::new(
            "select now.horizon, r.kind, r.subject, r.at, r.expires \
             from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon) as now \
             left join revocations r on r.tenant = $1 and r.transaction >= $2::bigint::text::xid8 and r.expires > $3",
        );
        let now = self.now();
        let sql = sql.with(tenant.0).with(revocations.horizon).with(now);
        for (horizon, kind, subject, at, expires) in self.ask::<RowTypes, Row>(tenant, &[], &sql).await? {
            revocations.horizon = horizon;
            let kind = kind.and_then(RevocationKind::from_code);
            let (Some(kind), Some(subject), Some(at)) = (kind, subject, at) else { continue };
            if kind == RevocationKind::Key {
                if let Ok(subject) = subject.parse() {
                    self.key_is_gone(tenant, subject);
                }
                continue;
            }
            let key = (kind, subject);
            revocations.expires.insert(key.clone(), expires.unwrap_or(i64::MAX));
            let until = revocations.entries.entry(key).or_insert(at);
            *until = at.max(*until);
        }
        let Revocations { entries, expires, .. } = revocations;
        expires.retain(|_, end| *end > now);
        entries.retain(|key, _| expires.contains_key(key));
        Ok(())
    }
}

impl News {
    fn fresh(&self) -> Option<Arc<Revocations>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(asked, _)| asked.elapsed() < FRESH).map(|(_, known)| known.clone())
    }
}
