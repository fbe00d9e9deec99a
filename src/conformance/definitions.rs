//! The loaded definitions, by name and by canonical URL; cheap to share.

use super::guide::Guide;
use super::package::{self, PackageError};
use super::rulebook::Rulebook;
use super::search_parameter::{AddedParameter, SearchParameter};
use super::value_set;
use crate::fhir::id::ResourceType;
use crate::fhir::types::Types;
use crate::terminology;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What is legal, and how to find it.
#[derive(Default)]
pub struct Definitions {
    /// The shape of every type.
    pub types: Types,
    pub(super) search_parameters: Vec<Vec<Arc<SearchParameter>>>,
    pub(super) compartments: HashMap<(Box<str>, ResourceType), Vec<Box<str>>>,
    pub(super) guides: Vec<Arc<Guide>>,
    pub(super) problems: Vec<String>,
    pub(super) rulebook: OnceLock<Rulebook>,
    pub(super) derived: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Definitions {
    /// The definitions that come with the program.
    ///
    /// # Errors
    /// The facts in `fhir-profiles/` are broken: a mistake of ours.
    pub fn embedded() -> Result<Definitions, PackageError> {
        package::embedded()
    }

    /// These definitions with more packages: facts, as [`compile::package`](super::compile::package) writes them.
    ///
    /// # Errors
    /// A text does not hold facts.
    pub fn with_packages(&self, packages: &[String]) -> Result<Definitions, PackageError> {
        package::with_packages(self, packages)
    }

    /// These definitions with what a tenant added: packages, and search parameters of its own, as
    /// [`compile::parameter`](super::compile::parameter) writes them. `is_built` says of a type, a code and a
    /// digest whether everything that is stored can be found by it.
    ///
    /// # Errors
    /// A text does not hold facts.
    pub fn with_additions(
        &self,
        packages: &[String],
        parameters: &str,
        is_built: impl Fn(ResourceType, &str, &[u8; 32]) -> bool,
    ) -> Result<Definitions, PackageError> {
        let mut definitions = package::with_packages(self, packages)?;
        package::add_parameters(&mut definitions, parameters)?;
        let lists = ResourceType::all().zip(&mut definitions.search_parameters);
        for (of, parameter) in lists.flat_map(|(of, list)| list.iter_mut().map(move |it| (of, it))) {
            if parameter.is_added {
                let is_building = !is_built(of, &parameter.code, &parameter.digest());
                *parameter = Arc::new(SearchParameter { is_building, ..SearchParameter::clone(parameter) });
            }
        }
        Ok(definitions)
    }

    /// The search parameters that do not come with the program.
    #[must_use]
    pub fn added_parameters(&self) -> Vec<AddedParameter> {
        let lists = ResourceType::all().zip(&self.search_parameters);
        let all = lists.flat_map(|(of, list)| list.iter().map(move |it| (of, it)));
        all.filter(|(_, it)| it.is_added)
            .map(|(resource_type, it)| AddedParameter {
                resource_type,
                code: Arc::clone(&it.code),
                digest: it.digest(),
                url: it.url.clone(),
                is_building: it.is_building,
            })
            .collect()
    }

    /// What of the added packages cannot be used, and why.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The packages that are loaded, R4's own first.
    #[must_use]
    pub fn guides(&self) -> &[Arc<Guide>] {
        &self.guides
    }

    /// A value set of the packages, as far as their facts go: codes without displays.
    #[must_use]
    pub fn value_set(&self, canonical: &str) -> Option<terminology::value_set::ValueSet> {
        let url = canonical.split('|').next().unwrap_or_default();
        let named = |name: &str| self.guides.iter().rev().find_map(|it| it.value_set(name));
        Some(value_set::defined(url, named(canonical).or_else(|| named(url))?))
    }

    /// Compiles every rule, profile and value set now, which otherwise happens when they are first needed: whoever
    /// starts a server does it beside the first requests, so that later ones find everything made.
    pub fn compile(&self) {
        self.rulebook().compile(&self.types);
    }

    /// What validation looks up; made when it is first needed.
    pub(super) fn rulebook(&self) -> &Rulebook {
        self.rulebook.get_or_init(|| Rulebook::new(&self.types, &self.guides))
    }

    /// The search parameters of a type, those of every resource included, by code.
    #[must_use]
    pub fn search_parameters(&self, resource_type: ResourceType) -> &[Arc<SearchParameter>] {
        let place = usize::try_from(resource_type.code()).unwrap_or(usize::MAX);
        self.search_parameters.get(place).map(Vec::as_slice).unwrap_or_default()
    }

    /// The search parameter of a type with that code.
    #[must_use]
    pub fn search_parameter(&self, resource_type: ResourceType, code: &str) -> Option<&Arc<SearchParameter>> {
        let parameters = self.search_parameters(resource_type);
        let place = parameters.binary_search_by(|it| (*it.code).cmp(code)).ok()?;
        parameters.get(place)
    }

    /// The parameters that put a resource of that type into a compartment: `Patient`, `Encounter` …
    #[must_use]
    pub fn compartment(&self, name: &str, resource_type: ResourceType) -> Option<&[Box<str>]> {
        self.compartments.get(&(name.into(), resource_type)).map(Vec::as_slice)
    }

    /// The parameters that put a resource of that type into a patient's compartment.
    #[must_use]
    pub fn patient_compartment(&self, resource_type: ResourceType) -> &[Box<str>] {
        self.compartment("Patient", resource_type).unwrap_or_default()
    }

    /// What another room makes of these definitions: made once, then shared.
    pub fn derived<T: Send + Sync + 'static>(&self, make: impl FnOnce(&Definitions) -> T) -> Arc<T> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = derived.get(&TypeId::of::<T>())
            && let Ok(made) = Arc::clone(made).downcast::<T>()
        {
            return made;
        }
        let made = Arc::new(make(self));
        derived.insert(TypeId::of::<T>(), made.clone());
        made
    }
}
