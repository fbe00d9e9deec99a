//! What role, care relation, labels and Consents take away from what scopes open: one condition for each, by type.
//!
//! Kept apart until the end, so that an officer can be told which of them it was.

use crate::access::consent::shape::Place;
use crate::access::facts::{Facts, Restraints};
use crate::access::granular;
use crate::access::labels::Labels;
use crate::access::reach::{Belonging, only_looks};
use crate::access::role::{POLICY, REVIEW};
use crate::access::scope::Permission;
use crate::conformance::definitions::Definitions;
use crate::fhir::id::ResourceType;
use crate::search::predicate::{PatientSet, Predicate};
use std::sync::Arc;

/// What is left of a type, by each rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layers {
    /// By the role and the agreement.
    pub(super) role: Predicate,
    /// By the relation of care: nothing asked of what is nobody's.
    pub(super) care: Predicate,
    /// By security labels.
    pub(super) labels: Predicate,
    /// By Consents.
    pub(super) consent: Predicate,
}

/// What layers are made from.
pub(super) struct Restriction<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) base: &'a str,
    pub(super) facts: &'a Facts,
    pub(super) permission: Permission,
    emergencies: Predicate,
    related: Predicate,
    unlabelled: Predicate,
}

/// What makes somebody part of a patient's care: the type, its parameter, and the states in which it does not.
const CARE: [(&str, &str, &[&str]); 4] = [
    ("CareTeam", "participant", &["inactive", "entered-in-error", "proposed"]),
    ("Encounter", "participant", &["cancelled", "entered-in-error"]),
    ("EpisodeOfCare", "care-manager", &["cancelled", "entered-in-error"]),
    ("Patient", "general-practitioner", &[]),
];

impl Layers {
    const OPEN: Layers = Layers {
        role: Predicate::True,
        care: Predicate::True,
        labels: Predicate::True,
        consent: Predicate::True,
    };
}

