//! The search parameters of each type, prepared for indexing and for asking: where their values are, and
//! under which index names they stand.
//!
//! Made once from the definitions and shared. This is the one place that decides index names (see
//! [`crate::search::index`]): a parameter that says what others say is asked under their names, and is
//! not indexed itself.

use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::{SearchParameter, SearchParameterKind};
use crate::fhir::id::ResourceType;
use crate::fhir::json::Node;
use crate::fhir::types::{TypeId, Types};
use crate::fhirpath::value::{Item, Value};
use crate::fhirpath::{Environment, Expression};
use crate::search::walk::{self, Walk};
use std::sync::Arc;

/// With more target types than these, a reference is also indexed by its bare id.
const MOST_TARGETS: usize = 8;

/// The prepared parameters of every type.
pub(super) struct AllParameters {
    by_type: Vec<TypeParameters>,
}

/// The prepared parameters of one type, in the order of their codes.
#[derive(Default)]
pub(super) struct TypeParameters {
    pub(super) list: Vec<Parameter>,
    /// The places of those that put a resource into a patient's compartment.
    pub(super) compartment: Vec<usize>,
    /// The places of those under whose codes are only references that do so without exception.
    pub(super) in_compartment: Vec<usize>,
}

/// One prepared parameter of one type.
pub(super) struct Parameter {
    pub(super) definition: Arc<SearchParameter>,
    /// Where all its values are.
    pub(super) source: Source,
    /// Where those are that are indexed under its own code.
    pub(super) own: Source,
    /// The places of the parameters under whose codes its values are indexed; it may be one of them.
    pub(super) asked: Vec<usize>,
    /// Of what is indexed there, only references to that type are meant.
    pub(super) target: Option<ResourceType>,
    /// For a composite: where its parts stand together, and what they are.
    pub(super) composite: Option<Composite>,
    /// The types of its values; empty where only the evaluator knows.
    pub(super) ends: Vec<Box<str>>,
}

/// Where values are.
pub(super) enum Source {
    /// At the ends of these walks.
    Walks(Vec<Walk>),
    /// What that expression gives.
    Expression(Expression),
}

/// A composite parameter.
pub(super) struct Composite {
    /// The elements within which its parts belong together.
    pub(super) focus: Vec<Walk>,
    /// Each part: the place of its parameter, and where its values are from each focus.
    pub(super) parts: Vec<(usize, Vec<Vec<Walk>>)>,
    /// The parts' own parameters say it all: they have the same values, and there is one focus.
    pub(super) is_plain: bool,
}

/// A value of a parameter.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    /// An element and its type.
    Element(Node<'a>, TypeId),
    /// A computed truth.
    Boolean(bool),
}

impl AllParameters {
    /// The prepared parameters: made at the first call.
    pub(super) fn of(definitions: &Definitions) -> Arc<AllParameters> {
        definitions.derived(|definitions| AllParameters {
            by_type: ResourceType::all().map(|it| prepare(definitions, it)).collect(),
        })
    }

    /// Those of a type.
    pub(super) fn of_type(&self, resource_type: ResourceType) -> &TypeParameters {
        static NONE: TypeParameters =
            TypeParameters { list: Vec::new(), compartment: Vec::new(), in_compartment: Vec::new() };
        let place = usize::try_from(resource_type.code()).unwrap_or(usize::MAX);
        self.by_type.get(place).unwrap_or(&NONE)
    }
}

impl TypeParameters {
    /// The parameter of that code.
    pub(super) fn get(&self, code: &str) -> Option<&Parameter> {
        let place = self.list.binary_search_by(|it| (*it.definition.code).cmp(code)).ok()?;
        self.list.get(place)
    }

    /// The parameters under whose codes the values of that one are indexed.
    pub(super) fn owners<'s>(&'s self, parameter: &'s Parameter) -> impl Iterator<Item = &'s Parameter> {
        parameter.asked.iter().filter_map(|place| self.list.get(*place))
    }
}

impl Parameter {
    pub(super) fn code(&self) -> &Arc<str> {
        &self.definition.code
    }

    pub(super) fn kind(&self) -> SearchParameterKind {
        self.definition.kind
    }

    pub(super) fn is_added(&self) -> bool {
        self.definition.is_added
    }

    /// Whether its references are also indexed by their bare ids.
    pub(super) fn has_bare_ids(&self) -> bool {
        self.definition.targets.len() > MOST_TARGETS
    }

    /// Whether its tokens have no system: `code`, `boolean`, ContactPoint.
    pub(super) fn is_bare(&self) -> bool {
        !self.ends.iter().any(|it| matches!(&**it, "Coding" | "CodeableConcept" | "Identifier"))
    }

