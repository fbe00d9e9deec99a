//! What a Consent says of resources, once it is settled who asks: the same for many patients, and a condition.

use super::directive::resource_class;
use crate::access::granular;
use crate::access::labels::Labels;
use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::predicate::Predicate;

/// Permit or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It is permitted.
    Permit,
    /// It is forbidden.
    Deny,
}

/// A provision without who, why and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    pub(super) effect: Option<Effect>,
    pub(super) about: Data,
    pub(super) nested: Vec<Shape>,
}

/// Which data a provision is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data {
    classes: Vec<ResourceType>,
    /// There is a class, code or meaning that we do not know.
    has_unknown: bool,
    pub(super) codes: Vec<Box<str>>,
    pub(super) labels: Vec<Box<str>>,
    pub(super) period: Option<Dates>,
    named: Vec<(Meaning, Box<str>)>,
}

/// The first and the last date of a period, as they stand.
pub(super) type Dates = (Option<Box<str>>, Option<Box<str>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Meaning {
    Instance,
    Related,
    AuthoredBy,
}

/// What a shape makes of the resources of a type.
struct Verdict {
    denied: Predicate,
    permitted: Predicate,
}

/// Where a type may have its codes, dates, and references to what it belongs to and who wrote it.
const CODES: [&str; 8] =
    ["code", "type", "category", "reason-code", "vaccine-code", "class", "service-type", "specialty"];
const DATES: [&str; 9] = [
    "date",
    "authoredon",
    "recorded-date",
    "created",
    "period",
    "effective-time",
    "whenhandedover",
    "sent",
    "issued",
];
const BELONGING: [&str; 10] = [
    "encounter",
    "context",
    "part-of",
    "based-on",
    "focus",
    "derived-from",
    "has-member",
    "result",
    "related",
    "episode-of-care",
];
const AUTHORS: [&str; 8] =
    ["author", "performer", "requester", "recorder", "asserter", "sender", "source", "participant"];

impl Data {
    pub(super) fn add_class(&mut self, system: &str, code: &str) {
        match resource_class(system, code) {
            Some(resource_type) => self.classes.push(resource_type),
            None => self.has_unknown = true,
        }
    }

    pub(super) fn add_data(&mut self, meaning: &str, reference: &str) {
        let meaning = match meaning {
            "instance" => Meaning::Instance,
            "related" | "dependents" => Meaning::Related,
            "authoredby" => Meaning::AuthoredBy,
            _ => {
                self.has_unknown = true;
                return;
            }
        };
        self.named.push((meaning, reference.into()));
    }

    /// So that the same said in another order is the same.
    pub(super) fn sort(&mut self) {
        self.classes.sort_unstable();
        self.codes.sort_unstable();
        self.labels.sort_unstable();
        self.named.sort_unstable();
    }

    /// The resources of a type that it is about. `is_deny`: what cannot be told counts as being so.
    fn predicate(&self, place: &Place<'_>, is_deny: bool) -> Predicate {
        let is_of_class = self.classes.contains(&place.resource_type)
            || (self.classes.is_empty() && !self.has_unknown)
            || (self.has_unknown && is_deny);
        if !is_of_class {
            return Predicate::False;
        }
        let mut parts = Vec::new();
        if !self.codes.is_empty() {
            parts.push(place.any(&CODES, SearchParameterKind::Token, &self.codes.join(",")));
        }
        if !self.labels.is_empty() {
            parts.push(Predicate::any(self.labels.iter().map(|it| place.labelled(it))));
        }
        if let Some((start, end)) = &self.period {
            parts.push(place.within(start.as_deref(), end.as_deref(), is_deny));
        }
        if !self.named.is_empty() {
            let named = self.named.iter().map(|(meaning, reference)| match meaning {
                Meaning::Instance => place.is(reference),
                Meaning::Related => Predicate::any([
                    place.is(reference),
                    place.any(&BELONGING, SearchParameterKind::Reference, reference),
                ]),
                Meaning::AuthoredBy => place.any(&AUTHORS, SearchParameterKind::Reference, reference),
            });
            parts.push(Predicate::any(named));
        }
        Predicate::all(parts)
    }
}

/// The type that is spoken of.
#[derive(Clone, Copy)]
pub(in crate::access) struct Place<'a> {
    pub(in crate::access) definitions: &'a Definitions,
    pub(in crate::access) base: &'a str,
    pub(in crate::access) resource_type: ResourceType,
}