impl<'a> Restriction<'a> {
    pub(super) fn new(
        definitions: &'a Definitions,
        base: &'a str,
        facts: &'a Facts,
        permission: Permission,
    ) -> Restriction<'a> {
        let emergencies = match facts.emergencies.is_empty() {
            true => Predicate::False,
            false => Predicate::Patients(Arc::new(PatientSet::new(facts.emergencies.clone()))),
        };
        let mut restriction = Restriction {
            definitions,
            base,
            facts,
            permission,
            emergencies,
            related: Predicate::True,
            unlabelled: Predicate::True,
        };
        if facts.role.needs_care {
            restriction.related = restriction.relation();
        }
        restriction.unlabelled = restriction.without_closed_labels();
        restriction
    }

    /// What makes a patient one that the user has to do with.
    fn relation(&self) -> Predicate {
        Predicate::any(CARE.iter().filter_map(|(source, parameter, over)| {
            let source = ResourceType::parse(source)?;
            let place = self.place(source);
            let inner = self.refers_to_me(place, parameter)?;
            let states = (!over.is_empty()).then(|| condition(place, "status", &over.join(",")));
            let is_over = states.map_or(Some(Predicate::False), |it| it)?;
            Some(Predicate::SharesPatient { source, inner: Box::new(inner.and(is_over.negated())) })
        }))
    }

    fn refers_to_me(&self, place: Place<'_>, parameter: &str) -> Option<Predicate> {
        let known = self.facts.identities.iter().filter_map(|it| condition(place, parameter, it));
        match Predicate::any(known) {
            Predicate::False => None,
            any => Some(any),
        }
    }

    fn place<'p>(&'p self, resource_type: ResourceType) -> Place<'p> {
        Place { definitions: self.definitions, base: self.base, resource_type }
    }

    /// What is left of that type.
    pub(super) fn of(&self, resource_type: ResourceType, belonging: Belonging) -> Layers {
        let Facts { role, .. } = self.facts;
        let is_personal = belonging != Belonging::Reference;
        let is_barred = self.facts.names_wrong_purpose || (self.facts.lacks_agreement && is_personal);
        if is_barred || !role.may(self.permission, resource_type) {
            return Layers { role: Predicate::False, ..Layers::OPEN };
        }
        if resource_type.name() == "AuditEvent" {
            // The trail is shown by itself, and asks its own questions.
            return Layers::OPEN;
        }
        Layers {
            role: self.role(resource_type),
            care: if role.needs_care { self.care(resource_type, belonging) } else { Predicate::True },
            labels: self.labels(resource_type),
            consent: if is_personal { self.consent(resource_type, belonging) } else { Predicate::True },
        }
    }

    /// Policies are changed by those alone who see to them.
    fn role(&self, resource_type: ResourceType) -> Predicate {
        if only_looks(self.permission) || self.facts.role.may_change_policies {
            return Predicate::True;
        }
        let place = self.place(resource_type);
        let policy = match resource_type.name() {
            "Basic" => condition(place, "code", &format!("{}|{}", POLICY.0, POLICY.1)),
            "Task" => condition(place, "code", &format!("{}|{}", REVIEW.0, REVIEW.1)),
            _ => Some(Predicate::False),
        };
        policy.map_or(Predicate::False, Predicate::negated)
    }

    fn care(&self, resource_type: ResourceType, belonging: Belonging) -> Predicate {
        let either = || Predicate::any([self.related.clone(), self.emergencies.clone()]);
        match (belonging, ResourceType::parse("Patient")) {
            (Belonging::Reference, _) => Predicate::True,
            (Belonging::Compartment | Belonging::SecurityContext, _) => either(),
            (Belonging::PatientParameter, Some(patient)) => {
                match granular::index_name(self.definitions, resource_type, "patient") {
                    Some(parameter) => {
                        Predicate::References { parameter, target: patient, inner: Box::new(either()) }
                    }
                    None => Predicate::False,
                }
            }
            _ => Predicate::False,
        }
    }

    /// What carries no label that the role does not see. Labels are under one name in every type.
    fn without_closed_labels(&self) -> Predicate {
        let labels = self.definitions.derived(|_| Labels::embedded());
        let purpose = self.facts.purpose.as_deref();
        let closed: Vec<Box<str>> = labels
            .classes()
            .iter()
            .filter(|it| !self.facts.role.opens(&it.name, purpose))
            .flat_map(|it| it.codes.iter().cloned())
            .collect();
        match ResourceType::parse("Patient") {
            _ if closed.is_empty() => Predicate::True,
            Some(any) => self.place(any).of_class(&closed).negated(),
            None => Predicate::False,
        }
    }

    /// What is sensitive may be added by those who do not see it afterwards.
    fn labels(&self, resource_type: ResourceType) -> Predicate {
        if self.permission == Permission::Create || self.unlabelled == Predicate::True {
            return Predicate::True;
        }
        let place = self.place(resource_type);
        let opened = self.restraints().opened.iter().map(|it| match it.shape.opened(&place) {
            Predicate::False => Predicate::False,
            opened => Predicate::Patients(Arc::clone(&it.patients)).and(opened),
        });
        let always = [self.unlabelled.clone(), self.emergencies.clone()];
        Predicate::any(always.into_iter().chain(opened))
    }

    fn consent(&self, resource_type: ResourceType, belonging: Belonging) -> Predicate {
        let place = self.place(resource_type);
        let of = |patients: Predicate| self.of_whom(resource_type, belonging, patients);
        let denied = self.restraints().denied.iter().map(|it| match it.shape.denied(&place) {
            Predicate::False => Predicate::False,
            denied => of(Predicate::Patients(Arc::clone(&it.patients))).and(denied),
        });
        let mut denied: Vec<Predicate> = denied.collect();
        if self.facts.hides_consented
            && let Some(source) = ResourceType::parse("Consent")
        {
            denied.push(of(Predicate::SharesPatient { source, inner: Box::new(Predicate::True) }));
        }
        Predicate::any(denied).negated()
    }

    /// That a resource is one of patients of whom that holds: of what is in no compartment, the one whom it names.
    fn of_whom(&self, resource_type: ResourceType, belonging: Belonging, patients: Predicate) -> Predicate {
        match (belonging, ResourceType::parse("Patient")) {
            (Belonging::PatientParameter, Some(target)) => {
                match granular::index_name(self.definitions, resource_type, "patient") {
                    Some(parameter) => Predicate::References { parameter, target, inner: Box::new(patients) },
                    None => Predicate::True,
                }
            }
            _ => patients,
        }
    }

    fn restraints(&self) -> &Restraints {
        match self.permission {
            Permission::Read | Permission::Search => &self.facts.looking,
            Permission::Create => &self.facts.adding,
            Permission::Update | Permission::Delete => &self.facts.changing,
        }
    }
}

fn condition(place: Place<'_>, parameter: &str, value: &str) -> Option<Predicate> {
    let query = [(parameter.to_owned(), value.to_owned())];
    granular::condition(place.definitions, place.base, place.resource_type, &query)
}
