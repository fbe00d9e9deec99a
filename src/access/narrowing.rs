//! What scopes and facts come to: for each type, what its resources must satisfy.
//!
//! Deciding is asked for every entry of a bundle and every page, and a token's scopes do not change: what
//! was worked out is kept, in bounded caches beside the definitions.

use crate::access::facts::Facts;
use crate::access::granular;
use crate::access::permit::{Bounds, Narrowing};
use crate::access::principal::Principal;
use crate::access::reach::{Asker, Belonging, Bound, CONTEXTS, only_looks};
use crate::access::restriction::{Layers, Restriction};
use crate::access::scope::{Level, Permission, ResourceScope};
use crate::conformance::definitions::Definitions;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::extract::SECURITY_CONTEXT;
use crate::search::predicate::Predicate;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// As many narrowings are kept: each is some kilobytes.
const NARROWINGS: usize = 1024;
/// As many compiled granular queries are kept.
const CONDITIONS: usize = 4096;

/// What this room keeps beside the definitions.
struct Kept {
    /// By number of the type.
    belonging: Vec<(ResourceType, Belonging)>,
    narrowings: Cache<Question, Arc<Bounds>>,
    conditions: Cache<(Box<str>, Arc<str>, ResourceType), Option<Predicate>>,
    /// AuditEvent.
    trail: Option<ResourceType>,
}

/// Everything that a narrowing depends on.
#[derive(PartialEq, Eq, Hash)]
struct Question {
    scopes: Arc<str>,
    base: Box<str>,
    permission: Permission,
    asker: Asker,
    patient: Option<ResourceId>,
    facts: u64,
}

/// A map that forgets everything when it is full: what is in use comes back at once.
struct Cache<K, V> {
    entries: Mutex<HashMap<K, V>>,
    size: usize,
}

/// What the principal may touch with that permission.
pub(super) fn of(
    definitions: &Definitions,
    base: &str,
    principal: &Principal,
    facts: &Facts,
    permission: Permission,
) -> Arc<Bounds> {
    let kept = definitions.derived(Kept::new);
    let question = Question {
        scopes: principal.scopes.text(),
        base: base.into(),
        permission,
        asker: Asker::of(principal, base),
        patient: principal.patient.clone(),
        facts: facts.number,
    };
    if let Some(narrowing) = kept.narrowings.get(&question) {
        return narrowing;
    }
    let granted = compile(&kept, definitions, &question, principal.scopes.resources());
    let restriction = Restriction::new(definitions, base, facts, permission);
    let bounds = Arc::new(restricted(&kept, &granted, &restriction));
    kept.narrowings.keep(question, bounds.clone());
    bounds
}

/// Takes away what role, care relation, labels and Consents take away.
fn restricted(kept: &Kept, granted: &Narrowing, restriction: &Restriction<'_>) -> Bounds {
    let mut bounds = Bounds::default();
    for (resource_type, belonging) in &kept.belonging {
        let open = granted.of(*resource_type);
        if *open == Predicate::False {
            continue;
        }
        let Layers { role, care, labels, consent } = restriction.of(*resource_type, *belonging);
        let admission = open.clone().and(role);
        let content = admission.clone().and(labels).and(consent);
        if care != Predicate::True {
            bounds.care.open(*resource_type, care.clone());
        }
        bounds.touch.open(*resource_type, content.clone().and(care));
        bounds.content.open(*resource_type, content);
        bounds.admission.open(*resource_type, admission);
    }
    follow_security_context(&mut bounds);
    bounds
}

/// A Binary is as readable as what it belongs to: where that may not be seen, the Binary may not; where it is seen
/// as a patient's, so is the Binary.
fn follow_security_context(bounds: &mut Bounds) {
    let Some(binary) = ResourceType::parse("Binary") else { return };
    let own = bounds.touch.of(binary).clone();
    if own == Predicate::False {
        return;
    }
    let contexts = CONTEXTS.iter().filter_map(|name| ResourceType::parse(name));
    let refers = |target: ResourceType, inner: Predicate| match inner {
        Predicate::False => Predicate::False,
        inner => {
            let parameter = SECURITY_CONTEXT.into();
            Predicate::References { parameter, target, inner: Box::new(inner) }
        }
    };
    let (mut seen, mut hidden) = (vec![own.clone()], Vec::new());
    for target in contexts {
        let open = bounds.touch.of(target).clone();
        seen.push(refers(target, open.clone()));
        hidden.push(refers(target, open.negated()));
    }
    let any = match mentions_patient(&own) {
        true => Predicate::any(seen),
        false => own,
    };
    bounds.touch.put(binary, any.and(Predicate::any(hidden).negated()));
}

