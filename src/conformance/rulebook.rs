//! Everything that validation looks up: the rules of R4's types, profiles, extensions, value sets.
//!
//! Built once for a set of definitions; profiles and value sets are compiled when they are first needed.

use super::constraint::{Binding, Constraint, TypeUse};
use super::guide::Guide;
use super::invariant::Invariant;
use super::value_set::ValueSet;
use crate::fhir::types::{TypeId, Types};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

const RULES: &str = include_str!("../../fhir-profiles/r4-core/rules.tsv");
const HL7: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Chains of base profiles end somewhere.
const MOST_BASES: usize = 16;

/// What validation looks up.
#[derive(Default)]
pub(super) struct Rulebook {
    /// By number of the type.
    types: Vec<TypeRules>,
    profiles: HashMap<Box<str>, Vec<Entry<Profile>>>,
    value_sets: HashMap<Box<str>, Vec<Entry<ValueSet>>>,
    guides: Vec<Arc<Guide>>,
}

struct Entry<T> {
    guide: usize,
    made: OnceLock<Option<Arc<T>>>,
}

/// The rules of a type.
#[derive(Default)]
pub(super) struct TypeRules {
    /// A bit for each element that must be there.
    pub(super) required: u128,
    /// The rules of the type itself.
    pub(super) own: Vec<Invariant>,
    /// By place of the element.
    pub(super) elements: Vec<Option<Box<ElementRules>>>,
}

/// The rules of an element of a type.
#[derive(Default)]
pub(super) struct ElementRules {
    pub(super) bindings: Vec<Binding>,
    pub(super) rules: Vec<Invariant>,
    /// The types that its references may point at; none: any.
    pub(super) targets: Vec<TypeId>,
}

/// A profile or an extension, ready to be checked.
pub(super) struct Profile {
    pub(super) url: Box<str>,
    pub(super) type_name: Box<str>,
    pub(super) guide: usize,
    /// For an extension: `element:Patient`, `extension:url`, `fhirpath:…`.
    pub(super) contexts: Vec<Box<str>>,
    pub(super) root: Constraint,
}

impl Rulebook {
    pub(super) fn new(types: &Types, guides: &[Arc<Guide>]) -> Rulebook {
        let mut book = Rulebook { guides: guides.to_vec(), ..Rulebook::default() };
        book.types = types
            .iter()
            .map(|(_, of)| TypeRules {
                required: of
                    .elements
                    .iter()
                    .enumerate()
                    .filter(|(_, it)| it.min > 0)
                    .fold(0, |bits, (place, _)| bits | bit(place)),
                own: Vec::new(),
                elements: of.elements.iter().map(|_| None).collect(),
            })
            .collect();
        let mut here = None;
        for line in RULES.lines() {
            match line.strip_prefix('\t').and_then(|it| it.split_once('\t')) {
                None => here = types.id(line),
                Some((element, fields)) => {
                    if let Some(of) = here {
                        book.add_rules(types, of, element, fields);
                    }
                }
            }
        }
        for (place, guide) in guides.iter().enumerate() {
            let entry = || OnceLock::new();
            for url in guide.profiles() {
                book.profiles.entry(url.into()).or_default().push(Entry { guide: place, made: entry() });
            }
            for url in guide.value_sets() {
                let made = OnceLock::new();
                book.value_sets.entry(url.into()).or_default().push(Entry { guide: place, made });
            }
        }
        book
    }

    fn add_rules(&mut self, types: &Types, of: TypeId, element: &str, fields: &str) {
        let place = types.get(of).and_then(|it| {
            let plain = element.strip_suffix("[x]").unwrap_or(element);
            it.elements.iter().position(|it| *it.name == *plain)
        });
        let Some(rules) = self.types.get_mut(of.index()) else { return };
        for field in fields.split('\t') {
            let (tag, facts) = field.split_once(' ').unwrap_or((field, ""));
            if element == "." {
                rules.own.extend(Invariant::parse(facts).filter(|_| tag == "rule"));
                continue;
            }
            let Some(slot) = place.and_then(|place| rules.elements.get_mut(place)) else { continue };
            let rules = slot.get_or_insert_default();
            match tag {
                "rule" => rules.rules.extend(Invariant::parse(facts)),
                "bind" => rules.bindings.extend(Binding::parse(facts)),
                "types" => {
                    let uses = facts.split(' ').map(TypeUse::parse).filter(|it| *it.code == *"Reference");
                    let targets: Vec<Box<str>> = uses.flat_map(|it| it.targets).collect();
                    rules.targets = targets.iter().filter_map(|it| types.id(it)).collect();
                }
                _ => {}
            }
        }
    }

    /// Compiles everything that is not compiled yet.
    pub(super) fn compile(&self, types: &Types) {
        for of in &self.types {
            let elements = of.elements.iter().flatten().flat_map(|it| &it.rules);
            of.own.iter().chain(elements).for_each(|it| {
                it.expression();
            });
        }
        for (url, entries) in &self.profiles {
            for profile in entries.iter().filter_map(|it| self.made(types, url, it, 0)) {
                profile.root.compile();
            }
        }
        for (url, entries) in &self.value_sets {
            for entry in entries {
                self.value_set(url, Some(entry.guide));
            }
        }
    }

    pub(super) fn of_type(&self, of: TypeId) -> Option<&TypeRules> {
        self.types.get(of.index())
    }

