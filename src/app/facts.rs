//! What decisions are made from, in memory: of each tenant, and worked out for each principal.
//!
//! What is known is asked again once it is a fifth of a second old, and at once after a change of our own, as for
//! revocations (`store::revocations` says why). So whoever leaves, a Consent that is withdrawn and an agreement that
//! ends bite at the next request on every server; a principal costs no question of their own. If the database cannot
//! be asked, nothing is decided.

use super::App;
use crate::access::consent::directive::{Asking, Directive, period};
use crate::access::facts::{Facts, Restraint, Restraints};
use crate::access::principal::Principal;
use crate::access::reach;
use crate::access::role::Role;
use crate::access::scope::Permission;
use crate::fhir::id::{ResourceId, TenantId};
use crate::fhir::json::{Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::search::predicate::PatientSet;
use crate::store::policy_news::{EmergencyAccess, PolicyNews};
use crate::store::resources::Stored;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::warn;
use uuid::Uuid;

/// How old what is known may be.
pub const FRESH: Duration = Duration::from_millis(200);
/// So many principals' facts are kept.
const PRINCIPALS: usize = 10_000;
/// So many Consents are looked at: whoever gave one beyond them is hidden from those whom Consents bind.
pub const MOST_CONSENTS: usize = 50_000;

/// The role of a user of whom nothing is said.
const STAFF: &str = "provider";
const PATIENT: &str = "patient";
const SYSTEM: &str = "system";

/// What is known of every tenant that was asked for.
#[derive(Default)]
pub(super) struct FactsOfTenants {
    tenants: Mutex<HashMap<TenantId, Arc<Known>>>,
}

/// The number of the next facts: 0 is for those of whom nothing is known. One row of numbers for the process, since
/// what was decided by them is kept with the definitions, which several servers in a process may share.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

#[derive(Default)]
struct Known {
    policy: Mutex<(Option<Instant>, Option<Arc<Policy>>)>,
    asking: tokio::sync::Mutex<()>,
}

/// What decisions of a tenant are made from.
pub struct Policy {
    /// Every transaction before this one is known. It moves on where nothing is new, too.
    horizon: AtomicI64,
    roles: HashMap<Arc<str>, Arc<Role>>,
    /// The policies that were stored, by row: they take the place of the defaults.
    stored_roles: HashMap<i64, Arc<Role>>,
    accounts: HashMap<String, String>,
    /// The organization of a client, where it has one.
    clients: HashMap<String, String>,
    /// The clients that are given de-identified data alone.
    deidentified_only: HashSet<String>,
    directives: HashMap<i64, Arc<Directive>>,
    agreements: HashMap<i64, Agreement>,
    positions: HashMap<i64, Position>,
    emergencies: HashMap<Uuid, EmergencyAccess>,
    facts: Mutex<HashMap<Who, Timed>>,
}

type Timed = (i64, Arc<Facts>);

/// A business associate agreement.
#[derive(Clone)]
struct Agreement {
    organizations: Vec<String>,
    period: (i64, i64),
}

/// A PractitionerRole: a person's place in an organization.
#[derive(Clone)]
struct Position {
    id: ResourceId,
    practitioner: String,
    organization: Option<String>,
    period: (i64, i64),
}

/// What of a principal facts depend on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Who {
    subject: String,
    client: String,
    fhir_user: Option<String>,
    role: Option<String>,
    purpose: Option<String>,
}

