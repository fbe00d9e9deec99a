//! AuditEvent: the trail, shown as resources. It is read and searched like any other type, and written by nobody.
//!
//! <https://hl7.org/fhir/R4/auditevent.html>

use super::context::{Context, DEFAULT_COUNT, page_size};
use super::record::{self, Done, Trail};
use super::request::{Instance, Parameters};
use super::response::Response;
use super::{page_link, permission};
use crate::access::scope::Permission;
use crate::audit::find::{self, Paging, Shown};
use crate::fhir::bundle::{Bundle, Entry};
use crate::fhir::date_time::instant;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::{self, Outcome};
use crate::search::query::Handling;

/// The name of the type.
pub(super) const NAME: &str = "AuditEvent";

pub(super) async fn read(ctx: &Context, of: &Instance) -> Result<Done, Outcome> {
    let permit = permission::ask(ctx, Permission::Read, &[of.resource_type])?;
    let base = ctx.app.fhir_base();
    let shown = find::read(trail_of(ctx, &base), &permit, &of.id).await?;
    let mut trail = Trail::under(&permit);
    note(&mut trail, of.resource_type, &shown);
    let response = Response::ok(shown.text);
    Ok(Done { response, trail: Some(trail) })
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
    let (mut asked, mut count) = (Parameters::new(), DEFAULT_COUNT);
    for (name, value) in &parameters {
        match name.as_str() {
            "_count" => count = page_size(value)?,
            _ => asked.push((name.clone(), value.clone())),
        }
    }
    match compartment {
        Some(of) if of.resource_type.name() == "Patient" => {
            asked.push(("patient".to_owned(), format!("Patient/{}", of.id)));
        }
        Some(_) => return Err(Outcome::not_supported("events are found in a patient's compartment only")),
        None => {}
    }
    let base = ctx.app.fhir_base();
    let after = cursor.as_ref().and_then(serde_json::Value::as_i64);
    let paging = Paging { count, after, is_lenient: ctx.handling == Handling::Lenient };
    let page = find::search(trail_of(ctx, &base), &permit, &asked, paging).await?;
    let mut trail = Trail::under(&permit);
    let mut entries = Vec::with_capacity(page.events.len());
    for shown in page.events {
        note(&mut trail, resource_type, &shown);
        entries.push(Entry {
            full_url: Some(format!("{base}/{NAME}/{}", shown.id)),
            resource: Some(shown.text),
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
    let bundle =
        Bundle { kind: "searchset", timestamp: Some(instant(ctx.now)), links, entries, ..Bundle::default() };
    let response = Response::ok(bundle.to_json());
    Ok(Done { response, trail: Some(trail) })
}

fn trail_of<'a>(ctx: &'a Context, base: &'a str) -> find::Trail<'a> {
    find::Trail { store: &ctx.app.store, base, tenant: ctx.tenant() }
}

/// Whoever looks at the trail is in it, too.
fn note(trail: &mut Trail, resource_type: ResourceType, shown: &Shown) {
    trail.entities.push(record::entity(resource_type, &shown.id, None));
    trail.patients.extend(shown.patients.iter().cloned());
}
