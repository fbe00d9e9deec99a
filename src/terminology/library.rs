//! What is at hand: code systems, value sets and concept maps, by canonical URL.

use super::code_system::CodeSystem;
use super::concept_map::ConceptMap;
use super::value_set::ValueSet;
use crate::fhir::resource::Resource;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The code systems, value sets and concept maps that somebody found.
#[derive(Clone, Debug, Default)]
pub struct Library {
    code_systems: HashMap<String, Vec<Arc<CodeSystem>>>,
    value_sets: HashMap<String, Vec<Arc<ValueSet>>>,
    concept_maps: Vec<Arc<ConceptMap>>,
    supplements: Vec<Arc<CodeSystem>>,
}

/// What a value set is made of and what the library does not have (yet).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Canonicals of code systems.
    pub code_systems: BTreeSet<String>,
    /// Canonicals of value sets.
    pub value_sets: BTreeSet<String>,
    /// Codes that are named, with their systems.
    pub codes: BTreeSet<(String, String)>,
    /// Codes below which everything is asked for, with their systems.
    pub roots: BTreeSet<(String, String)>,
}

impl Library {
    /// Adds a CodeSystem, ValueSet or ConceptMap; anything else is left out.
    pub fn add(&mut self, resource: &Resource) {
        match resource.resource_type().name() {
            "CodeSystem" => drop(CodeSystem::read(resource.root()).map(|it| self.add_code_system(it))),
            "ValueSet" => self.add_value_set(ValueSet::read(resource.root())),
            "ConceptMap" => self.concept_maps.push(Arc::new(ConceptMap::read(resource.root()))),
            _ => {}
        }
    }

    /// Adds a code system.
    pub fn add_code_system(&mut self, system: CodeSystem) {
        if let Some(supplemented) = &system.supplements {
            let (url, _) = split(supplemented);
            for base in self.code_systems.get_mut(url).into_iter().flatten() {
                Arc::make_mut(base).supplement(&system);
            }
            self.supplements.push(Arc::new(system));
            return;
        }
        let mut system = system;
        for supplement in &self.supplements {
            if supplement.supplements.as_deref().is_some_and(|it| split(it).0 == system.url) {
                system.supplement(supplement);
            }
        }
        let versions = self.code_systems.entry(system.url.clone()).or_default();
        if !versions.iter().any(|it| it.version == system.version) {
            versions.push(Arc::new(system));
        }
    }

    /// Adds what another library has.
    pub fn merge(&mut self, other: Library) {
        for system in other.supplements.into_iter().chain(other.code_systems.into_values().flatten()) {
            self.add_code_system(Arc::unwrap_or_clone(system));
        }
        for value_set in other.value_sets.into_values().flatten() {
            self.add_value_set(Arc::unwrap_or_clone(value_set));
        }
        self.concept_maps.extend(other.concept_maps);
    }

    /// Whether that is the URL of a supplement, which adds to another code system and is none itself.
    #[must_use]
    pub fn is_supplement(&self, url: &str) -> bool {
        self.supplements.iter().any(|it| it.url == url)
    }

    /// Adds a value set.
    pub fn add_value_set(&mut self, value_set: ValueSet) {
        let versions = self.value_sets.entry(value_set.url.clone()).or_default();
        if !versions.iter().any(|it| it.version == value_set.version) {
            versions.push(Arc::new(value_set));
        }
    }

    /// A code system by `url` or `url|version`; of several versions the greatest.
    #[must_use]
    pub fn code_system(&self, canonical: &str) -> Option<&Arc<CodeSystem>> {
        let (url, version) = split(canonical);
        pick(self.code_systems.get(url)?, version, |it| it.version.as_deref())
    }

    /// A value set by `url` or `url|version`; of several versions the greatest.
    #[must_use]
    pub fn value_set(&self, canonical: &str) -> Option<&Arc<ValueSet>> {
        let (url, version) = split(canonical);
        pick(self.value_sets.get(url)?, version, |it| it.version.as_deref())
    }

    /// The concept maps.
    #[must_use]
    pub fn concept_maps(&self) -> &[Arc<ConceptMap>] {
        &self.concept_maps
    }

    /// What this value set needs and is not here, as far as can be seen from what is here.
    #[must_use]
    pub fn lacking(&self, value_set: &ValueSet) -> Lacking {
        let (mut lacking, mut seen) = (Lacking::default(), BTreeSet::new());
        self.collect(value_set, &mut lacking, &mut seen);
        lacking
    }

    fn collect(&self, value_set: &ValueSet, lacking: &mut Lacking, seen: &mut BTreeSet<String>) {
        for clause in value_set.clauses() {
            if let Some(system) = &clause.system {
                let canonical = canonical(system, clause.version.as_deref());
                if self.code_system(&canonical).is_none() {
                    lacking.code_systems.insert(canonical);
                }
                lacking.codes.extend(clause.concepts.iter().map(|it| (system.clone(), it.code.clone())));
                for filter in &clause.filters {
                    let named = (system.clone(), filter.value.clone());
                    match (filter.operator.as_str(), filter.property.as_str()) {
                        ("is-a" | "descendent-of" | "child-of" | "descendent-leaf", _) | ("=", "parent") => {
                            lacking.roots.insert(named);
                        }
                        ("generalizes", _) | ("=", "child") => drop(lacking.codes.insert(named)),
                        _ => {}
                    }
                }
            }
            for url in &clause.value_sets {
                match self.value_set(url) {
                    None => drop(lacking.value_sets.insert(url.clone())),
                    Some(it) if seen.insert(url.clone()) => self.collect(it, lacking, seen),
                    Some(_) => {}
                }
            }
        }
    }
}

/// `url|version`, or `url` where there is none.
#[must_use]
pub fn canonical(url: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{url}|{version}"),
        None => url.to_owned(),
    }
}

/// The URL and the version of a canonical.
#[must_use]
pub fn split(canonical: &str) -> (&str, Option<&str>) {
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    }
}

fn pick<'a, T>(
    versions: &'a [Arc<T>],
    version: Option<&str>,
    version_of: impl Fn(&T) -> Option<&str>,
) -> Option<&'a Arc<T>> {
    match version {
        Some(version) => versions.iter().find(|it| version_of(it) == Some(version)),
        None => versions.iter().max_by_key(|it| order(version_of(it).unwrap_or_default())),
    }
}

/// Versions in order: numbers by value, the rest by letter.
pub(super) fn order(version: &str) -> Vec<(u64, String)> {
    let parts = version.split(['.', '-', '_']);
    parts.map(|it| (it.parse().unwrap_or(0), it.to_owned())).collect()
}