impl FactsOfTenants {
    fn of(&self, tenant: TenantId) -> Arc<Known> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant).or_default())
    }

    fn next_number(&self) -> u64 {
        NUMBERS.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Known {
    fn fresh(&self) -> Option<Arc<Policy>> {
        let policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        policy.1.clone().filter(|_| policy.0.is_some_and(|asked| asked.elapsed() < FRESH))
    }
}

impl App {
    /// What a decision about that principal needs to know, now.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn facts(&self, principal: &Principal) -> Result<Arc<Facts>, Outcome> {
        let policy = self.policy(principal.tenant).await?;
        let now = self.clock.now_microseconds();
        let number = || self.facts.next_number();
        Ok(policy.facts(principal, &self.fhir_base(), now, number))
    }

    /// The same, if the principal had emergency access to that patient.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn facts_in_emergency(
        &self,
        principal: &Principal,
        patient: &ResourceId,
    ) -> Result<Facts, Outcome> {
        let now = self.clock.now_microseconds();
        let mut policy = self.policy(principal.tenant).await?.next();
        let access = EmergencyAccess {
            id: Uuid::nil(),
            subject: principal.subject.clone(),
            patient: patient.clone(),
            opened: now,
            ends: now.saturating_add(1),
        };
        policy.emergencies.insert(access.id, access);
        Ok(policy.work_out(principal, &self.fhir_base(), now, self.facts.next_number()).1)
    }

    /// What decisions of that tenant are made from, no older than a fifth of a second.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn policy(&self, tenant: TenantId) -> Result<Arc<Policy>, Outcome> {
        let known = self.facts.of(tenant);
        if let Some(policy) = known.fresh() {
            return Ok(policy);
        }
        let _turn = known.asking.lock().await;
        if let Some(policy) = known.fresh() {
            return Ok(policy);
        }
        let asked = Instant::now();
        let before = known.policy.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        let horizon = before.as_ref().map_or(0, |it| it.horizon.load(Ordering::Relaxed));
        let news = self.store.policy_news(tenant, horizon).await?;
        let policy = match before {
            Some(before) if news.is_empty() => {
                before.horizon.store(news.horizon, Ordering::Relaxed);
                before
            }
            before => {
                let mut policy = before.map_or_else(Policy::new, |it| it.next());
                policy.learn(news, &self.fhir_base());
                Arc::new(policy)
            }
        };
        *known.policy.lock().unwrap_or_else(PoisonError::into_inner) = (Some(asked), Some(policy.clone()));
        Ok(policy)
    }

    /// What decisions are made from was changed here: the next request asks again.
    pub fn facts_changed(&self, tenant: TenantId) {
        self.facts.of(tenant).policy.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }
}

impl Policy {
    fn new() -> Policy {
        Policy {
            horizon: AtomicI64::new(0),
            roles: Role::embedded(),
            stored_roles: HashMap::new(),
            accounts: HashMap::new(),
            clients: HashMap::new(),
            deidentified_only: HashSet::new(),
            directives: HashMap::new(),
            agreements: HashMap::new(),
            positions: HashMap::new(),
            emergencies: HashMap::new(),
            facts: Mutex::default(),
        }
    }

    /// The same, to be added to: no facts were worked out from it yet.
    fn next(&self) -> Policy {
        Policy {
            horizon: AtomicI64::new(self.horizon.load(Ordering::Relaxed)),
            roles: self.roles.clone(),
            stored_roles: self.stored_roles.clone(),
            accounts: self.accounts.clone(),
            clients: self.clients.clone(),
            deidentified_only: self.deidentified_only.clone(),
            directives: self.directives.clone(),
            agreements: self.agreements.clone(),
            positions: self.positions.clone(),
            emergencies: self.emergencies.clone(),
            facts: Mutex::default(),
        }
    }

    fn learn(&mut self, news: PolicyNews, base: &str) {
        self.horizon = AtomicI64::new(news.horizon);
        self.accounts.extend(news.accounts);
        for (id, document) in news.clients {
            let document: Value = serde_json::from_str(&document).unwrap_or_default();
            match document.get("deidentified_only").and_then(Value::as_bool) {
                Some(true) => drop(self.deidentified_only.insert(id.clone())),
                _ => drop(self.deidentified_only.remove(&id)),
            }
            match document.get("organization").and_then(Value::as_str) {
                Some(organization) => drop(self.clients.insert(id, organization.to_owned())),
                None => drop(self.clients.remove(&id)),
            }
        }
        self.emergencies.extend(news.emergencies.into_iter().map(|it| (it.id, it)));
        for (row, stored) in news.resources {
            self.forget(row);
            if let Some(stored) = stored {
                self.learn_resource(row, &stored, base);
            }
        }
        self.roles = Role::embedded();
        for role in self.stored_roles.values() {
            self.roles.insert(Arc::clone(&role.name), Arc::clone(role));
        }
    }

    fn forget(&mut self, row: i64) {
        self.directives.remove(&row);
        self.agreements.remove(&row);
        self.positions.remove(&row);
        self.stored_roles.remove(&row);
    }

