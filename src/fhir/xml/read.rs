//! XML to JSON.

use super::{FHIR, XHTML};
use crate::fhir::json::quote;
use crate::fhir::outcome::Outcome;
use crate::fhir::tree::Tree;
use crate::fhir::types::{TypeId, TypeKind, Types};
use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

/// The longest document.
const LONGEST: usize = 50 << 20;

/// The deepest nesting of elements.
const DEEPEST: usize = 64;

/// The most elements in a document.
const MOST_ELEMENTS: usize = 4_000_000;

pub(super) fn resource(types: &Types, xml: &str) -> Result<String, Outcome> {
    if xml.len() > LONGEST {
        return Err(Outcome::too_costly("the document is too large"));
    }
    let text = xml.strip_prefix('\u{feff}').unwrap_or(xml);
    if !text.chars().all(is_char) {
        return Err(Outcome::structure("the document holds a character that XML does not have"));
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut reading = Reading { types, text, reader, elements: 0, path: Vec::new() };
    let result = reading.document();
    result.map(|tree| tree.to_json()).map_err(|outcome| {
        let path = reading.path.join(".");
        if path.is_empty() { outcome } else { outcome.at(path) }
    })
}

/// <https://www.w3.org/TR/xml/#NT-Char>
fn is_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

struct Reading<'t, 'x> {
    types: &'t Types,
    text: &'x str,
    reader: NsReader<&'x [u8]>,
    elements: usize,
    /// The way to what is being read; on failure it says where.
    path: Vec<String>,
}

/// What an element is in JSON: the value, and the companion of a primitive.
struct Spelled {
    value: Option<Tree>,
    companion: Option<Tree>,
}

/// The children of one name so far.
struct Member {
    name: String,
    is_list: bool,
    all: Vec<Spelled>,
}

impl<'x> Reading<'_, 'x> {
    fn document(&mut self) -> Result<Tree, Outcome> {
        let tree = loop {
            match self.next()? {
                Event::Start(start) => break self.resource(&start, 0)?,
                Event::Eof => return Err(Outcome::structure("there is no element")),
                _ => {}
            }
        };
        loop {
            match self.next()? {
                Event::Eof => return Ok(tree),
                Event::Start(_) => return Err(Outcome::structure("only one element may be outermost")),
                _ => {}
            }
        }
    }

    /// The next thing that says anything.
    fn next(&mut self) -> Result<Event<'x>, Outcome> {
        loop {
            let event = self.reader.read_event();
            match event.map_err(|_| Outcome::structure("not well-formed XML"))? {
                Event::DocType(_) => return Err(Outcome::structure("a document type is not allowed")),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(Outcome::structure("text may stand only in attributes and narratives"));
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                event => return Ok(event),
            }
        }
    }

    /// The local name of an element of FHIR.
    fn name_of(&self, start: &BytesStart<'_>, space: &str) -> Result<String, Outcome> {
        let (found, local) = self.reader.resolver().resolve_element(start.name());
        if !matches!(found, ResolveResult::Bound(Namespace(it)) if it == space) {
            return Err(Outcome::structure("an element is not in the namespace of FHIR"));
        }
        Ok(local.as_ref().to_owned())
    }

    fn resource(&mut self, start: &BytesStart<'_>, depth: usize) -> Result<Tree, Outcome> {
        let name = self.name_of(start, FHIR)?;
        let type_id = self.types.id(&name);
        let is_resource =
            type_id.and_then(|it| self.types.get(it)).is_some_and(|it| it.kind == TypeKind::Resource);
        let Some(type_id) = type_id.filter(|_| is_resource) else {
            return Err(Outcome::structure("not a resource type of R4"));
        };
        if depth == 0 {
            self.path.push(name.clone());
        }
        let (attributes, _) = self.attributes(start)?;
        if !attributes.is_empty() {
            return Err(Outcome::structure("a resource has no attributes"));
        }
        let mut members = vec![("resourceType".to_owned(), Tree::string(&name))];
        members.extend(self.children(type_id, depth)?);
        if depth == 0 {
            self.path.pop();
        }
        Ok(Tree::Object(members))
    }

    /// Attributes that are not of XML's own, `value` apart.
    #[expect(clippy::type_complexity, reason = "a pair that is taken apart at once")]
    fn attributes(&self, start: &BytesStart<'_>) -> Result<(Vec<(String, Tree)>, Option<String>), Outcome> {
        let (mut others, mut value) = (Vec::new(), None);
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| Outcome::structure("not well-formed XML"))?;
            let key = attribute.key.as_ref();
            if key == "xmlns" || key.contains(':') {
                continue;
            }
            let text = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|_| Outcome::structure("an attribute holds an unknown entity"))?;
            if !text.chars().all(is_char) {
                return Err(Outcome::structure("an attribute refers to a character that XML does not have"));
            }
            match key {
                "value" => value = Some(text.into_owned()),
                "id" | "url" => others.push((key.to_owned(), Tree::string(&text))),
                _ => return Err(Outcome::structure("an attribute is not known")),
            }
        }
        Ok((others, value))
    }

    /// The children up to the end of the element, as members of a JSON object.
    fn children(&mut self, type_id: TypeId, depth: usize) -> Result<Vec<(String, Tree)>, Outcome> {
        if depth > DEEPEST {
            return Err(Outcome::too_costly("the elements nest too deeply"));
        }
        let mut members: Vec<Member> = Vec::new();
        loop {
            match self.next()? {
                Event::End(_) => break,
                Event::Start(start) => self.child(type_id, &start, depth, &mut members)?,
                _ => return Err(Outcome::structure("not well-formed XML")),
            }
        }
        Ok(members.into_iter().flat_map(spelled).collect())
    }

    fn child(
        &mut self,
        of: TypeId,
        start: &BytesStart<'_>,
        depth: usize,
        members: &mut Vec<Member>,
    ) -> Result<(), Outcome> {
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(Outcome::too_costly("there are too many elements"));
        }
        let types = self.types;
        let local = start.local_name();
        let Some(member) = types.member(of, local.as_ref()) else {
            return Err(Outcome::structure("an element is not known here"));
        };
        let is_narrative = types.name(member.type_id) == "xhtml";
        let name = self.name_of(start, if is_narrative { XHTML } else { FHIR })?;
        // The last member is nearly always the one: repetitions stand together.
        let place = members.iter().rposition(|it| it.name == name).unwrap_or_else(|| {
            members.push(Member { name: name.clone(), is_list: member.element.is_list(), all: Vec::new() });
            members.len() - 1
        });
        let Some(entry) = members.get_mut(place) else { return Ok(()) };
        if !entry.is_list && !entry.all.is_empty() {
            self.path.push(name);
            return Err(Outcome::structure("the element may stand only once"));
        }
        self.path.push(if entry.is_list { format!("{name}[{}]", entry.all.len()) } else { name });
        let spelled = if is_narrative {
            Spelled { value: Some(Tree::string(&self.narrative(start)?)), companion: None }
        } else {
            self.element(start, member.type_id, depth + 1)?
        };
        entry.all.push(spelled);
        self.path.pop();
        Ok(())
    }

    fn element(&mut self, start: &BytesStart<'_>, of: TypeId, depth: usize) -> Result<Spelled, Outcome> {
        let types = self.types;
        if types.name(of) == "Resource" {
            let inner = match self.next()? {
                Event::Start(inner) => self.resource(&inner, depth)?,
                _ => return Err(Outcome::structure("a resource is expected inside")),
            };
            return match self.next()? {
                Event::End(_) => Ok(Spelled { value: Some(inner), companion: None }),
                _ => Err(Outcome::structure("only one resource may stand inside")),
            };
        }
        let (mut members, value) = self.attributes(start)?;
        if !types.is_primitive(of) {
            if value.is_some() {
                return Err(Outcome::structure("the element has children, not a value"));
            }
            members.extend(self.children(of, depth)?);
            return Ok(Spelled { value: Some(Tree::Object(members)), companion: None });
        }
        members.extend(self.children(of, depth)?);
        let value = value.map(|text| leaf(types.name(of), &text)).transpose()?;
        let companion = (!members.is_empty()).then_some(Tree::Object(members));
        if value.is_none() && companion.is_none() {
            return Err(Outcome::required("a value or an extension is missing"));
        }
        Ok(Spelled { value, companion })
    }

    /// The text of a narrative as it stands.
    fn narrative(&mut self, start: &BytesStart<'_>) -> Result<String, Outcome> {
        if start.name().prefix().is_some() {
            return Err(Outcome::not_supported("a narrative whose elements have a prefix"));
        }
        let malformed = || Outcome::structure("not well-formed XML");
        let inside = self.reader.buffer_position();
        let mut open = 1_usize;
        let end = loop {
            let before = self.reader.buffer_position();
            match self.reader.read_event().map_err(|_| malformed())? {
                Event::Start(_) => {
                    open += 1;
                    if open > DEEPEST * 4 {
                        return Err(Outcome::too_costly("the narrative nests too deeply"));
                    }
                }
                Event::End(_) => {
                    open -= 1;
                    if open == 0 {
                        break before;
                    }
                }
                Event::Eof | Event::DocType(_) => return Err(malformed()),
                _ => {}
            }
        };
        let range = usize::try_from(inside).ok().zip(usize::try_from(end).ok());
        let inside = range.and_then(|(from, to)| self.text.get(from..to.max(from))).ok_or_else(malformed)?;
        let attributes = start.attributes_raw().trim_end();
        let namespace =
            if attributes.contains("xmlns=") { String::new() } else { format!(" xmlns=\"{XHTML}\"") };
        Ok(format!("<div{namespace}{attributes}>{inside}</div>"))
    }
}

