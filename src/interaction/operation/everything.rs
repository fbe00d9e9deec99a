//! `$everything`: a patient's record, or an encounter's, and what it refers to.
//!
//! <https://hl7.org/fhir/R4/patient-operation-everything.html>
//!
//! It is a search of the compartment with everything referred to beside it, so its pages, narrowing and trail
//! are those of a search.

use super::inputs;
use crate::access::scope::Permission;
use crate::fhir::date_time::DateTime;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::{Context, page_size};
use crate::interaction::record::Done;
use crate::interaction::request::{Instance, Operation, Parameters};
use crate::interaction::{page_link, permission, redact, search};
use crate::search::include::{Direction, Include};
use crate::search::plan::plan;
use crate::search::predicate::Predicate;
use crate::search::query::Query;
use crate::store::hot;

/// `_count` where the client names none: a record is read to its end, so pages are large.
const COUNT: u32 = 200;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$everything is asked on a patient or an encounter"));
    };
    let place = match &operation.id {
        Some(id) => format!("{resource_type}/{id}/$everything"),
        None => format!("{resource_type}/$everything"),
    };
    let given = inputs(operation);
    let (cursor, parameters) = page_link::take(ctx, &place, &given).await?;
    let patient = operation.id.as_ref().filter(|_| resource_type.name() == "Patient");
    let permit = permission::ask_within(ctx, Permission::Search, &[resource_type], patient)?;
    let types: Vec<ResourceType> = permit
        .narrowing()
        .types()
        .into_iter()
        .filter(|it| {
            let inside = ctx.definitions().compartment(resource_type.name(), *it);
            *it == resource_type || inside.is_some()
        })
        .collect();
    let mut query = Query {
        cursor: cursor.as_ref().map(search::cursor_of).transpose()?,
        includes: vec![Include {
            direction: Direction::Forward,
            is_iterated: false,
            source: None,
            parameter: None,
            target: None,
        }],
        effective: parameters.clone(),
        ..Query::new(types, Predicate::True, COUNT)
    };
    restrict(ctx, &mut query, &parameters)?;
    match &operation.id {
        Some(id) => {
            let of = Instance { resource_type, id: id.clone() };
            let store = &ctx.app.store;
            let narrowing = permit.narrowing().of(resource_type);
            let stored = store.read(ctx.tenant(), resource_type, id, narrowing, permit.classes()).await?;
            match stored {
                None => return Err(Outcome::not_found()),
                Some(stored) if stored.is_deleted() => return Err(Outcome::deleted()),
                Some(_) => {}
            }
            query.filter = search::within(ctx, &of, &query.resource_types)?.and(query.filter);
        }
        None if resource_type.name() == "Encounter" => {
            return Err(Outcome::not_supported("$everything of encounters is asked on one"));
        }
        None => {}
    }
    let page =
        ctx.app.store.search(ctx.tenant(), &redact::asked(ctx, &permit, &query)?, ctx.verifier()).await?;
    search::answer(ctx, &permit, &place, &query, page, &[]).await
}

fn restrict(ctx: &Context, query: &mut Query, parameters: &Parameters) -> Result<(), Outcome> {
    let mut dates = Vec::new();
    for (name, value) in parameters {
        match name.as_str() {
            "_count" => query.count = page_size(value)?,
            "_type" => {
                let named: Option<Vec<ResourceType>> = value.split(',').map(ResourceType::parse).collect();
                let named =
                    named.ok_or_else(|| Outcome::value("_type names resource types of R4").at("_type"))?;
                query.resource_types.retain(|it| named.contains(it));
            }
            "_since" | "start" | "end" if DateTime::parse_search(value).is_none() => {
                return Err(Outcome::value("not a date").at(name.as_str()));
            }
            "_since" => {
                let since = ("_lastUpdated".to_owned(), format!("ge{value}"));
                query.filter = query.filter.clone().and(asked(ctx, &query.resource_types, since)?);
            }
            "start" => dates.push(format!("ge{value}")),
            "end" => dates.push(format!("le{value}")),
            _ => return Err(Outcome::not_supported("$everything has no such parameter").at(name.as_str())),
        }
    }
    if dates.is_empty() {
        return Ok(());
    }
    // Care that has no date of its own is part of the record whenever it is asked for.
    let mut of_types = Vec::new();
    for resource_type in &query.resource_types {
        let mut within = vec![Predicate::Type(*resource_type)];
        if let Some(parameter) = hot::date(*resource_type) {
            for date in &dates {
                within.push(asked(ctx, &[*resource_type], (parameter.to_owned(), date.clone()))?);
            }
        }
        of_types.push(Predicate::all(within));
    }
    query.filter = query.filter.clone().and(Predicate::any(of_types));
    Ok(())
}

fn asked(ctx: &Context, types: &[ResourceType], parameter: (String, String)) -> Result<Predicate, Outcome> {
    let base = ctx.app.fhir_base();
    Ok(plan(&ctx.setting(&base), types, &[parameter])?.0.filter)
}
