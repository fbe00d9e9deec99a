//! Search: of a type, of everything, within a compartment.
//!
//! <https://hl7.org/fhir/R4/search.html>, <https://hl7.org/fhir/R4/http.html#search>

use super::context::Context;
use super::record::{Done, Trail};
use super::request::{Instance, Parameters};
use super::response::Response;
use super::subset::Subset;
use super::{page_link, permission, redact, terminology};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::fhir::bundle::{Bundle, Entry};
use crate::fhir::date_time::instant;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::{self, Issue, Outcome};
use crate::search::page::Cursor;
use crate::search::plan::{Setting, plan};
use crate::search::predicate::Predicate;
use crate::search::query::Query;
use crate::search::sort::SortValue;
use crate::store::search::SearchPage;
use serde_json::{Value, json};

pub(super) async fn run(
    ctx: &Context,
    resource_type: Option<ResourceType>,
    compartment: Option<&Instance>,
    parameters: &Parameters,
) -> Result<Done, Outcome> {
    let place = place(resource_type, compartment);
    let (cursor, parameters) = page_link::take(ctx, &place, parameters).await?;
    let patient = compartment.filter(|of| of.resource_type.name() == "Patient").map(|of| &of.id);
    let asked: Vec<ResourceType> = resource_type.into_iter().collect();
    let permit = permission::ask_within(ctx, Permission::Search, &asked, patient)?;
    let types = types(ctx, &permit, resource_type, compartment, &parameters)?;
    let base = ctx.app.fhir_base();
    let sets = terminology::sets(ctx, &parameters).await?;
    let setting = Setting { sets: Some(&sets), ..ctx.setting(&base) };
    let (mut query, issues) = plan(&setting, &types, &parameters)?;
    if let Some(of) = compartment {
        query.filter = query.filter.and(within(ctx, of, &types)?);
    }
    query.cursor = cursor.as_ref().map(cursor_of).transpose()?;
    let page =
        ctx.app.store.search(ctx.tenant(), &redact::asked(ctx, &permit, &query)?, ctx.verifier()).await?;
    answer(ctx, &permit, &place, &query, page, &issues).await
}

fn place(resource_type: Option<ResourceType>, compartment: Option<&Instance>) -> String {
    match (compartment, resource_type) {
        (None, None) => String::new(),
        (None, Some(it)) => it.to_string(),
        (Some(of), Some(it)) => format!("{}/{}/{it}", of.resource_type, of.id),
        (Some(of), None) => format!("{}/{}/*", of.resource_type, of.id),
    }
}

/// The types to search: the one in the URL, or those of `_type`, or all that the caller may touch.
fn types(
    ctx: &Context,
    permit: &Permit,
    resource_type: Option<ResourceType>,
    compartment: Option<&Instance>,
    parameters: &Parameters,
) -> Result<Vec<ResourceType>, Outcome> {
    if let Some(resource_type) = resource_type {
        return Ok(vec![resource_type]);
    }
    let mut types = permit.narrowing().types();
    for (_, value) in parameters.iter().filter(|(name, _)| name == "_type") {
        let named: Option<Vec<ResourceType>> = value.split(',').map(ResourceType::parse).collect();
        let named = named.ok_or_else(|| Outcome::value("_type names resource types of R4").at("_type"))?;
        types.retain(|it| named.contains(it));
    }
    if let Some(of) = compartment {
        let name = of.resource_type.name();
        types.retain(|it| *it == of.resource_type || ctx.definitions().compartment(name, *it).is_some());
    }
    Ok(types)
}

