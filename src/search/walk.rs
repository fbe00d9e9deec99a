//! The paths of search parameters, walked without the evaluator.
//!
//! Nearly every expression of R4's search parameters is a union of plain paths with a cast or a
//! filter: `(Observation.value as Quantity)`, `Observation.subject.where(resolve() is Patient)`.
//! Those become [`Walk`]s: JSON member names from the resource down, every choice spelled out.
//! What is not of that form is nothing here, and FHIRPath evaluates it.

use crate::fhir::id::ResourceType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use crate::fhir::types::{TypeId, Types};

/// A way to elements of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// It starts at the resource, not at the focus.
    pub(super) is_from_root: bool,
    /// The way.
    pub(super) steps: Vec<Step>,
    /// What is found at its end.
    pub(super) end: TypeId,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To each value of that member.
    Member(Box<str>),
    /// To the value at that place of the member before.
    At(usize),
    /// On, where the reference is to that type: `where(resolve() is Patient)`.
    RefersTo(ResourceType),
    /// On, where that member has that value: `where(system='phone')`.
    Is(Box<str>, Box<str>),
}

impl Walk {
    /// Shows every value at the end of the walk.
    pub(super) fn each<'a>(&self, root: Node<'a>, focus: Node<'a>, visit: &mut dyn FnMut(Node<'a>)) {
        let start = if self.is_from_root { root } else { focus };
        follow(&self.steps, root, start, visit);
    }

    /// The same walk without a last filter by the type referred to, and that type.
    pub(super) fn without_target(&self) -> Option<(Walk, ResourceType)> {
        match self.steps.split_last() {
            Some((Step::RefersTo(target), steps)) => {
                Some((Walk { steps: steps.to_vec(), ..self.clone() }, *target))
            }
            _ => None,
        }
    }

    /// One member further.
    pub(super) fn to(&self, types: &Types, member: &str) -> Option<Walk> {
        let mut walk = self.clone();
        walk.end = types.member(self.end, member)?.type_id;
        walk.steps.push(Step::Member(member.into()));
        Some(walk)
    }
}

fn follow<'a>(steps: &[Step], root: Node<'a>, here: Node<'a>, visit: &mut dyn FnMut(Node<'a>)) {
    match steps {
        [] => visit(here),
        [Step::Member(name), Step::At(place), rest @ ..] => {
            if let Some(value) = here.get(name).and_then(|values| values.each().nth(*place)) {
                follow(rest, root, value, visit);
            }
        }
        [Step::Member(name), rest @ ..] => {
            for value in here.get(name).into_iter().flat_map(Node::each).filter(|it| !it.is_null()) {
                follow(rest, root, value, visit);
            }
        }
        [Step::At(_), rest @ ..] => follow(rest, root, here, visit),
        [Step::RefersTo(target), rest @ ..] => {
            if type_referred_to(root, here) == Some(*target) {
                follow(rest, root, here, visit);
            }
        }
        [Step::Is(member, text), rest @ ..] => {
            if here.get(member).is_some_and(|it| it.is(text)) {
                follow(rest, root, here, visit);
            }
        }
    }
}

/// The type that a `Reference` says it refers to: by its text, or else by its `type`.
pub(super) fn type_referred_to(root: Node<'_>, reference: Node<'_>) -> Option<ResourceType> {
    let text = reference.string("reference").unwrap_or_default();
    match Reference::parse(&text) {
        Some(Reference::Resource { resource_type, .. } | Reference::Conditional { resource_type, .. }) => {
            Some(resource_type)
        }
        Some(Reference::Contained(id)) if !id.is_empty() => {
            let contained = root.get("contained")?;
            let it = contained.items().find(|it| it.get("id").is_some_and(|it| it.is(id)))?;
            ResourceType::parse(&it.string("resourceType")?)
        }
        _ => ResourceType::parse(&reference.string("type")?),
    }
}

/// The walks of an expression on values of a type. Branches that start at another type of resource are left
/// out. Nothing where the expression is not made of walks.
pub(super) fn compile(types: &Types, of: TypeId, expression: &str) -> Option<Vec<Walk>> {
    let mut walks: Vec<Walk> = Vec::new();
    for branch in split_top(expression, '|') {
        for walk in (Reader { types, of, text: branch.trim() }).branch()? {
            if !walks.contains(&walk) {
                walks.push(walk);
            }
        }
    }
    Some(walks)
}

/// Splits outside of brackets and quotes.
fn split_top(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut depth, mut is_quoted, mut start) = (Vec::new(), 0_u32, false, 0);
    for (place, letter) in text.char_indices() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth = depth.saturating_sub(1),
            _ if letter == at && depth == 0 && !is_quoted => {
                parts.extend(text.get(start..place));
                start = place + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

struct Reader<'t> {
    types: &'t Types,
    of: TypeId,
    text: &'t str,
}

