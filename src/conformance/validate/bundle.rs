//! Bundles: entries by full URL, and what holds between them.
//!
//! <https://hl7.org/fhir/R4/bundle.html>

use super::Mode;
use super::value::Value;
use super::walk::{Place, Walk};
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use std::collections::{HashMap, HashSet};

/// Links of which a page has one: which search it is the answer to, and where the others are.
const PAGING: &[&str] = &["self", "first", "previous", "prev", "next", "last"];

/// "The document bundle SHALL include" what these lead to. <https://hl7.org/fhir/R4/documents.html#content>
const PRESENTED: &[&str] = &["subject", "encounter", "author", "custodian"];

/// The resources that stand beside one another, by full URL.
#[derive(Default)]
pub(super) struct Neighbours<'a> {
    by_url: HashMap<String, Node<'a>>,
    /// Full URLs that come more than once, in a bundle where a reference must mean one.
    repeated: HashSet<String>,
}

impl<'a> Neighbours<'a> {
    /// Those of a bundle, or of Parameters, where a resource has no URL but its type and id.
    pub(super) fn of(holder: Node<'a>) -> Neighbours<'a> {
        let mut neighbours = Neighbours::default();
        let is_one_picture =
            holder.get("type").is_some_and(|it| ["document", "message"].iter().any(|name| it.is(name)));
        for entry in items(holder, "entry") {
            let (Some(url), Some(resource)) = (entry.string("fullUrl"), entry.get("resource")) else {
                continue;
            };
            if neighbours.by_url.insert(url.clone().into_owned(), resource).is_some() && is_one_picture {
                neighbours.repeated.insert(url.into_owned());
            }
        }
        for resource in items(holder, "parameter").filter_map(|it| it.get("resource")) {
            if let (Some(of), Some(id)) = (resource.string("resourceType"), resource.string("id")) {
                neighbours.by_url.insert(format!("{of}/{id}"), resource);
            }
        }
        neighbours
    }
}

fn items<'n>(of: Node<'n>, name: &str) -> impl Iterator<Item = Node<'n>> + use<'n> {
    of.get(name).into_iter().flat_map(Node::items)
}

