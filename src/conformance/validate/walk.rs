//! The walk by R4's own types: known members, the right shape, enough of each and not too many; every rule of
//! every type on the way.
//!
//! <https://hl7.org/fhir/R4/json.html>

use super::answers::Answers;
use super::beside::Beside;
use super::bundle::Neighbours;
use super::refusal::Refusal;
use super::value::Value;
use super::{Mode, primitive};
use crate::conformance::definitions::Definitions;
use crate::conformance::rulebook::{ElementRules, Rulebook, bit};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::{Kind, Node};
use crate::fhir::narrative;
use crate::fhir::outcome::{Issue, Severity};
use crate::fhir::types::{Element, Member, TypeId, TypeKind, Types};

/// So many issues are enough to see what is wrong; a hostile resource could have millions.
const MOST_ISSUES: usize = 200;

/// A validation under way.
pub(super) struct Walk<'d, 'a> {
    pub(super) types: &'d Types,
    pub(super) book: &'d Rulebook,
    pub(super) definitions: Option<&'d Definitions>,
    /// What was found beside them.
    pub(super) beside: Option<&'d Beside>,
    pub(super) refusals: &'d [Refusal],
    pub(super) mode: Mode,
    /// What else is known of codes.
    pub(super) answers: Option<&'d Answers>,
    pub(super) issues: Vec<Issue>,
    /// While trying whether a value fits, nothing is said; only counted.
    pub(super) is_trying: bool,
    pub(super) errors: u32,
    /// How deep profiles lead from one to another.
    pub(super) depth: u32,
    /// What stands beside the resource, in each bundle around.
    pub(super) bundles: Vec<Neighbours<'a>>,
    pub(super) known: Known,
    document: Node<'a>,
}

/// Types that the walk knows by name.
pub(super) struct Known {
    pub(super) element: Option<TypeId>,
    pub(super) extension: Option<TypeId>,
    pub(super) reference: Option<TypeId>,
    pub(super) narrative: Option<TypeId>,
    pub(super) domain_resource: Option<TypeId>,
    pub(super) coding: Option<TypeId>,
    pub(super) attachment: Option<TypeId>,
    pub(super) questionnaire_response: Option<TypeId>,
    pub(super) bundle: Option<TypeId>,
    pub(super) bundle_entry: Option<TypeId>,
    pub(super) parameters_parameter: Option<TypeId>,
    pub(super) parameters: Option<TypeId>,
}

/// What surrounds a value.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// `%rootResource`: the outermost resource, a bundle's entry each its own.
    pub(super) root: Node<'a>,
    /// `%resource`: the resource that holds the value.
    pub(super) resource: Node<'a>,
    pub(super) resource_type: TypeId,
}

/// How an object was reached: the element of the type that holds it.
#[derive(Clone, Copy)]
pub(super) struct Holder<'h> {
    pub(super) parent: Option<TypeId>,
    pub(super) element: &'h str,
    /// Its own type; of a companion, the primitive's.
    pub(super) type_id: TypeId,
}

impl<'d, 'a> Walk<'d, 'a> {
    pub(super) fn new(types: &'d Types, book: &'d Rulebook, mode: Mode, document: Node<'a>) -> Walk<'d, 'a> {
        let known = Known {
            element: types.id("Element"),
            extension: types.id("Extension"),
            reference: types.id("Reference"),
            narrative: types.id("Narrative"),
            domain_resource: types.id("DomainResource"),
            coding: types.id("Coding"),
            attachment: types.id("Attachment"),
            questionnaire_response: types.id("QuestionnaireResponse"),
            bundle: types.id("Bundle"),
            bundle_entry: types.id("Bundle.entry"),
            parameters_parameter: types.id("Parameters.parameter"),
            parameters: types.id("Parameters"),
        };
        Walk {
            types,
            book,
            definitions: None,
            beside: None,
            refusals: &[],
            mode,
            answers: None,
            issues: Vec::new(),
            is_trying: false,
            errors: 0,
            depth: 0,
            bundles: Vec::new(),
            known,
            document,
        }
    }

    pub(super) fn complain(&mut self, at: Node<'_>, code: IssueType, rule: &str, message: impl Into<String>) {
        self.errors += 1;
        self.say(Severity::Error, at, code, rule, message);
    }

    pub(super) fn warn(&mut self, at: Node<'_>, code: IssueType, rule: &str, message: impl Into<String>) {
        self.say(Severity::Warning, at, code, rule, message);
    }

