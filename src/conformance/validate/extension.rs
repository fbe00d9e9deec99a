//! Extensions: where they may stand, and what their definitions demand.
//!
//! <https://hl7.org/fhir/R4/extensibility.html>. What is said of one that is not known is in
//! `refusal.rs`.

use super::value::Value;
use super::walk::{Holder, Place, Walk};
use crate::conformance::rulebook::Profile;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::types::TypeId;

impl<'a> Walk<'_, 'a> {
    /// `ext-1`, and the extension's own definition. `holder` says what it extends.
    pub(super) fn extension(&mut self, node: Node<'a>, holder: Holder<'_>, place: Place<'a>) {
        let has_value = node.members().any(|(key, _)| {
            let raw = key.raw();
            raw.starts_with("\"value") || raw.starts_with("\"_value")
        });
        if has_value == node.get("extension").is_some() {
            let message = "an extension must have either a value or extensions";
            self.complain(node, IssueType::Invariant, "ext-1", message);
        }
        let Some(url) = node.get("url").and_then(Node::as_str) else { return };
        // Parts of a complex extension have relative names.
        if !url.contains(':') {
            return;
        }
        let is_modifier = holder.element == "modifierExtension";
        let Some(type_id) = self.known.extension else { return };
        let known = self.book.profiles(self.types, &url, None);
        let known: Vec<_> = known.iter().filter(|it| *it.type_name == *"Extension").collect();
        let Some(newest) = known.first() else {
            return self.unknown_extension(node, &url, is_modifier);
        };
        if newest.root.is_modifier != is_modifier {
            let message = if is_modifier {
                "this extension does not modify: it stands under extension"
            } else {
                "this extension modifies: it stands under modifierExtension"
            };
            self.complain(node, IssueType::Extension, &url, message);
        }
        if !known.iter().any(|it| self.may_stand(it, node, holder)) {
            let message = "this extension may not stand here";
            self.complain(node, IssueType::Extension, &url, message);
        }
        let value = Value::of(node, type_id);
        let fits =
            known.len() > 1 && known.iter().any(|it| self.tries(|walk| walk.profile(it, value, place)));
        if !fits {
            self.profile(newest, value, place);
        }
    }

    fn may_stand(&self, extension: &Profile, node: Node<'_>, holder: Holder<'_>) -> bool {
        extension.contexts.is_empty()
            || extension.contexts.iter().any(|context| match context.split_once(':') {
                // R4's own definitions carry this one on the type, not on its code.
                Some(("element", "ElementDefinition.type.code")) => {
                    self.is_at("ElementDefinition.type", node, holder)
                        || self.is_at("ElementDefinition.type.code", node, holder)
                }
                Some(("element", expression)) => self.is_at(expression, node, holder),
                // Extensions of extensions by URL, and FHIRPath, are not followed: never a reason to refuse.
                _ => true,
            })
    }

    /// Whether an element path or type name means what holds the extension.
    fn is_at(&self, expression: &str, node: Node<'_>, holder: Holder<'_>) -> bool {
        let types = self.types;
        let expression = expression.split('|').next().unwrap_or(expression);
        let Some(extended) = holder.parent else { return true };
        // A type's name means everything that is made of it.
        if expression == "Element" || types.id(expression).is_some_and(|named| types.is_a(extended, named)) {
            return true;
        }
        let mut here: Option<TypeId> = None;
        let mut parent: Option<TypeId> = None;
        let mut last = "";
        for step in expression.split('.') {
            let step = step.strip_suffix("[x]").unwrap_or(step);
            match here {
                None => here = types.id(step),
                Some(of) => {
                    parent = Some(of);
                    last = step;
                    let found = types.get(of).and_then(|it| it.elements.iter().find(|it| *it.name == *step));
                    here = found.and_then(|it| it.types.first().copied());
                }
            }
            if here.is_none() {
                // A path that cannot be followed refuses nothing.
                return true;
            }
        }
        let Some(parent) = parent else { return false };
        let path = node.path();
        let holder_path = path.rsplit_once('.').map_or("", |(front, _)| front);
        let name = holder_path.rsplit('.').next().unwrap_or_default().split('[').next().unwrap_or_default();
        let name = name.strip_prefix('_').unwrap_or(name);
        name == last || (name.starts_with(last) && types.member(parent, name).is_some())
    }
}
