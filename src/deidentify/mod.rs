//! De-identification: what is left of a resource when nothing in it may say whose it is.
//!
//! <https://www.ecfr.gov/current/title-45/section-164.514>: Safe Harbor, (b)(2), and the limited data set, (e).
//!
//! What becomes of each element is data, `fhir-profiles/vesta/deidentification.tsv`, by datatype and by path ([`policy`]).
//! Only what a line lets through is kept: free text, unknown extensions and codes of unknown systems are not. One
//! walk over the resource ([`walk`]) follows the definitions of the types, into contained resources, bundles and
//! answers; the values of dates, addresses, codes and quantities are made in [`value`] and [`codes`].
//!
//! An element that R4 requires and that is not kept says so with `data-absent-reason` `masked`. Every resource is
//! labelled as pseudonymized in `meta.security`; what profiles it claimed is not said any more.
//!
//! Pure: the keys of the pseudonyms are an argument, and so is the year of now. It does not decide who may have
//! what, and it does not find out that few people are alike: [`Deidentified::cell`] is for whoever counts.

pub mod policy;

mod codes;
mod value;
mod walk;

use crate::conformance::definitions::Definitions;
use crate::crypto::pseudonym::Pseudonyms;
use crate::fhir::id::ResourceType;
use crate::fhir::resource::Resource;
use crate::fhir::tree::Tree;
use codes::Codes;
use policy::Policy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use walk::Walk;

/// By which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// 45 CFR 164.514(b)(2).
    SafeHarbor,
    /// 45 CFR 164.514(e): dates and places down to the town are kept.
    Limited {
        /// Each patient's dates are moved back by as many days, 1 to 364, for this recipient.
        shifts_dates: bool,
    },
}

/// How many values were removed or replaced, by kind.
pub type Removed = BTreeMap<&'static str, u64>;

/// What is left of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deidentified {
    /// Its text; nothing where it is withheld.
    pub text: Option<String>,
    /// What is not in it any more.
    pub removed: Removed,
    /// Of a patient: year of birth, sex and area, by which people are told apart.
    pub cell: Option<String>,
}

/// De-identifies resources for one recipient.
pub struct Deidentifier {
    definitions: Arc<Definitions>,
    policy: Arc<Policy>,
    codes: Arc<Codes>,
    method: Method,
    pseudonyms: Pseudonyms,
    base: String,
    year: i16,
}

impl Method {
    /// The method as a request names it: `safe-harbor` or `limited`.
    #[must_use]
    pub fn parse(name: &str, shifts_dates: bool) -> Option<Method> {
        match name {
            "safe-harbor" if !shifts_dates => Some(Method::SafeHarbor),
            "limited" => Some(Method::Limited { shifts_dates }),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::SafeHarbor => "safe-harbor",
            Method::Limited { .. } => "limited",
        }
    }
}

/// Whether nothing of that type is given out.
#[must_use]
pub fn is_withheld(definitions: &Definitions, of: ResourceType) -> bool {
    Policy::of(definitions).is_withheld(of)
}

/// What stands for the id of a resource of that type.
#[must_use]
pub fn pseudonym(pseudonyms: &Pseudonyms, of: ResourceType, id: &str) -> String {
    pseudonyms.name(of.name(), id)
}

impl Deidentifier {
    /// For the recipient whose pseudonyms these are. `base` is the FHIR base of this server, `year` the present one:
    /// by it is known who may be 90 or older.
    #[must_use]
    pub fn new(
        definitions: &Arc<Definitions>,
        method: Method,
        pseudonyms: Pseudonyms,
        (base, year): (&str, i16),
    ) -> Deidentifier {
        Deidentifier {
            policy: Policy::of(definitions),
            codes: definitions.derived(Codes::of),
            definitions: Arc::clone(definitions),
            method,
            pseudonyms,
            base: base.to_owned(),
            year,
        }
    }

    /// Whether it matters whose a resource is.
    #[must_use]
    pub fn needs_patient(&self) -> bool {
        self.method == Method::Limited { shifts_dates: true }
    }

    /// What stands for an id.
    #[must_use]
    pub fn pseudonym(&self, resource_type: &str, id: &str) -> String {
        self.pseudonyms.name(resource_type, id)
    }

    /// De-identifies a resource; its dates are shifted by that patient's days, if by any.
    #[must_use]
    pub fn resource(&self, resource: &Resource, patient: Option<&str>) -> Deidentified {
        let days = match self.method {
            Method::Limited { shifts_dates: true } => {
                self.pseudonyms.number("days", patient.unwrap_or_default(), 364)
            }
            _ => 0,
        };
        let mut walk = Walk::new(self, i64::from(days));
        let tree = walk.whole(resource.root());
        let cell = tree.as_ref().filter(|_| resource.resource_type().name() == "Patient").map(cell);
        Deidentified { text: tree.map(|it| it.to_json()), removed: walk.removed, cell }
    }
}

/// Year of birth, sex and area of a patient.
fn cell(patient: &Tree) -> String {
    let text = |tree: Option<&Tree>| match tree {
        Some(Tree::Leaf(text)) => text.trim_matches('"').to_owned(),
        _ => String::new(),
    };
    let first = match patient.get("address") {
        Some(Tree::Array(items)) => items.first(),
        _ => None,
    };
    let born: String = text(patient.get("birthDate")).chars().take(4).collect();
    let area: String = text(first.and_then(|it| it.get("postalCode"))).chars().take(3).collect();
    format!("{born} {} {area}", text(patient.get("gender")))
}

#[cfg(test)]
mod tests;
