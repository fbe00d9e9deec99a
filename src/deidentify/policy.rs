//! The policy: what becomes of each element, read from `fhir-profiles/vesta/deidentification.tsv`.

use super::Method;
use crate::conformance::definitions::Definitions;
use crate::fhir::id::ResourceType;
use crate::fhir::types::{TypeId, Types};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const RULES: &str = include_str!("../../fhir-profiles/vesta/deidentification.tsv");

/// What becomes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Keep,
    Drop,
    Walk,
    Date,
    Code,
    Coding,
    Quantity,
    Integer,
    Decimal,
    Small,
    Reference,
    Url,
    Address,
    Attachment,
    Name,
}

/// What becomes of an element by each method, and of which kind it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    safe_harbor: Action,
    limited: Action,
    pub(super) kind: &'static str,
}

/// How the codes of a system look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Loinc,
    Snomed,
    Digits(usize),
    Icd9,
    Icd10,
    Pcs,
    Cpt,
    Hcpcs,
    Ndc,
    Nucc,
    Race,
    Ucum,
    Listed,
}

/// The rule for a member of a type: its name, of which type its value must be if that matters, what becomes of it.
type PathRule = (&'static str, Option<TypeId>, Rule);

/// The compiled rules.
#[derive(Default)]
pub struct Policy {
    by_type: HashMap<TypeId, Rule>,
    by_path: HashMap<TypeId, Vec<PathRule>>,
    withheld: HashSet<ResourceType>,
    extensions: HashMap<&'static str, Vec<&'static str>>,
    systems: HashMap<&'static str, Shape>,
    units: HashSet<&'static str>,
    words: HashSet<&'static str>,
    small_areas: HashSet<&'static str>,
    states: HashSet<&'static str>,
}

/// A rule that cannot be read: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("deidentification.tsv:{line}: not a rule")]
pub struct RuleError {
    line: usize,
}

/// What no line is about.
const UNKNOWN: Rule = Rule { safe_harbor: Action::Drop, limited: Action::Drop, kind: "other" };
const BACKBONE: Rule = Rule { safe_harbor: Action::Walk, limited: Action::Walk, kind: "other" };

impl Rule {
    /// What becomes of it.
    pub(super) fn action(&self, method: Method) -> Action {
        match method {
            Method::SafeHarbor => self.safe_harbor,
            Method::Limited { .. } => self.limited,
        }
    }
}

impl Policy {
    /// The policy that comes with the program.
    ///
    /// # Errors
    /// A rule cannot be read.
    pub fn embedded(types: &Types) -> Result<Policy, RuleError> {
        let mut policy = Policy::default();
        for (number, line) in RULES.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            policy.add(types, line).ok_or(RuleError { line: number + 1 })?;
        }
        Ok(policy)
    }

    /// The same, made once for these definitions. One that could not be read would let nothing through.
    pub(super) fn of(definitions: &Definitions) -> Arc<Policy> {
        definitions.derived(|it| Policy::embedded(&it.types).unwrap_or_default())
    }

    fn add(&mut self, types: &Types, line: &'static str) -> Option<()> {
        let (head, rest) = line.split_once('\t')?;
        let words = || rest.split_ascii_whitespace();
        let fields: Vec<&'static str> = rest.split('\t').collect();
        match (head, fields.as_slice()) {
            ("type", [name, safe_harbor, limited, kind]) => {
                self.by_type.insert(types.id(name)?, rule(safe_harbor, limited, kind)?);
            }
            ("path", [path, safe_harbor, limited, kind]) => {
                let (path, only) = match path.split_once(':') {
                    Some((path, only)) => (path, Some(types.id(only)?)),
                    None => (*path, None),
                };
                let (of, name) = path.rsplit_once('.')?;
                let of = types.id(of)?;
                types.get(of)?.elements.iter().find(|it| *it.name == *name)?;
                self.by_path.entry(of).or_default().push((name, only, rule(safe_harbor, limited, kind)?));
            }
            ("withhold", _) => {
                for name in words() {
                    self.withheld.insert(ResourceType::parse(name)?);
                }
            }
            ("extension", [url, parts @ ..]) => drop(self.extensions.insert(url, parts.to_vec())),
            ("system", [url, shape]) => drop(self.systems.insert(url, self::shape(shape)?)),
            ("unit", _) => self.units.extend(words()),
            ("word", _) => self.words.extend(words()),
            ("zip3", _) => self.small_areas.extend(words()),
            ("state", [name]) => drop(self.states.insert(name)),
            _ => return None,
        }
        Some(())
    }

    /// What becomes of an element of a type, when it has that type.
    pub(super) fn rule(&self, types: &Types, of: TypeId, element: &str, type_id: TypeId) -> Rule {
        let by_path = self.by_path.get(&of).into_iter().flatten();
        let mut by_path =
            by_path.filter(|(name, only, _)| *name == element && only.is_none_or(|it| it == type_id));
        if let Some((.., rule)) = by_path.next() {
            return *rule;
        }
        match self.by_type.get(&type_id) {
            Some(rule) => *rule,
            // The elements of a resource's own are made of others.
            None if types.name(type_id).contains('.') => BACKBONE,
            None => UNKNOWN,
        }
    }

    pub(super) fn is_withheld(&self, of: ResourceType) -> bool {
        self.withheld.contains(&of)
    }

    /// The parts of an extension that is kept.
    pub(super) fn extension(&self, url: &str) -> Option<&[&'static str]> {
        self.extensions.get(url).map(Vec::as_slice)
    }

    pub(super) fn shape(&self, system: &str) -> Option<Shape> {
        self.systems.get(system).copied()
    }

    pub(super) fn is_unit_annotation(&self, text: &str) -> bool {
        self.units.contains(text)
    }

    pub(super) fn is_word(&self, code: &str) -> bool {
        self.words.contains(code)
    }

    pub(super) fn is_small_area(&self, zip3: &str) -> bool {
        self.small_areas.contains(zip3)
    }

    pub(super) fn is_state(&self, name: &str) -> bool {
        self.states.contains(name)
    }
}

fn rule(safe_harbor: &str, limited: &str, kind: &'static str) -> Option<Rule> {
    Some(Rule { safe_harbor: action(safe_harbor)?, limited: action(limited)?, kind })
}

fn action(name: &str) -> Option<Action> {
    Some(match name {
        "keep" => Action::Keep,
        "drop" => Action::Drop,
        "walk" => Action::Walk,
        "date" => Action::Date,
        "code" => Action::Code,
        "coding" => Action::Coding,
        "quantity" => Action::Quantity,
        "integer" => Action::Integer,
        "decimal" => Action::Decimal,
        "small" => Action::Small,
        "reference" => Action::Reference,
        "url" => Action::Url,
        "address" => Action::Address,
        "attachment" => Action::Attachment,
        "name" => Action::Name,
        _ => return None,
    })
}

fn shape(name: &str) -> Option<Shape> {
    Some(match name {
        "loinc" => Shape::Loinc,
        "snomed" => Shape::Snomed,
        "digits3" => Shape::Digits(3),
        "digits7" => Shape::Digits(7),
        "icd9" => Shape::Icd9,
        "icd10" => Shape::Icd10,
        "pcs" => Shape::Pcs,
        "cpt" => Shape::Cpt,
        "hcpcs" => Shape::Hcpcs,
        "ndc" => Shape::Ndc,
        "nucc" => Shape::Nucc,
        "race" => Shape::Race,
        "ucum" => Shape::Ucum,
        "listed" => Shape::Listed,
        _ => return None,
    })
}
