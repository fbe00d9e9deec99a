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

/// A decision that permits.
#[derive(Clone, Debug)]
pub struct Permit {
    narrowing: Arc<Narrowing>,
    classes: SealClasses,
    rule: Arc<str>,
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
    pub(super) fn new(narrowing: Arc<Narrowing>, classes: SealClasses, rule: impl Into<Arc<str>>) -> Permit {
        Permit { narrowing, classes, rule: rule.into() }
    }

    /// Everything, all classes open: for work of the server's own, under a rule that the trail will name.
    #[must_use]
    pub fn everything(rule: impl Into<Arc<str>>) -> Permit {
        let by_type = ResourceType::all().map(|it| (it, Predicate::True)).collect();
        Permit::new(Arc::new(Narrowing { by_type }), SealClasses::ALL, rule)
    }

    /// The same permit, where of that type only this may be touched. It never opens more.
    #[must_use]
    pub fn narrowed(&self, resource_type: ResourceType, predicate: Predicate) -> Permit {
        let mut narrowing = Narrowing::clone(&self.narrowing);
        let narrowed = narrowing.of(resource_type).clone().and(predicate);
        narrowing.by_type.insert(resource_type, narrowed);
        Permit { narrowing: Arc::new(narrowing), ..self.clone() }
    }

    /// The same permit, where of these classes only those may be seen that it opens anyway.
    #[must_use]
    pub fn showing(&self, classes: SealClasses) -> Permit {
        Permit { classes: self.classes.and(classes), ..self.clone() }
    }

    /// What of each type may be touched.
    #[must_use]
    pub fn narrowing(&self) -> &Narrowing {
        &self.narrowing
    }

    /// Whether the resource lies within what may be touched: for writes, the new content, with the id that it
    /// will have. What other resources would have to say (chains) counts as not satisfied.
    #[must_use]
    pub fn admits(&self, verifier: &Verifier, resource: &Resource) -> bool {
        match certain(self.narrowing.of(resource.resource_type()), false) {
            Predicate::True => true,
            Predicate::False => false,
            predicate => verifier.satisfies(resource, &predicate),
        }
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

/// The predicate with each chain replaced by `stand_in`, under a negation by its opposite: what holds then,
/// holds whatever the chains say.
fn certain(predicate: &Predicate, stand_in: bool) -> Predicate {
    match predicate {
        Predicate::References { .. } | Predicate::ReferencedBy { .. } if stand_in => Predicate::True,
        Predicate::References { .. } | Predicate::ReferencedBy { .. } => Predicate::False,
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
