//! What a query says about its answer: order, pages, includes, totals, how much of each resource.
//!
//! <https://hl7.org/fhir/R4/search.html#return>

use super::condition::{Planning, with_modifier};
use super::{Refusal, Setting, built};
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::ResourceType;
use crate::search::include::{Direction, Include};
use crate::search::query::{Query, Summary, Total};
use crate::search::sort::{SortBy, SortKey};

/// The most keys of an order.
const MOST_SORT_KEYS: usize = 8;
/// The most includes.
const MOST_INCLUDES: usize = 32;

type Result<T> = std::result::Result<T, Refusal>;

/// `_type`: only these of the types searched.
pub(super) fn types(query: &mut Query, name: &str, value: &str) -> Result<()> {
    let named: Option<Vec<ResourceType>> = value.split(',').map(ResourceType::parse).collect();
    let Some(named) = named else {
        return Err(Refusal::value(name, "resource types with commas between them are expected"));
    };
    query.resource_types.retain(|it| named.contains(it));
    Ok(())
}

/// Reads a parameter that is about the answer; nothing where it is about what is searched.
pub(super) fn read(
    planning: &Planning<'_>,
    query: &mut Query,
    name: &str,
    value: &str,
) -> Option<Result<()>> {
    let (code, modifier) = with_modifier(name);
    let result = match code {
        "_include" | "_revinclude" => include(planning, query, (name, code, modifier), value),
        "_sort" | "_count" | "_total" | "_summary" | "_elements" | "_contained" | "_containedType"
        | "_format" | "_pretty"
            if modifier.is_some() =>
        {
            Err(Refusal::not_supported(name, "not a modifier of this parameter"))
        }
        "_sort" => sort(planning, query, name, value),
        "_count" => count(planning.setting, query, name, value),
        "_total" => total(query, name, value),
        "_summary" => summary(query, name, value),
        "_elements" => elements(query, name, value),
        "_contained" if value == "false" => Ok(()),
        "_contained" | "_containedType" => {
            Err(Refusal::not_supported(name, "contained resources are not searched for themselves"))
        }
        // How the answer is written is the edge's matter.
        "_format" | "_pretty" => Ok(()),
        _ => return None,
    };
    Some(result)
}

fn count(setting: &Setting<'_>, query: &mut Query, name: &str, value: &str) -> Result<()> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(Refusal::value(name, "a whole number is expected"));
    }
    // More digits than fit are more than the most.
    query.count = value.parse().unwrap_or(u32::MAX).min(setting.max_count);
    Ok(())
}

fn total(query: &mut Query, name: &str, value: &str) -> Result<()> {
    query.total = match value {
        "none" => Total::None,
        "estimate" => Total::Estimate,
        "accurate" => Total::Accurate,
        _ => return Err(Refusal::value(name, "none, estimate or accurate is expected")),
    };
    Ok(())
}

fn summary(query: &mut Query, name: &str, value: &str) -> Result<()> {
    query.summary = match value {
        "true" => Summary::True,
        "false" => Summary::False,
        "text" => Summary::Text,
        "data" => Summary::Data,
        "count" => Summary::Count,
        _ => return Err(Refusal::value(name, "true, false, text, data or count is expected")),
    };
    Ok(())
}

fn elements(query: &mut Query, name: &str, value: &str) -> Result<()> {
    for element in value.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let is_name = element.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(Refusal::value(name, "names of top-level elements are expected"));
        }
        if !query.elements.iter().any(|it| it == element) {
            query.elements.push(element.to_owned());
        }
    }
    if query.elements.is_empty() {
        Err(Refusal::value(name, "names of top-level elements are expected"))
    } else {
        Ok(())
    }
}

fn sort(planning: &Planning<'_>, query: &mut Query, name: &str, value: &str) -> Result<()> {
    let mut keys = Vec::new();
    for part in value.split(',').map(str::trim) {
        let (code, is_descending) = part.strip_prefix('-').map_or((part, false), |code| (code, true));
        let by = match code {
            "_id" => SortBy::Id,
            "_lastUpdated" => SortBy::LastUpdated,
            _ => SortBy::Parameter(sortable(planning, &query.resource_types, name, code)?),
        };
        if keys.len() == MOST_SORT_KEYS {
            return Err(Refusal::too_costly(name, "the order has too many keys"));
        }
        keys.push(SortKey { by, is_descending });
    }
    query.sort = keys;
    Ok(())
}

/// The code of a parameter that every type searched has, and that has an order.
fn sortable(
    planning: &Planning<'_>,
    types: &[ResourceType],
    name: &str,
    code: &str,
) -> Result<std::sync::Arc<str>> {
    let mut found = None;
    for resource_type in types {
        let Some(parameter) = built(name, planning.all.of_type(*resource_type).get(code))? else {
            return Err(Refusal::unknown(name, &format!("no such search parameter of {resource_type}")));
        };
        let is_ordered =
            !matches!(parameter.kind(), SearchParameterKind::Composite | SearchParameterKind::Special)
                && !matches!(code, "_text" | "_content" | "_query");
        if !is_ordered {
            return Err(Refusal::value(name, "that parameter has no order"));
        }
        found = Some(parameter.code().clone());
    }
    found.ok_or_else(|| Refusal::unknown(name, "no type is searched"))
}

fn include(
    planning: &Planning<'_>,
    query: &mut Query,
    (name, code, modifier): (&str, &str, Option<&str>),
    value: &str,
) -> Result<()> {
    let is_iterated = match modifier {
        None => false,
        Some("iterate") => true,
        Some(_) => return Err(Refusal::not_supported(name, "not a modifier of this parameter")),
    };
    let direction = if code == "_include" { Direction::Forward } else { Direction::Reverse };
    let mut include = Include { direction, is_iterated, source: None, parameter: None, target: None };
    if value != "*" {
        let mut parts = value.split(':');
        let resource_type =
            |part: &str| ResourceType::parse(part).ok_or_else(|| Refusal::value(name, "not a resource type"));
        let source = resource_type(parts.next().unwrap_or_default())?;
        include.source = Some(source);
        match parts.next() {
            None | Some("") => return Err(Refusal::value(name, "Type:parameter is expected")),
            Some("*") => {}
            Some(code) => {
                let parameter = built(name, planning.all.of_type(source).get(code))?;
                let is_reference = |kind| kind == SearchParameterKind::Reference;
                let Some(parameter) = parameter.filter(|it| is_reference(it.kind())) else {
                    return Err(Refusal::unknown(name, "the type has no such reference parameter"));
                };
                include.parameter = Some(parameter.code().clone());
            }
        }
        include.target = parts.next().filter(|it| !it.is_empty()).map(resource_type).transpose()?;
        if parts.next().is_some() {
            return Err(Refusal::value(name, "Type:parameter:Type is expected"));
        }
    }
    if query.includes.len() == MOST_INCLUDES {
        return Err(Refusal::too_costly(name, "there are too many includes"));
    }
    if !query.includes.contains(&include) {
        query.includes.push(include);
    }
    Ok(())
}
