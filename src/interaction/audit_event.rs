//! AuditEvent: the trail, shown as resources. It is read and searched like any other type, and written by nobody.
//!
//! <https://hl7.org/fhir/R4/auditevent.html>

use super::context::{Context, DEFAULT_COUNT, page_size};
use super::record::{self, Done, Trail};
use super::request::{Instance, Parameters};
use super::response::Response;
use super::subset::Subset;
use super::{page_link, permission};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::audit::find::{self, Paging, Shown};
use crate::fhir::bundle::{Bundle, Entry, EntryResponse};
use crate::fhir::date_time::instant;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::{self, Outcome};
use crate::search::query::Handling;

/// The name of the type.
pub(super) const NAME: &str = "AuditEvent";
/// The version that every event has.
const ONLY_VERSION: &str = "1";

pub(super) async fn read(ctx: &Context, of: &Instance, parameters: &Parameters) -> Result<Done, Outcome> {
    let (shown, trail) = shown(ctx, of).await?;
    let text = Subset::of(parameters)?.apply(&ctx.definitions().types, shown.text)?;
    Ok(Done { response: Response::ok(text), trail: Some(trail) })
}

/// An event has one version, for it never changes.
pub(super) async fn vread(
    ctx: &Context,
    of: &Instance,
    version: &str,
    parameters: &Parameters,
) -> Result<Done, Outcome> {
    if version != ONLY_VERSION {
        // Whether there is such an event must not be learnt from this.
        permission::ask(ctx, Permission::Read, &[of.resource_type])?;
        return Err(Outcome::not_found());
    }
    read(ctx, of, parameters).await
}

/// The history of an event is its beginning.
pub(super) async fn history(ctx: &Context, of: &Instance) -> Result<Done, Outcome> {
    let (shown, trail) = shown(ctx, of).await?;
    let base = ctx.app.fhir_base();
    let place = format!("{NAME}/{}", shown.id);
    let response = EntryResponse {
        status: "201".to_owned(),
        etag: Some(format!("W/\"{ONLY_VERSION}\"")),
        ..EntryResponse::default()
    };
    let entry = Entry {
        full_url: Some(format!("{base}/{place}")),
        resource: Some(shown.text),
        request: Some(("POST", NAME.to_owned())),
        response: Some(response),
        ..Entry::default()
    };
    let bundle = Bundle {
        kind: "history",
        timestamp: Some(instant(ctx.now)),
        total: Some(1),
        links: vec![("self", format!("{base}/{place}/_history"))],
        entries: vec![entry],
    };
    Ok(Done { response: Response::ok(bundle.to_json()), trail: Some(trail) })
}

async fn shown(ctx: &Context, of: &Instance) -> Result<(Shown, Trail), Outcome> {
    let permit = permission::ask(ctx, Permission::Read, &[of.resource_type])?;
    let base = ctx.app.fhir_base();
    let shown = find::read(trail_of(ctx, &base), &permit, &of.id).await?;
    let mut trail = Trail::under(&permit);
    note(&mut trail, of.resource_type, &shown);
    Ok((shown, trail))
}

/// What of the answer is asked for beside the criteria.
struct Form {
    count: u32,
    is_counted: bool,
    is_count_only: bool,
    subset: Subset,
}

impl Form {
    /// Takes its parameters out of a query.
    fn take(parameters: &Parameters) -> Result<(Form, Parameters), Outcome> {
        let mut form =
            Form { count: DEFAULT_COUNT, is_counted: false, is_count_only: false, subset: Subset::of(&[])? };
        let mut parts = Parameters::new();
        let mut rest = Parameters::new();
        for (name, value) in parameters {
            match (name.as_str(), value.as_str()) {
                ("_count", "0") | ("_summary", "count") => form.is_count_only = true,
                ("_count", _) => form.count = page_size(value)?,
                ("_total", "accurate" | "estimate") => form.is_counted = true,
                ("_total", "none") => {}
                ("_total", _) => {
                    return Err(Outcome::value("_total is one of none, estimate, accurate").at("_total"));
                }
                ("_summary" | "_elements", _) => parts.push((name.clone(), value.clone())),
                _ => rest.push((name.clone(), value.clone())),
            }
        }
        form.subset = Subset::of(&parts)?;
        Ok((form, rest))
    }
}

