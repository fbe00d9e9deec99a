//! One parameter of a query as a predicate: modifiers, alternatives, chains and `_has`.
//!
//! <https://hl7.org/fhir/R4/search.html#chaining>, <https://hl7.org/fhir/R4/search.html#has>

use super::set;
use super::split::{split, unescape};
use super::value::{Modifier, Reading, any};
use super::{Refusal, Setting, answer, built, filter};
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::criterion::Test;
use crate::search::extract::token::token;
use crate::search::index::KeyKind;
use crate::search::parameters::{AllParameters, Parameter, TypeParameters};
use crate::search::predicate::Predicate;
use std::cell::Cell;

/// The deepest chain.
const DEEPEST: usize = 8;
/// The most values in one search.
const MOST_VALUES: usize = 1000;
/// The most types that a chain may go to without naming one.
const MOST_TARGETS: usize = 8;

/// What conditions are read with.
pub(super) struct Planning<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) all: &'a AllParameters,
    values: Cell<usize>,
}

type Result<T> = std::result::Result<T, Refusal>;

impl<'a> Planning<'a> {
    pub(super) fn new(setting: &'a Setting<'a>, all: &'a AllParameters) -> Planning<'a> {
        Planning { setting, all, values: Cell::new(0) }
    }

    /// A condition on resources of several types, each by its own index.
    pub(super) fn over_types(&self, types: &[ResourceType], name: &str, value: &str) -> Result<Predicate> {
        let mut by_type: Vec<(ResourceType, Predicate)> = Vec::new();
        for resource_type in types {
            // Several types are one question.
            let values = self.values.get();
            by_type.push((*resource_type, self.condition(*resource_type, name, value, 0)?));
            if by_type.len() < types.len() {
                self.values.set(values);
            }
        }
        let Some((_, first)) = by_type.first() else { return Ok(Predicate::True) };
        if by_type.iter().all(|(_, it)| it == first) {
            return Ok(first.clone());
        }
        Ok(Predicate::any(
            by_type.into_iter().map(|(resource_type, it)| Predicate::Type(resource_type).and(it)),
        ))
    }

    /// A condition on resources of one type.
    pub(super) fn condition(
        &self,
        resource_type: ResourceType,
        name: &str,
        value: &str,
        depth: usize,
    ) -> Result<Predicate> {
        if depth > DEEPEST {
            return Err(Refusal::too_costly(name, "the chain is too long"));
        }
        if let Some(rest) = name.strip_prefix("_has:") {
            return self.has(resource_type, name, rest, value, depth);
        }
        match name.split_once('.') {
            Some((reference, rest)) => self.chain(resource_type, reference, (name, rest), value, depth),
            None => self.plain(resource_type, name, value),
        }
    }

    fn has(
        &self,
        resource_type: ResourceType,
        name: &str,
        rest: &str,
        value: &str,
        depth: usize,
    ) -> Result<Predicate> {
        let mut parts = rest.splitn(3, ':');
        let (Some(source), Some(code), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::value(name, "_has:Type:reference:parameter is expected"));
        };
        let Some(source) = ResourceType::parse(source) else {
            return Err(Refusal::value(name, "not a resource type"));
        };
        let parameters = self.all.of_type(source);
        let Some(reference) = built(name, reference(parameters, code))? else {
            return Err(Refusal::unknown(name, "the type has no such reference parameter"));
        };
        if !reference.definition.targets.contains(&resource_type) {
            return Err(Refusal::value(name, "that parameter does not refer to the type searched"));
        }
        let inner = self.condition(source, rest, value, depth + 1).map_err(|it| it.within(name))?;
        Ok(Predicate::any(parameters.owners(reference).map(|owner| Predicate::ReferencedBy {
            source,
            parameter: owner.code().clone(),
            inner: Box::new(inner.clone()),
        })))
    }

    fn chain(
        &self,
        resource_type: ResourceType,
        reference_name: &str,
        (name, rest): (&str, &str),
        value: &str,
        depth: usize,
    ) -> Result<Predicate> {
        let (code, modifier) = with_modifier(reference_name);
        let parameters = self.all.of_type(resource_type);
        let Some(reference) = built(name, reference(parameters, code))? else {
            return Err(Refusal::unknown(name, "the type has no such reference parameter"));
        };
        let targets = match modifier {
            Some(named) => match ResourceType::parse(named) {
                Some(it) if reference.definition.targets.contains(&it) => vec![it],
                Some(_) => return Err(Refusal::value(name, "the reference is never to that type")),
                None => return Err(Refusal::value(name, "not a resource type")),
            },
            None => match reference.target {
                Some(it) => vec![it],
                None => reference.definition.targets.clone(),
            },
        };
        if targets.len() > MOST_TARGETS {
            return Err(Refusal::value(name, "name the type that is referred to: parameter:Type.parameter"));
        }
        self.through(parameters, reference, &targets, |target| {
            self.condition(target, rest, value, depth + 1).map_err(|it| it.within(name))
        })
        .unwrap_or_else(|| Err(Refusal::unknown(name, "the reference has no target type")))
    }

