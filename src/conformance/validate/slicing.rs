//! Slicing: which values belong to which slice, and what the slices demand.
//!
//! <https://hl7.org/fhir/R4/profiling.html#slicing>

use super::profile::Check;
use super::value::{Value, Values};
use super::walk::Walk;
use crate::conformance::constraint::{Constraint, Discriminator, DiscriminatorKind, Slicing, SlicingRules};
use crate::fhir::issue_type::IssueType;
use crate::fhir::reference::Reference;

impl<'a> Walk<'_, 'a> {
    /// Holds the values of a sliced element against its slices.
    pub(super) fn slices(
        &mut self,
        name: &str,
        sliced: &Constraint,
        values: &[Value<'a>],
        parent: Value<'a>,
        check: Check<'_, 'a>,
    ) {
        let slicing = sliced.slicing.as_ref();
        let mut of: Vec<Option<usize>> = Vec::with_capacity(values.len());
        for (position, value) in values.iter().enumerate() {
            let mut found = None;
            for (place, (slice_name, slice)) in sliced.slices.iter().enumerate() {
                if self.is_of_slice(name, slice_name, slice, slicing, (position, place), *value, check) {
                    found = Some(place);
                    break;
                }
            }
            of.push(found);
        }
        for (place, (slice_name, slice)) in sliced.slices.iter().enumerate() {
            let own: Values<'a> = values
                .iter()
                .zip(&of)
                .filter(|(_, it)| **it == Some(place))
                .map(|(value, _)| *value)
                .collect();
            let label = format!("{name}:{slice_name}");
            self.occurrences(&label, slice, &own, parent, check);
            for value in &own {
                self.constrain(slice, *value, self.inside(*value, check));
            }
            if !slice.slices.is_empty() {
                self.slices(&label, slice, &own, parent, check);
            }
        }
        if let Some(slicing) = slicing {
            self.order(slicing, values, &of, check);
        }
    }

    /// Closed slicing lets nothing else in; ordered slicing keeps the slices' order; open at the end lets others
    /// come only after them.
    fn order(&mut self, slicing: &Slicing, values: &[Value<'a>], of: &[Option<usize>], check: Check<'_, 'a>) {
        let mut last = 0;
        let mut has_other = false;
        for (value, slice) in values.iter().zip(of) {
            let Some(node) = value.place() else { continue };
            let Some(slice) = *slice else {
                has_other = true;
                if slicing.rules == SlicingRules::Closed {
                    let message = "this belongs to none of the slices, and the profile allows no others";
                    self.complain(node, IssueType::Structure, &check.profile.url, message);
                }
                continue;
            };
            if slicing.rules == SlicingRules::OpenAtEnd && has_other {
                let message = "the profile allows values outside of the slices only at the end";
                self.complain(node, IssueType::Structure, &check.profile.url, message);
            }
            if slicing.is_ordered && slice < last {
                let message = "this is not in the order of the profile's slices";
                self.complain(node, IssueType::Structure, &check.profile.url, message);
            }
            last = last.max(slice);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one question, asked in one place")]
    fn is_of_slice(
        &mut self,
        name: &str,
        slice_name: &str,
        slice: &Constraint,
        slicing: Option<&Slicing>,
        (position, place): (usize, usize),
        value: Value<'a>,
        check: Check<'_, 'a>,
    ) -> bool {
        let discriminators = slicing.map(|it| it.discriminators.as_slice()).unwrap_or_default();
        if discriminators.is_empty() {
            return self.is_of_implicit_slice(name, slice_name, slice, value, check);
        }
        discriminators.iter().all(|it| match it.kind {
            DiscriminatorKind::Position => position == place,
            _ => self.discriminates(it, slice, value, check),
        })
    }

    /// Slices without a discriminator: a choice by its type, an extension by its URL, anything else by all
    /// that the slice demands.
    fn is_of_implicit_slice(
        &mut self,
        name: &str,
        slice_name: &str,
        slice: &Constraint,
        value: Value<'a>,
        check: Check<'_, 'a>,
    ) -> bool {
        if let Some(stem) = name.strip_suffix("[x]") {
            let of = self.types.name(value.type_id);
            let is_spelled = slice_name.strip_prefix(stem).is_some_and(|rest| rest.eq_ignore_ascii_case(of));
            return is_spelled || slice.types.iter().any(|it| *it.code == *of);
        }
        if Some(value.type_id) == self.known.extension {
            let url = Discriminator { kind: DiscriminatorKind::Value, path: "url".into() };
            return self.discriminates(&url, slice, value, check);
        }
        self.tries(|walk| walk.constrain(slice, value, check))
    }

    fn discriminates(
        &mut self,
        discriminator: &Discriminator,
        slice: &Constraint,
        value: Value<'a>,
        check: Check<'_, 'a>,
    ) -> bool {
        // An extension's slice says its URL by its profile.
        if *discriminator.path == *"url"
            && let Some(profile) = slice.types.first().and_then(|it| it.profiles.first())
        {
            let url = profile.split('|').next().unwrap_or(profile);
            let given = value.node.and_then(|it| it.string("url"));
            return given.is_some_and(|it| *it == *url || it.strip_prefix(HL7) == Some(url));
        }
        let steps: Vec<&str> = steps(&discriminator.path);
        let demands = demands_at(slice, &steps);
        let mut values = Values::from_slice(&[value]);
        for step in &steps {
            values = self.step(step, &values, check);
        }
        match discriminator.kind {
            DiscriminatorKind::Exists => {
                let is_there = !values.is_empty();
                match demands.first() {
                    Some(demands) if demands.max == Some(Some(0)) => !is_there,
                    Some(demands) if demands.min.is_some_and(|min| min > 0) => is_there,
                    _ => true,
                }
            }
            DiscriminatorKind::Type => values.iter().any(|value| {
                let of = self.types.name(value.type_id);
                demands.iter().any(|it| it.types.iter().any(|it| *it.code == *of))
            }),
            DiscriminatorKind::Profile => values.iter().any(|value| {
                let profiles: Vec<Box<str>> = demands
                    .iter()
                    .flat_map(|it| &it.types)
                    .flat_map(|it| it.profiles.iter().cloned())
                    .collect();
                let place = self.inside(*value, check).place;
                self.conforms_to_any(&profiles, *value, check.profile.guide, place) == Some(true)
            }),
            // The demands of the slice at that place tell it apart.
            _ => {
                let telling: Vec<&Constraint> = demands.into_iter().filter(|it| tells(it)).collect();
                !telling.is_empty()
                    && values.iter().any(|value| {
                        telling.iter().any(|it| self.tries(|walk| walk.constrain(it, *value, check)))
                    })
            }
        }
    }

    /// One step of a discriminator's path.
    fn step(&self, step: &str, values: &Values<'a>, check: Check<'_, 'a>) -> Values<'a> {
        let mut out = Values::new();
        for value in values {
            if let Some(argument) = argument_of(step, "ofType") {
                out.extend((self.types.name(value.type_id) == argument).then_some(*value));
            } else if let Some(url) = argument_of(step, "extension") {
                let all = value.children(self.types, "extension");
                let is_it =
                    |it: &Value<'a>| it.node.and_then(|it| it.get("url")).is_some_and(|it| it.is(url));
                out.extend(all.into_iter().filter(is_it));
            } else if step == "resolve()" {
                out.extend(self.resolved(*value, check.place));
            } else {
                let found = value.children(self.types, step);
                let found =
                    if found.is_empty() { value.children(self.types, &format!("{step}[x]")) } else { found };
                out.extend(found);
            }
        }
        out
    }

    /// The resource that a reference leads to, or, where it is not at hand, its type alone.
    fn resolved(&self, value: Value<'a>, place: super::walk::Place<'a>) -> Option<Value<'a>> {
        if let Some(node) = self.resolve(value, place) {
            let type_id = self.types.id(&node.string("resourceType")?)?;
            return Some(Value::of(node, type_id));
        }
        let text = value.node?.string("reference")?;
        match Reference::parse(&text)? {
            Reference::Resource { resource_type, .. } => {
                let type_id = self.types.id(resource_type.name())?;
                Some(Value { node: None, companion: None, type_id })
            }
            _ => None,
        }
    }
}

const HL7: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Splits at dots outside of parentheses and quotes; `$this` is no step.
fn steps(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut start = 0;
    let mut depth = 0_usize;
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'.' if depth == 0 => {
                steps.extend(path.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    steps.extend(path.get(start..));
    steps.retain(|step| !matches!(*step, "$this" | ""));
    steps
}

fn argument_of<'s>(step: &'s str, function: &str) -> Option<&'s str> {
    let argument = step.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')?;
    Some(argument.trim_matches(['\'', '"']))
}

/// What a slice demands at a path: of the element itself, and of its slices.
fn demands_at<'c>(slice: &'c Constraint, steps: &[&str]) -> Vec<&'c Constraint> {
    let mut here = vec![slice];
    for step in steps {
        let mut next = Vec::new();
        for demands in here {
            if argument_of(step, "ofType").is_some() {
                next.push(demands);
                next.extend(demands.slices.iter().map(|(_, it)| it));
                continue;
            }
            if *step == "resolve()" {
                next.push(demands);
                continue;
            }
            let name = if argument_of(step, "extension").is_some() { "extension" } else { step };
            let child = demands.child(name).or_else(|| demands.child(&format!("{name}[x]")));
            if let Some(child) = child {
                next.push(child);
                next.extend(child.slices.iter().map(|(_, it)| it));
            }
        }
        here = next;
    }
    here
}

/// Whether demands can tell one value from another.
fn tells(demands: &Constraint) -> bool {
    demands.fixed.is_some()
        || demands.pattern.is_some()
        || demands.bindings.iter().any(|it| it.strength == crate::conformance::constraint::Strength::Required)
        || demands.children.iter().any(|(_, it)| tells(it))
        || demands.slices.iter().any(|(_, it)| tells(it))
}
