//! References: whether they may point where they point.
//!
//! <https://hl7.org/fhir/R4/references.html>. Followed only inside the resource and its bundle; what is elsewhere
//! is judged by its type alone.

use super::Mode;
use super::profile::Check;
use super::value::Value;
use super::walk::{Place, Walk};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use crate::fhir::types::TypeId;

impl<'a> Walk<'_, 'a> {
    /// The target's type, by R4's own rules; none named: any.
    pub(super) fn reference(&mut self, allowed: &[TypeId], value: Value<'a>, place: Place<'a>) {
        let Some(node) = value.node else { return };
        if allowed.is_empty() || node.get("reference").is_none() {
            return;
        }
        if let Some(target) = self.target_type(value, place)
            && !allowed.iter().any(|it| self.types.is_a(target, *it))
        {
            let message = "a reference here may not point at that type";
            self.complain(node, IssueType::Structure, "", message);
        }
    }

    /// The target's type and, where it is at hand, its profile.
    pub(super) fn target(&mut self, targets: &[Box<str>], value: Value<'a>, check: Check<'_, 'a>) {
        let (Some(node), Some(target)) = (value.node, self.target_type(value, check.place)) else { return };
        let near = Some(check.profile.guide);
        let mut fitting: Vec<Box<str>> = Vec::new();
        for canonical in targets {
            match self.types.id(canonical) {
                Some(type_id) if self.types.is_a(target, type_id) => return,
                Some(_) => {}
                None => match self.book.profiles(self.types, canonical, near).first() {
                    // A profile that is not known refuses nothing.
                    None => return,
                    Some(profile) => {
                        let of = self.types.id(&profile.type_name);
                        fitting
                            .extend(of.filter(|it| self.types.is_a(target, *it)).map(|_| canonical.clone()));
                    }
                },
            }
        }
        let rule = &check.profile.url;
        if fitting.is_empty() {
            let message = "the profile does not allow a reference to that type here";
            return self.complain(node, IssueType::Structure, rule, message);
        }
        // A write stores one resource whether or not its neighbours come in the same bundle: they refuse nothing.
        if self.mode == Mode::Write {
            return;
        }
        let Some(found) = self.resolve(value, check.place) else { return };
        // What claims a profile is held to it where it stands; who only tries wants to know now.
        let claims = found.get("meta").and_then(|it| it.get("profile")).into_iter().flat_map(Node::items);
        let plain = |url: &str| url.split('|').next().unwrap_or(url).to_owned();
        let claims: Vec<String> = claims.filter_map(|it| it.as_str().map(|it| plain(&it))).collect();
        if !self.is_trying && fitting.iter().any(|it| claims.contains(&plain(it))) {
            return;
        }
        let place = Place { root: found, resource: found, resource_type: target };
        let place = if self.is_contained(value) { Place { root: check.place.root, ..place } } else { place };
        if self.conforms_to_any(&fitting, Value::of(found, target), check.profile.guide, place) == Some(false)
        {
            let message = "what is referred to conforms to none of the profiles that are demanded";
            self.complain(node, IssueType::Structure, rule, message);
        }
    }

    fn is_contained(&self, value: Value<'a>) -> bool {
        value.node.and_then(|it| it.string("reference")).is_some_and(|it| it.starts_with('#'))
    }

    fn target_type(&self, value: Value<'a>, place: Place<'a>) -> Option<TypeId> {
        if let Some(found) = self.resolve(value, place) {
            return self.types.id(&found.string("resourceType")?);
        }
        let text = value.node?.string("reference")?;
        match Reference::parse(&text)? {
            Reference::Resource { resource_type, .. } | Reference::Conditional { resource_type, .. } => {
                self.types.id(resource_type.name())
            }
            _ => None,
        }
    }

    /// What a reference leads to, if it is inside the resource or its bundle.
    pub(super) fn resolve(&self, value: Value<'a>, place: Place<'a>) -> Option<Node<'a>> {
        let text = value.node?.string("reference")?;
        match Reference::parse(&text)? {
            Reference::Contained("") => Some(place.root),
            Reference::Contained(id) => {
                let mut contained = place.root.get("contained")?.items();
                contained.find(|it| it.get("id").is_some_and(|it| it.is(id)))
            }
            Reference::Conditional { .. } => None,
            _ => self.in_bundle(&text, place),
        }
    }
}