impl<'a> Walk<'_, 'a> {
    /// "If multiple matches are found, it is ambiguous which is correct."
    pub(super) fn ambiguous(&mut self, node: Node<'a>, place: Place<'a>) {
        let Some(neighbours) = self.bundles.last().filter(|it| !it.repeated.is_empty()) else { return };
        let Some(reference) = node.get("reference") else { return };
        let Some(text) = reference.as_str().filter(|it| !it.contains("/_history/")) else { return };
        let url = neighbours.full_url(&text, place);
        if url.is_some_and(|it| neighbours.repeated.contains(&it)) {
            let message = "several entries of the bundle answer to this reference";
            self.complain(reference, IssueType::MultipleMatches, "", message);
        }
    }

    /// The entry that a reference from another entry means: by its full URL, or relative to the base of the full
    /// URL of the entry that refers.
    pub(super) fn in_bundle(&self, reference: &str, place: Place<'a>) -> Option<Node<'a>> {
        let neighbours = self.bundles.last()?;
        neighbours.by_url.get(&neighbours.full_url(reference, place)?).copied()
    }

    /// What holds for the whole bundle.
    pub(super) fn bundle(&mut self, bundle: Node<'a>) {
        let kind = bundle.string("type").unwrap_or_default().into_owned();
        if self.mode >= Mode::Full {
            self.links(bundle);
            match kind.as_str() {
                "searchset" => self.found(bundle),
                "document" => self.document(bundle),
                "message" => self.message(bundle),
                _ => {}
            }
        }
        for entry in bundle.get("entry").into_iter().flat_map(Node::items) {
            let Some(full_url) = entry.get("fullUrl") else { continue };
            let Some(text) = full_url.as_str() else { continue };
            if !text.contains(':') {
                self.about_full_url(&kind, full_url, "a full URL must be absolute");
            }
            if let Some(resource) = entry.get("resource")
                && let Some(Reference::Resource { base: Some(_), resource_type, id, .. }) =
                    Reference::parse(&text)
                && kind != "transaction"
                && kind != "batch"
            {
                let is_own_type = resource.get("resourceType").is_some_and(|it| it.is(resource_type.name()));
                let is_own_id = resource.get("id").is_none_or(|it| it.is(id.as_str()));
                if !is_own_type || !is_own_id {
                    self.about_full_url(
                        &kind,
                        full_url,
                        "the full URL does not name the resource of its entry",
                    );
                }
            }
        }
    }

    fn links(&mut self, bundle: Node<'a>) {
        let mut seen: Vec<String> = Vec::new();
        for link in items(bundle, "link") {
            let Some(relation) = link.string("relation") else { continue };
            if seen.contains(&relation.clone().into_owned()) && PAGING.contains(&&*relation) {
                self.complain(link, IssueType::Structure, "", "a page has one link of this relation");
            }
            seen.push(relation.into_owned());
        }
    }

    /// What a search has found: resources that exist, of the types that were searched.
    fn found(&mut self, bundle: Node<'a>) {
        let link = items(bundle, "link").find(|it| it.get("relation").is_some_and(|it| it.is("self")));
        let searched = link.and_then(|it| it.string("url")).map(|it| searched(&it)).unwrap_or_default();
        for entry in items(bundle, "entry") {
            let Some(resource) = entry.get("resource") else { continue };
            let of = resource.string("resourceType").unwrap_or_default();
            let mode = entry.get("search").and_then(|it| it.string("mode"));
            if mode.as_deref() == Some("outcome") && of != "OperationOutcome" {
                let message = "an entry about the search itself is an OperationOutcome";
                self.complain(resource, IssueType::Structure, "", message);
            }
            if mode.as_deref() == Some("match")
                && !searched.is_empty()
                && !searched.iter().any(|it| *it == of)
            {
                let message = "a match is of a type that was searched";
                self.complain(resource, IssueType::Structure, "", message);
            }
            // "The only time that a resource does not have an id is when it is being submitted using a create."
            if of != "OperationOutcome" && resource.get("id").is_none() {
                self.complain(resource, IssueType::Required, "", "what a search finds has an id");
            }
        }
    }

    fn document(&mut self, bundle: Node<'a>) {
        let Some(composition) = first(bundle, "Composition") else { return };
        let mut presented: Vec<Node<'a>> =
            PRESENTED.iter().filter_map(|it| composition.get(it)).flat_map(Node::each).collect();
        presented.extend(items(composition, "attester").filter_map(|it| it.get("party")));
        let mut sections: Vec<Node<'a>> = items(composition, "section").collect();
        while let Some(section) = sections.pop() {
            presented.extend(
                ["author", "focus", "entry"].iter().filter_map(|it| section.get(it)).flat_map(Node::each),
            );
            sections.extend(items(section, "section"));
        }
        let message = "a document holds what its composition refers to here";
        self.come_along(&presented, composition, message);
    }

    /// "The transaction data is always included in the bundle that is the full message."
    fn message(&mut self, bundle: Node<'a>) {
        let Some(header) = first(bundle, "MessageHeader") else { return };
        let focus: Vec<Node<'a>> = items(header, "focus").collect();
        self.come_along(&focus, header, "a message holds what it is about");
    }

    fn come_along(&mut self, references: &[Node<'a>], from: Node<'a>, message: &str) {
        let (Some(reference), Some(resource_type)) =
            (self.known.reference, from.string("resourceType").and_then(|it| self.types.id(&it)))
        else {
            return;
        };
        let place = Place { root: from, resource: from, resource_type };
        for node in references {
            let is_literal = node.string("reference").is_some_and(|it| !it.starts_with('#'));
            if is_literal && self.resolve(Value::of(*node, reference), place).is_none() {
                self.complain(*node, IssueType::NotFound, "", message);
            }
        }
    }

    /// What a search has found is someone else's word about their server: worth a warning.
    fn about_full_url(&mut self, kind: &str, full_url: Node<'a>, message: &str) {
        match kind {
            "searchset" => self.warn(full_url, IssueType::Value, "", message),
            _ => self.complain(full_url, IssueType::Value, "", message),
        }
    }

    /// `dom-2` to `dom-5`: what is contained holds nothing itself, has no version, time or label of its own, and is
    /// referred to.
    pub(super) fn contained(&mut self, node: Node<'a>, place: Place<'a>) {
        let Some(contained) = node.get("contained").filter(|it| it.is_array()) else { return };
        for inner in contained.items() {
            if !node.is_same(place.root) || inner.get("contained").is_some() {
                let message = "a contained resource must not hold contained resources";
                self.complain(inner, IssueType::Invariant, "dom-2", message);
            }
            if let Some(meta) = inner.get("meta") {
                if meta.get("versionId").is_some() || meta.get("lastUpdated").is_some() {
                    let message = "a contained resource has no version or time of its own";
                    self.complain(meta, IssueType::Invariant, "dom-4", message);
                }
                if meta.get("security").is_some() {
                    let message = "a contained resource has no security label of its own";
                    self.complain(meta, IssueType::Invariant, "dom-5", message);
                }
            }
            let Some(id) = inner.string("id") else { continue };
            let is_referred = node.raw().contains(&format!("\"#{id}\"")) || inner.raw().contains("\"#\"");
            if !is_referred {
                let message = "a contained resource must be referred to by what contains it";
                self.complain(inner, IssueType::Invariant, "dom-3", message);
            }
        }
    }
}

impl<'a> Neighbours<'a> {
    /// The full URL that a reference means: the one that it names, or one relative to the base of the entry that
    /// refers.
    fn full_url(&self, reference: &str, place: Place<'a>) -> Option<String> {
        if self.by_url.contains_key(reference) {
            return Some(reference.to_owned());
        }
        let Some(Reference::Resource { base: None, resource_type, id, .. }) = Reference::parse(reference)
        else {
            return None;
        };
        let from = self.by_url.iter().find(|(_, it)| it.is_same(place.root)).map(|(url, _)| url.as_str())?;
        match Reference::parse(from)? {
            Reference::Resource { base: Some(base), .. } => Some(format!("{base}/{resource_type}/{id}")),
            _ => None,
        }
    }
}

/// The resource of the first entry, where it is of that type.
fn first<'n>(bundle: Node<'n>, name: &str) -> Option<Node<'n>> {
    let resource = items(bundle, "entry").next()?.get("resource")?;
    resource.get("resourceType").filter(|it| it.is(name)).map(|_| resource)
}

/// The types that a search names: in its path, or by `_type`. None where it searches all, or is an operation.
fn searched(url: &str) -> Vec<String> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = path.strip_suffix("/_search").unwrap_or(path);
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.starts_with(['$', '*', '_']) {
        return Vec::new();
    }
    if ResourceType::parse(last).is_some() {
        return vec![last.to_owned()];
    }
    let named = query.split('&').filter_map(|it| it.strip_prefix("_type="));
    named.flat_map(|it| it.split(',')).map(str::to_owned).collect()
}
