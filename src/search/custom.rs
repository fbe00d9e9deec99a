//! Whether a SearchParameter that somebody sends can be searched with: what is wrong with it, and where.
//!
//! <https://hl7.org/fhir/R4/searchparameter.html>
//!
//! Only an active one is held to this: any other is only a text. Its rules are ours, beside those that
//! validation knows: a name that a query can spell, types of R4, an expression that leads somewhere.

use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::outcome::Issue;
use crate::fhirpath::Expression;
use crate::search::walk;

/// How many search parameters a tenant may add.
const MOST: usize = 500;
/// The longest name.
const LONGEST_CODE: usize = 64;
/// The longest expression.
const LONGEST_EXPRESSION: usize = 4096;

/// Everything that keeps it from being searched with; nothing where it is not active.
#[must_use]
pub fn check(definitions: &Definitions, root: Node<'_>) -> Vec<Issue> {
    if root.string("status").as_deref() != Some("active") {
        return Vec::new();
    }
    let mut check = Check { definitions, root, issues: Vec::new() };
    check.code();
    let bases = check.types("base");
    check.types("target");
    let kind = root.string("type").and_then(|it| SearchParameterKind::parse(&it));
    match kind {
        Some(SearchParameterKind::Special) => {
            check.refuse("type", "a special parameter needs a program of its own");
        }
        Some(SearchParameterKind::Composite) => check.components(),
        Some(kind) => check.expression(kind, &bases),
        None => {}
    }
    check.rivals(&bases);
    check.issues
}

struct Check<'a> {
    definitions: &'a Definitions,
    root: Node<'a>,
    issues: Vec<Issue>,
}

impl Check<'_> {
    fn refuse(&mut self, member: &str, clause: impl Into<String>) {
        self.issues
            .push(Issue::error(IssueType::BusinessRule, clause).at(format!("SearchParameter.{member}")));
    }

    fn text(&self, member: &str) -> String {
        self.root.string(member).map(|it| it.into_owned()).unwrap_or_default()
    }

    fn code(&mut self) {
        let code = self.text("code");
        let is_word = code.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_');
        let starts_well = code.bytes().next().is_some_and(|it| it.is_ascii_alphabetic());
        if !is_word || !starts_well || code.len() > LONGEST_CODE {
            let clause =
                "a name that can be searched with begins with a letter and has letters, digits, - and _";
            self.refuse("code", format!("{clause}, at most {LONGEST_CODE}"));
        }
    }

    /// The types that a member names; what is none is refused.
    fn types(&mut self, member: &str) -> Vec<ResourceType> {
        let mut types = Vec::new();
        for (place, item) in self.root.get(member).into_iter().flat_map(Node::items).enumerate() {
            let name = item.as_str().unwrap_or_default();
            match (ResourceType::parse(&name), &*name) {
                (Some(it), _) => types.push(it),
                (None, "Resource" | "DomainResource") => types.extend(ResourceType::all()),
                (None, _) => {
                    self.refuse(&format!("{member}[{place}]"), "R4 has no resource type of this name");
                }
            }
        }
        types
    }

    fn expression(&mut self, kind: SearchParameterKind, bases: &[ResourceType]) {
        let text = self.text("expression");
        if text.is_empty() {
            self.refuse("expression", "an expression is required, lest nothing be found");
            return;
        }
        if text.len() > LONGEST_EXPRESSION {
            self.refuse("expression", format!("at most {LONGEST_EXPRESSION} characters are taken"));
            return;
        }
        let expression = match Expression::parse(&text) {
            Ok(expression) => expression,
            Err(error) => return self.refuse("expression", format!("this is not FHIRPath: {error}")),
        };
        for of in bases {
            if let Err(clause) = self.leads(kind, *of, &expression) {
                // Of every type there is, it need not lead somewhere on each.
                if bases.len() < ResourceType::all().count() {
                    self.refuse("expression", format!("on {of} {clause}"));
                }
            }
        }
    }

    /// Whether an expression leads to values of that kind.
    fn leads(
        &self,
        kind: SearchParameterKind,
        of: ResourceType,
        expression: &Expression,
    ) -> Result<(), String> {
        let types = &self.definitions.types;
        let Some(id) = types.id(of.name()) else { return Ok(()) };
        let Some(walks) = walk::compile(types, id, expression.text()) else {
            return expression
                .check(types, of.name())
                .map_err(|error| format!("it cannot be evaluated: {error}"));
        };
        if walks.is_empty() {
            return Err("it leads to no element".to_owned());
        }
        if walks.iter().any(|walk| fits(kind, types.name(walk.end))) {
            return Ok(());
        }
        Err(format!("it leads to no element that is searched as a {}", kind.code()))
    }

    fn components(&mut self) {
        let components: Vec<(String, String)> = self
            .root
            .get("component")
            .into_iter()
            .flat_map(Node::items)
            .map(|it| {
                let text = |name| it.string(name).map(|it| it.into_owned()).unwrap_or_default();
                (text("definition"), text("expression"))
            })
            .collect();
        if components.len() < 2 {
            self.refuse("component", "a composite parameter has at least two components");
        }
        for (place, (definition, expression)) in components.iter().enumerate() {
            let url = definition.split('|').next().unwrap_or(definition);
            let is_known = ResourceType::all()
                .any(|of| self.definitions.search_parameters(of).iter().any(|it| *it.url == *url));
            if !is_known {
                self.refuse(
                    &format!("component[{place}].definition"),
                    "there is no such search parameter here",
                );
            }
            if let Err(error) = Expression::parse(expression) {
                self.refuse(
                    &format!("component[{place}].expression"),
                    format!("this is not FHIRPath: {error}"),
                );
            }
        }
        if Expression::parse(&self.text("expression")).is_err() {
            self.refuse("expression", "where its components stand together is said in FHIRPath");
        }
    }

    /// Nobody takes the name of another.
    fn rivals(&mut self, bases: &[ResourceType]) {
        let (code, url) = (self.text("code"), self.text("url"));
        let taken = bases
            .iter()
            .find(|of| self.definitions.search_parameter(**of, &code).is_some_and(|it| *it.url != *url));
        if let Some(of) = taken {
            self.refuse("code", format!("{of} has a search parameter of that name already"));
        }
        let mut added: Vec<_> = self.definitions.added_parameters().into_iter().map(|it| it.url).collect();
        added.sort_unstable();
        added.dedup();
        if added.len() >= MOST && !added.iter().any(|it| **it == *url) {
            self.refuse("url", format!("there are {MOST} search parameters beside R4's: remove one first"));
        }
    }
}