pub(super) async fn search(
    ctx: &Context,
    resource_type: ResourceType,
    compartment: Option<&Instance>,
    parameters: &Parameters,
) -> Result<Done, Outcome> {
    let place = match compartment {
        Some(of) => format!("{}/{}/{NAME}", of.resource_type, of.id),
        None => NAME.to_owned(),
    };
    let (cursor, parameters) = page_link::take(ctx, &place, parameters).await?;
    let permit = permission::ask(ctx, Permission::Search, &[resource_type])?;
    let (form, mut asked) = Form::take(&parameters)?;
    match compartment {
        Some(of) if of.resource_type.name() == "Patient" => {
            asked.push(("patient".to_owned(), format!("Patient/{}", of.id)));
        }
        Some(_) => return Err(Outcome::not_supported("events are found in a patient's compartment only")),
        None => {}
    }
    let base = ctx.app.fhir_base();
    let after = cursor.as_ref().and_then(serde_json::Value::as_i64);
    let is_lenient = ctx.handling == Handling::Lenient;
    let total = match form.is_counted || form.is_count_only {
        true => find::count(trail_of(ctx, &base), &permit, &asked, is_lenient).await?,
        false => None,
    };
    if form.is_count_only {
        return counted(ctx, &permit, (&place, &parameters), total);
    }
    let paging = Paging { count: form.count, after, is_lenient };
    let page = find::search(trail_of(ctx, &base), &permit, &asked, paging).await?;
    let mut trail = Trail::under(&permit);
    let mut entries = Vec::with_capacity(page.events.len());
    for shown in page.events {
        note(&mut trail, resource_type, &shown);
        entries.push(Entry {
            full_url: Some(format!("{base}/{NAME}/{}", shown.id)),
            resource: Some(form.subset.apply(&ctx.definitions().types, shown.text)?),
            search_mode: Some("match"),
            ..Entry::default()
        });
    }
    if !page.issues.is_empty() {
        let resource = Some(outcome::to_json(&page.issues));
        entries.push(Entry { resource, search_mode: Some("outcome"), ..Entry::default() });
    }
    let mut links = vec![("self", page_link::url(ctx, &place, &parameters))];
    if let Some(next) = page.next {
        links.push(("next", page_link::next(ctx, &place, &parameters, &next.into()).await?));
    }
    let bundle = Bundle { kind: "searchset", timestamp: Some(instant(ctx.now)), total, links, entries };
    let response = Response::ok(bundle.to_json());
    Ok(Done { response, trail: Some(trail) })
}

/// The answer to whoever asks how many there are.
fn counted(
    ctx: &Context,
    permit: &Permit,
    (place, parameters): (&str, &Parameters),
    total: Option<u64>,
) -> Result<Done, Outcome> {
    let total = total.ok_or_else(|| Outcome::too_costly("there are too many to count, ask for fewer"))?;
    let bundle = Bundle {
        kind: "searchset",
        timestamp: Some(instant(ctx.now)),
        total: Some(total),
        links: vec![("self", page_link::url(ctx, place, parameters))],
        entries: Vec::new(),
    };
    Ok(Done { response: Response::ok(bundle.to_json()), trail: Some(Trail::under(permit)) })
}

fn trail_of<'a>(ctx: &'a Context, base: &'a str) -> find::Trail<'a> {
    find::Trail { store: &ctx.app.store, base, tenant: ctx.tenant() }
}

/// Whoever looks at the trail is in it, too.
fn note(trail: &mut Trail, resource_type: ResourceType, shown: &Shown) {
    trail.entities.push(record::entity(resource_type, &shown.id, None));
    trail.patients.extend(shown.patients.iter().cloned());
}
