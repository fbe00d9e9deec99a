//! `_summary` and `_elements`: part of a resource, and the tag that says so.
//!
//! <https://hl7.org/fhir/R4/search.html#summary>, `#elements`

use crate::fhir::json::{Json, Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::tree::Tree;
use crate::fhir::types::{Element, TypeId, TypeKind, Types};
use crate::search::query::{Query, Summary};

/// Which part of each resource is sent.
pub struct Subset {
    summary: Summary,
    elements: Vec<String>,
}

impl Subset {
    /// As the parameters of a read ask.
    pub(super) fn of(parameters: &[(String, String)]) -> Result<Subset, Outcome> {
        let mut subset = Subset { summary: Summary::False, elements: Vec::new() };
        for (name, value) in parameters {
            match name.as_str() {
                "_summary" => subset.summary = summary(value)?,
                "_elements" => {
                    subset.elements.extend(value.split(',').map(str::trim).map(str::to_owned));
                }
                _ => {}
            }
        }
        Ok(subset)
    }

    /// These elements, and what no resource is without.
    #[must_use]
    pub fn of_elements(elements: Vec<String>) -> Subset {
        Subset { summary: Summary::False, elements }
    }

    /// As a search asks.
    pub(super) fn of_query(query: &Query) -> Subset {
        Subset { summary: query.summary, elements: query.elements.clone() }
    }

    /// The part of a resource that is asked for. The whole resource is not looked into.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn apply(&self, types: &Types, text: String) -> Result<String, Outcome> {
        if self.elements.is_empty() && matches!(self.summary, Summary::False | Summary::Count) {
            return Ok(text);
        }
        let json = Json::parse(text, &Limits::ACCEPTED)?;
        let Some(type_id) = json.root().string("resourceType").and_then(|name| types.id(&name)) else {
            return Ok(json.into_text());
        };
        Ok(self.resource(types, json.root(), type_id).to_json())
    }

    fn resource(&self, types: &Types, root: Node<'_>, type_id: TypeId) -> Tree {
        let mut members = Vec::new();
        for (key, value) in root.members() {
            let Some(key) = key.as_str() else { continue };
            let name = key.strip_prefix('_').unwrap_or(&key);
            match types.member(type_id, name) {
                None => {
                    if name == "resourceType" {
                        members.push((key.into_owned(), Tree::of(value)));
                    }
                }
                Some(member) if self.keeps(member.element) => {
                    let tree = match self.summary {
                        Summary::True => summarised(types, value, member.type_id),
                        _ => Tree::of(value),
                    };
                    members.push((key.into_owned(), tree));
                }
                Some(_) => {}
            }
        }
        let mut tree = Tree::Object(members);
        tag(&mut tree);
        tree
    }

    fn keeps(&self, element: &Element) -> bool {
        let is_always = matches!(&*element.name, "id" | "meta") || element.min > 0;
        let is_asked = self.elements.iter().any(|it| **it == *element.name)
            || (!self.elements.is_empty() && element.is_modifier);
        if !self.elements.is_empty() {
            return is_always || is_asked;
        }
        match self.summary {
            Summary::True => element.is_summary || &*element.name == "meta" || &*element.name == "id",
            Summary::Text => is_always || &*element.name == "text",
            Summary::Data => &*element.name != "text",
            Summary::False | Summary::Count => true,
        }
    }
}

fn summary(value: &str) -> Result<Summary, Outcome> {
    match value {
        "true" => Ok(Summary::True),
        "false" => Ok(Summary::False),
        "text" => Ok(Summary::Text),
        "data" => Ok(Summary::Data),
        _ => Err(Outcome::value("_summary is one of true, false, text, data here").at("_summary")),
    }
}

/// Backbone elements say themselves which of their elements are part of the summary; datatypes are whole.
fn summarised(types: &Types, node: Node<'_>, type_id: TypeId) -> Tree {
    let is_backbone = types.get(type_id).is_some_and(|it| it.kind == TypeKind::Backbone);
    if !is_backbone {
        return Tree::of(node);
    }
    if node.is_array() {
        return Tree::Array(node.items().map(|item| summarised(types, item, type_id)).collect());
    }
    let members = node.members().filter_map(|(key, value)| {
        let key = key.as_str()?;
        let member = types.member(type_id, key.strip_prefix('_').unwrap_or(&key))?;
        let is_kept = member.element.is_summary || member.element.min > 0;
        is_kept.then(|| (key.into_owned(), summarised(types, value, member.type_id)))
    });
    Tree::Object(members.collect())
}

/// The code system of the tag.
pub(super) const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
/// The tag.
pub(super) const CODE: &str = "SUBSETTED";

/// Adds the tag SUBSETTED, so that nobody takes the part for the whole.
pub(super) fn tag(resource: &mut Tree) {
    let subsetted =
        Tree::Object(vec![("system".into(), Tree::string(SYSTEM)), ("code".into(), Tree::string(CODE))]);
    let Tree::Object(members) = resource else { return };
    if !members.iter().any(|(name, _)| name == "meta") {
        let place = members.iter().position(|(name, _)| name != "resourceType" && name != "id");
        members.insert(place.unwrap_or(members.len()), ("meta".into(), Tree::Object(Vec::new())));
    }
    let Some(Tree::Object(meta)) = resource.get_mut("meta") else { return };
    match meta.iter_mut().find(|(name, _)| name == "tag") {
        Some((_, Tree::Array(tags))) if tags.iter().any(|it| it.is_equal(&subsetted)) => {}
        Some((_, Tree::Array(tags))) => tags.push(subsetted),
        _ => meta.push(("tag".into(), Tree::Array(vec![subsetted]))),
    }
}
