//! Where an element stands in a tree, and changes there: to the value and its companion at once.

use super::value::Spelled;
use crate::fhir::outcome::Outcome;
use crate::fhir::tree::Tree;
use crate::fhir::types::{Element, TypeId, Types};
use crate::fhirpath::value;

/// The way from the root to an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

impl Place {
    /// The place of an element; of one that has only a companion, the place that its value would have.
    pub(super) fn of(element: &value::Element<'_>) -> Option<Place> {
        let path = element.node.or(element.companion)?.path();
        let mut steps = Vec::new();
        for part in path.split('.').filter(|it| !it.is_empty()) {
            let (name, rest) = part.split_once('[').unwrap_or((part, ""));
            steps.push(Step::Member(name.to_owned()));
            for index in rest.split(['[', ']']).filter(|it| !it.is_empty()) {
                steps.push(Step::Item(index.parse().ok()?));
            }
        }
        if element.node.is_none() {
            let last = steps.iter_mut().rev().find_map(|step| match step {
                Step::Member(name) => Some(name),
                Step::Item(_) => None,
            })?;
            *last = last.strip_prefix('_')?.to_owned();
        }
        Some(Place { steps })
    }

    /// The object that holds it, its name there, and its place among those of the name.
    pub(super) fn split(&self) -> Option<(Place, String, Option<usize>)> {
        let (last, before) = self.steps.split_last()?;
        let (name, index, before) = match last {
            Step::Member(name) => (name, None, before),
            Step::Item(index) => match before.split_last()? {
                (Step::Member(name), before) => (name, Some(*index), before),
                _ => return None,
            },
        };
        Some((Place { steps: before.to_vec() }, name.clone(), index))
    }

    /// The tree at this place.
    pub(super) fn find<'t>(&self, tree: &'t mut Tree) -> Result<&'t mut Tree, Outcome> {
        self.steps.iter().try_fold(tree, |here, step| {
            let next = match (step, here) {
                (Step::Member(name), here) => here.get_mut(name),
                (Step::Item(index), Tree::Array(items)) => items.get_mut(*index),
                _ => None,
            };
            next.ok_or_else(super::nothing_there)
        })
    }

    /// The companion of the primitive at this place, made where there is none.
    pub(super) fn companion<'t>(&self, tree: &'t mut Tree) -> Result<&'t mut Tree, Outcome> {
        let (parent, name, index) = self.split().ok_or_else(super::nothing_there)?;
        let object = parent.find(tree)?;
        let companion = format!("_{name}");
        let Tree::Object(members) = object else { return Err(super::nothing_there()) };
        if !members.iter().any(|(it, _)| *it == companion) {
            let empty = if index.is_some() { Tree::Array(Vec::new()) } else { Tree::Object(Vec::new()) };
            members.push((companion.clone(), empty));
        }
        let found = object.get_mut(&companion).ok_or_else(super::nothing_there)?;
        let Some(index) = index else { return Ok(found) };
        let Tree::Array(items) = found else { return Err(super::nothing_there()) };
        while items.len() <= index {
            items.push(null());
        }
        let item = items.get_mut(index).ok_or_else(super::nothing_there)?;
        if is_null(item) {
            *item = Tree::Object(Vec::new());
        }
        Ok(item)
    }

    /// The type of what stands here.
    pub(super) fn type_id(&self, types: &Types, root: &Tree) -> Option<TypeId> {
        let mut here = root;
        let mut type_id = resource_type(types, root)?;
        for step in &self.steps {
            match step {
                Step::Member(name) => {
                    let plain = name.strip_prefix('_').unwrap_or(name);
                    // Inside a companion are the children of its primitive.
                    type_id = types.member(type_id, plain)?.type_id;
                    here = here.get(name).unwrap_or(here);
                }
                Step::Item(index) => {
                    if let Tree::Array(items) = here {
                        here = items.get(*index).unwrap_or(here);
                    }
                }
            }
            if types.name(type_id) == "Resource"
                && let Some(inner) = resource_type(types, here)
            {
                type_id = inner;
            }
        }
        Some(type_id)
    }
}

fn resource_type(types: &Types, tree: &Tree) -> Option<TypeId> {
    let Tree::Leaf(text) = tree.get("resourceType")? else { return None };
    types.id(text.trim_matches('"'))
}

/// A whole list, which `insert` and `move` change.
pub(super) struct List<'t> {
    pub(super) parent: Place,
    pub(super) name: String,
    pub(super) element: &'t Element,
    pub(super) length: usize,
}

