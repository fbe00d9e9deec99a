//! One Consent, as a patient gave it, and what it comes to for somebody who asks.

use crate::access::consent::shape::{Data, Effect, Shape};
use crate::access::purpose;
use crate::access::scope::Permission;
use crate::fhir::date_time::DateTime;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;

/// The deepest nesting of provisions that is looked into: deeper ones are read as deny.
const DEEPEST: usize = 8;

/// An active Consent to privacy.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive {
    /// The Consent.
    pub id: ResourceId,
    /// Whose it is.
    pub patient: ResourceId,
    root: Provision,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Provision {
    effect: Option<Effect>,
    period: Option<(i64, i64)>,
    actors: Vec<Box<str>>,
    actions: Vec<Box<str>>,
    purposes: Vec<Box<str>>,
    about: Data,
    nested: Vec<Provision>,
}

/// Who asks, as far as Consents speak of it.
#[derive(Clone, Debug, Default)]
pub struct Asking<'a> {
    /// The person or system: `Practitioner/1` and the roles they hold.
    pub person: &'a [String],
    /// The organizations that they and their client belong to.
    pub organizations: &'a [String],
    /// Why.
    pub purpose: Option<&'a str>,
    /// When, in microseconds since 1970.
    pub now: i64,
}

/// What is left of a Consent for somebody who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What it says of resources.
    pub shape: Shape,
    /// It forbids the person by name.
    pub names_person: bool,
    /// When that changes by itself, if ever.
    pub until: i64,
}

/// How an actor of a provision matches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    No,
    Unknown,
    Group,
    Person,
}

impl Directive {
    /// The Consent, if it counts.
    #[must_use]
    pub fn of(resource: &Resource, base: &str) -> Option<Directive> {
        let root = resource.root();
        if resource.resource_type().name() != "Consent" || !root.get("status")?.is("active") {
            return None;
        }
        let is_privacy = codings(root.get("scope")?).any(|it| it.1 == "patient-privacy");
        if !is_privacy {
            return None;
        }
        let patient = root.get("patient")?.string("reference")?;
        let patient = match Reference::parse(&patient)? {
            Reference::Resource { base: its, resource_type, id, .. }
                if its.is_none_or(|it| it == base) && resource_type.name() == "Patient" =>
            {
                id
            }
            _ => return None,
        };
        let policy =
            root.get("policyRule").into_iter().flat_map(codings).find_map(|it| match it.1.as_str() {
                "OPTIN" | "OPTINR" => Some(Effect::Permit),
                "OPTOUT" | "OPTOUTE" => Some(Effect::Deny),
                _ => None,
            });
        let mut provision = match root.get("provision") {
            Some(node) => Provision::of(node, base, 0),
            None => Provision::default(),
        };
        provision.effect = provision.effect.or(policy);
        Some(Directive { id: resource.id()?.clone(), patient, root: provision })
    }

    /// What it comes to for somebody who asks for that.
    #[must_use]
    pub fn applied(&self, asking: &Asking<'_>, permission: Permission) -> Applied {
        let mut applied = Applied { shape: Shape::default(), names_person: false, until: i64::MAX };
        if let Some(shape) = self.root.applied(asking, permission, &mut applied, false) {
            applied.shape = shape;
        }
        applied
    }
}

impl Provision {
    fn of(node: Node<'_>, base: &str, depth: usize) -> Provision {
        if depth > DEEPEST {
            return Provision { effect: Some(Effect::Deny), ..Provision::default() };
        }
        let effect = match node.string("type").as_deref() {
            Some("deny") => Some(Effect::Deny),
            Some("permit") => Some(Effect::Permit),
            _ => None,
        };
        let list = |name: &str| node.get(name).into_iter().flat_map(Node::items).collect::<Vec<_>>();
        let actors = list("actor").into_iter().map(|it| {
            let reference = it.get("reference").and_then(|it| it.string("reference"));
            Box::from(local(reference.as_deref().unwrap_or_default(), base))
        });
        let code_of = |it: Node<'_>| it.string("code").map(|it| Box::from(&*it));
        let mut about = Data::default();
        for class in list("class") {
            about.add_class(
                &class.string("system").unwrap_or_default(),
                &class.string("code").unwrap_or_default(),
            );
        }
        for code in list("code").into_iter().flat_map(codings) {
            about.codes.push(token(&code));
        }
        for label in list("securityLabel") {
            about.labels.push(token(&coding(label)));
        }
        for data in list("data") {
            let reference = data.get("reference").and_then(|it| it.string("reference"));
            let meaning = data.string("meaning").unwrap_or_default();
            about.add_data(&meaning, local(reference.as_deref().unwrap_or_default(), base));
        }
        about.period = node.get("dataPeriod").map(|it| {
            let text = |name: &str| it.string(name).map(|it| Box::from(&*it));
            (text("start"), text("end"))
        });
        about.sort();
        Provision {
            effect,
            period: node.get("period").map(period),
            actors: actors.collect(),
            actions: list("action").into_iter().flat_map(codings).map(|it| it.1.into()).collect(),
            purposes: list("purpose").into_iter().filter_map(code_of).collect(),
            about,
            nested: list("provision").into_iter().map(|it| Provision::of(it, base, depth + 1)).collect(),
        }
    }

