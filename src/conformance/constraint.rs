//! What a profile demands of an element and of what is inside it: a sparse tree.
//!
//! Only what differs from R4's own types stands here; a profile's tree is its base's, with its own lines laid
//! over it.

#![expect(clippy::indexing_slicing, reason = "a place that was just found")]

use super::invariant::Invariant;
use crate::fhir::json::{Json, Limits};
use std::sync::Arc;

/// The demands on one element, or on one slice of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Constraint {
    pub(super) min: Option<u32>,
    /// `Some(None)` is `*`.
    pub(super) max: Option<Option<u32>>,
    pub(super) types: Vec<TypeUse>,
    pub(super) bindings: Vec<Binding>,
    pub(super) fixed: Option<Arc<Json>>,
    pub(super) pattern: Option<Arc<Json>>,
    pub(super) min_value: Option<Arc<Json>>,
    pub(super) max_value: Option<Arc<Json>>,
    pub(super) max_length: Option<usize>,
    pub(super) rules: Vec<Arc<Invariant>>,
    pub(super) slicing: Option<Slicing>,
    pub(super) slices: Vec<(Box<str>, Constraint)>,
    pub(super) children: Vec<(Box<str>, Constraint)>,
    pub(super) is_modifier: bool,
}

/// A type that is allowed, with its profiles and, for a reference, its targets.
#[derive(Clone, Debug)]
pub(super) struct TypeUse {
    pub(super) code: Box<str>,
    pub(super) profiles: Vec<Box<str>>,
    pub(super) targets: Vec<Box<str>>,
}

/// How strongly codes must come from a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// They must.
    Required,
    /// They must if one fits.
    Extensible,
    /// They should.
    Preferred,
}

/// A binding to a value set.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) strength: Strength,
    pub(super) is_max: bool,
    pub(super) value_set: Box<str>,
}

/// How values are told apart.
#[derive(Clone, Debug)]
pub(super) struct Slicing {
    pub(super) rules: SlicingRules,
    pub(super) is_ordered: bool,
    pub(super) discriminators: Vec<Discriminator>,
}

/// Whether other values may stand beside those of the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlicingRules {
    Open,
    Closed,
    OpenAtEnd,
}

/// What tells values apart.
#[derive(Clone, Debug)]
pub(super) struct Discriminator {
    pub(super) kind: DiscriminatorKind,
    pub(super) path: Box<str>,
}

/// <https://hl7.org/fhir/R4/valueset-discriminator-type.html>, and R5's `position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiscriminatorKind {
    /// `value` and `pattern`: what the slice demands there.
    Value,
    Exists,
    Type,
    Profile,
    Position,
}

impl Constraint {
    /// Lays the tagged fields of a line over what is already demanded.
    pub(super) fn lay(&mut self, fields: &str) {
        let mut has_binding = false;
        for field in fields.split('\t') {
            let (tag, facts) = field.split_once(' ').unwrap_or((field, ""));
            match tag {
                "card" => self.cardinality(facts),
                "types" => self.types = facts.split(' ').map(TypeUse::parse).collect(),
                "bind" => {
                    // The first binding of a line takes the place of the base's.
                    if !has_binding {
                        self.bindings.clear();
                        has_binding = true;
                    }
                    self.bindings.extend(Binding::parse(facts));
                }
                "fixed" => self.fixed = json(facts),
                "pattern" => self.pattern = json(facts),
                "minValue" => self.min_value = json(facts),
                "maxValue" => self.max_value = json(facts),
                "maxLength" => self.max_length = facts.parse().ok(),
                "slice" => self.slicing = Some(Slicing::parse(facts, self.slicing.take())),
                "rule" => {
                    if let Some(rule) = Invariant::parse(facts)
                        && !self.rules.iter().any(|it| it.key == rule.key)
                    {
                        self.rules.push(Arc::new(rule));
                    }
                }
                "modifier" => self.is_modifier = true,
                _ => {}
            }
        }
    }

