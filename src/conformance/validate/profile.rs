//! Profiles: a sparse tree of demands, held against a value that R4's own rules have seen already.
//!
//! <https://hl7.org/fhir/R4/profiling.html>

use super::matching;
use super::value::Value;
use super::walk::{Place, Walk};
use crate::conformance::constraint::{Constraint, TypeUse};
use crate::conformance::rulebook::Profile;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;

/// Profiles lead to profiles; beyond this a circle is certain.
const DEEPEST: u32 = 12;

/// What a profile's check carries along.
#[derive(Clone, Copy)]
pub(super) struct Check<'p, 'a> {
    /// The profile that demands.
    pub(super) profile: &'p Profile,
    pub(super) place: Place<'a>,
}

impl<'a> Walk<'_, 'a> {
    /// A claim to conform: by the resource itself, or by whoever asks. A claim that names no version is met by
    /// any version that is loaded; what the newest finds is told.
    pub(super) fn claim(&mut self, value: Value<'a>, canonical: &str, claim: Node<'a>, place: Place<'a>) {
        // R4's own type is no profile.
        let own = canonical.split('|').next().unwrap_or(canonical);
        if own
            .strip_prefix("http://hl7.org/fhir/StructureDefinition/")
            .is_some_and(|it| self.types.id(it).is_some_and(|it| self.types.is_a(value.type_id, it)))
        {
            return;
        }
        let known = self.book.profiles(self.types, canonical, None);
        let Some(newest) = known.first() else {
            let message = "a profile that is not known here";
            return self.warn(claim, IssueType::NotSupported, "", message);
        };
        let fits =
            known.len() > 1 && known.iter().any(|it| self.tries(|walk| walk.profile(it, value, place)));
        if !fits {
            self.profile(newest, value, place);
        }
    }

    /// Holds a value against a profile.
    pub(super) fn profile(&mut self, profile: &Profile, value: Value<'a>, place: Place<'a>) {
        let of = self.types.id(&profile.type_name);
        if !of.is_some_and(|of| self.types.is_a(value.type_id, of)) {
            if let Some(node) = value.place() {
                let message = format!("the profile is for {}", profile.type_name);
                self.complain(node, IssueType::Invalid, &profile.url, message);
            }
            return;
        }
        if self.depth >= DEEPEST {
            return;
        }
        self.depth += 1;
        self.constrain(&profile.root, value, Check { profile, place });
        self.depth -= 1;
    }

    /// Whether a value conforms to one of these profiles; nothing where none of them is known.
    pub(super) fn conforms_to_any(
        &mut self,
        profiles: &[Box<str>],
        value: Value<'a>,
        near: usize,
        place: Place<'a>,
    ) -> Option<bool> {
        let mut is_known = true;
        for canonical in profiles {
            if self.types.id(canonical).is_some_and(|it| self.types.is_a(value.type_id, it)) {
                return Some(true);
            }
            let known = self.book.profiles(self.types, canonical, Some(near));
            is_known &= !known.is_empty();
            if known.iter().any(|it| self.tries(|walk| walk.profile(it, value, place))) {
                return Some(true);
            }
        }
        (is_known && self.depth < DEEPEST).then_some(false)
    }

    /// Holds a value against the demands on it.
    pub(super) fn constrain(&mut self, demands: &Constraint, value: Value<'a>, check: Check<'_, 'a>) {
        self.plain_demands(demands, value, check);
        if !demands.types.is_empty() {
            self.types_demanded(&demands.types, value, check);
        }
        for binding in &demands.bindings {
            self.binding(binding, value, Some(check.profile.guide));
        }
        for rule in &demands.rules {
            self.rule(rule, value, check.place);
        }
        for (name, child) in &demands.children {
            let values = value.children(self.types, name);
            self.occurrences(name, child, &values, value, check);
            for inner in &values {
                self.constrain(child, *inner, self.inside(*inner, check));
            }
            if !child.slices.is_empty() || child.slicing.is_some() {
                self.slices(name, child, &values, value, check);
            }
        }
    }

    /// What surrounds a value that may itself be a resource.
    pub(super) fn inside<'p>(&self, value: Value<'a>, check: Check<'p, 'a>) -> Check<'p, 'a> {
        match value.node.filter(|it| it.get("resourceType").is_some()) {
            Some(node) => {
                let place = Place { root: node, resource: node, resource_type: value.type_id };
                Check { place, ..check }
            }
            None => check,
        }
    }

    pub(super) fn occurrences(
        &mut self,
        name: &str,
        demands: &Constraint,
        values: &[Value<'a>],
        parent: Value<'a>,
        check: Check<'_, 'a>,
    ) {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        if let Some(min) = demands.min.filter(|min| count < *min)
            && let Some(node) = parent.place()
        {
            let message = format!("{name}: at least {min} by the profile, and there are {count}");
            self.complain(node, IssueType::Required, &check.profile.url, message);
        }
        if let Some(Some(max)) = demands.max
            && count > max
            && let Some(node) = values.get(usize::try_from(max).unwrap_or(0)).and_then(|it| it.place())
        {
            let message = format!("{name}: at most {max} by the profile, and there are {count}");
            self.complain(node, IssueType::Structure, &check.profile.url, message);
        }
    }

    fn plain_demands(&mut self, demands: &Constraint, value: Value<'a>, check: Check<'_, 'a>) {
        let rule = &check.profile.url;
        let Some(node) = value.node else {
            if let Some(at) = value.place().filter(|_| demands.fixed.is_some()) {
                self.complain(at, IssueType::Value, rule, "the profile fixes this value");
            }
            return;
        };
        if let Some(fixed) = &demands.fixed
            && !matching::is_equal(node, fixed.root())
        {
            self.complain(node, IssueType::Value, rule, "the profile fixes this value to another");
        }
        if let Some(pattern) = &demands.pattern
            && !matching::holds(node, pattern.root())
        {
            self.complain(node, IssueType::Value, rule, "this does not hold the pattern of the profile");
        }
        if demands.min_value.as_ref().is_some_and(|min| matching::is_less(node, min.root())) {
            self.complain(node, IssueType::Value, rule, "less than the profile's least value");
        }
        if demands.max_value.as_ref().is_some_and(|max| matching::is_less(max.root(), node)) {
            self.complain(node, IssueType::Value, rule, "more than the profile's greatest value");
        }
        if let Some(max) = demands.max_length
            && node.as_str().is_some_and(|text| text.chars().count() > max)
        {
            self.complain(node, IssueType::TooLong, rule, format!("at most {max} characters by the profile"));
        }
    }

    fn types_demanded(&mut self, uses: &[TypeUse], value: Value<'a>, check: Check<'_, 'a>) {
        let Some(node) = value.place() else { return };
        let mut is_known = true;
        let of: Vec<&TypeUse> = uses
            .iter()
            .filter(|it| match self.types.id(&it.code) {
                Some(code) => self.types.is_a(value.type_id, code),
                None => {
                    is_known = false;
                    false
                }
            })
            .collect();
        if of.is_empty() {
            if is_known {
                let message = "the profile does not allow this type here";
                self.complain(node, IssueType::Structure, &check.profile.url, message);
            }
            return;
        }
        // The walk holds every extension against its definition by itself.
        let profiles: Vec<Box<str>> = of.iter().flat_map(|it| it.profiles.iter().cloned()).collect();
        let is_free = of.iter().any(|it| it.profiles.is_empty());
        if !is_free
            && Some(value.type_id) != self.known.extension
            && self.conforms_to_any(&profiles, value, check.profile.guide, self.inside(value, check).place)
                == Some(false)
        {
            let message = "this conforms to none of the profiles that are demanded here";
            self.complain(node, IssueType::Structure, &check.profile.url, message);
        }
        if Some(value.type_id) == self.known.reference && of.iter().all(|it| !it.targets.is_empty()) {
            let targets: Vec<Box<str>> = of.iter().flat_map(|it| it.targets.iter().cloned()).collect();
            self.target(&targets, value, check);
        }
    }
}