    /// The part of it that is left: nothing where it is not about who asks.
    fn applied(
        &self,
        asking: &Asking<'_>,
        permission: Permission,
        whole: &mut Applied,
        is_personal: bool,
    ) -> Option<Shape> {
        if let Some((from, to)) = self.period {
            for boundary in [from, to.saturating_add(1)].into_iter().filter(|it| *it > asking.now) {
                whole.until = whole.until.min(boundary);
            }
            if !(from..=to).contains(&asking.now) {
                return None;
            }
        }
        let actor = self.actor(asking);
        let is_met = match actor {
            Match::No => false,
            // Nobody can tell: it may be them.
            Match::Unknown => self.effect != Some(Effect::Permit),
            Match::Group | Match::Person => true,
        };
        if !is_met || !self.is_about(permission) || !self.is_for(asking.purpose) {
            return None;
        }
        let is_personal = is_personal || actor == Match::Person;
        let nested = self.nested.iter().filter_map(|it| it.applied(asking, permission, whole, is_personal));
        let nested: Vec<Shape> = nested.collect();
        if is_personal && self.effect == Some(Effect::Deny) {
            whole.names_person = true;
        }
        Some(Shape { effect: self.effect, about: self.about.clone(), nested })
    }

    fn actor(&self, asking: &Asking<'_>) -> Match {
        if self.actors.is_empty() {
            return Match::Group;
        }
        let matches = self.actors.iter().map(|actor| {
            if asking.person.iter().any(|it| **it == **actor) {
                return Match::Person;
            }
            if asking.organizations.iter().any(|it| **it == **actor) {
                return Match::Group;
            }
            match actor.split('/').next() {
                Some("Practitioner" | "PractitionerRole" | "Patient" | "RelatedPerson" | "Organization") => {
                    Match::No
                }
                // A client is known by its id alone.
                Some("Device") => Match::No,
                _ => Match::Unknown,
            }
        });
        let all: Vec<Match> = matches.collect();
        let best = [Match::Person, Match::Group, Match::Unknown];
        best.into_iter().find(|it| all.contains(it)).unwrap_or(Match::No)
    }

    fn is_about(&self, permission: Permission) -> bool {
        let meant: &[&str] = match permission {
            Permission::Read | Permission::Search => &["access", "use", "disclose"],
            Permission::Create => &["collect"],
            Permission::Update | Permission::Delete => &["correct"],
        };
        let looks = matches!(permission, Permission::Read | Permission::Search);
        (self.actions.is_empty() && looks) || self.actions.iter().any(|it| meant.contains(&&**it))
    }

    fn is_for(&self, purpose: Option<&str>) -> bool {
        self.purposes.is_empty()
            || purpose.is_some_and(|purpose| self.purposes.iter().any(|it| purpose::is_within(purpose, it)))
    }
}

/// A reference to something of ours, without our base and without a version.
fn local<'r>(reference: &'r str, base: &str) -> &'r str {
    let relative = reference.strip_prefix(base).map_or(reference, |it| it.trim_start_matches('/'));
    relative.split("/_history/").next().unwrap_or(relative)
}

fn coding(node: Node<'_>) -> (String, String) {
    let text = |name: &str| node.string(name).unwrap_or_default().into_owned();
    (text("system"), text("code"))
}

fn codings(concept: Node<'_>) -> impl Iterator<Item = (String, String)> {
    concept.get("coding").into_iter().flat_map(Node::items).map(coding)
}

fn token((system, code): &(String, String)) -> Box<str> {
    // A code of no system is that code of any.
    if system.is_empty() { code.as_str().into() } else { format!("{system}|{code}").into() }
}

/// A Period, its ends included.
#[must_use]
pub fn period(node: Node<'_>) -> (i64, i64) {
    let end = |name: &str| node.string(name).and_then(|it| DateTime::parse_date_time(&it));
    let from = end("start").map_or(i64::MIN, |it| it.interval().low);
    let to = end("end").map_or(i64::MAX, |it| it.interval().high);
    (from, to)
}

/// Whether a class of content is a resource type.
pub(super) fn resource_class(system: &str, code: &str) -> Option<ResourceType> {
    let is_types = system.is_empty()
        || system == "http://hl7.org/fhir/resource-types"
        || system == "http://hl7.org/fhir/fhir-types";
    is_types.then(|| ResourceType::parse(code)).flatten()
}