    pub(super) fn inform(&mut self, at: Node<'_>, code: IssueType, message: impl Into<String>) {
        self.say(Severity::Information, at, code, "", message);
    }

    fn say(
        &mut self,
        severity: Severity,
        at: Node<'_>,
        code: IssueType,
        rule: &str,
        message: impl Into<String>,
    ) {
        if self.is_trying || self.issues.len() >= MOST_ISSUES {
            return;
        }
        let resource_type = self.document.string("resourceType").unwrap_or_default();
        let mut issue = Issue { severity, ..Issue::error(code, message).at_node(&resource_type, at) };
        issue.rule = (!rule.is_empty()).then(|| rule.to_owned());
        self.issues.push(issue);
    }

    /// Whether something goes without an error; nothing is said.
    pub(super) fn tries(&mut self, check: impl FnOnce(&mut Self)) -> bool {
        let (was_trying, errors) = (self.is_trying, self.errors);
        self.is_trying = true;
        self.errors = 0;
        check(self);
        let is_fine = self.errors == 0;
        self.is_trying = was_trying;
        self.errors = errors;
        is_fine
    }

    /// A resource that stands on its own: the outermost one, a bundle's entry, a parameter.
    pub(super) fn resource_with(&mut self, node: Node<'a>, profiles: &[&str]) {
        let Some(type_id) = self.resource_type(node) else {
            return self.complain(
                node,
                IssueType::Structure,
                "",
                "resourceType is not a resource type of R4",
            );
        };
        let place = Place { root: node, resource: node, resource_type: type_id };
        self.resource(node, type_id, place);
        if profiles.is_empty() {
            return;
        }
        self.bundles.push(Neighbours::of(node));
        for canonical in profiles {
            self.claim(Value::of(node, type_id), canonical, node, place);
        }
        self.bundles.pop();
    }

    fn resource_type(&self, node: Node<'_>) -> Option<TypeId> {
        let type_id = self.types.id(&node.string("resourceType")?)?;
        self.types.get(type_id).is_some_and(|it| it.kind == TypeKind::Resource).then_some(type_id)
    }

    fn resource(&mut self, node: Node<'a>, type_id: TypeId, place: Place<'a>) {
        let is_bundle = Some(type_id) == self.known.bundle;
        let has_neighbours = is_bundle || Some(type_id) == self.known.parameters;
        if has_neighbours {
            self.bundles.push(Neighbours::of(node));
        }
        self.object(node, type_id, Holder { parent: None, element: "", type_id }, place);
        self.contained(node, place);
        let is_of_domain = self.known.domain_resource.is_some_and(|it| self.types.is_a(type_id, it));
        if self.mode == Mode::BestPractice
            && is_of_domain
            && node.get("text").and_then(|it| it.get("div")).is_none()
        {
            self.warn(node, IssueType::Invariant, "dom-6", "a resource should have a narrative");
        }
        if is_bundle {
            self.bundle(node);
        }
        if Some(type_id) == self.known.questionnaire_response {
            self.questionnaire_response(node, place);
        } else if self.mode >= Mode::Full {
            self.of_its_kind(node, type_id);
        }
        let claims = node.get("meta").and_then(|meta| meta.get("profile"));
        for claim in claims.into_iter().flat_map(Node::items) {
            if let Some(canonical) = claim.as_str() {
                self.claim(Value::of(node, type_id), &canonical, claim, place);
            }
        }
        if has_neighbours {
            self.bundles.pop();
        }
    }

    /// What R4 says of one type of resource in words.
    fn of_its_kind(&mut self, node: Node<'a>, type_id: TypeId) {
        match self.types.name(type_id) {
            "CodeSystem" => self.code_system(node),
            "ValueSet" => self.value_set(node),
            "CapabilityStatement" => self.capability_statement(node),
            "SearchParameter" => self.search_parameter(node),
            "StructureDefinition" => self.structure_definition(node),
            _ => {}
        }
    }

