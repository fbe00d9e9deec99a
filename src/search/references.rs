//! What a resource refers to, and how its values can be ordered: what includes and orders ask for.

use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::search::parameters::{AllParameters, Found, Parameter, TypeParameters};
use crate::search::verify::Verifier;
use std::sync::Arc;

/// Where the values of a parameter are that a search is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortedIn {
    /// Among [`crate::search::index::Index::dates`].
    Dates,
    /// Among [`crate::search::index::Index::numbers`], without a unit.
    Numbers,
    /// Only in the resource itself.
    Resource,
}

impl Verifier {
    /// The resources of this server that the resource refers to: under the parameter of that code, or, where
    /// none is named, under any. Each once, in order of appearance.
    #[must_use]
    pub fn references(&self, resource: &Resource, code: Option<&str>) -> Vec<(ResourceType, ResourceId)> {
        let all = AllParameters::of(&self.definitions);
        let mut found = Vec::new();
        for parameter in reference_parameters(all.of_type(resource.resource_type())) {
            if code.is_some_and(|it| it != &**parameter.code()) {
                continue;
            }
            let targets = &parameter.definition.targets;
            parameter.source.each(&self.definitions.types, resource.root(), &mut |value| {
                let Some(it) = self.referred(value) else { return };
                let is_possible = targets.is_empty() || targets.contains(&it.0);
                if is_possible && !found.contains(&it) {
                    found.push(it);
                }
            });
        }
        found
    }

    fn referred(&self, found: Found<'_>) -> Option<(ResourceType, ResourceId)> {
        let Found::Element(node, _) = found else { return None };
        let text = if node.is_object() { node.string("reference")? } else { node.as_str()? };
        match Reference::parse(&text)? {
            Reference::Resource { base, resource_type, id, .. } => {
                base.is_none_or(|it| it == &*self.base).then_some((resource_type, id))
            }
            _ => None,
        }
    }

    /// The index names of the reference parameters of a type: of one, or of all that may refer to the target.
    #[must_use]
    pub fn reference_names(
        &self,
        resource_type: ResourceType,
        code: Option<&str>,
        target: ResourceType,
    ) -> Vec<Arc<str>> {
        let all = AllParameters::of(&self.definitions);
        let parameters = all.of_type(resource_type);
        let mut names = Vec::new();
        for parameter in reference_parameters(parameters) {
            let targets = &parameter.definition.targets;
            let is_meant = code.is_none_or(|it| it == &**parameter.code())
                && (targets.is_empty() || targets.contains(&target));
            for owner in parameters.owners(parameter).filter(|_| is_meant) {
                if !names.contains(owner.code()) {
                    names.push(owner.code().clone());
                }
            }
        }
        names
    }

    /// Where the values of the parameter are by which resources of that type are sorted.
    #[must_use]
    pub fn sorted_in(&self, resource_type: ResourceType, code: &str) -> SortedIn {
        let all = AllParameters::of(&self.definitions);
        let parameters = all.of_type(resource_type);
        let Some(parameter) = parameters.get(code) else { return SortedIn::Resource };
        let mut owners = parameters.owners(parameter);
        let is_own = owners.all(|it| it.code() == parameter.code());
        match parameter.kind() {
            // Sealed, or entered under other names: the values are in the resource alone.
            _ if parameter.definition.is_sealed || !is_own => SortedIn::Resource,
            SearchParameterKind::Date => SortedIn::Dates,
            SearchParameterKind::Number => SortedIn::Numbers,
            _ => SortedIn::Resource,
        }
    }
}

fn reference_parameters(parameters: &TypeParameters) -> impl Iterator<Item = &Parameter> {
    parameters.list.iter().filter(|it| it.kind() == SearchParameterKind::Reference)
}