impl<'t> List<'t> {
    /// The list whose items these are: all of them and no others.
    pub(super) fn of(types: &'t Types, tree: &mut Tree, places: &[Place]) -> Result<List<'t>, Outcome> {
        let first = places.first().ok_or_else(super::nothing_there)?;
        let no_list = || Outcome::invalid("path must lead to one whole list");
        let (parent, name, index) = first.split().ok_or_else(no_list)?;
        let type_id = parent.type_id(types, tree).ok_or_else(super::nothing_there)?;
        let element = types.member(type_id, &name).ok_or_else(super::nothing_there)?.element;
        let length = length(parent.find(tree)?, &name);
        let is_whole = index == Some(0)
            && length == places.len()
            && places.iter().enumerate().all(|(position, place)| {
                place.split().is_some_and(|(of, it, at)| of == parent && it == name && at == Some(position))
            });
        if !is_whole || !element.is_list() {
            return Err(no_list());
        }
        Ok(List { parent, name, element, length })
    }
}

/// How many items a list has, counting those that are only companions.
pub(super) fn length(object: &Tree, name: &str) -> usize {
    let side = |name: &str| match object.get(name) {
        Some(Tree::Array(items)) => items.len(),
        Some(_) => 1,
        None => 0,
    };
    side(name).max(side(&format!("_{name}")))
}

/// Puts a value into an object, or into the list of its name.
pub(super) fn put(object: &mut Tree, spelled: Spelled, index: Option<usize>) -> Result<(), Outcome> {
    let length = length(object, &spelled.name);
    let Tree::Object(members) = object else { return Err(super::nothing_there()) };
    let companion_name = format!("_{}", spelled.name);
    for (name, value) in [(spelled.name, spelled.value), (companion_name, spelled.companion)] {
        let at = members.iter().position(|(it, _)| *it == name);
        match index {
            None => {
                members.extend(value.map(|value| (name, value)));
            }
            Some(index) => {
                if at.is_none() && value.is_none() {
                    continue;
                }
                let at = at.unwrap_or_else(|| {
                    members.push((name, Tree::Array(Vec::new())));
                    members.len() - 1
                });
                let Some((_, Tree::Array(items))) = members.get_mut(at) else {
                    return Err(Outcome::structure("an array is expected"));
                };
                while items.len() < length {
                    items.push(null());
                }
                items.insert(index.min(items.len()), value.unwrap_or_else(null));
            }
        }
    }
    tidy(object);
    Ok(())
}

/// Takes a value out of an object, or out of the list of its name.
pub(super) fn take(object: &mut Tree, name: &str, index: Option<usize>) -> Result<Spelled, Outcome> {
    let companion_name = format!("_{name}");
    let Tree::Object(members) = object else { return Err(super::nothing_there()) };
    let mut side = |name: &str| {
        let at = members.iter().position(|(it, _)| it == name)?;
        match (index, members.get_mut(at)) {
            (Some(index), Some((_, Tree::Array(items)))) => {
                (index < items.len()).then(|| items.remove(index))
            }
            _ => Some(members.remove(at).1),
        }
        .filter(|it| !is_null(it))
    };
    let (value, companion) = (side(name), side(&companion_name));
    tidy(object);
    Ok(Spelled { name: name.to_owned(), value, companion })
}

/// Puts a value in the place of another, at the same spot of the object.
pub(super) fn exchange(
    object: &mut Tree,
    name: &str,
    index: Option<usize>,
    spelled: Spelled,
) -> Result<(), Outcome> {
    if index.is_some() {
        take_item(object, name, index);
        return put_item(object, spelled, index);
    }
    let Tree::Object(members) = object else { return Err(super::nothing_there()) };
    let companion_name = format!("_{name}");
    let at = members.iter().position(|(it, _)| it == name || *it == companion_name);
    members.retain(|(it, _)| it != name && *it != companion_name);
    let at = at.unwrap_or(members.len()).min(members.len());
    let companion = spelled.companion.map(|it| (format!("_{}", spelled.name), it));
    let value = spelled.value.map(|it| (spelled.name, it));
    for member in companion.into_iter().chain(value) {
        members.insert(at, member);
    }
    Ok(())
}

/// Leaves a hole where the item was.
fn take_item(object: &mut Tree, name: &str, index: Option<usize>) {
    for name in [name.to_owned(), format!("_{name}")] {
        if let (Some(Tree::Array(items)), Some(index)) = (object.get_mut(&name), index)
            && let Some(item) = items.get_mut(index)
        {
            *item = null();
        }
    }
}

/// Fills a hole.
fn put_item(object: &mut Tree, spelled: Spelled, index: Option<usize>) -> Result<(), Outcome> {
    let index = index.unwrap_or(0);
    let Tree::Object(members) = object else { return Err(super::nothing_there()) };
    let companion_name = format!("_{}", spelled.name);
    for (name, value) in [(spelled.name, spelled.value), (companion_name, spelled.companion)] {
        let Some(value) = value else { continue };
        let at = members.iter().position(|(it, _)| *it == name).unwrap_or_else(|| {
            members.push((name, Tree::Array(Vec::new())));
            members.len() - 1
        });
        let Some((_, Tree::Array(items))) = members.get_mut(at) else {
            return Err(Outcome::structure("an array is expected"));
        };
        while items.len() <= index {
            items.push(null());
        }
        if let Some(item) = items.get_mut(index) {
            *item = value;
        }
    }
    tidy(object);
    Ok(())
}

/// A list of nothing but holes goes.
fn tidy(object: &mut Tree) {
    if let Tree::Object(members) = object {
        members.retain(|(_, value)| !matches!(value, Tree::Array(items) if items.iter().all(is_null)));
    }
}

fn null() -> Tree {
    Tree::Leaf("null".to_owned())
}

fn is_null(tree: &Tree) -> bool {
    matches!(tree, Tree::Leaf(text) if text == "null")
}