    /// The predicate that a reference leads to something that satisfies another, whichever types know that
    /// one. Nothing where there is no type.
    pub(super) fn through(
        &self,
        parameters: &TypeParameters,
        reference: &Parameter,
        targets: &[ResourceType],
        inner: impl Fn(ResourceType) -> Result<Predicate>,
    ) -> Option<Result<Predicate>> {
        let mut found = Vec::new();
        let mut refusal = None;
        for target in targets {
            match inner(*target) {
                Ok(inner) => found.extend(parameters.owners(reference).map(|owner| Predicate::References {
                    parameter: owner.code().clone(),
                    target: *target,
                    inner: Box::new(inner.clone()),
                })),
                Err(building) if building.is_building => return Some(Err(building)),
                // A bad value says more than a parameter that this type does not have.
                Err(bad) if !bad.is_unknown => refusal = Some(bad),
                Err(unknown) => refusal = refusal.or(Some(unknown)),
            }
        }
        match refusal {
            _ if !found.is_empty() => Some(Ok(Predicate::any(found))),
            refusal => refusal.map(Err),
        }
    }

    fn plain(&self, resource_type: ResourceType, name: &str, value: &str) -> Result<Predicate> {
        let (code, modifier) = with_modifier(name);
        match code {
            "_id" => return self.id(name, modifier, value),
            "_list" => return self.list(resource_type, name, modifier, value),
            "_filter" if modifier.is_none() => {
                return filter::predicate(self, resource_type, name, value);
            }
            "_query" => return Err(Refusal::not_supported(name, "there are no named queries")),
            _ => {}
        }
        let parameters = self.all.of_type(resource_type);
        let Some(parameter) = built(name, parameters.get(code))? else {
            return Err(Refusal::unknown(name, &format!("not a search parameter of {resource_type}")));
        };
        if code == "_lastUpdated" {
            return self.last_updated(parameters, name, modifier, value);
        }
        if modifier == Some("missing") {
            return missing(name, parameter, value);
        }
        if parameter.kind() == SearchParameterKind::Token
            && let Some(modifier @ ("in" | "not-in" | "above" | "below")) = modifier
        {
            return self.of_set(parameters, parameter, (name, modifier), value);
        }
        let (modifier, is_negated) = self.modifier(name, parameter, modifier)?;
        let reading = self.reading(parameters, name);
        let mut tests = Vec::new();
        for raw in self.alternatives(name, value)? {
            tests.push(reading.test(parameter, modifier, raw)?);
        }
        let found = answer::predicate(parameters, parameter, &any(tests));
        Ok(if is_negated { found.negated() } else { found })
    }

    /// Codes that were looked up: one of them, or none.
    fn of_set(
        &self,
        parameters: &TypeParameters,
        parameter: &Parameter,
        (name, modifier): (&str, &str),
        value: &str,
    ) -> Result<Predicate> {
        let mut tests = Vec::new();
        for raw in self.alternatives(name, value)? {
            let wanted = set::need(modifier, raw);
            let wanted = wanted.ok_or_else(|| Refusal::value(name, "system|code is expected"))?;
            let Some(codes) = self.setting.sets.and_then(|it| it.get(&wanted)) else {
                return Err(Refusal::not_supported(
                    name,
                    "the code system that this modifier needs is not known here",
                ));
            };
            tests.extend(codes.iter().map(|(system, code)| match parameter.is_bare() {
                true => Test::Key(KeyKind::Code, code.as_str().into()),
                false => Test::Key(KeyKind::Token, token(system, code).into()),
            }));
        }
        let found = answer::predicate(parameters, parameter, &any(tests));
        Ok(if modifier == "not-in" { found.negated() } else { found })
    }

