//! Facts into definitions: reads what `fhir-profiles/` holds, once.

use super::definitions::Definitions;
use super::guide::Guide;
use super::sealing::{Level, SealingPolicy};
use super::search_parameter::{SearchParameter, SearchParameterKind};
use crate::fhir::id::ResourceType;
use crate::fhir::types::{Element, TypeId, TypeKind, Types};
use crate::fhirpath::Expression;
use std::borrow::Cow;
use std::sync::Arc;

const R4_TYPES: &str = include_str!("../../fhir-profiles/r4-core/types.tsv");
const R4_SEARCH_PARAMETERS: &str = include_str!("../../fhir-profiles/r4-core/search-parameters.tsv");
const R4_COMPARTMENTS: &str = include_str!("../../fhir-profiles/r4-core/compartments.tsv");

/// R4's own package, then the guides, older versions first.
const GUIDES: &[&str] = &[
    include_str!("../../fhir-profiles/r4-core/package.tsv"),
    include_str!("../../fhir-profiles/us-core/3.1.1.tsv"),
    include_str!("../../fhir-profiles/us-core/6.1.0.tsv"),
    include_str!("../../fhir-profiles/us-core/7.0.0.tsv"),
    include_str!("../../fhir-profiles/smart-app-launch/2.2.0.tsv"),
    include_str!("../../fhir-profiles/bulk-data/3.0.0.tsv"),
    include_str!("../../fhir-profiles/balp/1.1.4.tsv"),
    include_str!("../../fhir-profiles/subscriptions/1.1.0.tsv"),
];

/// Why facts cannot be read: a mistake in a package.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct PackageError {
    file: &'static str,
    line: usize,
    reason: String,
}

pub(super) fn embedded() -> Result<Definitions, PackageError> {
    let mut definitions = Definitions { types: types(R4_TYPES)?, ..Definitions::default() };
    let policy = policy(&definitions.types)?;
    let mut by_type: ByType = ResourceType::all().map(|_| Vec::new()).collect();
    search_parameters(R4_SEARCH_PARAMETERS, &policy, &definitions.types, &mut by_type)?;
    definitions.search_parameters = by_type;
    for facts in GUIDES {
        let guide = add_guide(Cow::Borrowed(facts), &mut definitions)?;
        let Definitions { types, search_parameters: by_type, .. } = &mut definitions;
        search_parameters(guide.search_parameters(), &policy, types, by_type)?;
    }
    sort(&mut definitions.search_parameters);
    compartments(R4_COMPARTMENTS, &mut definitions);
    Ok(definitions)
}

/// The same definitions, and packages beside them.
pub(super) fn with_packages(base: &Definitions, packages: &[String]) -> Result<Definitions, PackageError> {
    let mut definitions = Definitions {
        types: base.types.clone(),
        search_parameters: base.search_parameters.clone(),
        compartments: base.compartments.clone(),
        guides: base.guides.clone(),
        ..Definitions::default()
    };
    for facts in packages {
        let guide = add_guide(Cow::Owned(facts.clone()), &mut definitions)?;
        add_parameters(&mut definitions, guide.search_parameters())?;
    }
    Ok(definitions)
}

/// Adds search parameters that do not come with the program; one that cannot be used becomes a problem.
pub(super) fn add_parameters(definitions: &mut Definitions, facts: &str) -> Result<(), PackageError> {
    let policy = policy(&definitions.types)?;
    let mut lines = facts.lines().peekable();
    while let Some(line) = lines.next() {
        let mut block = format!("{line}\n");
        while let Some(component) = lines.next_if(|it| it.starts_with('\t')) {
            block.push_str(component);
            block.push('\n');
        }
        let mut added: ByType = ResourceType::all().map(|_| Vec::new()).collect();
        if let Err(error) = search_parameters(&block, &policy, &definitions.types, &mut added) {
            let url = line.split('\t').nth(1).unwrap_or_default();
            definitions.problems.push(format!("search parameter {url}: {}", error.reason));
            continue;
        }
        for ((of, list), new) in ResourceType::all().zip(&mut definitions.search_parameters).zip(added) {
            for parameter in new {
                match list.iter().find(|it| it.code == parameter.code) {
                    None => {
                        list.push(Arc::new(SearchParameter {
                            is_added: true,
                            ..SearchParameter::clone(&parameter)
                        }));
                    }
                    Some(known) if known.digest() == parameter.digest() => {}
                    Some(known) => definitions.problems.push(format!(
                        "search parameter {}: {of} has one named {} already, {}, which stays",
                        parameter.url, parameter.code, known.url
                    )),
                }
            }
        }
    }
    sort(&mut definitions.search_parameters);
    Ok(())
}