/// What puts a resource into the compartment: <https://hl7.org/fhir/R4/compartmentdefinition.html>
pub(super) fn within(ctx: &Context, of: &Instance, types: &[ResourceType]) -> Result<Predicate, Outcome> {
    let name = of.resource_type.name();
    if name == "Patient" {
        return Ok(Predicate::Compartment(of.id.clone()));
    }
    if !matches!(name, "Encounter" | "Practitioner" | "Device" | "RelatedPerson") {
        return Err(Outcome::not_supported("there is no compartment of that type"));
    }
    let base = ctx.app.fhir_base();
    let setting = ctx.setting(&base);
    let mut inside = Vec::new();
    for resource_type in types {
        let parameters = ctx.definitions().compartment(name, *resource_type).unwrap_or_default();
        let mut refers = Vec::new();
        for parameter in parameters {
            let reference = (parameter.to_string(), format!("{name}/{}", of.id));
            refers.push(plan(&setting, &[*resource_type], &[reference])?.0.filter);
        }
        if *resource_type == of.resource_type {
            refers.push(Predicate::Id(vec![of.id.clone()]));
        }
        let is_type = match types {
            [_] => Predicate::True,
            _ => Predicate::Type(*resource_type),
        };
        inside.push(is_type.and(Predicate::any(refers)));
    }
    Ok(Predicate::any(inside))
}

pub(super) async fn answer(
    ctx: &Context,
    permit: &Permit,
    place: &str,
    query: &Query,
    page: SearchPage,
    issues: &[Issue],
) -> Result<Done, Outcome> {
    let base = ctx.app.fhir_base();
    let mut trail = Trail::under(permit);
    let subset = Subset::of_query(query);
    let types = &ctx.definitions().types;
    let mut entries = Vec::with_capacity(page.matches.len() + page.included.len() + 1);
    let is_count_only = query.count == 0;
    let found = page.matches.into_iter().map(|it| (it, "match"));
    for (stored, mode) in found.chain(page.included.into_iter().map(|it| (it, "include"))) {
        trail.add(ctx, &stored);
        let stored = redact::shown(ctx, permit, stored)?;
        let full_url = format!("{base}/{}/{}", stored.resource_type, stored.id);
        let text = if mode == "match" { subset.apply(types, stored.text)? } else { stored.text };
        entries.push(Entry {
            full_url: Some(full_url),
            resource: Some(text),
            search_mode: Some(mode),
            ..Entry::default()
        });
    }
    if is_count_only {
        entries.clear();
    }
    if !issues.is_empty() {
        let outcome = outcome::to_json(issues);
        entries.push(Entry { resource: Some(outcome), search_mode: Some("outcome"), ..Entry::default() });
    }
    let mut links = vec![("self", page_link::url(ctx, place, &query.effective))];
    if let Some(next) = page.next.filter(|_| !is_count_only) {
        let cursor = cursor_json(&next);
        links.push(("next", page_link::next(ctx, place, &query.effective, &cursor).await?));
    }
    let bundle =
        Bundle { kind: "searchset", timestamp: Some(instant(ctx.now)), total: page.total, links, entries };
    let response = Response::ok(bundle.to_json());
    Ok(Done { response, trail: Some(trail) })
}

fn cursor_json(cursor: &Cursor) -> Value {
    let values = cursor.values.iter().map(|value| match value {
        None => Value::Null,
        Some(SortValue::Date(it)) => json!({ "d": it }),
        // The bits, so that the number comes back exactly.
        Some(SortValue::Number(it)) => json!({ "n": it.to_bits() }),
        Some(SortValue::Text(it)) => json!({ "t": it }),
    });
    json!([cursor.resource_type.code(), cursor.row, cursor.position, values.collect::<Vec<_>>()])
}

/// A cursor as the link holds it.
pub(super) fn cursor_of(json: &Value) -> Result<Cursor, Outcome> {
    let read = || {
        let code = i16::try_from(json.get(0)?.as_i64()?).ok()?;
        let values = json.get(3)?.as_array()?.iter().map(|value| match value {
            Value::Null => Some(None),
            _ => sort_value(value).map(Some),
        });
        Some(Cursor {
            resource_type: ResourceType::from_code(code)?,
            row: json.get(1)?.as_i64()?,
            position: json.get(2)?.as_u64()?,
            values: values.collect::<Option<Vec<_>>>()?,
        })
    };
    read().ok_or_else(|| Outcome::value("this page link is not valid").at(page_link::CURSOR))
}

fn sort_value(value: &Value) -> Option<SortValue> {
    if let Some(date) = value.get("d") {
        return date.as_i64().map(SortValue::Date);
    }
    if let Some(number) = value.get("n") {
        return number.as_u64().map(|bits| SortValue::Number(f64::from_bits(bits)));
    }
    value.get("t")?.as_str().map(|text| SortValue::Text(text.into()))
}
