//! Structure: known members, the right shape, enough of each and not too many.
//!
//! <https://hl7.org/fhir/R4/json.html>

use super::primitive;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::{Kind, Node};
use crate::fhir::outcome::Issue;
use crate::fhir::types::{Element, Member, TypeId, TypeKind, Types};

/// So many issues are enough to see what is wrong; a hostile resource could have millions.
const MOST_ISSUES: usize = 200;

pub(super) fn check(types: &Types, root: Node<'_>) -> Vec<Issue> {
    let mut walk = Walk { types, root, issues: Vec::new() };
    match root.string("resourceType").and_then(|name| types.id(&name)) {
        Some(type_id) => walk.object(root, type_id),
        None => walk.complain(root, IssueType::Structure, "resourceType is not a resource type of R4"),
    }
    walk.issues
}

struct Walk<'t, 'a> {
    types: &'t Types,
    root: Node<'a>,
    issues: Vec<Issue>,
}

impl<'a> Walk<'_, 'a> {
    fn complain(&mut self, at: Node<'_>, code: IssueType, message: impl Into<String>) {
        if self.issues.len() < MOST_ISSUES {
            let resource_type = self.root.string("resourceType").unwrap_or_default();
            self.issues.push(Issue::error(code, message).at_node(&resource_type, at));
        }
    }

    fn object(&mut self, node: Node<'a>, type_id: TypeId) {
        let types = self.types;
        if node.members().next().is_none() {
            self.complain(node, IssueType::Structure, "an object must not be empty");
        }
        for (key, value) in node.members() {
            let Some(key) = key.as_str() else { continue };
            if key == "resourceType" && types.get(type_id).is_some_and(|it| it.kind == TypeKind::Resource) {
                continue;
            }
            let name = key.strip_prefix('_');
            match types.member(type_id, name.unwrap_or(&key)) {
                Some(member) if name.is_none() => self.member(member, value),
                Some(member) if types.is_primitive(member.type_id) => self.companion(member.element, value),
                _ => self.complain(value, IssueType::Structure, "unknown element"),
            }
        }
        let Some(of) = types.get(type_id) else { return };
        for element in &of.elements {
            self.occurrence(node, element);
        }
    }

    /// Required elements that are missing, and choices made twice.
    fn occurrence(&mut self, node: Node<'a>, element: &Element) {
        if element.min == 0 && !element.is_choice {
            return;
        }
        let types = self.types;
        let count = if element.is_choice {
            let spelled = element.types.iter().map(|type_id| types.json_name(element, *type_id));
            spelled.filter(|name| node.get(name).is_some() || node.get(&format!("_{name}")).is_some()).count()
        } else {
            usize::from(
                node.get(&element.name).is_some() || node.get(&format!("_{}", element.name)).is_some(),
            )
        };
        if count == 0 && element.min > 0 {
            let suffix = if element.is_choice { "[x]" } else { "" };
            self.complain(node, IssueType::Required, format!("{}{suffix} is required", element.name));
        }
        if count > 1 {
            self.complain(
                node,
                IssueType::Structure,
                format!("only one of {}[x] may be there", element.name),
            );
        }
    }

    fn member(&mut self, member: Member<'_>, value: Node<'a>) {
        let element = member.element;
        if !element.is_list() {
            if value.is_array() {
                return self.complain(
                    value,
                    IssueType::Structure,
                    "this element does not repeat: no array is expected",
                );
            }
            return self.value(member.type_id, value, false);
        }
        if !value.is_array() {
            return self.complain(value, IssueType::Structure, "this element repeats: an array is expected");
        }
        let count = value.items().count();
        if count == 0 {
            self.complain(value, IssueType::Structure, "an array must not be empty");
        }
        if element.max.is_some_and(|max| count > usize::from(max)) {
            self.complain(
                value,
                IssueType::Structure,
                format!("at most {} are allowed", element.max.unwrap_or(0)),
            );
        }
        for item in value.items() {
            self.value(member.type_id, item, true);
        }
    }

    fn value(&mut self, type_id: TypeId, value: Node<'a>, is_item: bool) {
        let types = self.types;
        let Some(of) = types.get(type_id) else { return };
        match of.kind {
            TypeKind::Primitive => {
                // In an array, null holds the place of a value that has only extensions.
                if value.is_null() && is_item {
                    return;
                }
                if let Err(problem) = primitive::check(&of.name, value) {
                    self.complain(value, IssueType::Value, problem);
                }
            }
            _ if value.kind() != Kind::Object => {
                self.complain(value, IssueType::Structure, format!("a {} must be an object", of.name));
            }
            TypeKind::Resource => match value.string("resourceType").and_then(|name| types.id(&name)) {
                Some(inner) if types.is_a(inner, type_id) => self.object(value, inner),
                _ => {
                    self.complain(value, IssueType::Structure, "resourceType is missing or not a type of R4")
                }
            },
            _ => self.object(value, type_id),
        }
    }

    /// `_name`: the id and extensions of a primitive.
    fn companion(&mut self, element: &Element, value: Node<'a>) {
        let Some(type_id) = self.types.id("Element") else { return };
        let items: Vec<Node<'a>> = match value.kind() {
            Kind::Object if !element.is_list() => vec![value],
            Kind::Array if element.is_list() => value.items().filter(|item| !item.is_null()).collect(),
            _ => {
                return self.complain(
                    value,
                    IssueType::Structure,
                    "the id and extensions of a primitive are expected",
                );
            }
        };
        for item in items {
            match item.kind() {
                Kind::Object => self.object(item, type_id),
                _ => self.complain(
                    item,
                    IssueType::Structure,
                    "the id and extensions of a primitive are expected",
                ),
            }
        }
    }
}
