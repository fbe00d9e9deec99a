//! Which elements are sealed, and under which class: the sealing policy.
//!
//! The rules are data, `fhir-profiles/vesta/sealing.tsv`: by datatype (every HumanName, every string)
//! and by path. They follow resources into contained ones, extensions and bundle entries, since those are
//! made of the same types; so a path that a custom profile adds is covered by its datatype.

use super::definitions::Definitions;
use crate::fhir::id::ResourceType;
use crate::fhir::json::{Json, Node};
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::{SealClass, SealedSpan};
use crate::fhir::types::{TypeId, TypeKind, Types};
use std::collections::{HashMap, HashSet};

const RULES: &str = include_str!("../../fhir-profiles/vesta/sealing.tsv");

/// How much is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Who the person is.
    Identity,
    /// Also what they have and what is done about it, and every free text.
    #[default]
    Clinical,
    /// The whole resource.
    Everything,
}

/// An element's name, and its class; nothing leaves it open.
type PathRule = (Box<str>, Option<SealClass>);

/// The compiled rules.
pub struct SealingPolicy {
    level: Level,
    open: HashSet<ResourceType>,
    by_type: HashMap<TypeId, SealClass>,
    /// By type, then by element name: few for any type. `None` leaves it open.
    by_path: HashMap<TypeId, Vec<PathRule>>,
}

/// A rule that cannot be read: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("sealing.tsv:{line}: not a rule")]
pub struct RuleError {
    line: usize,
}