/// A member of JSON and its companion.
fn spelled(member: Member) -> Vec<(String, Tree)> {
    let Member { name, is_list, all } = member;
    let (mut values, mut companions) = (Vec::new(), Vec::new());
    for spelled in all {
        values.push(spelled.value);
        companions.push(spelled.companion);
    }
    let side = |side: Vec<Option<Tree>>| -> Option<Tree> {
        if side.iter().all(Option::is_none) {
            return None;
        }
        let null = || Tree::Leaf("null".to_owned());
        let mut all: Vec<Tree> = side.into_iter().map(|it| it.unwrap_or_else(null)).collect();
        if is_list { Some(Tree::Array(all)) } else { all.pop() }
    };
    let value = side(values).map(|it| (name.clone(), it));
    let companion = side(companions).map(|it| (format!("_{name}"), it));
    value.into_iter().chain(companion).collect()
}

fn leaf(type_name: &str, text: &str) -> Result<Tree, Outcome> {
    let is_bare = match type_name {
        "boolean" => matches!(text, "true" | "false"),
        "decimal" | "integer" | "positiveInt" | "unsignedInt" => is_number(text),
        _ => return Ok(Tree::Leaf(quote(text))),
    };
    if is_bare {
        // XML Schema allows a plus, JSON does not.
        return Ok(Tree::Leaf(text.strip_prefix('+').unwrap_or(text).to_owned()));
    }
    Err(Outcome::value(match type_name {
        "boolean" => "true or false is expected",
        _ => "a number is expected",
    }))
}

fn is_number(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) =
        text.split_once(['e', 'E']).map_or((text, None), |(it, rest)| (it, Some(rest)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(it, rest)| (it, Some(rest)));
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|it| digits(it.strip_prefix(['+', '-']).unwrap_or(it)))
}
