//! What is legal for a tenant: the definitions that come with the program, and what the tenant added to them.
//!
//! A request takes one [`Rules`] when it begins and holds to it to its end. Whether there are newer ones is
//! asked of the database once what is known is half a second old, as for revocations: so every server holds to
//! a new guide within that time, and none needs a restart. If it cannot ask, it does not answer.
//!
//! Tenants that added nothing share one set.

use super::App;
use crate::conformance::compile;
use crate::conformance::definitions::Definitions;
use crate::conformance::package::PackageError;
use crate::fhir::id::{ResourceType, TenantId};
use crate::fhir::outcome::Outcome;
use crate::search::verify::Verifier;
use crate::store::jobs::{JobState, NewJob};
use crate::store::packages::{BuiltParameter, RulesVersion};
use crate::store::reindex::{self, Walk};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::info;

/// How old what is known may be.
pub const FRESH: Duration = Duration::from_millis(500);
/// How long after a new search parameter was seen its building begins: every server has seen it by then, and
/// what they write from then on is found by it.
const GRACE: i64 = 2_000_000;
/// How long after a failure building is tried again.
const PAUSE: i64 = 60_000_000;
/// How many SearchParameters of its own are read at once.
const PAGE: u32 = 200;

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
        let own = self.own_search_parameters(tenant, version).await?;
        let built = self.store.built_search_parameters(tenant).await?;
        let is_built: HashMap<(ResourceType, String), Vec<u8>> =
            built.iter().map(|(of, code, digest)| ((*of, code.clone()), digest.clone())).collect();
        let base = Arc::clone(&self.rules.base);
        let fhir_base = Arc::clone(&self.rules.fhir_base);
        // Compiling takes a while: not on a thread that answers.
        let compiled = tokio::task::spawn_blocking(move || -> Result<Rules, PackageError> {
            let definitions = base.definitions.with_additions(&facts, &own, |of, code, digest| {
                is_built.get(&(of, code.to_owned())).is_some_and(|it| it == digest)
            })?;
            Ok(Rules::new(Arc::new(definitions), &fhir_base, version))
        });
        let rules = match compiled.await {
            Ok(Ok(rules)) => rules,
            Ok(Err(error)) => return Err(Outcome::exception(error)),
            Err(error) => return Err(Outcome::exception(error)),
        };
        let added = rules.definitions.added_parameters();
        let is_known = |(of, code, digest): &BuiltParameter| {
            added.iter().any(|it| it.resource_type == *of && *it.code == **code && it.digest == **digest)
        };
        if !built.iter().all(is_known) {
            let added = added.iter().map(|it| (it.resource_type, it.code.to_string(), it.digest.to_vec()));
            self.store.forget_other_search_parameters(tenant, &added.collect::<Vec<_>>()).await?;
        }
        info!(tenant = tenant.0, "holding to rules {}.{}", version.packages, version.parameters);
        Ok(Arc::new(rules))
    }

    /// The tenant's own active SearchParameters, as facts.
    async fn own_search_parameters(
        &self,
        tenant: TenantId,
        version: RulesVersion,
    ) -> Result<String, Outcome> {
        let mut facts = String::new();
        let Some(of) = ResourceType::parse("SearchParameter").filter(|_| version.parameters > 0) else {
            return Ok(facts);
        };
        let mut after = Some(0);
        while let Some(place) = after {
            let page = self.store.rows_after(tenant, of, place, PAGE).await?;
            for (_, stored) in &page.rows {
                let resource: serde_json::Value = serde_json::from_str(&stored.text).unwrap_or_default();
                let is_active = resource.get("status").is_some_and(|it| it == "active");
                let block = compile::parameter(&resource);
                // What was checked when it was written has no tabs in its texts.
                if is_active && block.lines().next().is_some_and(|it| it.split('\t').count() == 7) {
                    facts.push_str(&block);
                }
            }
            after = page.last;
        }
        Ok(facts)
    }

    /// Asks for the job that builds what is not built yet, if nobody has.
    ///
    /// # Errors
    /// The database fails.
    pub async fn build_search_parameters(&self, tenant: TenantId) -> Result<(), Outcome> {
        let rules = self.rules(tenant).await?;
        let mut build: Vec<_> = rules.definitions.added_parameters();
        build.retain(|it| it.is_building);
        if build.is_empty() {
            return Ok(());
        }
        let now = self.clock.now_microseconds();
        let newest = self.store.jobs(tenant, reindex::KIND, 1).await?.pop();
        let failed = newest.filter(|it| it.state == JobState::Failed);
        if failed.and_then(|it| it.finished).is_some_and(|it| now < it.saturating_add(PAUSE)) {
            return Ok(());
        }
        let mut types: Vec<String> = build.iter().map(|it| it.resource_type.to_string()).collect();
        types.dedup();
        let build = build
            .iter()
            .map(|it| (it.resource_type.to_string(), it.code.to_string(), hexadecimal(&it.digest)));
        let walk = Walk { types, build: build.collect(), since: None };
        let parameters = serde_json::to_vec(&walk).map_err(Outcome::exception)?;
        let due = now.saturating_add(GRACE);
        let job =
            NewJob { kind: reindex::KIND, lock: Some("search parameters"), parameters: &parameters, due };
        if let Some(id) = self.store.enqueue(tenant, job).await? {
            info!(job.id = %id, "search parameters are to be built");
        }
        Ok(())
    }
}

/// Bytes as a job's parameters spell them.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