    fn learn_resource(&mut self, row: i64, stored: &Stored, base: &str) {
        let Ok(resource) = Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED) else { return };
        match stored.resource_type.name() {
            "Consent" => {
                if let Some(directive) = Directive::of(&resource, base) {
                    self.directives.insert(row, Arc::new(directive));
                }
            }
            "Contract" => {
                if let Some(agreement) = Agreement::of(&resource) {
                    self.agreements.insert(row, agreement);
                }
            }
            "PractitionerRole" => {
                if let Some(position) = Position::of(&resource) {
                    self.positions.insert(row, position);
                }
            }
            "Basic" => match Role::of_policy(&resource) {
                Ok(Some(role)) => drop(self.stored_roles.insert(row, Arc::new(role))),
                Ok(None) => {}
                Err(outcome) => {
                    let reason = outcome.worst().map(|it| it.diagnostics.clone());
                    warn!(row, ?reason, "a stored policy is not understood and changes nothing");
                }
            },
            _ => {}
        }
    }

    /// The Consents of that patient.
    pub fn consents_of(&self, patient: &ResourceId) -> Vec<ResourceId> {
        let mut ids: Vec<ResourceId> =
            self.directives.values().filter(|it| it.patient == *patient).map(|it| it.id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    fn facts(&self, principal: &Principal, base: &str, now: i64, number: impl FnOnce() -> u64) -> Arc<Facts> {
        let who = Who {
            subject: principal.subject.clone(),
            client: principal.client_id.clone(),
            fhir_user: principal.fhir_user.clone(),
            role: principal.role.clone(),
            purpose: principal.purpose.clone(),
        };
        let kept = self.facts.lock().unwrap_or_else(PoisonError::into_inner).get(&who).cloned();
        if let Some((until, facts)) = kept
            && now < until
        {
            return facts;
        }
        let (until, facts) = self.work_out(principal, base, now, number());
        let facts = Arc::new(facts);
        let mut all = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PRINCIPALS {
            all.clear();
        }
        all.insert(who, (until, Arc::clone(&facts)));
        facts
    }

    /// The facts, and until when they hold if nothing changes.
    fn work_out(&self, principal: &Principal, base: &str, now: i64, number: u64) -> (i64, Facts) {
        let mut until = i64::MAX;
        let mut holds = |(from, to): (i64, i64)| {
            for boundary in [from, to.saturating_add(1)].into_iter().filter(|it| *it > now) {
                until = until.min(boundary);
            }
            (from..=to).contains(&now)
        };
        let role = self.role_of(principal, base);
        let named = principal.purpose.as_deref();
        let mut facts = Facts { number, ..Facts::of_role(role) };
        if let Some(purpose) = named {
            let role = &facts.role;
            facts.names_wrong_purpose = !role.purposes.is_empty() && !role.purposes.contains(&purpose);
            facts.purpose = Some(purpose.into());
        }
        // Persons and positions.
        let person: Vec<String> = principal.fhir_user.iter().cloned().collect();
        let mut organizations = Vec::new();
        facts.identities.clone_from(&person);
        for position in self.positions.values() {
            let own = format!("PractitionerRole/{}", position.id);
            let is_theirs = person.iter().any(|it| *it == position.practitioner || *it == own);
            if is_theirs && holds(position.period) {
                facts.identities.push(own);
                organizations.extend(position.organization.clone());
            }
        }
        let persons = facts.identities.clone();
        facts.identities.extend(organizations.iter().cloned());
        facts.identities.sort_unstable();
        facts.identities.dedup();
        facts.is_deidentified_only = self.deidentified_only.contains(&principal.client_id);
        // Agreements.
        if let Some(organization) = self.clients.get(&principal.client_id) {
            let mut agreements =
                self.agreements.values().filter(|it| it.organizations.contains(organization));
            facts.lacks_agreement = !agreements.any(|it| holds(it.period));
            organizations.push(organization.clone());
        }
        // Emergencies.
        for access in self.emergencies.values().filter(|it| it.subject == principal.subject) {
            if holds((access.opened, access.ends.saturating_sub(1))) {
                facts.emergencies.insert(access.patient.clone());
            }
        }
        if !facts.role.is_exempt_from_consent {
            let purpose = facts.purpose.clone();
            let asking =
                Asking { person: &persons, organizations: &organizations, purpose: purpose.as_deref(), now };
            until = until.min(self.restrain(&mut facts, &asking));
        }
        (until, facts)
    }

    fn role_of(&self, principal: &Principal, base: &str) -> Arc<Role> {
        let default = match reach::kind_of_user(principal, base) {
            reach::UserKind::System => SYSTEM,
            reach::UserKind::Patient => PATIENT,
            reach::UserKind::Staff => STAFF,
        };
        let stated = self.accounts.get(&principal.subject).or(principal.role.as_ref());
        // A role that nobody knows may do nothing.
        let name = stated.map_or(default, String::as_str);
        let unknown = || Arc::new(Role::unknown(name));
        self.roles.get(name).cloned().unwrap_or_else(unknown)
    }

    /// What Consents say; until when.
    fn restrain(&self, facts: &mut Facts, asking: &Asking<'_>) -> i64 {
        let mut until = i64::MAX;
        let mut restraints = |permission: Permission, facts: &Facts| {
            let mut denied: HashMap<_, HashSet<ResourceId>> = HashMap::new();
            let mut opened: HashMap<_, HashSet<ResourceId>> = HashMap::new();
            for directive in self.directives.values().take(MOST_CONSENTS) {
                let applied = directive.applied(asking, permission);
                until = until.min(applied.until);
                let is_lifted = facts.emergencies.contains(&directive.patient) && !applied.names_person;
                if applied.shape.denies_anything() && !is_lifted {
                    let patients = denied.entry(applied.shape.clone()).or_default();
                    patients.insert(directive.patient.clone());
                }
                if applied.shape.opens_anything() {
                    opened.entry(applied.shape).or_default().insert(directive.patient.clone());
                }
            }
            let of = |all: HashMap<_, HashSet<ResourceId>>| {
                let all = all.into_iter();
                all.map(|(shape, ids)| Restraint { shape, patients: Arc::new(PatientSet::new(ids)) })
                    .collect()
            };
            Restraints { denied: of(denied), opened: of(opened) }
        };
        facts.looking = restraints(Permission::Read, facts);
        facts.adding = restraints(Permission::Create, facts);
        facts.changing = restraints(Permission::Update, facts);
        facts.hides_consented = self.directives.len() > MOST_CONSENTS;
        if !facts.role.may_choose_ids {
            // What one may not see one does not change either.
            facts.changing.denied.extend(facts.looking.denied.iter().cloned());
            facts.changing.opened.extend(facts.looking.opened.iter().cloned());
        }
        until
    }
}

impl PolicyNews {
    fn is_empty(&self) -> bool {
        self.accounts.is_empty()
            && self.clients.is_empty()
            && self.emergencies.is_empty()
            && self.resources.is_empty()
    }
}

impl Agreement {
    /// An agreement that was signed: a Contract of the type `baa`.
    fn of(resource: &Resource) -> Option<Agreement> {
        let root = resource.root();
        let is_signed = root.get("status")?.is("executed") || root.get("status")?.is("amended");
        let codings = root.get("type")?.get("coding").into_iter().flat_map(Node::items);
        let is_baa = codings.into_iter().any(|it| it.string("code").is_some_and(|it| it == "baa"));
        if !is_signed || !is_baa {
            return None;
        }
        let references = |name: &str| root.get(name).into_iter().flat_map(Node::items);
        let signers = references("signer").filter_map(|it| it.get("party"));
        let parties = references("authority").chain(references("subject")).chain(signers);
        let organizations = parties.filter_map(|it| it.string("reference")).map(|it| it.into_owned());
        let period = root.get("applies").map_or((i64::MIN, i64::MAX), period);
        Some(Agreement { organizations: organizations.collect(), period })
    }
}

impl Position {
    fn of(resource: &Resource) -> Option<Position> {
        let root = resource.root();
        if root.get("active").and_then(Node::as_bool) == Some(false) {
            return None;
        }
        let reference =
            |name: &str| root.get(name).and_then(|it| it.string("reference")).map(|it| it.into_owned());
        Some(Position {
            id: resource.id()?.clone(),
            practitioner: reference("practitioner")?,
            organization: reference("organization"),
            period: root.get("period").map_or((i64::MIN, i64::MAX), period),
        })
    }
}