    fn object(&mut self, node: Node<'a>, type_id: TypeId, holder: Holder<'_>, place: Place<'a>) {
        let types = self.types;
        let Some(of) = types.get(type_id) else { return };
        let is_resource = of.kind == TypeKind::Resource;
        let rules = self.book.of_type(type_id);
        let mut seen = 0_u128;
        let mut choices = 0_u128;
        let mut count = 0;
        // The companion of a primitive is judged together with its value.
        let mut has_content = is_resource || holder.type_id != type_id;
        for (key, value) in node.members() {
            count += 1;
            let Some(key) = key.as_str() else { continue };
            if is_resource && key == "resourceType" {
                continue;
            }
            has_content |= key != "id";
            let name = key.strip_prefix('_');
            let member = types.member(type_id, name.unwrap_or(&key));
            let Some(member) = member.filter(|it| name.is_none() || types.is_primitive(it.type_id)) else {
                self.complain(value, IssueType::Structure, "", "unknown element");
                continue;
            };
            if is_resource
                && key == "id"
                && value.kind() == Kind::String
                && primitive::check("id", value).is_err()
            {
                self.complain(value, IssueType::Value, "", "not a valid id");
            }
            let place_bit = bit(member.place);
            if member.element.is_choice {
                let is_other_half = name.is_some_and(|name| node.get(name).is_some());
                if choices & place_bit != 0 && !is_other_half {
                    let message = format!("only one of {}[x] may be there", member.element.name);
                    self.complain(node, IssueType::Structure, "", message);
                }
                if !is_other_half {
                    choices |= place_bit;
                }
            }
            seen |= place_bit;
            match name {
                None => {
                    let companion =
                        if types.is_primitive(member.type_id) { companion(node, &key) } else { None };
                    let own = rules.and_then(|it| it.elements.get(member.place)).and_then(Option::as_deref);
                    self.member(holder.type_id, member, value, companion, own, place);
                }
                Some(name) => {
                    self.companion(holder.type_id, member, value, node.get(name), place);
                    if node.get(name).is_none()
                        && let Some(own) = rules.and_then(|it| it.elements.get(member.place)?.as_deref())
                    {
                        for value in Value::of(node, type_id).children(types, name) {
                            self.element_rules(own, value, place);
                        }
                    }
                }
            }
        }
        if count == 0 {
            self.complain(node, IssueType::Structure, "", "an object must not be empty");
        } else if !has_content {
            self.complain(node, IssueType::Invariant, "ele-1", "an element must have a value or children");
        }
        if let Some(rules) = rules {
            let missing = rules.required & !seen;
            if missing != 0 {
                let absent = of.elements.iter().enumerate().filter(|(place, _)| missing & bit(*place) != 0);
                for (_, element) in absent {
                    let suffix = if element.is_choice { "[x]" } else { "" };
                    let message = format!("{}{suffix} is required", element.name);
                    self.complain(node, IssueType::Required, "", message);
                }
            }
            let value = Value::of(node, type_id);
            for rule in &rules.own {
                self.rule(rule, value, place);
            }
        }
        if Some(type_id) == self.known.extension {
            self.extension(node, holder, place);
        } else if Some(type_id) == self.known.narrative {
            self.narrative(node);
        } else if of.kind != TypeKind::Resource {
            self.datatype(node, type_id, place);
        }
    }

    fn narrative(&mut self, node: Node<'a>) {
        if let Some(div) = node.get("div")
            && let Some(text) = div.as_str()
            && let Err(problem) = narrative::check(&text)
        {
            self.complain(div, IssueType::Invariant, problem.rule(), problem.message());
        }
    }

    fn member(
        &mut self,
        of: TypeId,
        member: Member<'_>,
        value: Node<'a>,
        companion: Option<Node<'a>>,
        own: Option<&'d ElementRules>,
        place: Place<'a>,
    ) {
        let element = member.element;
        if !element.is_list() {
            if value.is_array() {
                let message = "this element does not repeat: no array is expected";
                return self.complain(value, IssueType::Structure, "", message);
            }
            return self.value(
                of,
                member,
                Value { node: Some(value), companion, type_id: member.type_id },
                own,
                place,
            );
        }
        if !value.is_array() {
            let message = "this element repeats: an array is expected";
            return self.complain(value, IssueType::Structure, "", message);
        }
        let mut companions = companion.into_iter().flat_map(Node::items);
        let mut count = 0;
        for item in value.items() {
            count += 1;
            let companion = companions.next().filter(|it| !it.is_null());
            if item.is_null() && self.types.is_primitive(member.type_id) {
                // In an array, null holds the place of a value that has only extensions.
                if companion.is_none() {
                    self.complain(
                        item,
                        IssueType::Invariant,
                        "ele-1",
                        "an element must have a value or children",
                    );
                }
                continue;
            }
            self.value(
                of,
                member,
                Value { node: Some(item), companion, type_id: member.type_id },
                own,
                place,
            );
        }
        if count == 0 {
            self.complain(value, IssueType::Structure, "", "an array must not be empty");
        }
        if let Some(max) = element.max.filter(|max| count > usize::from(*max)) {
            self.complain(value, IssueType::Structure, "", format!("at most {max} are allowed"));
        }
    }

