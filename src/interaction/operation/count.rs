//! `[type]/$count`: how many resources a query finds, in all or by the values of a token parameter, without telling
//! of few.
//!
//! A number under [`SMALLEST`] is not told, but only that it is so small: else one would learn of somebody by asking
//! narrowly enough. Where just one group is so small, the next larger is not told either, for the total would tell
//! it. Questions that differ by one person can still be compared: who may count is said by scopes.

use super::inputs;
use crate::access::scope::Permission;
use crate::fhir::id::ResourceType;
use crate::fhir::json::{Limits, quote};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::export::read;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::{permission, redact};
use crate::search::extract;
use crate::search::index::KeyKind;
use crate::search::query::Query;
use crate::store::search::range::{Population, Span};
use std::collections::BTreeMap;
use url::form_urlencoded;

/// Fewer than that are not told.
const SMALLEST: u64 = 11;
/// There are as many groups.
const MOST_GROUPS: usize = 1_000;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(of) = operation.resource_type else {
        return Err(Outcome::not_supported("$count is asked on a type"));
    };
    let permit = permission::ask(ctx, Permission::Search, &[of])?;
    let (by, criteria) = asked(operation);
    if let Some(by) = &by {
        let parameter = ctx.definitions().search_parameter(of, by);
        if !parameter
            .is_some_and(|it| it.kind == crate::conformance::search_parameter::SearchParameterKind::Token)
        {
            return Err(Outcome::value("groups are made by a token parameter of the type").at("by"));
        }
    }
    let filter = read::condition(ctx, of, &criteria, true)?;
    let query = redact::asked(ctx, &permit, &Query::new(vec![of], filter, 1))?;
    let at = ctx.app.clock.now_microseconds();
    let (mut total, mut groups, mut after) = (0_u64, BTreeMap::<String, u64>::new(), Some(0));
    while let Some(from) = after {
        let span = Span { after: from, ..Span::of(of, at, &Population::Everything) };
        let page = ctx.app.store.span(ctx.tenant(), &query, ctx.verifier(), &span).await?;
        total += page.resources.len() as u64;
        if let Some(by) = &by {
            for stored in page.resources {
                let stored = redact::shown(ctx, &permit, stored)?;
                for group in values(ctx, of, by, stored.text)? {
                    *groups.entry(group).or_default() += 1;
                }
            }
        }
        if groups.len() > MOST_GROUPS {
            return Err(Outcome::too_costly("there are too many groups").at("by"));
        }
        after = page.next;
    }
    let body = told(total, by.is_some().then_some(groups));
    Ok(Done { response: Response::ok(body), trail: Some(Trail::under(&permit)) })
}

/// By what groups are made, and the query.
fn asked(operation: &Operation) -> (Option<String>, String) {
    let (mut by, mut criteria) = (None, form_urlencoded::Serializer::new(String::new()));
    for (name, value) in inputs(operation) {
        if name == "by" {
            by = Some(value);
        } else {
            criteria.append_pair(&name, &value);
        }
    }
    (by, criteria.finish())
}

/// The values of a token parameter: `system|code`, or the code where it has no system.
fn values(ctx: &Context, of: ResourceType, by: &str, text: String) -> Result<Vec<String>, Outcome> {
    let resource = Resource::parse(text, &Limits::ACCEPTED)?;
    let names = ctx.verifier().index_names(of, by);
    let index = extract::index(ctx.definitions(), &ctx.app.fhir_base(), &resource);
    let of_kind = |kind| {
        let keys = index.keys.iter().filter(move |it| it.kind == kind);
        keys.filter(|it| names.contains(&it.parameter)).map(|it| it.value.to_string()).collect::<Vec<_>>()
    };
    let mut values = of_kind(KeyKind::Token);
    if values.is_empty() {
        // A plain code has no system.
        values = of_kind(KeyKind::Code);
    }
    if values.is_empty() {
        values.push("(none)".to_owned());
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

/// The numbers as Parameters, small ones left out.
fn told(total: u64, groups: Option<BTreeMap<String, u64>>) -> String {
    let groups = groups.unwrap_or_default();
    let threshold = {
        let mut sizes: Vec<u64> = groups.values().copied().collect();
        sizes.sort_unstable();
        match sizes.iter().filter(|it| **it < SMALLEST).count() {
            // The one that is told next would tell it.
            1 => sizes.get(1).map_or(SMALLEST, |next| next + 1),
            _ => SMALLEST,
        }
    };
    let number = |count: u64, least: u64| match count < least {
        true => format!("\"valueString\":\"fewer than {least}\""),
        false => format!("\"valueInteger\":{count}"),
    };
    let mut parts = vec![format!("{{\"name\":\"count\",{}}}", number(total, SMALLEST))];
    for (group, count) in groups {
        parts.push(format!(
            "{{\"name\":\"group\",\"part\":[{{\"name\":\"value\",\"valueString\":{}}},{{\"name\":\"count\",{}}}]}}",
            quote(&group),
            number(count, threshold)
        ));
    }
    format!("{{\"resourceType\":\"Parameters\",\"parameter\":[{}]}}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(sizes: &[(&str, u64)]) -> String {
        told(100, Some(sizes.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect()))
    }

    #[test]
    fn few_are_not_told() {
        assert!(told(10, None).contains("fewer than 11") && told(11, None).contains("\"valueInteger\":11"));
        let two = groups(&[("a", 3), ("b", 5), ("c", 92)]);
        assert_eq!((two.matches("fewer than 11").count(), two.contains("\"valueInteger\":92")), (2, true));
    }

    #[test]
    fn one_alone_is_not_told_by_the_rest() {
        let one = groups(&[("a", 3), ("b", 20), ("c", 77)]);
        assert_eq!(one.matches("fewer than 21").count(), 2);
        assert!(one.contains("\"valueInteger\":77"));
    }
}