impl Place<'_> {
    fn condition(&self, parameter: &str, value: &str) -> Option<Predicate> {
        let query = [(parameter.to_owned(), value.to_owned())];
        granular::condition(self.definitions, self.base, self.resource_type, &query)
    }

    /// One of these parameters, as far as the type has them, has that value.
    fn any(&self, parameters: &[&str], kind: SearchParameterKind, value: &str) -> Predicate {
        Predicate::any(parameters.iter().filter_map(|parameter| {
            let known = self.definitions.search_parameter(self.resource_type, parameter)?;
            (known.kind == kind).then(|| self.condition(parameter, value)).flatten()
        }))
    }

    fn is(&self, reference: &str) -> Predicate {
        match reference.split_once('/') {
            Some((resource_type, id)) if resource_type == self.resource_type.name() => {
                ResourceId::parse(id).map_or(Predicate::False, |id| Predicate::Id(vec![id]))
            }
            _ => Predicate::False,
        }
    }

    /// It carries that label, `system|code` or a code of any system, or another of the same class.
    pub(in crate::access) fn labelled(&self, label: &str) -> Predicate {
        let exact = || self.condition("_security", label).unwrap_or(Predicate::False);
        let labels = self.definitions.derived(|_| Labels::embedded());
        match labels.class_of(label.rsplit('|').next().unwrap_or(label)) {
            Some(class) => Predicate::any([exact(), self.of_class(&class.codes)]),
            None => exact(),
        }
    }

    /// It carries one of these labels.
    pub(in crate::access) fn of_class(&self, codes: &[Box<str>]) -> Predicate {
        let any: Vec<String> =
            codes.iter().map(|it| format!("{}|{it}", crate::access::labels::SYSTEM)).collect();
        self.condition("_security", &any.join(",")).unwrap_or(Predicate::False)
    }

    /// Its date lies in the period; for a deny: is not known to lie outside.
    fn within(&self, start: Option<&str>, end: Option<&str>, is_deny: bool) -> Predicate {
        let known = DATES.iter().find(|it| {
            let parameter = self.definitions.search_parameter(self.resource_type, it);
            parameter.is_some_and(|it| it.kind == SearchParameterKind::Date)
        });
        let Some(date) = known else { return if is_deny { Predicate::True } else { Predicate::False } };
        // What cannot be read as a date bounds nothing for a deny, and everything for a permit.
        let unread = || if is_deny { Predicate::False } else { Predicate::True };
        let outside = Predicate::any([
            start.map_or(Predicate::False, |it| {
                self.condition(date, &format!("eb{it}")).unwrap_or_else(unread)
            }),
            end.map_or(Predicate::False, |it| {
                self.condition(date, &format!("sa{it}")).unwrap_or_else(unread)
            }),
        ]);
        if is_deny {
            return outside.negated();
        }
        let inside = [
            start.map_or(Predicate::True, |it| {
                self.condition(date, &format!("ge{it}")).unwrap_or(Predicate::False)
            }),
            end.map_or(Predicate::True, |it| {
                self.condition(date, &format!("le{it}")).unwrap_or(Predicate::False)
            }),
        ];
        Predicate::all(inside).and(outside.negated())
    }
}

impl Shape {
    /// The resources of a type that it forbids.
    pub(in crate::access) fn denied(&self, place: &Place<'_>) -> Predicate {
        self.verdict(place, false).denied
    }

    /// The resources of a type that it permits by their label: what opens a class of labels.
    pub(in crate::access) fn opened(&self, place: &Place<'_>) -> Predicate {
        self.verdict(place, true).permitted
    }

    /// Whether there is anything in it that permits by a label.
    #[must_use]
    pub fn opens_anything(&self) -> bool {
        (self.effect == Some(Effect::Permit) && !self.about.labels.is_empty())
            || self.nested.iter().any(Shape::opens_anything)
    }

    /// Whether there is anything in it that forbids.
    #[must_use]
    pub fn denies_anything(&self) -> bool {
        self.effect == Some(Effect::Deny) || self.nested.iter().any(Shape::denies_anything)
    }

    fn verdict(&self, place: &Place<'_>, by_label: bool) -> Verdict {
        let nested: Vec<Verdict> = self.nested.iter().map(|it| it.verdict(place, by_label)).collect();
        let (mut denied, mut permitted) = (Vec::new(), Vec::new());
        for it in nested {
            denied.push(it.denied);
            permitted.push(it.permitted);
        }
        let (nested_denied, nested_permitted) = (Predicate::any(denied), Predicate::any(permitted));
        // A container of rules forbids as far as they do: what it cannot tell it leaves to them.
        let about = |is_deny| self.about.predicate(place, is_deny);
        let own_deny = match self.effect {
            Some(Effect::Deny) => nested_permitted.clone().negated(),
            _ => Predicate::False,
        };
        let speaks = self.effect == Some(Effect::Permit) && (!by_label || !self.about.labels.is_empty());
        let own_permit = if speaks { Predicate::True } else { Predicate::False };
        let denied = about(self.effect != Some(Effect::Permit));
        Verdict {
            denied: denied.and(Predicate::any([nested_denied.clone(), own_deny])),
            permitted: about(false)
                .and(nested_denied.negated())
                .and(Predicate::any([nested_permitted, own_permit])),
        }
    }
}
