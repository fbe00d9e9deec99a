//! One server for each tenant: `/fhir` for the first, `/t/{slug}/fhir` for every other.
//!
//! Each has its own addresses, issuer, signing keys, clients, users, sealing keys and trail; they share the
//! program, the database and its walls (row-level security), the clock and the definitions. A token names its
//! issuer and its audience, so one of another tenant is a stranger's.
//!
//! A tenant that is added while the server runs is found at its first request.

use crate::app::App;
use crate::fhir::id::TenantId;
use crate::fhir::outcome::Outcome;
use crate::store::tenants::is_slug;
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long it is believed that there is no tenant of a name.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// So many unknown names are remembered.
const UNKNOWN: u64 = 10_000;

/// The servers of all tenants.
pub struct Tenancy {
    first: Arc<App>,
    others: RwLock<HashMap<String, Arc<App>>>,
    unknown: Cache<String, ()>,
}

impl Tenancy {
    /// With the server of the first tenant.
    #[must_use]
    pub fn new(first: Arc<App>) -> Tenancy {
        let unknown = Cache::builder().max_capacity(UNKNOWN).time_to_live(UNKNOWN_FOR).build();
        Tenancy { first, others: RwLock::default(), unknown }
    }

    /// The server of the first tenant.
    #[must_use]
    pub fn first(&self) -> &Arc<App> {
        &self.first
    }

    /// The server of the tenant of that name, if it is known already.
    #[must_use]
    pub fn known(&self, slug: &str) -> Option<Arc<App>> {
        self.others.read().unwrap_or_else(PoisonError::into_inner).get(slug).cloned()
    }

    /// The server of the tenant of that name: nothing where there is none, and for the first, whose address is
    /// another.
    ///
    /// # Errors
    /// The database fails.
    pub async fn named(&self, slug: &str) -> Result<Option<Arc<App>>, Outcome> {
        if let Some(known) = self.known(slug) {
            return Ok(Some(known));
        }
        if !is_slug(slug) || self.unknown.contains_key(slug) {
            return Ok(None);
        }
        match self.first.store.tenant_named(slug).await? {
            Some(id) if id != TenantId::FIRST => Ok(Some(self.open(id, slug))),
            _ => {
                self.unknown.insert(slug.to_owned(), ());
                Ok(None)
            }
        }
    }

    /// The servers of all tenants that there are now, the first one first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn all(&self) -> Result<Vec<Arc<App>>, Outcome> {
        let tenants = self.first.store.tenants().await?;
        let others = tenants.into_iter().filter(|it| it.id != TenantId::FIRST);
        let others = others.map(|it| self.known(&it.slug).unwrap_or_else(|| self.open(it.id, &it.slug)));
        Ok(std::iter::once(Arc::clone(&self.first)).chain(others).collect())
    }

    fn open(&self, id: TenantId, slug: &str) -> Arc<App> {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        let app = others.entry(slug.to_owned()).or_insert_with(|| Arc::new(self.first.for_tenant(id, slug)));
        Arc::clone(app)
    }
}
