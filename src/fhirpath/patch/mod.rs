//! FHIRPath Patch.
//!
//! <https://hl7.org/fhir/R4/fhirpatch.html>
//!
//! All or nothing: the first operation that fails refuses the whole patch, and the location names it.
//! Values are spelled as the element's type asks (`value[x]` becomes `valueQuantity`, a backbone
//! element is built of parts); whether the result is a valid resource is validation's question.

mod place;
mod value;

use super::value::Item;
use super::{Environment, Expression};
use crate::fhir::json::{Json, Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::tree::Tree;
use crate::fhir::types::Types;
use place::Place;
use value::Given;

/// The most operations in one patch.
const MOST_OPERATIONS: usize = 1_000;

/// The most text that one patch may read again: its operations times the resource's length.
const MOST_BYTES: usize = 512 << 20;

/// Applies a patch to a resource: the new text.
///
/// # Errors
/// The patch is not one, or an operation cannot be done: then nothing is.
pub fn apply(types: &Types, resource: &Resource, patch: &Resource) -> Result<String, Outcome> {
    if patch.resource_type().name() != "Parameters" {
        return Err(Outcome::structure("a FHIRPath Patch is a Parameters resource"));
    }
    let operations = || patch.root().get("parameter").into_iter().flat_map(Node::items);
    let count = operations().count();
    if count > MOST_OPERATIONS || count.saturating_mul(resource.text().len()) > MOST_BYTES {
        return Err(Outcome::too_costly("too many operations in one patch"));
    }
    let mut text = resource.text().to_owned();
    for (position, operation) in operations().enumerate() {
        text = run(types, text, operation)
            .map_err(|outcome| outcome.at(format!("Parameters.parameter[{position}]")))?;
    }
    Ok(text)
}

fn run(types: &Types, text: String, parameter: Node<'_>) -> Result<String, Outcome> {
    if !parameter.get("name").is_some_and(|it| it.is("operation")) {
        return Err(Outcome::value("only parameters of the name operation are known"));
    }
    let operation = Operation { types, parameter };
    let path = operation.text("path")?;
    let json = Json::parse(text, &Limits::default())?;
    let places = places(types, &json, &path)?;
    let mut tree = Tree::from(&json);
    match operation.text("type")?.as_str() {
        "add" => add(&operation, &mut tree, &places)?,
        "insert" => insert(&operation, &mut tree, &places)?,
        "delete" => delete(&mut tree, &places)?,
        "replace" => replace(&operation, &mut tree, &places)?,
        "move" => move_within(&operation, &mut tree, &places)?,
        _ => return Err(Outcome::value("type is one of add, insert, delete, replace, move")),
    }
    // FHIR has no empty arrays or objects: what the operation emptied goes.
    tree.prune();
    Ok(tree.to_json())
}

/// One operation of a patch.
struct Operation<'t, 'p> {
    types: &'t Types,
    parameter: Node<'p>,
}

impl<'t, 'p> Operation<'t, 'p> {
    fn part(&self, name: &str) -> Option<Node<'p>> {
        let mut parts = self.parameter.get("part").into_iter().flat_map(Node::items);
        parts.find(|it| it.get("name").is_some_and(|it| it.is(name)))
    }

    /// A part's value as text: a string, code or whatever is spelled as one.
    fn text(&self, name: &str) -> Result<String, Outcome> {
        let missing = || Outcome::required(format!("the part {name} is missing"));
        let part = self.part(name).ok_or_else(missing)?;
        let value = part.members().find(|(key, _)| key.as_str().is_some_and(|key| key.starts_with("value")));
        let text = value.and_then(|(_, value)| value.as_str());
        text.map(std::borrow::Cow::into_owned).ok_or_else(missing)
    }

    /// A part's value as a place in a list.
    fn index(&self, name: &str) -> Result<usize, Outcome> {
        let part = self.part(name).ok_or_else(|| Outcome::required(format!("the part {name} is missing")))?;
        let number = part.get("valueInteger").and_then(Node::as_number).and_then(|it| it.parse().ok());
        number.ok_or_else(|| Outcome::value(format!("{name} is not a whole number from 0")))
    }

    fn value(&self) -> Result<Given<'t, 'p>, Outcome> {
        let part = self.part("value").ok_or_else(|| Outcome::required("the part value is missing"))?;
        Ok(Given { types: self.types, part })
    }
}