    /// What values of a parameter are read with.
    pub(super) fn reading<'r>(&'r self, parameters: &'r TypeParameters, name: &'r str) -> Reading<'r> {
        Reading { base: self.setting.base, now: self.setting.now, parameters, name }
    }

    /// The alternatives of a value, still escaped.
    fn alternatives<'v>(&self, name: &str, value: &'v str) -> Result<Vec<&'v str>> {
        let raw: Vec<&str> = split(value, ',').into_iter().filter(|it| !it.is_empty()).collect();
        if raw.is_empty() {
            return Err(Refusal::value(name, "a value is needed"));
        }
        self.count_values(name, raw.len())?;
        Ok(raw)
    }

    /// Counts the values of the whole search.
    pub(super) fn count_values(&self, name: &str, more: usize) -> Result<()> {
        self.values.set(self.values.get() + more);
        if self.values.get() > MOST_VALUES {
            return Err(Refusal::too_costly(name, "the search has too many values"));
        }
        Ok(())
    }

    /// What a modifier means on that parameter, and whether it negates.
    fn modifier(
        &self,
        name: &str,
        parameter: &Parameter,
        modifier: Option<&str>,
    ) -> Result<(Modifier, bool)> {
        use SearchParameterKind as Of;
        let Some(modifier) = modifier else { return Ok((Modifier::Plain, false)) };
        let is_text = matches!(&**parameter.code(), "_text" | "_content");
        Ok(match (parameter.kind(), modifier) {
            (Of::String, "exact") if !is_text => (Modifier::Exact, false),
            (Of::String, "contains") if !is_text => (Modifier::Contains, false),
            (Of::Token, "not") => (Modifier::Plain, true),
            (Of::Token, "text") => (Modifier::Text, false),
            (Of::Token, "of-type") if parameter.ends.iter().any(|it| **it == *"Identifier") => {
                (Modifier::OfType, false)
            }
            (Of::Uri, "below") => (Modifier::Below, false),
            (Of::Uri, "above") => (Modifier::Above, false),
            (Of::Reference, "identifier") if parameter.takes().1 => (Modifier::Identifier, false),
            (Of::Reference, named) if parameter.takes().1 => match ResourceType::parse(named) {
                Some(it) if parameter.definition.targets.contains(&it) => (Modifier::Type(it), false),
                Some(_) => return Err(Refusal::value(name, "the reference is never to that type")),
                None => return Err(Refusal::not_supported(name, "not a modifier of this parameter")),
            },
            _ => return Err(Refusal::not_supported(name, "not a modifier of this parameter")),
        })
    }

    fn id(&self, name: &str, modifier: Option<&str>, value: &str) -> Result<Predicate> {
        let is_negated = match modifier {
            None => false,
            Some("not") => true,
            Some(_) => return Err(Refusal::not_supported(name, "not a modifier of this parameter")),
        };
        let mut ids = Vec::new();
        for raw in self.alternatives(name, value)? {
            let Some(id) = ResourceId::parse(&unescape(raw)) else {
                return Err(Refusal::value(name, "an id is expected"));
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let found = Predicate::Id(ids);
        Ok(if is_negated { found.negated() } else { found })
    }

    fn last_updated(
        &self,
        parameters: &TypeParameters,
        name: &str,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Predicate> {
        if modifier.is_some() {
            return Err(Refusal::not_supported(name, "not a modifier of this parameter"));
        }
        let reading = self.reading(parameters, name);
        let mut tests = Vec::new();
        for raw in self.alternatives(name, value)? {
            tests.push(Predicate::LastUpdated(reading.date(raw)?));
        }
        Ok(Predicate::any(tests))
    }

    /// `_list`: what those Lists hold.
    fn list(
        &self,
        resource_type: ResourceType,
        name: &str,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Predicate> {
        if modifier.is_some() || value.contains('$') {
            return Err(Refusal::not_supported(name, "only the ids of Lists are taken"));
        }
        let Some(source) = ResourceType::parse("List") else { return Ok(Predicate::False) };
        let parameters = self.all.of_type(source);
        let inner = self.id(name, None, value)?;
        let reference =
            reference(parameters, "item").filter(|it| it.definition.targets.contains(&resource_type));
        let owners = reference.into_iter().flat_map(|it| parameters.owners(it));
        Ok(Predicate::any(owners.map(|owner| Predicate::ReferencedBy {
            source,
            parameter: owner.code().clone(),
            inner: Box::new(inner.clone()),
        })))
    }
}

/// A reference parameter whose references can be followed.
pub(super) fn reference<'p>(parameters: &'p TypeParameters, code: &str) -> Option<&'p Parameter> {
    parameters.get(code).filter(|it| it.kind() == SearchParameterKind::Reference && it.takes().1)
}

/// `code:modifier`
pub(super) fn with_modifier(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((code, modifier)) => (code, Some(modifier)),
        None => (name, None),
    }
}

fn missing(name: &str, parameter: &Parameter, value: &str) -> Result<Predicate> {
    if !answer::can_be_missing(parameter) {
        return Err(Refusal::not_supported(name, "not a modifier of this parameter"));
    }
    let missing = Predicate::Missing(parameter.code().clone());
    match value {
        "true" => Ok(missing),
        "false" => Ok(missing.negated()),
        _ => Err(Refusal::value(name, "true or false is expected")),
    }
}

/// The predicate that a value of a parameter passes a test.
pub(super) fn asks(parameters: &TypeParameters, parameter: &Parameter, test: &Test) -> Predicate {
    answer::predicate(parameters, parameter, test)
}
