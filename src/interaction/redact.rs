//! Minimum necessary: the elements that a role does not see are left out of whatever it is shown, and it can neither
//! search nor sort by them, nor write over them what it did not see.
//!
//! The narrative repeats what the elements say, and contained resources are there for elements that refer to them:
//! both go with the first element that is left out.

use super::context::Context;
use super::subset;
use crate::access::permit::{Permit, Permitted};
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::ResourceType;
use crate::fhir::json::{Json, Limits};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::tree::Tree;
use crate::search::predicate::Predicate;
use crate::search::query::Query;
use crate::search::sort::SortBy;
use crate::store::resources::Stored;
use std::collections::HashSet;
use std::sync::Arc;

/// Elements that go with any other.
const BESIDE: [&str; 2] = ["text", "contained"];

/// What of a version may be shown.
pub(super) fn shown(ctx: &Context, permit: &Permit, stored: Stored) -> Result<Stored, Outcome> {
    let hidden = permit.hidden(stored.resource_type);
    if hidden.is_empty() || stored.is_deleted() {
        return Ok(stored);
    }
    let types = &ctx.definitions().types;
    let json = Json::parse(stored.text.as_str(), &Limits::ACCEPTED)?;
    let type_id = types.id(stored.resource_type.name());
    let type_id =
        type_id.ok_or_else(|| Outcome::exception("a stored resource is of no type that is known"))?;
    let is_hidden = |key: &str| {
        let name = key.strip_prefix('_').unwrap_or(key);
        let element = types.member(type_id, name).map(|it| &*it.element.name);
        let is = |it: &str| it == name || element.is_some_and(|element| element == it);
        BESIDE.contains(&name) || hidden.iter().any(|it| is(it))
    };
    let mut tree = Tree::of(json.root());
    let Tree::Object(members) = &mut tree else { return Ok(stored) };
    members.retain(|(key, _)| !is_hidden(key));
    // Also where nothing was there to leave out: that there was nothing is not to be seen either.
    subset::tag(&mut tree);
    Ok(Stored { text: tree.to_json(), is_partial: true, ..stored })
}

/// The search under the permit, if it asks nothing about what is not shown.
pub(super) fn asked(ctx: &Context, permit: &Permit, query: &Query) -> Result<Permitted<Query>, Outcome> {
    if !permit.hides_anything() {
        return Ok(permit.search(query.clone()));
    }
    let eyes = Eyes { ctx, permit };
    let types = &query.resource_types;
    let sorts_by_hidden = query.sort.iter().any(|key| match &key.by {
        SortBy::Parameter(code) => types.iter().any(|it| eyes.hidden(*it).codes.contains(&**code)),
        SortBy::Id | SortBy::LastUpdated => false,
    });
    let follows_hidden = query.includes.iter().any(|include| match (&include.source, &include.parameter) {
        (Some(source), Some(parameter)) => eyes.hidden(*source).codes.contains(&**parameter),
        _ => false,
    });
    let asks_hidden = types.iter().any(|it| eyes.asks(*it, &query.filter));
    if sorts_by_hidden || follows_hidden || asks_hidden {
        return Err(super::permission::denied("the search asks about elements that the role does not see"));
    }
    let mut query = query.clone();
    // Everything that is referred to, also by what is not shown.
    query.includes.retain(|it| it.parameter.is_some());
    Ok(permit.search(query))
}

/// A resource of which a part was left out is not put over the whole.
pub(super) fn whole(permit: &Permit, resource: &Resource) -> Result<(), Outcome> {
    let tags = resource.root().get("meta").and_then(|it| it.get("tag"));
    let is_part = tags.into_iter().flat_map(|it| it.items()).any(|it| {
        it.string("code").is_some_and(|it| it == subset::CODE)
            && it.string("system").is_some_and(|it| it == subset::SYSTEM)
    });
    if is_part || !permit.hidden(resource.resource_type()).is_empty() {
        let reason = "only a part of the resource was shown, which cannot take the place of the whole";
        return Err(Outcome::business_rule(reason).at(format!("{}.meta.tag", resource.resource_type())));
    }
    Ok(())
}

/// What the role does not see, as searches name it.
struct Eyes<'a> {
    ctx: &'a Context,
    permit: &'a Permit,
}

/// The parameters of a type that read what is not shown.
#[derive(Default)]
struct Unseen {
    codes: HashSet<Arc<str>>,
    /// The names of their entries in the index.
    names: HashSet<Arc<str>>,
    has_any: bool,
}

impl Eyes<'_> {
    fn hidden(&self, resource_type: ResourceType) -> Unseen {
        let elements = self.permit.hidden(resource_type);
        let mut unseen = Unseen { has_any: !elements.is_empty(), ..Unseen::default() };
        if elements.is_empty() {
            return unseen;
        }
        for parameter in self.ctx.definitions().search_parameters(resource_type) {
            let expression = parameter.expression.as_ref().map_or("", |it| it.text());
            let components = parameter.components.iter().map(|(_, it)| it.text());
            let reads = components.chain([expression]).any(|it| elements.iter().any(|of| names(it, of)));
            if reads {
                unseen.codes.insert(Arc::clone(&parameter.code));
                if parameter.kind != SearchParameterKind::Composite {
                    unseen.names.extend(self.ctx.verifier().index_names(resource_type, &parameter.code));
                }
            }
        }
        unseen
    }

    /// Whether a condition on resources of that type is about what is not shown.
    fn asks(&self, resource_type: ResourceType, predicate: &Predicate) -> bool {
        let unseen = self.hidden(resource_type);
        let is_hidden = |name: &Arc<str>| unseen.names.contains(name) || unseen.codes.contains(name);
        match predicate {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().any(|it| self.asks(resource_type, it))
            }
            Predicate::Not(inner) => self.asks(resource_type, inner),
            Predicate::Key(key) => {
                is_hidden(&key.parameter) || (unseen.has_any && &*key.parameter == "_text")
            }
            Predicate::Date { parameter, .. } | Predicate::Number { parameter, .. } => is_hidden(parameter),
            Predicate::Missing(code) => is_hidden(code),
            Predicate::Verify(criterion) => {
                let is_text = matches!(&*criterion.parameter, "_content" | "_text");
                is_hidden(&criterion.parameter) || (unseen.has_any && is_text)
            }
            Predicate::References { parameter, target, inner } => {
                is_hidden(parameter) || self.asks(*target, inner)
            }
            Predicate::ReferencedBy { source, parameter, inner } => {
                let there = self.hidden(*source);
                there.names.contains(parameter)
                    || there.codes.contains(parameter)
                    || self.asks(*source, inner)
            }
            _ => false,
        }
    }
}

/// Whether an expression goes through that element.
fn names(expression: &str, element: &str) -> bool {
    expression.match_indices(element).any(|(place, _)| {
        let before = expression.get(..place).and_then(|it| it.chars().next_back());
        let after = expression.get(place + element.len()..).and_then(|it| it.chars().next());
        before == Some('.') && !after.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_expression_names_an_element_as_a_whole() {
        assert!(names("Patient.contact", "contact") && names("(Condition.onset as Age)", "onset"));
        assert!(!names("Patient.contactPoint", "contact") && !names("Observation.value.note", "not"));
    }
}