/// Where the elements that a path finds stand.
fn places(types: &Types, json: &Json, path: &str) -> Result<Vec<Place>, Outcome> {
    let expression = Expression::parse(path).map_err(|error| Outcome::value(format!("path: {error}")))?;
    let focus = Item::of_resource(types, json.root())
        .ok_or_else(|| Outcome::structure("resourceType is not a resource type of R4"))?;
    let env = Environment::of(types, focus.clone());
    let found =
        expression.evaluate(&env, focus).map_err(|error| Outcome::invalid(format!("path: {error}")))?;
    let place = |item: &Item<'_>| match item {
        Item::Element(element) => Place::of(element),
        Item::Value(_) => None,
    };
    let places: Option<Vec<Place>> = found.iter().map(place).collect();
    places.ok_or_else(|| Outcome::invalid("path leads to a value that stands nowhere in the resource"))
}

fn only(places: &[Place]) -> Result<&Place, Outcome> {
    match places {
        [place] => Ok(place),
        [] => Err(Outcome::invalid("there is nothing at that path")),
        _ => Err(Outcome::invalid("there are several elements at that path, one is expected")),
    }
}

fn add(operation: &Operation<'_, '_>, tree: &mut Tree, places: &[Place]) -> Result<(), Outcome> {
    let types = operation.types;
    let parent = only(places)?;
    let name = operation.text("name")?;
    let type_id = parent.type_id(types, tree).ok_or_else(nothing_there)?;
    let element = value::element_named(types, type_id, &name)
        .ok_or_else(|| Outcome::value("the element has no child of that name"))?;
    let spelled = operation.value()?.spelled(element, &name)?;
    let object = if types.is_primitive(type_id) { parent.companion(tree)? } else { parent.find(tree)? };
    let is_taken = value::spellings(types, element)
        .any(|it| object.get(&it).is_some() || object.get(&format!("_{it}")).is_some());
    if element.is_list() {
        let end = place::length(object, &spelled.name);
        return place::put(object, spelled, Some(end));
    }
    if is_taken {
        return Err(Outcome::invalid("the element is there already and may stand only once"));
    }
    place::put(object, spelled, None)
}

fn insert(operation: &Operation<'_, '_>, tree: &mut Tree, places: &[Place]) -> Result<(), Outcome> {
    let index = operation.index("index")?;
    let list = place::List::of(operation.types, tree, places)?;
    if index > list.length {
        return Err(Outcome::invalid("index is beyond the end of the list"));
    }
    let spelled = operation.value()?.spelled(list.element, &list.name)?;
    place::put(list.parent.find(tree)?, spelled, Some(index))
}

/// Nothing to delete is no failure: the element is gone.
fn delete(tree: &mut Tree, places: &[Place]) -> Result<(), Outcome> {
    if places.is_empty() {
        return Ok(());
    }
    let (parent, name, index) = only(places)?.split().ok_or_else(whole)?;
    place::take(parent.find(tree)?, &name, index).map(drop)
}

fn replace(operation: &Operation<'_, '_>, tree: &mut Tree, places: &[Place]) -> Result<(), Outcome> {
    let types = operation.types;
    let (parent, name, index) = only(places)?.split().ok_or_else(whole)?;
    let type_id = parent.type_id(types, tree).ok_or_else(nothing_there)?;
    let member = types.member(type_id, &name).ok_or_else(nothing_there)?;
    let spelled = operation.value()?.spelled(member.element, &name)?;
    let object = parent.find(tree)?;
    place::exchange(object, &name, index, spelled)
}

fn move_within(operation: &Operation<'_, '_>, tree: &mut Tree, places: &[Place]) -> Result<(), Outcome> {
    let (source, destination) = (operation.index("source")?, operation.index("destination")?);
    let list = place::List::of(operation.types, tree, places)?;
    if source >= list.length || destination >= list.length {
        return Err(Outcome::invalid("source or destination is beyond the end of the list"));
    }
    let object = list.parent.find(tree)?;
    let moved = place::take(object, &list.name, Some(source))?;
    place::put(object, moved, Some(destination))
}

fn nothing_there() -> Outcome {
    Outcome::invalid("there is nothing at that path")
}

fn whole() -> Outcome {
    Outcome::invalid("the whole resource cannot be deleted or replaced")
}

#[cfg(test)]
mod tests;
