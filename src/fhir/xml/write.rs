//! JSON to XML.

use super::{FHIR, XHTML};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::{Kind, Node};
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::types::{TypeId, TypeKind, Types};
use quick_xml::Reader;
use quick_xml::events::Event;

pub(super) fn resource(types: &Types, root: Node<'_>) -> Result<String, Outcome> {
    let mut out = String::with_capacity(root.span().len() * 2);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let mut writing =
        Writing { types, out, resource_type: root.string("resourceType").unwrap_or_default().into_owned() };
    writing.resource(root, &format!(" xmlns=\"{FHIR}\""))?;
    Ok(writing.out)
}

struct Writing<'t> {
    types: &'t Types,
    out: String,
    resource_type: String,
}

impl Writing<'_> {
    fn refuse<T>(&self, at: Node<'_>, code: IssueType, message: &str) -> Result<T, Outcome> {
        Err(Issue::error(code, message).at_node(&self.resource_type, at).into())
    }

    fn resource(&mut self, node: Node<'_>, namespace: &str) -> Result<(), Outcome> {
        let name = node.string("resourceType").unwrap_or_default();
        let type_id = self.types.id(&name);
        let is_resource =
            type_id.and_then(|it| self.types.get(it)).is_some_and(|it| it.kind == TypeKind::Resource);
        let Some(type_id) = type_id.filter(|_| is_resource) else {
            return self.refuse(node, IssueType::Structure, "resourceType is not a resource type of R4");
        };
        self.out.push('<');
        self.out.push_str(&name);
        self.out.push_str(namespace);
        self.out.push('>');
        self.children(node, type_id, &["resourceType"])?;
        self.close(&name);
        Ok(())
    }

    /// The members as elements, in the order of the definition, which XML prescribes.
    fn children(&mut self, node: Node<'_>, of: TypeId, leave_out: &[&str]) -> Result<(), Outcome> {
        let types = self.types;
        let elements = types.get(of).map(|it| it.elements.as_slice()).unwrap_or_default();
        let mut found: Vec<(usize, String, TypeId)> = Vec::new();
        for (key, value) in node.members() {
            let key = key.as_str().unwrap_or_default();
            if leave_out.contains(&&*key) {
                continue;
            }
            let plain = key.strip_prefix('_').unwrap_or(&key);
            if found.iter().any(|(_, name, _)| name == plain) {
                continue;
            }
            let member = types.member(of, plain);
            let place = member.and_then(|it| elements.iter().position(|e| std::ptr::eq(e, it.element)));
            let (Some(member), Some(place)) = (member, place) else {
                return self.refuse(value, IssueType::Structure, "an element is not known here");
            };
            if key.len() != plain.len() && !types.is_primitive(member.type_id) {
                return self.refuse(value, IssueType::Structure, "only primitive values have a companion");
            }
            found.push((place, plain.to_owned(), member.type_id));
        }
        found.sort_by_key(|(place, ..)| *place);
        for (_, name, type_id) in found {
            let (values, companions) = (node.get(&name), node.get(&format!("_{name}")));
            let mut values = values.into_iter().flat_map(Node::each);
            let mut companions = companions.into_iter().flat_map(Node::each);
            loop {
                let (value, companion) = (values.next(), companions.next());
                if value.is_none() && companion.is_none() {
                    break;
                }
                self.element(
                    &name,
                    type_id,
                    value.filter(|it| !it.is_null()),
                    companion.filter(|it| !it.is_null()),
                )?;
            }
        }
        Ok(())
    }

    fn element(
        &mut self,
        name: &str,
        of: TypeId,
        value: Option<Node<'_>>,
        companion: Option<Node<'_>>,
    ) -> Result<(), Outcome> {
        let types = self.types;
        match types.name(of) {
            "xhtml" => return value.map_or(Ok(()), |value| self.narrative(value)),
            "Resource" => {
                let Some(value) = value else { return Ok(()) };
                self.out.push_str(&format!("<{name}>"));
                self.resource(value, "")?;
                self.close(name);
                return Ok(());
            }
            _ => {}
        }
        let is_primitive = types.is_primitive(of);
        let structure = if is_primitive { companion } else { value };
        self.out.push('<');
        self.out.push_str(name);
        let mut attributes: Vec<(&str, Node<'_>)> = Vec::new();
        if let Some(structure) = structure {
            if !structure.is_object() {
                return self.refuse(structure, IssueType::Structure, "an object is expected");
            }
            attributes.extend(structure.get("id").map(|id| ("id", id)));
            if types.name(of) == "Extension" {
                attributes.extend(structure.get("url").map(|url| ("url", url)));
            }
        }
        if is_primitive {
            attributes.extend(value.map(|value| ("value", value)));
        }
        let written: Vec<&str> = attributes.iter().map(|(key, _)| *key).filter(|it| *it != "value").collect();
        for (key, node) in &attributes {
            self.attribute(key, *node)?;
        }
        let has_children = structure.is_some_and(|it| it.members().count() > written.len());
        match structure.filter(|_| has_children) {
            None => self.out.push_str("/>"),
            Some(structure) => {
                self.out.push('>');
                self.children(structure, of, &written)?;
                self.close(name);
            }
        }
        Ok(())
    }

    fn attribute(&mut self, key: &str, node: Node<'_>) -> Result<(), Outcome> {
        let text = match node.kind() {
            Kind::String => node.as_str().unwrap_or_default(),
            Kind::Number | Kind::Boolean => node.raw().into(),
            _ => return self.refuse(node, IssueType::Structure, "a primitive value is expected"),
        };
        self.out.push_str(&format!(" {key}=\""));
        for letter in text.chars() {
            match letter {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                // As they are, a reader of attributes would make blanks of them.
                '\n' => self.out.push_str("&#xA;"),
                '\r' => self.out.push_str("&#xD;"),
                '\t' => self.out.push_str("&#x9;"),
                letter if letter < ' ' || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                    return self.refuse(node, IssueType::Value, "XML cannot hold one of its characters");
                }
                letter => self.out.push(letter),
            }
        }
        self.out.push('"');
        Ok(())
    }

    /// A narrative stands in the document as it is, so it must be a document itself.
    fn narrative(&mut self, node: Node<'_>) -> Result<(), Outcome> {
        let text = node.as_str().unwrap_or_default();
        if !is_div(text.trim()) {
            return self.refuse(node, IssueType::Structure, "the narrative is not a well-formed div");
        }
        let text = text.trim();
        match text.strip_prefix("<div").filter(|_| !declares_namespace(text)) {
            Some(rest) => {
                self.out.push_str(&format!("<div xmlns=\"{XHTML}\""));
                self.out.push_str(rest);
            }
            None => self.out.push_str(text),
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

fn declares_namespace(div: &str) -> bool {
    div.split('>').next().is_some_and(|tag| tag.contains("xmlns="))
}

/// Whether a text is one well-formed `div` and nothing else.
fn is_div(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut is_over) = (0_usize, false);
    loop {
        let Ok(event) = reader.read_event() else { return false };
        match event {
            Event::Start(tag) => {
                let is_outermost = open == 0;
                let is_sound = tag.attributes().all(|it| {
                    it.is_ok_and(|it| it.normalized_value(quick_xml::XmlVersion::Explicit1_0).is_ok())
                });
                if is_over || !is_sound || (is_outermost && tag.name().as_ref() != "div") {
                    return false;
                }
                open += 1;
            }
            Event::End(_) => {
                open = open.saturating_sub(1);
                is_over = open == 0;
            }
            Event::GeneralRef(entity) => {
                let is_known =
                    entity.is_char_ref() || matches!(&*entity, "amp" | "lt" | "gt" | "quot" | "apos");
                if !is_known || open == 0 {
                    return false;
                }
            }
            Event::Text(_) | Event::CData(_) | Event::Comment(_) if open > 0 => {}
            Event::Eof => return is_over,
            _ => return false,
        }
    }
}
