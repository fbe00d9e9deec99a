//! What a decision lets through: a filter, and the classes of elements that may be seen.
//!
//! A permit is not a yes. It carries a [`Narrowing`], which every question to the store holds: the main
//! one, and each that follows references (chains, `_has`, includes). Only this room makes a
//! [`Permitted`], and the store takes nothing else, so a search without a narrowing does not compile.

use crate::fhir::id::ResourceType;
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use crate::search::query::Query;
use crate::search::verify::Verifier;
use std::collections::HashMap;
use std::sync::Arc;

/// What of each type may be touched. A type that is not named is closed.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    by_type: HashMap<ResourceType, Predicate>,
}

/// How far a permit goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// What of each type may be touched.
    pub(super) touch: Narrowing,
    /// The same without the relation of care, which other resources decide.
    pub(super) content: Narrowing,
    /// What new content must satisfy: one may add what one does not see afterwards.
    pub(super) admission: Narrowing,
    /// The relation of care, for the types that ask for one.
    pub(super) care: Narrowing,
}

/// A decision that permits.
#[derive(Clone, Debug)]
pub struct Permit {
    bounds: Arc<Bounds>,
    hidden: Arc<Hidden>,
    classes: SealClasses,
    rule: Arc<str>,
}

/// Elements that are left out of what is shown, by type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hidden {
    by_type: HashMap<ResourceType, Vec<Box<str>>>,
}

/// A question together with the permit that it was asked under.
#[derive(Clone, Debug)]
pub struct Permitted<T> {
    question: T,
    permit: Permit,
}

static CLOSED: Predicate = Predicate::False;

impl Narrowing {
    /// Opens a type as far as the predicate goes; what was open before stays open.
    pub(super) fn open(&mut self, resource_type: ResourceType, predicate: Predicate) {
        let open = self.by_type.remove(&resource_type).unwrap_or(Predicate::False);
        self.by_type.insert(resource_type, Predicate::any([open, predicate]));
    }

    /// Opens a type just so far.
    pub(super) fn put(&mut self, resource_type: ResourceType, predicate: Predicate) {
        self.by_type.insert(resource_type, predicate);
    }

    /// Whether at least that much of a type is open.
    pub(super) fn opens(&self, resource_type: ResourceType, predicate: &Predicate) -> bool {
        match self.of(resource_type) {
            Predicate::True => true,
            Predicate::Any(parts) => parts.contains(predicate),
            open => open == predicate,
        }
    }

    /// What resources of that type must satisfy: [`Predicate::False`] where none may be touched.
    #[must_use]
    pub fn of(&self, resource_type: ResourceType) -> &Predicate {
        self.by_type.get(&resource_type).unwrap_or(&CLOSED)
    }

    /// Whether nothing of any type may be touched.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.by_type.values().all(|it| *it == Predicate::False)
    }

    /// The types of which something may be touched, in the order of their names.
    #[must_use]
    pub fn types(&self) -> Vec<ResourceType> {
        let open = self.by_type.iter().filter(|(_, it)| **it != Predicate::False);
        let mut types: Vec<ResourceType> = open.map(|(resource_type, _)| *resource_type).collect();
        types.sort_unstable();
        types
    }
}

impl Permit {
    /// A permit, by a rule that the trail will name.
    pub(super) fn new(bounds: Arc<Bounds>, classes: SealClasses, rule: impl Into<Arc<str>>) -> Permit {
        Permit { bounds, hidden: Arc::default(), classes, rule: rule.into() }
    }

    /// The same permit, where these elements are not shown.
    pub(super) fn hiding(self, hidden: Arc<Hidden>) -> Permit {
        Permit { hidden, ..self }
    }

    /// Everything, all classes open: for work of the server's own, under a rule that the trail will name.
    #[must_use]
    pub fn everything(rule: impl Into<Arc<str>>) -> Permit {
        let all = || Narrowing { by_type: ResourceType::all().map(|it| (it, Predicate::True)).collect() };
        let bounds = Bounds { touch: all(), content: all(), admission: all(), care: Narrowing::default() };
        Permit::new(Arc::new(bounds), SealClasses::ALL, rule)
    }