    /// The profiles of that canonical URL, of every version that is loaded, the newest first. A version behind
    /// `|` names one; `near` is the guide that asks, whose own comes first.
    pub(super) fn profiles(&self, types: &Types, canonical: &str, near: Option<usize>) -> Vec<Arc<Profile>> {
        let full;
        let (url, version) = split(canonical);
        let url = if url.contains(':') {
            url
        } else {
            full = format!("{HL7}{url}");
            &full
        };
        let Some(entries) = self.profiles.get(url) else { return Vec::new() };
        let version_of = |entry: &Entry<Profile>| self.guides.get(entry.guide).map(|it| &*it.version);
        let named: Vec<&Entry<Profile>> =
            entries.iter().rev().filter(|it| version.is_none() || version_of(it) == version).collect();
        let mut chosen = if named.is_empty() { entries.iter().rev().collect() } else { named };
        if let Some(own) = chosen.iter().copied().find(|it| near == Some(it.guide)) {
            chosen = vec![own];
        }
        chosen.into_iter().filter_map(|it| self.made(types, url, it, 0)).collect()
    }

    fn made(&self, types: &Types, url: &str, entry: &Entry<Profile>, depth: usize) -> Option<Arc<Profile>> {
        let make = || self.make(types, url, entry.guide, depth).map(Arc::new);
        entry.made.get_or_init(make).clone()
    }

    /// The base's tree, with the profile's own lines laid over it.
    fn make(&self, types: &Types, url: &str, guide: usize, depth: usize) -> Option<Profile> {
        let block = self.guides.get(guide)?.profile(url)?;
        let mut lines = block.lines();
        let head: Vec<&str> = lines.next()?.split('\t').collect();
        let [_, _, _, type_name, base] = *head.as_slice() else { return None };
        let of = types.id(type_name)?;
        let mut root = Constraint::default();
        if base.contains(':') || types.id(base).is_none() {
            root = self.base(types, base, guide, depth)?;
        }
        let mut contexts = Vec::new();
        for line in lines {
            let Some((path, fields)) = line.strip_prefix('\t').and_then(|it| it.split_once('\t')) else {
                continue;
            };
            match path {
                "@context" => contexts.push(fields.into()),
                "." => root.lay(fields),
                _ => at_path(types, of, &mut root, path).lay(fields),
            }
        }
        // How often a resource or extension may come is said where it is used.
        root.min = None;
        root.max = None;
        Some(Profile { url: url.into(), type_name: type_name.into(), guide, contexts, root })
    }

    /// The tree of the profile that another is derived from; nothing where it is not loaded, or a circle.
    fn base(&self, types: &Types, base: &str, guide: usize, depth: usize) -> Option<Constraint> {
        if depth > MOST_BASES {
            return None;
        }
        let (url, _) = split(base);
        let url = if url.contains(':') { url.to_owned() } else { format!("{HL7}{url}") };
        let entries = self.profiles.get(&*url)?;
        let entry = entries.iter().find(|it| it.guide == guide).or_else(|| entries.last())?;
        // Not through the cache: two profiles that are each other's base must not wait for themselves.
        self.make(types, &url, entry.guide, depth + 1).map(|it| it.root)
    }

    /// The value set of that URL, the asking guide's own first, then the newest.
    pub(super) fn value_set(&self, canonical: &str, near: Option<usize>) -> Option<&ValueSet> {
        let (url, _) = split(canonical);
        let entries = self.value_sets.get(canonical).or_else(|| self.value_sets.get(url))?;
        // What R4 itself binds is R4's own, whatever guides say of it.
        let near = near.unwrap_or(0);
        let entry = entries.iter().find(|it| near == it.guide).or_else(|| entries.last())?;
        let guide = self.guides.get(entry.guide)?;
        let block = || guide.value_set(canonical).or_else(|| guide.value_set(url));
        entry.made.get_or_init(|| block().map(|block| Arc::new(ValueSet::parse(block)))).as_deref()
    }
}

/// A canonical and its version.
fn split(canonical: &str) -> (&str, Option<&str>) {
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    }
}

pub(super) fn bit(place: usize) -> u128 {
    u32::try_from(place).ok().and_then(|place| 1_u128.checked_shl(place)).unwrap_or(0)
}

/// Walks to the element of a path such as `component:systolic.valueQuantity.code`.
fn at_path<'c>(types: &Types, of: TypeId, root: &'c mut Constraint, path: &str) -> &'c mut Constraint {
    let mut here = root;
    let mut of = Some(of);
    for step in segments(path) {
        let (name, slice) = match step.split_once(':') {
            Some((name, slice)) => (name, Some(slice)),
            None => (step, None),
        };
        let member = of.and_then(|of| types.member(of, name));
        match member {
            // `valueQuantity` is the slice of `value[x]` that is a Quantity.
            Some(member) if member.element.is_choice => {
                here = here.child_mut(&format!("{}[x]", member.element.name)).slice_mut(name);
                of = Some(member.type_id);
            }
            Some(member) => {
                here = here.child_mut(name);
                of = Some(member.type_id);
            }
            None => {
                here = here.child_mut(name);
                of = match of.zip(slice) {
                    Some((of, slice)) if name.ends_with("[x]") => {
                        types.member(of, slice).map(|it| it.type_id)
                    }
                    _ => None,
                };
            }
        }
        if let Some(slice) = slice {
            here = here.slice_mut(slice);
        }
    }
    here
}

/// Splits at dots; a dot inside of a slice's name `a.b` cannot be told apart and does not come.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('.')
}