impl SealingPolicy {
    /// The policy that comes with the program, at a level.
    ///
    /// # Errors
    /// A rule cannot be read.
    pub fn embedded(types: &Types, level: Level) -> Result<SealingPolicy, RuleError> {
        let mut policy =
            SealingPolicy { level, open: HashSet::new(), by_type: HashMap::new(), by_path: HashMap::new() };
        for (number, line) in RULES.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            policy.add(types, line).ok_or(RuleError { line: number + 1 })?;
        }
        Ok(policy)
    }

    fn add(&mut self, types: &Types, line: &str) -> Option<()> {
        let fields: Vec<&str> = line.split('\t').collect();
        match *fields.as_slice() {
            ["open", names] => {
                for name in names.split(' ') {
                    self.open.insert(ResourceType::parse(name)?);
                }
            }
            ["type", name, class] => {
                let class = SealClass::parse(class)?;
                if self.holds(class) {
                    self.by_type.insert(types.id(name)?, class);
                }
            }
            ["path", path, class] => {
                let (of, name) = path.rsplit_once('.')?;
                let class = if class == "none" { None } else { Some(SealClass::parse(class)?) };
                if class.is_none_or(|class| self.holds(class)) {
                    self.by_path.entry(types.id(of)?).or_default().push((name.into(), class));
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn holds(&self, class: SealClass) -> bool {
        self.level != Level::Identity || class == SealClass::Identity
    }

    /// The class of an element: nothing where it is open.
    fn class(&self, of: TypeId, element: &str, type_id: TypeId) -> Option<SealClass> {
        let by_path = self.by_path.get(&of).into_iter().flatten().rev().find(|(name, _)| **name == *element);
        by_path.map_or_else(|| self.by_type.get(&type_id).copied(), |(_, class)| *class)
    }

    /// Whether a path such as `Patient.name.family` leads to or through a sealed element.
    #[must_use]
    pub fn seals_path(&self, types: &Types, path: &str) -> bool {
        self.seals_path_as(types, path, |_| true)
    }

    /// The same of a path whose last element is only meant where it is of certain types, by name: `value` as
    /// `Quantity`.
    #[must_use]
    pub fn seals_path_as(&self, types: &Types, path: &str, is_meant: impl Fn(&str) -> bool) -> bool {
        let mut names = path.split('.').peekable();
        let Some(mut of) = names.next().and_then(|name| types.id(name)) else { return false };
        if ResourceType::parse(types.name(of)).is_some_and(|it| self.open.contains(&it)) {
            return false;
        }
        while let Some(name) = names.next() {
            let is_last = names.peek().is_none();
            let Some(element) = types.get(of).and_then(|it| it.elements.iter().find(|it| *it.name == *name))
            else {
                return false;
            };
            let mut meant = element.types.iter().filter(|it| !is_last || is_meant(types.name(**it)));
            if meant.any(|it| self.class(of, name, *it).is_some()) {
                return true;
            }
            let Some(next) = element.types.first() else { return false };
            of = *next;
        }
        false
    }
}

/// The values of a resource that are to be sealed, in the order of the text.
#[must_use]
pub fn sealed_spans(
    definitions: &Definitions,
    policy: &SealingPolicy,
    resource: &Resource,
) -> Vec<SealedSpan> {
    let mut spans = Vec::new();
    if policy.level == Level::Everything {
        everything(resource.json(), &mut spans);
        return spans;
    }
    if let Some(type_id) = definitions.types.id(resource.resource_type().name())
        && !policy.open.contains(&resource.resource_type())
    {
        walk(&definitions.types, policy, resource.root(), type_id, &mut spans);
    }
    spans
}

fn walk(types: &Types, policy: &SealingPolicy, node: Node<'_>, type_id: TypeId, spans: &mut Vec<SealedSpan>) {
    // A resource inside a resource says itself what it is.
    let type_id = match types.get(type_id).map(|it| it.kind) {
        Some(TypeKind::Resource) => {
            node.string("resourceType").and_then(|name| types.id(&name)).unwrap_or(type_id)
        }
        _ => type_id,
    };
    for (key, value) in node.members() {
        let Some(key) = key.as_str() else { continue };
        let name = key.strip_prefix('_').unwrap_or(&key);
        let Some(member) = types.member(type_id, name) else {
            if key != "resourceType" {
                // What we do not know we do not show: it is refused by validation, or a profile's.
                spans.push(SealedSpan { span: value.span(), class: SealClass::Narrative });
            }
            continue;
        };
        // An id, a canonical or a code is needed to find and join; a string may say anything.
        let is_id = &*member.element.name == "id";
        match policy.class(type_id, &member.element.name, member.type_id).filter(|_| !is_id) {
            Some(class) => spans.push(SealedSpan { span: value.span(), class }),
            None => {
                let inner = if key.starts_with('_') { types.id("Element") } else { Some(member.type_id) };
                for item in value.each().filter(|item| item.is_object()) {
                    if let Some(inner) = inner {
                        walk(types, policy, item, inner, spans);
                    }
                }
            }
        }
    }
}

/// All but what the store must have in the clear: the type and the id.
fn everything(json: &Json, spans: &mut Vec<SealedSpan>) {
    for (key, value) in json.root().members() {
        if !key.is("resourceType") && !key.is("id") && !key.is("meta") {
            spans.push(SealedSpan { span: value.span(), class: SealClass::Narrative });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::Limits;

    fn check(text: &str, expected: &[&str]) {
        let definitions = Definitions::embedded().unwrap();
        let policy = SealingPolicy::embedded(&definitions.types, Level::Clinical).unwrap();
        let resource = Resource::parse(text, &Limits::default()).unwrap();
        let spans = sealed_spans(&definitions, &policy, &resource);
        let shown: Vec<_> =
            spans.iter().map(|it| format!("{} {}", it.class.name(), &text[it.span.clone()])).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn seals_who_and_what() {
        check(
            r#"{"resourceType":"Patient","id":"p","gender":"male","name":[{"family":"X"}],"birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"u","valueString":"s"}]}}"#,
            &[
                r#"identity [{"family":"X"}]"#,
                r#"identity "1970-01-01""#,
                r#"identity {"extension":[{"url":"u","valueString":"s"}]}"#,
            ],
        );
        check(
            r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s","code":"c"}],"text":"t"},"subject":{"reference":"Patient/1","display":"X"},"valueString":"v","note":[{"text":"n"}],"contained":[{"resourceType":"Patient","birthDate":"1970"}]}"#,
            &[
                r#"narrative "t""#,
                r#"identity "X""#,
                r#"narrative "v""#,
                r#"narrative "n""#,
                r#"identity "1970""#,
            ],
        );
        check(r#"{"resourceType":"Organization","name":"Open","address":[{"city":"c"}]}"#, &[]);
    }

    #[test]
    fn knows_which_paths_are_sealed() {
        let definitions = Definitions::embedded().unwrap();
        let policy = SealingPolicy::embedded(&definitions.types, Level::Clinical).unwrap();
        for (path, expected) in [
            ("Patient.name.family", true),
            ("Patient.birthDate", true),
            ("Patient.gender", false),
            ("Condition.code", true),
            ("Condition.onset", true),
            ("Observation.effective", false),
            ("Organization.name", false),
        ] {
            assert_eq!(policy.seals_path(&definitions.types, path), expected, "{path}");
        }
    }
}