    fn value(
        &mut self,
        parent: TypeId,
        member: Member<'_>,
        value: Value<'a>,
        own: Option<&'d ElementRules>,
        place: Place<'a>,
    ) {
        let types = self.types;
        let (Some(of), Some(node)) = (types.get(value.type_id), value.node) else { return };
        match of.kind {
            TypeKind::Primitive => {
                if let Err(problem) = primitive::check(&of.name, node) {
                    return self.complain(node, IssueType::Value, "", problem);
                }
                self.letters(&of.name, node);
                if of.name == "uri" {
                    self.absolute(parent, &member.element.name, node);
                }
            }
            _ if node.kind() != Kind::Object => {
                let message = format!("a {} must be an object", of.name);
                return self.complain(node, IssueType::Structure, "", message);
            }
            TypeKind::Resource => {
                match self.resource_type(node).filter(|it| types.is_a(*it, value.type_id)) {
                    // Entries of bundles and parameters stand on their own.
                    Some(_)
                        if Some(parent) == self.known.bundle_entry
                            || Some(parent) == self.known.parameters_parameter =>
                    {
                        self.resource_with(node, &[]);
                    }
                    Some(inner) => {
                        self.resource(node, inner, Place { resource: node, resource_type: inner, ..place });
                    }
                    None => {
                        let message = "resourceType is missing or not a type of R4";
                        self.complain(node, IssueType::Structure, "", message);
                    }
                }
            }
            _ => {
                let holder =
                    Holder { parent: Some(parent), element: &member.element.name, type_id: value.type_id };
                self.object(node, value.type_id, holder, place);
            }
        }
        if let Some(own) = own {
            self.element_rules(own, value, place);
        }
    }

    fn element_rules(&mut self, own: &'d ElementRules, value: Value<'a>, place: Place<'a>) {
        for binding in &own.bindings {
            self.binding(binding, value, None);
        }
        for rule in &own.rules {
            self.rule(rule, value, place);
        }
        if Some(value.type_id) == self.known.reference {
            self.reference(&own.targets, value, place);
        }
    }

    /// `_name`: the id and extensions of a primitive.
    fn companion(
        &mut self,
        parent: TypeId,
        member: Member<'_>,
        value: Node<'a>,
        beside: Option<Node<'a>>,
        place: Place<'a>,
    ) {
        const EXPECTED: &str = "the id and extensions of a primitive are expected";
        let Some(type_id) = self.known.element else { return };
        let element: &Element = member.element;
        let is_right = match value.kind() {
            Kind::Object => !element.is_list(),
            Kind::Array => element.is_list(),
            _ => false,
        };
        if !is_right {
            return self.complain(value, IssueType::Structure, "", EXPECTED);
        }
        let mut values = beside.into_iter().flat_map(Node::each);
        for item in value.each() {
            let has_value = values.next().is_some_and(|it| !it.is_null());
            match item.kind() {
                Kind::Null if element.is_list() => {}
                Kind::Object => {
                    if !has_value && item.get("extension").is_none() {
                        self.complain(
                            item,
                            IssueType::Invariant,
                            "ele-1",
                            "an element must have a value or children",
                        );
                    }
                    let holder =
                        Holder { parent: Some(parent), element: &element.name, type_id: member.type_id };
                    self.object(item, type_id, holder, place);
                }
                _ => self.complain(item, IssueType::Structure, "", EXPECTED),
            }
        }
    }
}

/// The companion of a primitive, found without building its name.
fn companion<'a>(of: Node<'a>, name: &str) -> Option<Node<'a>> {
    let is_companion = |key: Node<'_>| {
        key.raw().get(1..).is_some_and(|it| it.starts_with('_'))
            && key.as_str().is_some_and(|it| it.strip_prefix('_') == Some(name))
    };
    of.members().find(|(key, _)| is_companion(*key)).map(|(_, value)| value)
}