    /// Compiles the rules here and inside.
    pub(super) fn compile(&self) {
        self.rules.iter().for_each(|it| {
            it.expression();
        });
        self.children.iter().chain(&self.slices).for_each(|(_, it)| it.compile());
    }

    fn cardinality(&mut self, facts: &str) {
        let Some((min, max)) = facts.split_once("..") else { return };
        if let Ok(min) = min.parse() {
            self.min = Some(min);
        }
        match max {
            "" => {}
            "*" => self.max = Some(None),
            max => self.max = max.parse().ok().map(Some),
        }
    }

    /// The demands on an element inside.
    pub(super) fn child(&self, name: &str) -> Option<&Constraint> {
        self.children.iter().find(|(it, _)| **it == *name).map(|(_, it)| it)
    }

    /// The demands on an element inside, new ones where there were none.
    pub(super) fn child_mut(&mut self, name: &str) -> &mut Constraint {
        let place = place_of(&mut self.children, name);
        &mut self.children[place].1
    }

    /// The demands on a slice, new ones where there were none. `a/b` is slice `b` of slice `a`.
    pub(super) fn slice_mut(&mut self, name: &str) -> &mut Constraint {
        if let Some((outer, inner)) = name.split_once('/')
            && let Some(place) = self.slices.iter().position(|(it, _)| **it == *outer)
        {
            return self.slices[place].1.slice_mut(inner);
        }
        let place = place_of(&mut self.slices, name);
        &mut self.slices[place].1
    }
}

/// Where the element of that name stands; it is added where it is not there yet.
fn place_of(list: &mut Vec<(Box<str>, Constraint)>, name: &str) -> usize {
    list.iter().position(|(it, _)| **it == *name).unwrap_or_else(|| {
        list.push((name.into(), Constraint::default()));
        list.len() - 1
    })
}

fn json(facts: &str) -> Option<Arc<Json>> {
    Json::parse(facts, &Limits::default()).ok().map(Arc::new)
}

impl TypeUse {
    /// Reads `Reference>Patient,Group` or `Quantity=SimpleQuantity`.
    pub(super) fn parse(facts: &str) -> TypeUse {
        let (front, targets) = facts.split_once('>').unwrap_or((facts, ""));
        let (code, profiles) = front.split_once('=').unwrap_or((front, ""));
        let list = |text: &str| text.split(',').filter(|it| !it.is_empty()).map(Into::into).collect();
        TypeUse { code: code.into(), profiles: list(profiles), targets: list(targets) }
    }
}

impl Binding {
    /// Reads `STRENGTH URL`; nothing for an example, which demands nothing.
    pub(super) fn parse(facts: &str) -> Option<Binding> {
        let (strength, url) = facts.split_once(' ')?;
        let is_max = strength == "max";
        let strength = match strength {
            "required" | "max" => Strength::Required,
            "extensible" => Strength::Extensible,
            "preferred" => Strength::Preferred,
            _ => return None,
        };
        Some(Binding { strength, is_max, value_set: url.into() })
    }
}

impl Slicing {
    fn parse(facts: &str, base: Option<Slicing>) -> Slicing {
        let mut words = facts.split(' ');
        let rules = match words.next() {
            Some("closed") => SlicingRules::Closed,
            Some("openAtEnd") => SlicingRules::OpenAtEnd,
            _ => SlicingRules::Open,
        };
        let is_ordered = words.next() == Some("ordered");
        let mut discriminators: Vec<Discriminator> = words
            .filter_map(|word| {
                let (kind, path) = word.split_once(':')?;
                let kind = match kind {
                    "exists" => DiscriminatorKind::Exists,
                    "type" => DiscriminatorKind::Type,
                    "profile" => DiscriminatorKind::Profile,
                    "position" => DiscriminatorKind::Position,
                    _ => DiscriminatorKind::Value,
                };
                Some(Discriminator { kind, path: path.into() })
            })
            .collect();
        if discriminators.is_empty() {
            discriminators = base.map(|it| it.discriminators).unwrap_or_default();
        }
        Slicing { rules, is_ordered, discriminators }
    }
}
