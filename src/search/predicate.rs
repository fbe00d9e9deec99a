//! What a search asks of one resource: a small tree over index entries.
//!
//! This is the one semantics of search. The store compiles a [`Predicate`] to SQL over the rows it
//! made of an [`Index`](crate::search::index::Index); access narrowing, conditional interactions and subscriptions ask
//! the same of an index in memory. A predicate knows nothing of SQL or of hashing.
//!
//! Most criteria are exact on the index alone. Two need the resource itself: [`Predicate::Verify`]
//! (what keys can only narrow down: `:contains`, long prefixes, correlated composites),
//! [`Predicate::Missing`] (a key for every absent or present parameter would cost every resource
//! more than the rare question is worth). The store therefore asks the database
//! for [`Predicate::superset`], which holds neither, and, where the predicate is not
//! [`Predicate::is_exact`], holds every candidate against the whole predicate after unsealing.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::criterion::Criterion;
use crate::search::index::Key;
use crate::search::range::RangeTest;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// A condition on one resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Every resource.
    True,
    /// No resource.
    False,
    /// All of these; of none, every resource.
    All(Vec<Predicate>),
    /// At least one of these; of none, no resource.
    Any(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
    /// The resource is of that type. Only in searches over several types.
    Type(ResourceType),
    /// The index holds that key.
    Key(Key),
    /// A date entry of the parameter passes the test. Microseconds since 1970, UTC.
    Date {
        /// The index name of the parameter.
        parameter: Arc<str>,
        /// The test on one entry.
        test: RangeTest<i64>,
    },
    /// A number entry of the parameter, of just that unit, passes the test.
    Number {
        /// The index name of the parameter.
        parameter: Arc<str>,
        /// The unit, as in [`crate::search::index::RangeEntry::unit`].
        unit: Option<Arc<str>>,
        /// The test on one entry.
        test: RangeTest<f64>,
    },
    /// The parameter of that code has no value.
    Missing(Arc<str>),
    /// The id is one of these.
    Id(Vec<ResourceId>),
    /// `meta.lastUpdated` passes the test. Microseconds since 1970, UTC.
    LastUpdated(RangeTest<i64>),
    /// The resource is in the compartment of that patient, or is that patient.
    Compartment(ResourceId),
    /// The resource is in the compartment of one of these patients.
    Patients(Arc<PatientSet>),
    /// A resource of the source type that satisfies `inner` is in the compartment of the same patient.
    SharesPatient {
        /// The type of the other resource.
        source: ResourceType,
        /// What the other resource must satisfy.
        inner: Box<Predicate>,
    },
    /// A chain: the parameter refers to a resource of the target type that satisfies `inner`.
    References {
        /// The index name of the reference parameter.
        parameter: Arc<str>,
        /// The type referred to.
        target: ResourceType,
        /// What the resource referred to must satisfy.
        inner: Box<Predicate>,
    },
    /// `_has`: a resource of the source type that satisfies `inner` refers here.
    ReferencedBy {
        /// The type that refers.
        source: ResourceType,
        /// The index name of its reference parameter.
        parameter: Arc<str>,
        /// What the resource that refers must satisfy.
        inner: Box<Predicate>,
    },
    /// The unsealed resource must also pass this.
    Verify(Arc<Criterion>),
}

/// Patients of one tenant, many perhaps, that a condition names.
#[derive(Debug, Default)]
pub struct PatientSet {
    ids: HashSet<ResourceId>,
    numbers: OnceLock<Vec<i64>>,
}

impl PatientSet {
    /// These patients.
    #[must_use]
    pub fn new(ids: HashSet<ResourceId>) -> PatientSet {
        PatientSet { ids, numbers: OnceLock::new() }
    }

    /// Whether that patient is one of them.
    #[must_use]
    pub fn contains(&self, patient: &ResourceId) -> bool {
        self.ids.contains(patient)
    }

    /// What the store calls them, worked out once.
    pub fn numbers(&self, number: impl Fn(&ResourceId) -> i64) -> &[i64] {
        self.numbers.get_or_init(|| {
            let mut numbers: Vec<i64> = self.ids.iter().map(number).collect();
            numbers.sort_unstable();
            numbers
        })
    }
}

impl PartialEq for PatientSet {
    fn eq(&self, other: &PatientSet) -> bool {
        self.ids == other.ids
    }
}

