//! Bundles: entries by full URL, and what holds between them.
//!
//! <https://hl7.org/fhir/R4/bundle.html>

use super::walk::{Place, Walk};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use std::collections::HashMap;

impl<'a> Walk<'_, 'a> {
    pub(super) fn enter_bundle(&mut self, bundle: Node<'a>) {
        let entries = bundle.get("entry").into_iter().flat_map(Node::items);
        let by_url: HashMap<String, Node<'a>> = entries
            .filter_map(|entry| Some((entry.string("fullUrl")?.into_owned(), entry.get("resource")?)))
            .collect();
        self.bundles.push(by_url);
    }

    /// The entry that a reference from another entry means: by its full URL, or relative to the base of the full
    /// URL of the entry that refers.
    pub(super) fn in_bundle(&self, reference: &str, place: Place<'a>) -> Option<Node<'a>> {
        let entries = self.bundles.last()?;
        if let Some(found) = entries.get(reference) {
            return Some(*found);
        }
        let Some(Reference::Resource { base: None, resource_type, id, .. }) = Reference::parse(reference)
        else {
            return None;
        };
        let wanted = format!("{resource_type}/{id}");
        let from = entries.iter().find(|(_, it)| it.is_same(place.root)).map(|(url, _)| url.as_str())?;
        match Reference::parse(from)? {
            Reference::Resource { base: Some(base), .. } => entries.get(&format!("{base}/{wanted}")).copied(),
            _ => None,
        }
    }

    /// What holds for the whole bundle.
    pub(super) fn bundle(&mut self, bundle: Node<'a>) {
        let kind = bundle.string("type").unwrap_or_default().into_owned();
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
