//! History: every version of a resource, a type, everything; newest first.
//!
//! <https://hl7.org/fhir/R4/http.html#history>

use super::context::{Context, DEFAULT_COUNT, page_size};
use super::record::{Done, Trail};
use super::request::{HistoryOf, Parameters};
use super::response::Response;
use super::{page_link, permission, redact};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::fhir::bundle::{Bundle, Entry, EntryResponse};
use crate::fhir::date_time::{DateTime, instant};
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::search::predicate::Predicate;
use crate::search::query::Handling;
use crate::store::resources::{DeedKind, Stored};
use crate::store::versions::{HistoryFilter, HistoryPage, Place};
use serde_json::{Value, json};

pub(super) async fn run(ctx: &Context, of: &HistoryOf, parameters: &Parameters) -> Result<Done, Outcome> {
    let place = match of {
        HistoryOf::Instance(of) => format!("{}/{}/_history", of.resource_type, of.id),
        HistoryOf::Type(of) => format!("{of}/_history"),
        HistoryOf::System => "_history".to_owned(),
    };
    let permit = match of {
        HistoryOf::Instance(of) => permission::ask(ctx, Permission::Read, &[of.resource_type])?,
        HistoryOf::Type(of) => permission::ask(ctx, Permission::Search, &[*of])?,
        HistoryOf::System => permission::ask(ctx, Permission::Search, &[])?,
    };
    let (cursor, parameters) = page_link::take(ctx, &place, parameters).await?;
    let mut filter = filter(ctx, &parameters)?;
    filter.after = cursor.as_ref().map(place_of).transpose()?;
    let mut page = page(ctx, &permit, of, &filter).await?;
    page.versions.retain(|it| permission::shows(ctx, &permit, it));
    let mut trail = Trail::under(&permit);
    for version in std::mem::take(&mut page.versions) {
        trail.add(ctx, &version);
        page.versions.push(redact::shown(ctx, &permit, version)?);
    }
    let mut links = vec![("self", page_link::url(ctx, &place, &parameters))];
    if let Some(next) = page.next {
        let cursor = json!([next.at, next.row, next.version]);
        links.push(("next", page_link::next(ctx, &place, &parameters, &cursor).await?));
    }
    let base = ctx.app.fhir_base();
    let bundle = Bundle {
        kind: "history",
        timestamp: Some(instant(ctx.now)),
        links,
        entries: page.versions.into_iter().map(|it| entry(&base, it)).collect(),
        ..Bundle::default()
    };
    let response = Response::ok(bundle.to_json());
    Ok(Done { response, trail: Some(trail) })
}

async fn page(
    ctx: &Context,
    permit: &Permit,
    of: &HistoryOf,
    filter: &HistoryFilter,
) -> Result<HistoryPage, Outcome> {
    let store = &ctx.app.store;
    let (tenant, classes) = (ctx.tenant(), permit.classes());
    let types: Vec<ResourceType> = match of {
        HistoryOf::Instance(of) => {
            let narrowing = permit.narrowing().of(of.resource_type);
            let resource = (of.resource_type, &of.id);
            let page = store.instance_history(tenant, resource, narrowing, filter, classes).await?;
            return page.ok_or_else(Outcome::not_found);
        }
        HistoryOf::Type(of) => vec![*of],
        HistoryOf::System => permit.narrowing().types(),
    };
    let narrowed: Vec<(ResourceType, &Predicate)> =
        types.iter().map(|it| (*it, permit.narrowing().of(*it))).collect();
    Ok(store.history(tenant, &narrowed, filter, classes).await?)
}

fn filter(ctx: &Context, parameters: &Parameters) -> Result<HistoryFilter, Outcome> {
    let mut filter = HistoryFilter { count: DEFAULT_COUNT, ..HistoryFilter::default() };
    for (name, value) in parameters {
        match name.as_str() {
            "_count" => filter.count = page_size(value)?,
            "_since" => {
                let since = DateTime::parse_search(value)
                    .ok_or_else(|| Outcome::value("_since is not an instant").at("_since"))?;
                filter.since = Some(since.interval().low);
            }
            "_at" => {
                let at = DateTime::parse_search(value)
                    .ok_or_else(|| Outcome::value("_at is not a date").at("_at"))?
                    .interval();
                filter.at = Some((at.low, at.high));
            }
            _ if ctx.handling == Handling::Lenient => {}
            _ => return Err(Outcome::not_supported("a history has no such parameter").at(name.as_str())),
        }
    }
    Ok(filter)
}

/// Where a page goes on, as the link holds it.
fn place_of(cursor: &Value) -> Result<Place, Outcome> {
    let number = |place: usize| cursor.get(place).and_then(Value::as_i64);
    let version = number(2).and_then(|it| i32::try_from(it).ok());
    match (number(0), number(1), version) {
        (Some(at), Some(row), Some(version)) => Ok(Place { at, row, version }),
        _ => Err(Outcome::value("this page link is not valid").at(page_link::CURSOR)),
    }
}

fn entry(base: &str, version: Stored) -> Entry {
    let instance = format!("{}/{}", version.resource_type, version.id);
    let (method, url, status) = match version.deed {
        DeedKind::Create => ("POST", version.resource_type.to_string(), "201"),
        DeedKind::Update if version.version == 1 => ("PUT", instance.clone(), "201"),
        DeedKind::Update => ("PUT", instance.clone(), "200"),
        DeedKind::Delete => ("DELETE", instance.clone(), "204"),
    };
    Entry {
        full_url: Some(format!("{base}/{instance}")),
        request: Some((method, url)),
        response: Some(EntryResponse {
            status: status.to_owned(),
            etag: Some(format!("W/\"{}\"", version.version)),
            last_modified: Some(instant(version.last_updated)),
            ..EntryResponse::default()
        }),
        resource: (!version.is_deleted()).then_some(version.text),
        search_mode: None,
    }
}