/// At the strictest level that has an index at all: a parameter is then treated alike at every level,
/// and the level can change without a reindex.
fn policy(types: &Types) -> Result<SealingPolicy, PackageError> {
    SealingPolicy::embedded(types, Level::Clinical).map_err(|error| PackageError {
        file: "sealing.tsv",
        line: 0,
        reason: error.to_string(),
    })
}

/// A guide that is loaded already, by name and version, takes the place of the one before.
fn add_guide(facts: Cow<'static, str>, definitions: &mut Definitions) -> Result<Arc<Guide>, PackageError> {
    let broken = PackageError {
        file: "a package",
        line: 1,
        reason: "does not hold facts as this version writes them".to_owned(),
    };
    let guide = Arc::new(Guide::parse(facts).ok_or(broken)?);
    definitions.guides.retain(|it| (&it.name, &it.version) != (&guide.name, &guide.version));
    definitions.guides.push(Arc::clone(&guide));
    Ok(guide)
}

/// By code, as they are looked up.
fn sort(by_type: &mut ByType) {
    for parameters in by_type {
        parameters.sort_by(|one, other| one.code.cmp(&other.code));
    }
}

fn types(facts: &str) -> Result<Types, PackageError> {
    let mut types = Types::default();
    // Every name first: types refer to each other.
    for line in facts.lines().filter(|line| !line.starts_with('\t')) {
        let mut fields = line.split('\t');
        let (name, kind) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        types.declare(name, kind_of(kind));
    }
    let mut open: Option<(TypeId, Option<TypeId>)> = None;
    let mut elements = Vec::new();
    for line in facts.lines() {
        match line.strip_prefix('\t') {
            None => {
                if let Some((id, base)) = open {
                    types.define(id, base, std::mem::take(&mut elements));
                }
                let mut fields = line.split('\t');
                let id = fields.next().and_then(|name| types.id(name));
                let base = fields.nth(1).and_then(|base| types.id(base));
                open = id.map(|id| (id, base));
            }
            Some(element) => elements.push(element_of(element, &mut types)),
        }
    }
    if let Some((id, base)) = open {
        types.define(id, base, elements);
    }
    Ok(types)
}

fn kind_of(kind: &str) -> TypeKind {
    match kind {
        "primitive" => TypeKind::Primitive,
        "resource" => TypeKind::Resource,
        "backbone" => TypeKind::Backbone,
        _ => TypeKind::Complex,
    }
}

fn element_of(line: &str, types: &mut Types) -> Element {
    let fields: Vec<&str> = line.split('\t').collect();
    let field = |place: usize| fields.get(place).copied().unwrap_or_default();
    let name = field(0);
    let flags = field(3);
    Element {
        name: name.strip_suffix("[x]").unwrap_or(name).into(),
        min: field(1).parse().unwrap_or(0),
        max: field(2).parse().ok(),
        types: field(4)
            .split(' ')
            .filter(|it| !it.is_empty())
            .map(|it| types.declare(it, TypeKind::Primitive))
            .collect(),
        is_choice: name.ends_with("[x]"),
        is_summary: flags.contains('s'),
        is_modifier: flags.contains('m'),
    }
}

/// The search parameters of each type.
type ByType = Vec<Vec<Arc<SearchParameter>>>;

/// Adds parameters; a type that has one of that name already keeps it.
fn search_parameters(
    facts: &str,
    policy: &SealingPolicy,
    types: &Types,
    by_type: &mut ByType,
) -> Result<(), PackageError> {
    const FILE: &str = "search-parameters.tsv";
    let mut lines = facts.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let broken = |reason: String| PackageError { file: FILE, line: number + 1, reason };
        let parse = |text: &str| Expression::parse(text).map_err(|error| broken(error.to_string()));
        let line = line.strip_prefix("parameter\t").unwrap_or(line);
        let fields: Vec<&str> = line.split('\t').collect();
        let [url, code, kind, bases, targets, expression] = *fields.as_slice() else {
            return Err(broken("not six fields".to_owned()));
        };
        let mut components = Vec::new();
        while let Some((_, component)) = lines.next_if(|(_, line)| line.starts_with('\t')) {
            let mut fields = component.split('\t').skip(1);
            let url = fields.next().unwrap_or_default();
            components.push((url.into(), parse(fields.next().unwrap_or_default())?));
        }
        let parameter = SearchParameter {
            url: url.into(),
            code: code.into(),
            kind: SearchParameterKind::parse(kind).ok_or_else(|| broken("no such kind".to_owned()))?,
            expression: if expression.is_empty() { None } else { Some(parse(expression)?) },
            targets: targets.split(' ').filter_map(ResourceType::parse).collect(),
            components,
            is_sealed: false,
            is_added: false,
            is_building: false,
        };
        // By type: what is sealed in one need not be in another.
        let variants =
            [false, true].map(|is_sealed| Arc::new(SearchParameter { is_sealed, ..parameter.clone() }));
        let [open, sealed] = &variants;
        let is_for_all = bases.split(' ').any(|base| matches!(base, "Resource" | "DomainResource"));
        for (of, parameters) in ResourceType::all().zip(by_type.iter_mut()) {
            let is_new = !parameters.iter().any(|it| it.code == parameter.code);
            if is_new && (is_for_all || bases.split(' ').any(|base| base == of.name())) {
                let is_sealed = is_sealed(types, policy, of, &parameter);
                parameters.push(if is_sealed { sealed.clone() } else { open.clone() });
            }
        }
    }
    Ok(())
}