impl<'t> Reader<'t> {
    fn branch(&mut self) -> Option<Vec<Walk>> {
        let mut walks = self.primary()?;
        loop {
            if self.text.is_empty() {
                return Some(walks);
            } else if let Some(rest) = self.text.strip_prefix(" as ") {
                let (name, rest) = word(rest);
                self.text = rest;
                self.cast(&mut walks, name);
            } else if let Some(rest) = self.text.strip_prefix('[') {
                let (digits, rest) = rest.split_once(']')?;
                let place = digits.parse().ok()?;
                walks.iter_mut().for_each(|walk| walk.steps.push(Step::At(place)));
                self.text = rest;
            } else if let Some(rest) = self.text.strip_prefix('.') {
                let (name, rest) = word(rest);
                self.text = rest;
                match (name, rest.starts_with('(')) {
                    ("as", true) => {
                        let inside = self.brackets()?;
                        self.cast(&mut walks, inside);
                    }
                    ("where", true) => {
                        let step = filter(self.brackets()?)?;
                        walks.iter_mut().for_each(|walk| walk.steps.push(step.clone()));
                    }
                    ("extension", true) => walks = self.extensions(&walks)?,
                    (_, true) => return None,
                    (name, false) => walks = self.members(&walks, name),
                }
            } else {
                return None;
            }
        }
    }

    fn primary(&mut self) -> Option<Vec<Walk>> {
        if self.text.starts_with('(') {
            let inside = self.brackets()?;
            return compile(self.types, self.of, inside);
        }
        let start = Walk { is_from_root: false, steps: Vec::new(), end: self.of };
        if let Some(rest) = self.text.strip_prefix("%resource") {
            self.text = rest;
            return Some(vec![Walk { is_from_root: true, ..start }]);
        }
        let (name, rest) = word(self.text);
        self.text = rest;
        match self.types.id(name) {
            _ if name.is_empty() => None,
            Some(named) if self.types.is_a(self.of, named) => Some(vec![start]),
            Some(_) if ResourceType::parse(name).is_some() => {
                // Another type of resource: nothing of this branch is here.
                self.text = "";
                Some(Vec::new())
            }
            _ if name == "extension" && rest.starts_with('(') => self.extensions(&[start]),
            _ if rest.starts_with('(') => None,
            _ => Some(self.members(&[start], name)),
        }
    }

    /// What stands in the brackets that the text begins with; the text goes on after them.
    fn brackets(&mut self) -> Option<&'t str> {
        let text = self.text;
        let mut depth = 0_u32;
        for (place, letter) in text.char_indices() {
            match letter {
                '(' => depth += 1,
                ')' if depth == 1 => {
                    self.text = text.get(place + 1..)?;
                    return text.get(1..place);
                }
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }

    fn members(&self, walks: &[Walk], name: &str) -> Vec<Walk> {
        let mut found = Vec::new();
        for walk in walks {
            let elements = self.types.get(walk.end).map(|it| it.elements.as_slice()).unwrap_or_default();
            let Some(element) = elements.iter().find(|it| *it.name == *name) else {
                // `valueDateTime`: a choice as JSON spells it.
                found.extend(walk.to(self.types, name));
                continue;
            };
            for end in &element.types {
                let mut steps = walk.steps.clone();
                steps.push(Step::Member(self.types.json_name(element, *end).into()));
                found.push(Walk { steps, end: *end, ..*walk });
            }
        }
        found
    }

    /// `extension('url')`
    fn extensions(&mut self, walks: &[Walk]) -> Option<Vec<Walk>> {
        let url = self.brackets()?.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        let mut walks = self.members(walks, "extension");
        walks.iter_mut().for_each(|walk| walk.steps.push(Step::Is("url".into(), url.into())));
        Some(walks)
    }

    fn cast(&self, walks: &mut Vec<Walk>, name: &str) {
        // R4 writes `DateTime` once where it means `dateTime`.
        walks.retain(|walk| self.types.name(walk.end).eq_ignore_ascii_case(name.trim()));
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|it: char| !it.is_ascii_alphanumeric()).unwrap_or(text.len());
    text.split_at(end)
}

fn filter(inside: &str) -> Option<Step> {
    if let Some(name) = inside.strip_prefix("resolve() is ") {
        return ResourceType::parse(name.trim()).map(Step::RefersTo);
    }
    let (member, text) = inside.split_once('=')?;
    let text = text.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    Some(Step::Is(member.trim().into(), text.into()))
}