/// Whether values of a type are indexed under that kind.
fn fits(kind: SearchParameterKind, name: &str) -> bool {
    match kind {
        SearchParameterKind::Number => {
            matches!(name, "integer" | "decimal" | "positiveInt" | "unsignedInt" | "Range")
        }
        SearchParameterKind::Date => matches!(name, "date" | "dateTime" | "instant" | "Period" | "Timing"),
        SearchParameterKind::String => {
            matches!(name, "string" | "markdown" | "HumanName" | "Address" | "code" | "id" | "uri" | "url")
        }
        SearchParameterKind::Token => matches!(
            name,
            "code"
                | "Coding"
                | "CodeableConcept"
                | "Identifier"
                | "ContactPoint"
                | "boolean"
                | "string"
                | "id"
                | "uri"
                | "canonical"
                | "oid"
                | "uuid"
        ),
        SearchParameterKind::Reference => matches!(name, "Reference" | "canonical" | "uri" | "url"),
        SearchParameterKind::Quantity => matches!(
            name,
            "Quantity"
                | "Age"
                | "Duration"
                | "Distance"
                | "Count"
                | "SimpleQuantity"
                | "Money"
                | "MoneyQuantity"
                | "Range"
                | "SampledData"
        ),
        SearchParameterKind::Uri => matches!(name, "uri" | "url" | "canonical" | "oid" | "uuid"),
        SearchParameterKind::Composite | SearchParameterKind::Special => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Json, Limits};

    fn say(members: &str) -> Vec<String> {
        let text = format!(
            "{{\"resourceType\":\"SearchParameter\",\"url\":\"http://x.org/p\",\"status\":\"active\",{members}}}"
        );
        let json = Json::parse(text, &Limits::default()).unwrap();
        let definitions = Definitions::embedded().unwrap();
        check(&definitions, json.root())
            .into_iter()
            .map(|it| format!("{} {}", it.expression.join(" "), it.diagnostics))
            .collect()
    }

    #[test]
    fn a_good_one_passes() {
        for members in [
            r#""code":"eye-color","base":["Patient"],"type":"token","expression":"Patient.extension('http://x.org/eye').value.ofType(CodeableConcept)""#,
            r#""code":"nickname","base":["Patient"],"type":"string","expression":"Patient.name.where(use='nickname').given""#,
            r#""code":"member-count","base":["Group"],"type":"number","expression":"Group.quantity""#,
        ] {
            assert_eq!(say(members), Vec::<String>::new());
        }
    }

    #[test]
    fn a_bad_one_is_told_what_and_where() {
        let base = r#""base":["Patient"],"type":"string""#;
        for (members, expected) in [
            (format!(r#""code":"a:b",{base},"expression":"Patient.name""#), "SearchParameter.code a name"),
            (format!(r#""code":"gender",{base},"expression":"Patient.name""#), "SearchParameter.code Patient has"),
            (format!(r#""code":"x",{base},"expression":"Patient.name.("#) + "\"", "SearchParameter.expression this is not"),
            (format!(r#""code":"x",{base}"#), "SearchParameter.expression an expression"),
            (format!(r#""code":"x",{base},"expression":"Patient.nothing""#), "leads to no element"),
            (format!(r#""code":"x",{base},"expression":"Patient.birthDate""#), "searched as a string"),
            (r#""code":"x","base":["Paint"],"type":"token","expression":"a""#.to_owned(), "SearchParameter.base[0]"),
            (r#""code":"x","base":["Patient"],"type":"special""#.to_owned(), "SearchParameter.type"),
            (
                r#""code":"x","base":["Patient"],"type":"composite","expression":"Patient","component":[{"definition":"http://none","expression":"a"}]"#.to_owned(),
                "SearchParameter.component ",
            ),
        ] {
            let said = say(&members).join("; ");
            assert!(said.contains(expected), "{members}: {said}");
        }
    }
}
