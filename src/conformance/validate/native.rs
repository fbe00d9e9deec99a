//! Invariants by hand: the ones that clinical resources meet on every write.

use super::value::Value;
use super::walk::Place;
use crate::fhir::date_time::DateTime;
use crate::fhir::json::Node;
use rust_decimal::Decimal;

/// Whether a rule is kept; nothing where the rule is not known here.
pub(super) fn check(key: &str, value: Value<'_>, place: Place<'_>) -> Option<bool> {
    let node = value.node?;
    let has = |name: &str| node.members().any(|(key, _)| is_named(key, name));
    Some(match key {
        "qty-3" => !has("code") || has("system"),
        "per-1" => period(node),
        "rng-2" => range(node),
        "att-1" => !has("data") || has("contentType"),
        "cpt-2" => !has("value") || has("system"),
        "obs-3" => has("low") || has("high") || has("text"),
        "obs-6" => !has("dataAbsentReason") || !has_choice(node, "value"),
        "obs-7" => !has_choice(node, "value") || no_component_repeats(node),
        "pat-1" => has("name") || has("telecom") || has("address") || has("organization"),
        "ref-1" => reference(node, place),
        "org-1" => has("identifier") || has("name"),
        "cpl-3" => !has("detail") || !has("reference"),
        "con-1" => has("summary") || has("assessment"),
        "con-2" => has("code") || has("detail"),
        "bdl-5" => has("resource") || has("request") || has("response"),
        "bdl-8" => !node.string("fullUrl").is_some_and(|it| it.contains("/_history/")),
        "bdl-1" => !has("total") || is_type(node, &["searchset", "history"]),
        "bdl-2" => is_type(node, &["searchset"]) || !entries(node).any(|it| it.get("search").is_some()),
        "bdl-3" => each_entry(node, "request", &["batch", "transaction", "history"]),
        "bdl-4" => each_entry(node, "response", &["batch-response", "transaction-response", "history"]),
        "bdl-7" => is_type(node, &["history"]) || full_urls_differ(node),
        // `is Boolean` means what JSON says.
        "que-7" => !node.get("operator").is_some_and(|it| it.is("exists")) || has("answerBoolean"),
        // The expression counts more than two; the words, and the comment on enableBehavior, more than one.
        "que-12" => has("enableBehavior") || node.get("enableWhen").is_none_or(|it| it.items().count() <= 1),
        "ctm-1" => !has("onBehalfOf") || is_practitioner(node, place),
        // These two are said with the narrative, which checks them once.
        "txt-1" | "txt-2" => true,
        _ => return None,
    })
}

/// `name` or `_name`.
fn is_named(key: Node<'_>, name: &str) -> bool {
    let raw = key.raw();
    let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    inside.strip_prefix('_').unwrap_or(inside) == name
}

fn has_choice(node: Node<'_>, name: &str) -> bool {
    node.members().any(|(key, _)| {
        let inside = key.raw().get(1..).unwrap_or_default();
        inside.strip_prefix('_').unwrap_or(inside).starts_with(name)
    })
}

fn period(node: Node<'_>) -> bool {
    let (Some(start), Some(end)) = (node.string("start"), node.string("end")) else { return true };
    let (Some(start), Some(end)) = (DateTime::parse_date_time(&start), DateTime::parse_date_time(&end))
    else {
        return true;
    };
    // Days and hours that overlap are not known to be in the wrong order.
    start.interval().low <= end.interval().high
}

fn range(node: Node<'_>) -> bool {
    let number = |name: &str| node.get(name)?.get("value")?.as_number()?.parse::<Decimal>().ok();
    let unit = |name: &str| node.get(name).and_then(|it| it.get("code")?.as_str());
    match (number("low"), number("high")) {
        (Some(low), Some(high)) if unit("low") == unit("high") => low <= high,
        _ => true,
    }
}

fn codings(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.get("code").and_then(|it| it.get("coding")).into_iter().flat_map(Node::items)
}

/// No component has the code of the observation itself.
fn no_component_repeats(node: Node<'_>) -> bool {
    let is_own = |coding: Node<'_>| {
        codings(node).any(|own| {
            ["system", "code", "version"].iter().all(|name| own.string(name) == coding.string(name))
                && coding.get("code").is_some()
        })
    };
    let components = node.get("component").into_iter().flat_map(Node::items);
    !components.into_iter().any(|it| codings(it).any(is_own))
}

/// `#id` is the id of a contained resource; `#` alone is the container.
fn reference(node: Node<'_>, place: Place<'_>) -> bool {
    let Some(reference) = node.string("reference") else { return true };
    match reference.strip_prefix('#') {
        None | Some("") => true,
        Some(id) => {
            let contained = place.root.get("contained").into_iter().flat_map(Node::items);
            contained.into_iter().any(|it| it.get("id").is_some_and(|it| it.is(id)))
        }
    }
}

/// Whether a member is a practitioner; one that is not at hand may be.
fn is_practitioner(participant: Node<'_>, place: Place<'_>) -> bool {
    let reference = participant.get("member").and_then(|it| it.string("reference"));
    let Some(id) = reference.as_deref().and_then(|it| it.strip_prefix('#')) else { return true };
    let mut contained = place.root.get("contained").into_iter().flat_map(Node::items);
    let member = contained.find(|it| it.get("id").is_some_and(|it| it.is(id)));
    member.and_then(|it| it.get("resourceType")).is_none_or(|it| it.is("Practitioner"))
}

fn is_type(bundle: Node<'_>, types: &[&str]) -> bool {
    bundle.get("type").is_some_and(|it| types.iter().any(|name| it.is(name)))
}

fn entries(bundle: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    bundle.get("entry").into_iter().flat_map(Node::items)
}

fn each_entry(bundle: Node<'_>, name: &str, types: &[&str]) -> bool {
    let is_expected = is_type(bundle, types);
    entries(bundle).all(|entry| entry.get(name).is_some() == is_expected)
}

fn full_urls_differ(bundle: Node<'_>) -> bool {
    let mut urls: Vec<(String, Option<String>)> = entries(bundle)
        .filter_map(|entry| {
            let version = entry.get("resource").and_then(|it| it.get("meta")?.string("versionId"));
            Some((entry.string("fullUrl")?.into_owned(), version.map(std::borrow::Cow::into_owned)))
        })
        .collect();
    let count = urls.len();
    urls.sort_unstable();
    urls.dedup();
    urls.len() == count
}
