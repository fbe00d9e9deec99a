//! How long, how large, how many: what a questionnaire demands of an answer beside its type.
//!
//! <https://hl7.org/fhir/R4/questionnaire-profiles.html#extensions>

use super::form::{Asked, Form, Membership, UNIT_VALUE_SET, extension, extensions};
use crate::conformance::validate::matching;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use crate::fhirpath::is_less_quantity;
use regex::RegexBuilder;
use rust_decimal::Decimal;

const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";
const CAPTURE: &str = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-";
const UCUM: &str = "http://unitsofmeasure.org";

/// A pattern that is larger than this, compiled or as text, is not run.
const LARGEST_PATTERN: usize = 1 << 16;

/// What is wrong with the number of answers.
pub(super) fn count(asked: &Asked<'_>, count: usize, is_complete: bool) -> Vec<String> {
    let limit = |name: &str| whole(extension(asked.node, &format!("{CORE}questionnaire-{name}"))?);
    let mut problems = Vec::new();
    if let Some(least) = limit("minOccurs").filter(|it| count < *it && is_complete) {
        problems.push(format!("the question asks for at least {least} answers"));
    }
    if let Some(most) = limit("maxOccurs").filter(|it| count > *it) {
        problems.push(format!("the question takes at most {most} answers"));
    }
    problems
}

/// What is wrong with the value of an answer.
pub(super) fn broken(
    asked: &Asked<'_>,
    kind: &str,
    value: Node<'_>,
    form: &Form<'_>,
) -> Vec<(IssueType, &'static str)> {
    let mut problems = Vec::new();
    if let Some(text) = value.as_str() {
        words(asked.node, kind, &text, &mut problems);
    }
    let limit = |name: &str| extension(asked.node, &format!("{CORE}{name}"));
    if limit("minValue").is_some_and(|least| matching::is_less(value, least)) {
        problems.push((IssueType::Value, "less than the question's least value"));
    }
    if limit("maxValue").is_some_and(|most| matching::is_less(most, value)) {
        problems.push((IssueType::Value, "more than the question's greatest value"));
    }
    if let (Some(most), Some(digits)) = (limit("maxDecimalPlaces").and_then(whole), value.as_number())
        && digits.split_once('.').is_some_and(|(_, places)| places.len() > most)
    {
        problems.push((IssueType::Value, "more decimal places than the question takes"));
    }
    match kind {
        "Quantity" => quantity(asked.node, value, form, &mut problems),
        "Attachment" => attachment(asked.node, value, &mut problems),
        "Reference" => reference(asked.node, value, &mut problems),
        _ => {}
    }
    problems
}

fn words(asked: Node<'_>, kind: &str, text: &str, problems: &mut Vec<(IssueType, &'static str)>) {
    let length = text.chars().count();
    if matches!(kind, "String" | "Uri") {
        if asked.get("maxLength").and_then(whole).is_some_and(|most| length > most) {
            problems.push((IssueType::TooLong, "longer than the question allows"));
        }
        let least = extension(asked, &format!("{CORE}minLength")).and_then(whole);
        if least.is_some_and(|least| length < least) {
            problems.push((IssueType::Value, "shorter than the question demands"));
        }
    }
    // The questionnaire's own pattern: the one that is not known before the request comes.
    if let Some(pattern) = extension(asked, &format!("{CORE}regex")).and_then(Node::as_str)
        && pattern.len() <= LARGEST_PATTERN
        && let Ok(pattern) =
            RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(LARGEST_PATTERN).build()
        && !pattern.is_match(text)
    {
        problems.push((IssueType::Value, "not in the format that the question demands"));
    }
}

fn quantity(
    asked: Node<'_>,
    value: Node<'_>,
    form: &Form<'_>,
    problems: &mut Vec<(IssueType, &'static str)>,
) {
    let is_unit = |unit: Node<'_>| ["system", "code"].iter().all(|it| unit.string(it) == value.string(it));
    let units = extensions(asked, &format!("{CORE}questionnaire-unitOption"));
    if !units.is_empty() && !units.into_iter().any(is_unit) {
        problems.push((IssueType::CodeInvalid, "the unit is not among those of the question"));
    }
    if let Some(canonical) = extension(asked, UNIT_VALUE_SET).and_then(Node::as_str)
        && matches!(form.membership(&canonical, value), Membership::Out)
    {
        problems.push((IssueType::CodeInvalid, "the unit is not in the value set of the question"));
    }
    let limit = |name: &str| extension(asked, &format!("{CAPTURE}{name}"));
    for (bound, is_broken) in [
        (limit("minQuantity"), matching::is_less as fn(Node<'_>, Node<'_>) -> bool),
        (limit("maxQuantity"), |value, most| matching::is_less(most, value)),
    ] {
        let Some(bound) = bound else { continue };
        if !are_comparable(value, bound) {
            problems
                .push((IssueType::Value, "the unit cannot be compared with that of the question's limit"));
        } else if is_broken(value, bound) {
            problems.push((IssueType::Value, "beyond the question's limit"));
        }
    }
}

/// Quantities compare by a coded unit: the same, or one that UCUM can convert.
fn are_comparable(one: Node<'_>, other: Node<'_>) -> bool {
    let unit = |of: Node<'_>| Some((of.string("system")?.into_owned(), of.string("code")?.into_owned()));
    let (Some(one), Some(other)) = (unit(one), unit(other)) else { return false };
    let converts = |from: &str, to: &str| is_less_quantity((Decimal::ZERO, from), (Decimal::ONE, to));
    one == other
        || (one.0 == UCUM && other.0 == UCUM && (converts(&one.1, &other.1) || converts(&other.1, &one.1)))
}

fn attachment(asked: Node<'_>, value: Node<'_>, problems: &mut Vec<(IssueType, &'static str)>) {
    let types = extensions(asked, &format!("{CORE}mimeType"));
    if !types.is_empty()
        && let Some(given) = value.string("contentType")
        && !types.iter().any(|it| it.is(&given))
    {
        problems.push((IssueType::Value, "the content is not of a type that the question takes"));
    }
    let megabytes = extension(asked, &format!("{CORE}maxSize")).and_then(matching::number);
    if let (Some(most), Some(size)) = (megabytes, value.get("size").and_then(matching::number))
        && Some(size) > most.checked_mul(Decimal::from(1024 * 1024))
    {
        problems.push((IssueType::TooLong, "the content is larger than the question takes"));
    }
}

fn reference(asked: Node<'_>, value: Node<'_>, problems: &mut Vec<(IssueType, &'static str)>) {
    let types = extensions(asked, &format!("{CORE}questionnaire-referenceResource"));
    if !types.is_empty()
        && let Some(text) = value.string("reference")
        && let Some(Reference::Resource { resource_type, .. }) = Reference::parse(&text)
        && !types.iter().any(|it| it.is(resource_type.name()))
    {
        problems.push((IssueType::Structure, "the question does not take a reference to that type"));
    }
}

fn whole(node: Node<'_>) -> Option<usize> {
    node.as_number()?.parse().ok()
}