    /// The same permit, where of that type only this may be touched. It never opens more.
    #[must_use]
    pub fn narrowed(&self, resource_type: ResourceType, predicate: Predicate) -> Permit {
        let mut bounds = Bounds::clone(&self.bounds);
        for narrowing in [&mut bounds.touch, &mut bounds.content, &mut bounds.admission] {
            let narrowed = narrowing.of(resource_type).clone().and(predicate.clone());
            narrowing.by_type.insert(resource_type, narrowed);
        }
        Permit { bounds: Arc::new(bounds), ..self.clone() }
    }

    /// The same permit, where of these classes only those may be seen that it opens anyway.
    #[must_use]
    pub fn showing(&self, classes: SealClasses) -> Permit {
        Permit { classes: self.classes.and(classes), ..self.clone() }
    }

    /// What of each type may be touched.
    #[must_use]
    pub fn narrowing(&self) -> &Narrowing {
        &self.bounds.touch
    }

    /// Whether new content, with the id that it will have, lies within what may be written. What other resources
    /// would have to say (chains) counts as not satisfied, but for [`Permit::care`], which is to be asked besides.
    #[must_use]
    pub fn admits(&self, verifier: &Verifier, resource: &Resource) -> bool {
        satisfies(verifier, resource, self.bounds.admission.of(resource.resource_type()))
    }

    /// Whether content that is there, or was, lies within what may be touched; the relation of care aside.
    #[must_use]
    pub fn covers(&self, verifier: &Verifier, resource: &Resource) -> bool {
        satisfies(verifier, resource, self.bounds.content.of(resource.resource_type()))
    }

    /// The relation of care that resources of that type are held to, if they are.
    #[must_use]
    pub fn care(&self, resource_type: ResourceType) -> Option<&Predicate> {
        self.bounds.care.by_type.get(&resource_type)
    }

    /// Whether anything is not shown.
    #[must_use]
    pub fn hides_anything(&self) -> bool {
        !self.hidden.by_type.is_empty()
    }

    /// The elements of that type that are not shown.
    #[must_use]
    pub fn hidden(&self, resource_type: ResourceType) -> &[Box<str>] {
        self.hidden.of(resource_type)
    }

    /// The classes of sealed elements that may be seen.
    #[must_use]
    pub fn classes(&self) -> SealClasses {
        self.classes
    }

    /// The rule that permitted.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// A search under this permit.
    #[must_use]
    pub fn search(&self, query: Query) -> Permitted<Query> {
        Permitted { question: query, permit: self.clone() }
    }
}

fn satisfies(verifier: &Verifier, resource: &Resource, predicate: &Predicate) -> bool {
    match certain(predicate, false) {
        Predicate::True => true,
        Predicate::False => false,
        predicate => verifier.satisfies(resource, &predicate),
    }
}

impl Hidden {
    /// Hides these elements of that type.
    pub(super) fn add(&mut self, resource_type: ResourceType, elements: Vec<Box<str>>) {
        self.by_type.entry(resource_type).or_default().extend(elements);
    }

    /// The elements of that type that are not shown.
    #[must_use]
    pub fn of(&self, resource_type: ResourceType) -> &[Box<str>] {
        self.by_type.get(&resource_type).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The predicate with each chain replaced by `stand_in`, under a negation by its opposite: what holds then,
/// holds whatever the chains say.
fn certain(predicate: &Predicate, stand_in: bool) -> Predicate {
    match predicate {
        Predicate::SharesPatient { .. } | Predicate::References { .. } | Predicate::ReferencedBy { .. } => {
            if stand_in {
                Predicate::True
            } else {
                Predicate::False
            }
        }
        Predicate::All(parts) => Predicate::all(parts.iter().map(|it| certain(it, stand_in))),
        Predicate::Any(parts) => Predicate::any(parts.iter().map(|it| certain(it, stand_in))),
        Predicate::Not(inner) => certain(inner, !stand_in).negated(),
        other => other.clone(),
    }
}

impl<T> Permitted<T> {
    /// What is asked.
    #[must_use]
    pub fn question(&self) -> &T {
        &self.question
    }

    /// What it is asked under.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}