    /// Whether its dates are all single: no Period and no Timing.
    pub(super) fn has_single_dates(&self) -> bool {
        self.ends.iter().all(|it| matches!(&**it, "date" | "dateTime" | "instant"))
    }

    /// Whether `:contains` is served by trigrams: names and addresses, which people search by parts.
    pub(super) fn has_trigrams(&self) -> bool {
        let code = &**self.code();
        matches!(code, "name" | "family" | "given" | "title") || code.starts_with("address")
    }

    /// Whether it takes canonical URLs, and whether it takes references.
    pub(super) fn takes(&self) -> (bool, bool) {
        let is_url = |it: &str| matches!(it, "canonical" | "uri" | "url");
        (self.ends.iter().any(|it| is_url(it)), !self.ends.iter().all(|it| is_url(it)))
    }
}

impl Source {
    /// Shows every value.
    pub(super) fn each<'a>(&self, types: &'a Types, root: Node<'a>, visit: &mut dyn FnMut(Found<'a>)) {
        match self {
            Source::Walks(walks) => each_from(walks, root, root, visit),
            Source::Expression(expression) => {
                let Some(focus) = Item::of_resource(types, root) else { return };
                let env = Environment::of(types, focus.clone());
                for item in expression.evaluate(&env, focus).unwrap_or_default() {
                    match item {
                        Item::Element(element) => {
                            if let Some(node) = element.node {
                                visit(Found::Element(node, element.type_id));
                            }
                        }
                        Item::Value(Value::Boolean(it)) => visit(Found::Boolean(it)),
                        Item::Value(_) => {}
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Source::Walks(walks) if walks.is_empty())
    }

    fn walks(&self) -> Option<&Vec<Walk>> {
        match self {
            Source::Walks(walks) => Some(walks),
            Source::Expression(_) => None,
        }
    }
}

/// Shows every value at the ends of walks from a focus.
pub(super) fn each_from<'a>(
    walks: &[Walk],
    root: Node<'a>,
    focus: Node<'a>,
    visit: &mut dyn FnMut(Found<'a>),
) {
    for walk in walks {
        walk.each(root, focus, &mut |node| visit(Found::Element(node, walk.end)));
    }
}

fn prepare(definitions: &Definitions, resource_type: ResourceType) -> TypeParameters {
    let types = &definitions.types;
    let Some(of) = types.id(resource_type.name()) else { return TypeParameters::default() };
    let definitions_of_type = definitions.search_parameters(resource_type);
    let mut list: Vec<Parameter> =
        definitions_of_type.iter().map(|definition| parameter(types, of, definition)).collect();
    share(&mut list);
    let composites: Vec<(usize, Composite)> = list
        .iter()
        .enumerate()
        .filter(|(_, it)| it.kind() == SearchParameterKind::Composite)
        .filter_map(|(place, it)| Some((place, composite(types, of, &list, &it.definition)?)))
        .collect();
    for (place, composite) in composites {
        if let Some(it) = list.get_mut(place) {
            it.composite = Some(composite);
        }
    }
    let codes = definitions.patient_compartment(resource_type);
    let compartment: Vec<usize> =
        codes.iter().filter_map(|code| list.iter().position(|it| *it.definition.code == **code)).collect();
    // What tells of a patient's destruction is a Provenance in nobody's compartment: it outlives their key.
    let has_exceptions = resource_type.name() == "Provenance";
    let sure = compartment.iter().filter(|_| !has_exceptions).filter_map(|place| list.get(*place));
    let in_compartment = sure.flat_map(|it| it.asked.iter().copied()).collect();
    TypeParameters { list, compartment, in_compartment }
}

fn parameter(types: &Types, of: TypeId, definition: &Arc<SearchParameter>) -> Parameter {
    let is_composite = definition.kind == SearchParameterKind::Composite;
    let source = match &definition.expression {
        Some(expression) if !is_composite => match walk::compile(types, of, expression.text()) {
            Some(walks) if definition.kind == SearchParameterKind::String => {
                Source::Walks(walks.into_iter().flat_map(|walk| string_parts(types, walk)).collect())
            }
            Some(mut walks) => {
                // An extension's value may be anything: only what can be a date is walked to for one.
                let is_date = |it: &Walk| {
                    matches!(types.name(it.end), "date" | "dateTime" | "instant" | "Period" | "Timing")
                };
                walks.retain(|it| definition.kind != SearchParameterKind::Date || is_date(it));
                Source::Walks(walks)
            }
            None => Source::Expression(expression.clone()),
        },
        _ => Source::Walks(Vec::new()),
    };
    // Whether it reaches what is sealed is told by plain paths alone: of any other expression it must be feared.
    let is_ordered = is_ordered(definition.kind) && definition.is_added;
    let definition = match &source {
        Source::Expression(_) if is_ordered => {
            &Arc::new(SearchParameter { is_sealed: true, ..SearchParameter::clone(definition) })
        }
        _ => definition,
    };
    let mut ends: Vec<Box<str>> = Vec::new();
    for walk in source.walks().into_iter().flatten() {
        let name = types.name(walk.end);
        if !ends.iter().any(|it| **it == *name) {
            ends.push(name.into());
        }
    }
    Parameter {
        definition: definition.clone(),
        source,
        own: Source::Walks(Vec::new()),
        asked: Vec::new(),
        target: None,
        composite: None,
        ends,
    }
}

/// A string parameter on a name or an address means each of its parts: then `name` is `family`, `given` and
/// the rest, and need not say them again.
fn string_parts(types: &Types, walk: Walk) -> Vec<Walk> {
    let parts: &[&str] = match types.name(walk.end) {
        "HumanName" => &["text", "family", "given", "prefix", "suffix"],
        "Address" => &["text", "line", "city", "district", "state", "postalCode", "country"],
        _ => return vec![walk],
    };
    parts.iter().filter_map(|part| walk.to(types, part)).collect()
}

/// Decides the index names.
fn share(list: &mut [Parameter]) {
    let mut order: Vec<usize> = (0..list.len()).collect();
    let size = |it: &Parameter| it.source.walks().map_or(0, Vec::len);
    let is_narrowed = |it: &Parameter| narrowed(it).is_some();
    // Those that come with the program first, so that what a tenant adds changes nothing about them. Then
    // small ones first, so that the large ones can be made of them; of two that say the same, the one with the
    // shorter name; references that name their type at the end, so that they can be part of the others.
    order.sort_by_key(|place| {
        list.get(*place)
            .map(|it| (it.is_added(), is_narrowed(it), size(it), it.code().len(), it.code().clone()))
    });
    let mut owners: Vec<usize> = Vec::new();
    for place in order {
        let Some(it) = list.get(place) else { continue };
        let takes_part = !matches!(it.kind(), SearchParameterKind::Composite | SearchParameterKind::Special);
        let narrowed = narrowed(it);
        let walks = match (&narrowed, it.source.walks()) {
            (Some((walks, _)), _) => Some(walks.clone()),
            (None, walks) => walks.cloned(),
        };
        let mut rest = walks.clone().unwrap_or_default();
        let mut asked = Vec::new();
        let is_twin = |other: &Parameter| {
            let is_alike = other.kind() == it.kind() && is_blind(other) == is_blind(it);
            is_alike
                && !other.is_added()
                && !other.asked.is_empty()
                && other.source.walks() == walks.as_ref()
                && other.target.is_none()
        };
        if let Some(twin) = list.iter().find(|other| takes_part && !rest.is_empty() && is_twin(other)) {
            asked.clone_from(&twin.asked);
            rest.clear();
        } else if takes_part && !rest.is_empty() {
            // The largest first.
            for owner in owners.iter().rev() {
                let Some(other) = list.get(*owner) else { continue };
                let is_alike = other.kind() == it.kind() && is_blind(other) == is_blind(it);
                let own = other.own.walks().map(Vec::as_slice).unwrap_or_default();
                let is_whole = size(other) == own.len() && other.target.is_none();
                if is_alike && is_whole && !own.is_empty() && own.iter().all(|walk| rest.contains(walk)) {
                    rest.retain(|walk| !own.contains(walk));
                    asked.push(*owner);
                }
            }
        }
        if narrowed.is_some() && !rest.is_empty() {
            // Only as a whole: entries of other types must not get in.
            asked.clear();
            rest = it.source.walks().cloned().unwrap_or_default();
        }
        let own = if walks.is_some() { Source::Walks(rest) } else { clone_expression(&it.source) };
        if !own.is_empty() || asked.is_empty() {
            asked.push(place);
        }
        let Some(it) = list.get_mut(place) else { continue };
        it.target = narrowed.map(|(_, target)| target);
        // What was added may be taken away again: nothing else is made of it.
        if !own.is_empty() && !it.is_added() {
            owners.push(place);
        }
        it.own = own;
        it.asked = asked;
    }
}

/// Whether its values are ordered but must not be: it has keys only.
fn is_blind(parameter: &Parameter) -> bool {
    is_ordered(parameter.kind()) && parameter.definition.is_sealed
}

fn is_ordered(kind: SearchParameterKind) -> bool {
    matches!(kind, SearchParameterKind::Date | SearchParameterKind::Number | SearchParameterKind::Quantity)
}

fn clone_expression(source: &Source) -> Source {
    match source {
        Source::Expression(it) => Source::Expression(it.clone()),
        Source::Walks(it) => Source::Walks(it.clone()),
    }
}

/// The walks of a reference parameter that means one type alone, without that filter.
fn narrowed(parameter: &Parameter) -> Option<(Vec<Walk>, ResourceType)> {
    let walks = parameter.source.walks().filter(|it| !it.is_empty())?;
    if parameter.kind() != SearchParameterKind::Reference {
        return None;
    }
    let stripped: Option<Vec<_>> = walks.iter().map(Walk::without_target).collect();
    let stripped = stripped?;
    let (_, first) = stripped.first()?;
    let first = *first;
    let is_one = stripped.iter().all(|(_, target)| *target == first);
    is_one.then(|| (stripped.into_iter().map(|(walk, _)| walk).collect(), first))
}

fn composite(
    types: &Types,
    of: TypeId,
    list: &[Parameter],
    definition: &SearchParameter,
) -> Option<Composite> {
    let focus = walk::compile(types, of, definition.expression.as_ref()?.text())?;
    let mut parts = Vec::new();
    let mut is_plain = focus.iter().all(|walk| walk.steps.is_empty());
    for (url, expression) in &definition.components {
        let place = list.iter().position(|it| it.definition.url == *url)?;
        let mut from_each = Vec::new();
        for walk in &focus {
            let walks = walk::compile(types, walk.end, expression.text())?;
            is_plain &= list.get(place).is_some_and(|it| says_the_same(types, it, &walks));
            from_each.push(walks);
        }
        parts.push((place, from_each));
    }
    (!parts.is_empty()).then_some(Composite { focus, parts, is_plain })
}

/// Whether a parameter has the values of these walks and no others that matter.
fn says_the_same(types: &Types, parameter: &Parameter, walks: &[Walk]) -> bool {
    let all = parameter.source.walks().map(Vec::as_slice).unwrap_or_default();
    // A composite on a Quantity is not asked of sampled data, which `value-quantity` also means; where
    // one is there, the other is not, and its bounds are quantities too.
    let matters = |walk: &&Walk| types.name(walk.end) != "SampledData";
    walks.iter().all(|walk| all.contains(walk)) && all.iter().filter(matters).all(|walk| walks.contains(walk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(of: &str, code: &str) -> String {
        let definitions = Definitions::embedded().unwrap();
        let all = AllParameters::of(&definitions);
        let parameters = all.of_type(ResourceType::parse(of).unwrap());
        let asked: Vec<_> = parameters.owners(parameters.get(code).unwrap()).map(|it| &**it.code()).collect();
        asked.join(" ")
    }

    #[test]
    fn what_is_said_twice_is_indexed_once() {
        for (of, code, expected) in [
            ("Observation", "patient", "subject"),
            ("Observation", "subject", "subject"),
            ("Observation", "combo-code", "component-code code"),
            ("Observation", "combo-value-quantity", "component-value-quantity value-quantity"),
            ("Patient", "name", "family given name"),
            ("Patient", "phonetic", "family given name"),
            ("Patient", "birthdate", "birthdate"),
            ("Encounter", "practitioner", "participant"),
            ("Encounter", "date", "date"),
        ] {
            assert_eq!(show(of, code), expected, "{of}.{code}");
        }
    }

    /// The store keeps the clinical date, code and quantity of a type in columns of their own.
    #[test]
    fn nothing_else_stands_in_for_the_store_s_columns() {
        let definitions = Definitions::embedded().unwrap();
        let all = AllParameters::of(&definitions);
        for of in ResourceType::all() {
            let parameters = all.of_type(of);
            let hot =
                [crate::store::hot::date(of), crate::store::hot::code(of), crate::store::hot::quantity(of)];
            for code in hot.into_iter().flatten() {
                let Some(parameter) = parameters.get(code) else {
                    assert!(definitions.search_parameter(of, code).is_none(), "{of}.{code} is not found");
                    continue;
                };
                let asked: Vec<_> = parameters.owners(parameter).map(|it| &**it.code()).collect();
                assert_eq!(asked, [code], "{of}");
            }
        }
    }

    /// Walks are what makes indexing fast: whoever adds an expression that is none should know.
    #[test]
    fn nearly_every_expression_is_walked() {
        let definitions = Definitions::embedded().unwrap();
        let all = AllParameters::of(&definitions);
        for of in ResourceType::all() {
            for it in &all.of_type(of).list {
                if let Source::Expression(expression) = &it.source {
                    assert_eq!(&**it.code(), "deceased", "{of}: {}", expression.text());
                }
                let has_values = !it.ends.is_empty() || it.composite.is_some();
                let is_special = matches!(&**it.code(), "_text" | "_content" | "_query" | "deceased");
                assert!(has_values || is_special, "{of}.{} leads nowhere", it.code());
            }
        }
    }
}