/// Whether a parameter of that type reaches an element that may be sealed: decided on its plain paths.
fn is_sealed(types: &Types, policy: &SealingPolicy, of: ResourceType, parameter: &SearchParameter) -> bool {
    let Some(expression) = &parameter.expression else { return false };
    // A date or a quantity is never the string that the element may be as well.
    let is_text = !matches!(
        parameter.kind,
        SearchParameterKind::Date | SearchParameterKind::Number | SearchParameterKind::Quantity
    );
    let is_other_type = |path: &str| {
        let name = path.split('.').next().unwrap_or_default();
        name != of.name() && ResourceType::parse(name).is_some()
    };
    expression.text().split('|').any(|branch| {
        let words: Vec<&str> = branch.split(['(', ')', ' ']).filter(|it| !it.is_empty()).collect();
        words.iter().enumerate().any(|(place, word)| {
            // `(Observation.value as Quantity)`, `Condition.onset.as(Age)`
            let (path, cast) = match (word.strip_suffix(".as"), words.get(place + 1)) {
                (Some(path), cast) => (path, cast),
                (None, Some(&"as")) => (*word, words.get(place + 2)),
                (None, _) => (*word, None),
            };
            let is_meant = |name: &str| match cast {
                Some(cast) => name.eq_ignore_ascii_case(cast),
                None => is_text || !matches!(name, "string" | "markdown"),
            };
            !is_other_type(path) && policy.seals_path_as(types, path, is_meant)
        })
    })
}

fn compartments(facts: &str, definitions: &mut Definitions) {
    for line in facts.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [compartment, of, parameters] = *fields.as_slice() else { continue };
        let Some(of) = ResourceType::parse(of) else { continue };
        let parameters = parameters.split(' ').map(Into::into).collect();
        definitions.compartments.insert((compartment.into(), of), parameters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Json, Limits};
    use crate::fhirpath::Environment;
    use crate::fhirpath::value::Item;

    #[test]
    fn the_embedded_facts_can_be_read() {
        let definitions = Definitions::embedded().unwrap();
        let observation = definitions.types.id("Observation").unwrap();
        let member = definitions.types.member(observation, "valueQuantity").unwrap();
        assert_eq!(definitions.types.name(member.type_id), "Quantity");
        let patient = ResourceType::parse("Patient").unwrap();
        let json = r#"{"resourceType":"Patient","name":[{"family":"Chalmers"}],"birthDate":"1974-12-25","deceasedDateTime":"2015-02-14T13:42:00+10:00"}"#;
        let json = Json::parse(json, &Limits::default()).unwrap();
        let focus = Item::of_resource(&definitions.types, json.root()).unwrap();
        let env = Environment::of(&definitions.types, focus.clone());
        for (code, count) in
            [("family", 1), ("birthdate", 1), ("death-date", 1), ("deceased", 1), ("given", 0)]
        {
            let parameter = definitions.search_parameter(patient, code).unwrap();
            let found = parameter.expression.as_ref().unwrap().evaluate(&env, focus.clone()).unwrap();
            assert_eq!(found.len(), count, "{code} {}", parameter.expression.as_ref().unwrap().text());
        }
        for (code, expected) in
            [("birthdate", true), ("death-date", true), ("family", true), ("gender", false)]
        {
            assert_eq!(definitions.search_parameter(patient, code).unwrap().is_sealed, expected, "{code}");
        }
        // A choice that may be a string is not sealed where it is none.
        let observation = ResourceType::parse("Observation").unwrap();
        for (code, expected) in
            [("value-quantity", false), ("value-date", false), ("value-string", true), ("date", false)]
        {
            assert_eq!(
                definitions.search_parameter(observation, code).unwrap().is_sealed,
                expected,
                "{code}"
            );
        }
    }
}