impl Predicate {
    /// Both.
    #[must_use]
    pub fn and(self, other: Predicate) -> Predicate {
        Predicate::all([self, other])
    }

    /// All of these, made simple: flat, without `True`.
    #[must_use]
    pub fn all(parts: impl IntoIterator<Item = Predicate>) -> Predicate {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Predicate::True => {}
                Predicate::False => return Predicate::False,
                Predicate::All(parts) => flat.extend(parts),
                part => flat.push(part),
            }
        }
        match flat.pop() {
            None => Predicate::True,
            Some(only) if flat.is_empty() => only,
            Some(last) => {
                flat.push(last);
                Predicate::All(flat)
            }
        }
    }

    /// At least one of these, made simple: flat, without `False`.
    #[must_use]
    pub fn any(parts: impl IntoIterator<Item = Predicate>) -> Predicate {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Predicate::False => {}
                Predicate::True => return Predicate::True,
                Predicate::Any(parts) => flat.extend(parts),
                part => flat.push(part),
            }
        }
        match flat.pop() {
            None => Predicate::False,
            Some(only) if flat.is_empty() => only,
            Some(last) => {
                flat.push(last);
                Predicate::Any(flat)
            }
        }
    }

    /// Not this, made simple.
    #[must_use]
    pub fn negated(self) -> Predicate {
        match self {
            Predicate::True => Predicate::False,
            Predicate::False => Predicate::True,
            Predicate::Not(inner) => *inner,
            other => Predicate::Not(Box::new(other)),
        }
    }

    /// What this comes to for resources of one type: no [`Predicate::Type`] is left.
    #[must_use]
    pub fn for_type(&self, resource_type: ResourceType) -> Predicate {
        match self {
            Predicate::Type(it) if *it == resource_type => Predicate::True,
            Predicate::Type(_) => Predicate::False,
            Predicate::All(parts) => Predicate::all(parts.iter().map(|it| it.for_type(resource_type))),
            Predicate::Any(parts) => Predicate::any(parts.iter().map(|it| it.for_type(resource_type))),
            Predicate::Not(inner) => inner.for_type(resource_type).negated(),
            other => other.clone(),
        }
    }

    /// Whether the index alone decides, here and in every chain.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        match self {
            Predicate::Verify(_) | Predicate::Missing(_) => false,
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter().all(Predicate::is_exact),
            Predicate::Not(inner)
            | Predicate::SharesPatient { inner, .. }
            | Predicate::References { inner, .. }
            | Predicate::ReferencedBy { inner, .. } => inner.is_exact(),
            _ => true,
        }
    }

    /// Whether other resources decide: there is a chain.
    #[must_use]
    pub fn is_chained(&self) -> bool {
        match self {
            Predicate::SharesPatient { .. }
            | Predicate::References { .. }
            | Predicate::ReferencedBy { .. } => true,
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter().any(Predicate::is_chained),
            Predicate::Not(inner) => inner.is_chained(),
            _ => false,
        }
    }

    /// The narrowest predicate on the index alone that every resource which satisfies this one
    /// satisfies too. The same predicate where it [is exact](Predicate::is_exact).
    #[must_use]
    pub fn superset(&self) -> Predicate {
        self.approximated(true)
    }

    /// Replaces what the index cannot decide by `stand_in`; under a negation by its opposite.
    fn approximated(&self, stand_in: bool) -> Predicate {
        let constant = |it| if it { Predicate::True } else { Predicate::False };
        match self {
            Predicate::Verify(_) | Predicate::Missing(_) => constant(stand_in),
            Predicate::All(parts) => Predicate::all(parts.iter().map(|it| it.approximated(stand_in))),
            Predicate::Any(parts) => Predicate::any(parts.iter().map(|it| it.approximated(stand_in))),
            Predicate::Not(inner) => inner.approximated(!stand_in).negated(),
            Predicate::SharesPatient { source, inner } => {
                Predicate::SharesPatient { source: *source, inner: Box::new(inner.approximated(stand_in)) }
            }
            Predicate::References { parameter, target, inner } => Predicate::References {
                parameter: parameter.clone(),
                target: *target,
                inner: Box::new(inner.approximated(stand_in)),
            },
            Predicate::ReferencedBy { source, parameter, inner } => Predicate::ReferencedBy {
                source: *source,
                parameter: parameter.clone(),
                inner: Box::new(inner.approximated(stand_in)),
            },
            other => other.clone(),
        }
    }
}
