//! Definitions of definitions: whether a profile, a search parameter or a capability statement agrees with what
//! it builds upon.
//!
//! <https://hl7.org/fhir/R4/profiling.html>, <https://hl7.org/fhir/R4/searchparameter.html>

use super::matching;
use super::walk::Walk;
use crate::conformance::constraint::Constraint;
use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::types::{TypeId, Types};
use std::collections::HashMap;

/// The kind of every search parameter, by its URL.
struct Kinds(HashMap<Box<str>, SearchParameterKind>);

impl Walk<'_, '_> {
    /// "It SHALL be the same as the type in the search parameter definition."
    pub(super) fn capability_statement(&mut self, node: Node<'_>) {
        for rest in items(node, "rest") {
            let of_types = items(rest, "resource").flat_map(|it| items(it, "searchParam"));
            for parameter in of_types.chain(items(rest, "searchParam")) {
                let (Some(url), Some(kind)) = (parameter.string("definition"), parameter.get("type")) else {
                    continue;
                };
                if self.kind_of(&url).is_some_and(|it| !kind.is(it.code())) {
                    let message = "the search parameter that is named has another type";
                    self.complain(kind, IssueType::Value, "", message);
                }
            }
        }
    }

    /// "The details in the search parameter must be consistent with the definition from which it is defined."
    pub(super) fn search_parameter(&mut self, node: Node<'_>) {
        let (Some(url), Some(kind)) = (node.string("derivedFrom"), node.get("type")) else { return };
        if self.kind_of(&url).is_some_and(|it| !kind.is(it.code())) {
            let message = "the search parameter that this is derived from has another type";
            self.complain(kind, IssueType::Value, "", message);
        }
    }

    fn kind_of(&self, canonical: &str) -> Option<SearchParameterKind> {
        let kinds = self.definitions?.derived(kinds);
        kinds.0.get(canonical.split('|').next().unwrap_or(canonical)).copied()
    }

    /// A profile is about elements that there are, and fixes no value that its base has fixed to another.
    pub(super) fn structure_definition(&mut self, node: Node<'_>) {
        let is_profile = node.get("derivation").is_some_and(|it| it.is("constraint"));
        let Some(of) = node.string("type").and_then(|it| self.types.id(&it)).filter(|_| is_profile) else {
            return;
        };
        let (types, book) = (self.types, self.book);
        let base =
            node.string("baseDefinition").and_then(|it| book.profiles(types, &it, None).into_iter().next());
        for view in ["snapshot", "differential"].iter().filter_map(|it| node.get(it)) {
            for element in items(view, "element") {
                let Some(path) = element.get("path") else { continue };
                let Some(text) = path.as_str() else { continue };
                let steps: Vec<&str> = text.split('.').skip(1).collect();
                let Some(found) = follow(types, vec![of], &steps) else {
                    self.complain(path, IssueType::Value, "", "there is no such element");
                    continue;
                };
                let discriminators =
                    element.get("slicing").into_iter().flat_map(|it| items(it, "discriminator"));
                for discriminator in discriminators.filter_map(|it| it.get("path")) {
                    if discriminator.as_str().is_some_and(|it| discriminated(types, &found, &it).is_none()) {
                        let message = "the sliced element has no such element";
                        self.complain(discriminator, IssueType::Value, "", message);
                    }
                }
                if let Some(base) = &base
                    && !element.string("id").is_some_and(|it| it.contains(':'))
                {
                    self.fixed(element, &steps, &base.root);
                }
            }
        }
    }

    fn fixed(&mut self, element: Node<'_>, steps: &[&str], base: &Constraint) {
        let mut here = base;
        for step in steps {
            let Some(child) = here.child(step) else { return };
            here = child;
        }
        let own = element.members().find(|(key, _)| key.raw().starts_with("\"fixed"));
        if let (Some((_, own)), Some(fixed)) = (own, &here.fixed)
            && !matching::is_equal(own, fixed.root())
        {
            let message = "the profile that this is derived from fixes another value";
            self.complain(own, IssueType::Value, "", message);
        }
    }
}

fn kinds(definitions: &Definitions) -> Kinds {
    let all = ResourceType::all().flat_map(|it| definitions.search_parameters(it));
    Kinds(all.map(|it| (it.url.clone(), it.kind)).collect())
}

fn items<'n>(of: Node<'n>, name: &str) -> impl Iterator<Item = Node<'n>> + use<'n> {
    of.get(name).into_iter().flat_map(Node::items)
}

/// The types that a path leads to; nothing where it leads nowhere.
fn follow(types: &Types, from: Vec<TypeId>, steps: &[&str]) -> Option<Vec<TypeId>> {
    let mut here = from;
    for step in steps {
        // What resources hold is of any type.
        if here.iter().any(|it| matches!(types.name(*it), "Resource" | "DomainResource")) {
            return Some(here);
        }
        let mut next = Vec::new();
        for of in here {
            if types.is_primitive(of) || types.name(of) == "xhtml" {
                next.extend(match *step {
                    "extension" => types.id("Extension"),
                    "id" | "value" => types.id("string"),
                    _ => None,
                });
                continue;
            }
            let stem = step.strip_suffix("[x]").unwrap_or(step);
            let by_name = types.get(of).and_then(|it| it.elements.iter().find(|it| *it.name == *stem));
            match by_name {
                Some(element) => next.extend(&element.types),
                None => next.extend(types.member(of, step).map(|it| it.type_id)),
            }
        }
        if next.is_empty() {
            return None;
        }
        here = next;
    }
    Some(here)
}

/// "The only FHIRPath functions that are allowed are as(type), resolve(), and extension(url)", and R5's ofType.
fn discriminated(types: &Types, from: &[TypeId], path: &str) -> Option<()> {
    let mut here = from.to_vec();
    let mut rest = path;
    while !rest.is_empty() {
        let end = end_of_step(rest);
        let (step, after) = (rest.get(..end)?, rest.get(end..)?);
        rest = after.strip_prefix('.').unwrap_or(after);
        here = match step.split_once('(') {
            None if step == "$this" => here,
            None => follow(types, here, &[step])?,
            Some(("extension", _)) => vec![types.id("Extension")?],
            Some(("as" | "ofType", named)) => vec![types.id(named.trim_end_matches(')'))?],
            // Where a reference leads is not known here.
            Some(("resolve", _)) => return Some(()),
            Some(_) => return None,
        };
    }
    Some(())
}

/// Dots inside of parentheses are no ends.
fn end_of_step(path: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'.' if depth == 0 => return at,
            _ => {}
        }
    }
    path.len()
}
