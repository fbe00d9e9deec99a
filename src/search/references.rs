//! What a resource refers to, and how its values can be ordered: what includes and orders ask for.

use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::{SearchParameter, SearchParameterKind};
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::fhirpath::Environment;
use crate::fhirpath::value::Item;
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
        let resource_type = resource.resource_type();
        let types = &self.definitions.types;
        let Some(root) = Item::of_resource(types, resource.root()) else { return Vec::new() };
        let environment = Environment::of(types, root.clone());
        let mut found = Vec::new();
        for parameter in reference_parameters(&self.definitions, resource_type) {
            if code.is_some_and(|it| it != &*parameter.code) {
                continue;
            }
            let Some(expression) = &parameter.expression else { continue };
            let items = expression.evaluate(&environment, root.clone()).unwrap_or_default();
            for it in items.iter().filter_map(|it| self.referred(it)) {
                let is_possible = parameter.targets.is_empty() || parameter.targets.contains(&it.0);
                if is_possible && !found.contains(&it) {
                    found.push(it);
                }
            }
        }
        found
    }

    fn referred(&self, item: &Item<'_>) -> Option<(ResourceType, ResourceId)> {
        let Item::Element(element) = item else { return None };
        let node = element.node?;
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
        let mut names: Vec<Arc<str>> = Vec::new();
        for parameter in reference_parameters(&self.definitions, resource_type) {
            let is_meant = code.is_none_or(|it| it == &*parameter.code)
                && (parameter.targets.is_empty() || parameter.targets.contains(&target));
            if is_meant {
                names.extend(self.index_names(resource_type, &parameter.code));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Where the values of the parameter are by which resources of that type are sorted.
    #[must_use]
    pub fn sorted_in(&self, resource_type: ResourceType, code: &str) -> SortedIn {
        match self.definitions.search_parameter(resource_type, code) {
            Some(parameter) if parameter.is_sealed => SortedIn::Resource,
            Some(parameter) => match parameter.kind {
                SearchParameterKind::Date => SortedIn::Dates,
                SearchParameterKind::Number => SortedIn::Numbers,
                _ => SortedIn::Resource,
            },
            None => SortedIn::Resource,
        }
    }
}

fn reference_parameters(
    definitions: &Definitions,
    resource_type: ResourceType,
) -> impl Iterator<Item = &Arc<SearchParameter>> {
    let parameters = definitions.search_parameters(resource_type).iter();
    parameters.filter(|it| it.kind == SearchParameterKind::Reference)
}
