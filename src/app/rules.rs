//! What is legal for a tenant: the definitions that come with the program, and what the tenant added to them.
//!
//! A request takes one [`Rules`] when it begins and holds to it to its end. Whether there are newer ones is
//! asked of the database once what is known is half a second old, as for revocations: so every server holds to
//! a new guide within that time, and none needs a restart. If it cannot ask, it does not answer.
//!
//! Tenants that added nothing share one set.

use super::App;
use crate::conformance::definitions::Definitions;
use crate::conformance::package::PackageError;
use crate::fhir::id::TenantId;
use crate::fhir::outcome::Outcome;
use crate::search::verify::Verifier;
use crate::store::packages::RulesVersion;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::info;

/// How old what is known may be.
pub const FRESH: Duration = Duration::from_millis(500);

/// What is legal, as it was when a request began.
pub struct Rules {
    /// Which changes it holds.
    pub version: RulesVersion,
    /// What is legal.
    pub definitions: Arc<Definitions>,
    /// Looks at resources for the store.
    pub verifier: Verifier,
    capability_statement: OnceLock<String>,
}

/// The rules of every tenant that was asked for.
pub(super) struct RulesOfTenants {
    base: Arc<Rules>,
    fhir_base: Arc<str>,
    tenants: Mutex<HashMap<TenantId, Arc<Known>>>,
}

struct Known {
    rules: Mutex<(Option<Instant>, Arc<Rules>)>,
    /// One asks, the others wait for the answer.
    asking: tokio::sync::Mutex<()>,
}

impl Rules {
    fn new(definitions: Arc<Definitions>, fhir_base: &Arc<str>, version: RulesVersion) -> Rules {
        let verifier = Verifier::new(Arc::clone(&definitions), Arc::clone(fhir_base));
        Rules { version, definitions, verifier, capability_statement: OnceLock::new() }
    }

    /// The CapabilityStatement, made when somebody first asks for it.
    pub fn capability_statement(&self, make: impl FnOnce() -> String) -> &str {
        self.capability_statement.get_or_init(make)
    }
}

impl RulesOfTenants {
    pub(super) fn new(definitions: Arc<Definitions>, fhir_base: String) -> RulesOfTenants {
        let fhir_base = fhir_base.into();
        let base = Arc::new(Rules::new(definitions, &fhir_base, RulesVersion::default()));
        RulesOfTenants { base, fhir_base, tenants: Mutex::default() }
    }

    /// The same for the server at another FHIR base.
    pub(super) fn at(&self, fhir_base: String) -> RulesOfTenants {
        RulesOfTenants::new(Arc::clone(&self.base.definitions), fhir_base)
    }

    fn of(&self, tenant: TenantId) -> Arc<Known> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let rules = Mutex::new((None, Arc::clone(&self.base)));
            Arc::new(Known { rules, asking: tokio::sync::Mutex::default() })
        };
        Arc::clone(tenants.entry(tenant).or_insert_with(new))
    }
}

impl Known {
    /// The rules, and whether they are fresh.
    fn now(&self) -> (bool, Arc<Rules>) {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        (rules.0.is_some_and(|asked| asked.elapsed() < FRESH), Arc::clone(&rules.1))
    }

    fn set(&self, asked: Option<Instant>, rules: Arc<Rules>) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = (asked, rules);
    }
}

impl App {
    /// What is legal for that tenant, no older than half a second.
    ///
    /// # Errors
    /// The database cannot be asked, or what it holds cannot be read.
    pub async fn rules(&self, tenant: TenantId) -> Result<Arc<Rules>, Outcome> {
        let known = self.rules.of(tenant);
        if let (true, rules) = known.now() {
            return Ok(rules);
        }
        let _turn = known.asking.lock().await;
        let (is_fresh, rules) = known.now();
        if is_fresh {
            return Ok(rules);
        }
        let asked = Instant::now();
        let version = self.store.rules_version(tenant).await?;
        let rules = if version == rules.version { rules } else { self.load_rules(tenant, version).await? };
        known.set(Some(asked), Arc::clone(&rules));
        Ok(rules)
    }

    /// What was legal for that tenant when it was last asked: for what must be told without a database.
    #[must_use]
    pub fn known_rules(&self, tenant: TenantId) -> Arc<Rules> {
        self.rules.of(tenant).now().1
    }

    /// The next request asks again.
    pub fn rules_changed(&self, tenant: TenantId) {
        let known = self.rules.of(tenant);
        let (_, rules) = known.now();
        known.set(None, rules);
    }

    async fn load_rules(&self, tenant: TenantId, version: RulesVersion) -> Result<Arc<Rules>, Outcome> {
        let packages = self.store.packages(tenant).await?;
        let mut facts = Vec::with_capacity(packages.len());
        for package in packages {
            facts.extend(self.store.package_facts(tenant, &package.name, &package.version).await?);
        }
        let base = Arc::clone(&self.rules.base);
        let fhir_base = Arc::clone(&self.rules.fhir_base);
        // Compiling takes a while: not on a thread that answers.
        let compiled = tokio::task::spawn_blocking(move || -> Result<Rules, PackageError> {
            let definitions = base.definitions.with_packages(&facts)?;
            Ok(Rules::new(Arc::new(definitions), &fhir_base, version))
        });
        let rules = match compiled.await {
            Ok(Ok(rules)) => rules,
            Ok(Err(error)) => return Err(Outcome::exception(error)),
            Err(error) => return Err(Outcome::exception(error)),
        };
        info!(tenant = tenant.0, "holding to rules {}.{}", version.packages, version.parameters);
        Ok(Arc::new(rules))
    }
}