/// Whether it is open to some patients' data alone.
fn mentions_patient(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::Compartment(_) | Predicate::SharesPatient { .. } => true,
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().any(mentions_patient),
        _ => false,
    }
}

/// What the scopes alone open of a type, and what each rule leaves of it: for whoever explains.
pub(super) fn layers(
    definitions: &Definitions,
    base: &str,
    principal: &Principal,
    facts: &Facts,
    (permission, resource_type): (Permission, ResourceType),
) -> (Predicate, Layers) {
    let system = Facts::of_a_system();
    let granted = of(definitions, base, principal, &system, permission);
    let restriction = Restriction::new(definitions, base, facts, permission);
    let layers = restriction.of(resource_type, Belonging::of(definitions, resource_type));
    (granted.touch.of(resource_type).clone(), layers)
}

fn compile(
    kept: &Kept,
    definitions: &Definitions,
    question: &Question,
    scopes: &[ResourceScope],
) -> Narrowing {
    let Question { base, permission, asker, patient, .. } = question;
    let mut narrowing = Narrowing::default();
    let granted = scopes.iter().filter(|it| it.permissions.allow(*permission));
    // Whole types first, so that a granular scope adds nothing to what is open already.
    let (whole, granular): (Vec<_>, Vec<_>) = granted.partition(|it| it.query.is_empty());
    for scope in whole.into_iter().chain(granular) {
        let bound = asker.bound(scope.level, patient.as_ref());
        for (resource_type, belonging) in kept.covered(scope) {
            if Some(*resource_type) == kept.trail && !reaches_trail(scope, &bound, *permission) {
                continue;
            }
            let reached = match (&bound, belonging) {
                (Bound::Nobody, _) => continue,
                (Bound::Everybody, _) => Predicate::True,
                (Bound::Patient(patient), Belonging::Compartment | Belonging::SecurityContext) => {
                    Predicate::Compartment(patient.clone())
                }
                (Bound::Patient(patient), Belonging::PatientParameter) => {
                    match granular::of_patient(definitions, base, *resource_type, patient) {
                        Some(predicate) => predicate,
                        None => continue,
                    }
                }
                (Bound::Patient(_), Belonging::Reference) if only_looks(*permission) => Predicate::True,
                (Bound::Patient(_), Belonging::Reference | Belonging::Unknown) => continue,
            };
            if narrowing.opens(*resource_type, &reached) {
                continue;
            }
            if scope.query.is_empty() {
                narrowing.open(*resource_type, reached);
            } else if let Some(condition) = kept.condition(definitions, base, scope, *resource_type) {
                narrowing.open(*resource_type, reached.and(condition));
            }
        }
    }
    narrowing
}

/// Everybody's events are for those who were given them by name: `user/*` is for work with patients.
fn reaches_trail(scope: &ResourceScope, bound: &Bound, permission: Permission) -> bool {
    let is_of_users = scope.level == Level::User && *bound == Bound::Everybody;
    !(only_looks(permission) && is_of_users && scope.resource_type.is_none())
}

impl Kept {
    fn new(definitions: &Definitions) -> Kept {
        let belonging = ResourceType::all().map(|it| (it, Belonging::of(definitions, it))).collect();
        Kept {
            belonging,
            narrowings: Cache::new(NARROWINGS),
            conditions: Cache::new(CONDITIONS),
            trail: ResourceType::parse("AuditEvent"),
        }
    }

    /// The types that a scope speaks of.
    fn covered(&self, scope: &ResourceScope) -> &[(ResourceType, Belonging)] {
        match scope.resource_type {
            None => &self.belonging,
            Some(resource_type) => {
                let place = usize::try_from(resource_type.code()).unwrap_or(usize::MAX);
                self.belonging.get(place..).and_then(|rest| rest.get(..1)).unwrap_or_default()
            }
        }
    }

    fn condition(
        &self,
        definitions: &Definitions,
        base: &str,
        scope: &ResourceScope,
        resource_type: ResourceType,
    ) -> Option<Predicate> {
        let key = (Box::from(base), scope.text(), resource_type);
        if let Some(condition) = self.conditions.get(&key) {
            return condition;
        }
        let condition = granular::condition(definitions, base, resource_type, &scope.query);
        self.conditions.keep(key, condition.clone());
        condition
    }
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    fn new(size: usize) -> Cache<K, V> {
        Cache { entries: Mutex::new(HashMap::new()), size }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: K, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.size {
            entries.clear();
        }
        entries.insert(key, value);
    }
}
