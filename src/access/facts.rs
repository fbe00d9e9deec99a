//! Facts: what a decision needs to know of somebody, beside their token. Plain data: whoever decides was given it.

use crate::access::consent::shape::Shape;
use crate::access::role::Role;
use crate::fhir::id::ResourceId;
use crate::search::predicate::PatientSet;
use std::collections::HashSet;
use std::sync::Arc;

/// What is known of who asks, for a purpose, at a time.
#[derive(Clone, Debug)]
pub struct Facts {
    /// No two differ that have the same number.
    pub number: u64,
    /// What their position is.
    pub role: Arc<Role>,
    /// Why they ask: as they said, or as their role has it.
    pub purpose: Option<Arc<str>>,
    /// They named a purpose that their role does not have.
    pub names_wrong_purpose: bool,
    /// Their client is another organization's, with which there is no agreement.
    pub lacks_agreement: bool,
    /// Their client is given de-identified data alone.
    pub is_deidentified_only: bool,
    /// The resources that stand for them: the person, the roles, the organizations.
    pub identities: Vec<String>,
    /// What Consents say to them about looking.
    pub looking: Restraints,
    /// What Consents say to them about adding.
    pub adding: Restraints,
    /// What Consents say to them about changing.
    pub changing: Restraints,
    /// There are more Consents than are looked at: whoever gave one is hidden.
    pub hides_consented: bool,
    /// The patients to whom they have emergency access.
    pub emergencies: HashSet<ResourceId>,
}

/// What Consents say about one kind of access.
#[derive(Clone, Debug, Default)]
pub struct Restraints {
    /// What is forbidden, and whose it is.
    pub denied: Vec<Restraint>,
    /// What is opened in spite of its label.
    pub opened: Vec<Restraint>,
}

/// What several Consents say alike.
#[derive(Clone, Debug)]
pub struct Restraint {
    /// What they say.
    pub shape: Shape,
    /// Who gave them.
    pub patients: Arc<PatientSet>,
}

impl Facts {
    /// The same, if nobody had given a Consent.
    #[must_use]
    pub fn without_consents(&self) -> Facts {
        let mut facts = self.clone();
        for restraints in [&mut facts.looking, &mut facts.adding, &mut facts.changing] {
            restraints.denied.clear();
        }
        facts.hides_consented = false;
        facts.number |= 1 << 63;
        facts
    }

    /// Whether Consents narrow anything that they look at.
    #[must_use]
    pub fn is_bound_by_consents(&self) -> bool {
        self.hides_consented || !self.looking.denied.is_empty()
    }

    /// Of a client without a user, of which nothing else is known.
    #[must_use]
    pub fn of_a_system() -> Facts {
        Facts::of_role(Role::embedded().remove("system").unwrap_or_default())
    }

    /// Of somebody of that role, of whom nothing else is known.
    #[must_use]
    pub fn of_role(role: Arc<Role>) -> Facts {
        Facts {
            number: 0,
            purpose: role.purposes.first().map(|it| Arc::from(*it)),
            role,
            names_wrong_purpose: false,
            lacks_agreement: false,
            is_deidentified_only: false,
            identities: Vec::new(),
            looking: Restraints::default(),
            adding: Restraints::default(),
            changing: Restraints::default(),
            hides_consented: false,
            emergencies: HashSet::new(),
        }
    }
}
