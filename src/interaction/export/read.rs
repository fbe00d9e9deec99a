//! Reading for an export: the door as its worker uses it. Each page is a decision, a question, and a row in the
//! trail with every patient and resource in it, before the worker gets any.

use super::progress::ExportJob;
use super::request::{ExportRequest, Level};
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::interaction::context::{Context, handling};
use crate::interaction::record::{self, Asked, Trail};
use crate::interaction::{cohort, permission, redact};
use crate::search::plan::{Setting, plan};
use crate::search::predicate::Predicate;
use crate::search::query::Query;
use crate::store::search::gone::{Gone, GonePlace};
use crate::store::search::range::{Members, Population, Span, SpanPage};
use crate::store::versions::HistoryFilter;
use std::collections::{BTreeSet, HashSet};
use url::form_urlencoded;

/// What is read next.
#[derive(Clone, Debug)]
pub struct Next<'a> {
    /// The type.
    pub of: ResourceType,
    /// Whose.
    pub population: &'a Population,
    /// The filters of the type, as [`filter`] has them.
    pub filter: &'a Predicate,
    /// After that row.
    pub after: i64,
    /// As many rows are looked at.
    pub rows: u32,
    /// About so many bytes are taken.
    pub bytes: u64,
}

/// Groups in groups are followed so far.
const DEEPEST: usize = 10;
/// As many groups are looked into.
const MOST_GROUPS: usize = 10_000;

/// A page of what an export holds.
///
/// # Errors
/// The client may not, or not any more; the database fails; the trail cannot be written.
pub async fn span(ctx: &Context, job: &ExportJob, next: &Next<'_>) -> Result<SpanPage, Outcome> {
    let asked =
        Asked::for_kind(Kind::Search, None, Some(format!("{}?_type={}", job.request.operation(), next.of)));
    let read = async {
        job.asker.check(ctx).await?;
        let permit = permission::ask(ctx, Permission::Search, &[next.of])?;
        let query = redact::asked(ctx, &permit, &Query::new(vec![next.of], next.filter.clone(), 1))?;
        let span = spanned(job, next);
        let SpanPage { resources, next } =
            ctx.app.store.span(ctx.tenant(), &query, ctx.verifier(), &span).await?;
        let mut trail = Trail::under(&permit);
        resources.iter().for_each(|it| trail.add(ctx, it));
        let shown = resources.into_iter().map(|it| redact::shown(ctx, &permit, it));
        let page = SpanPage { resources: shown.collect::<Result<_, Outcome>>()?, next };
        Ok((page, trail))
    };
    match read.await {
        // Nothing of anybody was read.
        Ok((page, trail)) if trail.entities.is_empty() => Ok(page),
        read => record::settle_as(ctx, &asked, read).await,
    }
}

/// A page of what was deleted.
///
/// # Errors
/// As [`span`].
pub async fn gone(
    ctx: &Context,
    job: &ExportJob,
    next: &Next<'_>,
    after: GonePlace,
) -> Result<(Vec<Gone>, Option<GonePlace>), Outcome> {
    let asked = Asked::for_kind(Kind::History, None, Some(format!("$export?_type={}", next.of)));
    let read = async {
        job.asker.check(ctx).await?;
        let permit = permission::ask(ctx, Permission::Search, &[next.of])?;
        let query = redact::asked(ctx, &permit, &Query::new(vec![next.of], Predicate::True, 1))?;
        let span = spanned(job, next);
        let (gone, place) = ctx.app.store.gone(ctx.tenant(), &query, ctx.verifier(), &span, after).await?;
        let mut trail = Trail::under(&permit);
        trail.entities.extend(gone.iter().map(|it| record::entity(next.of, &it.id, Some(it.version))));
        trail.subjects.extend(gone.iter().filter_map(|it| it.subject));
        Ok(((gone, place), trail))
    };
    let read = read.await;
    match read {
        Ok((page, trail)) if trail.entities.is_empty() => Ok(page),
        read => record::settle_as(ctx, &asked, read).await,
    }
}

/// The patients whose records are exported; nothing where it is everybody's.
///
/// # Errors
/// As [`span`]; or a filter of the group is not understood.
pub async fn members(ctx: &Context, job: &ExportJob) -> Result<Option<Members>, Outcome> {
    job.asker.check(ctx).await?;
    let store = &ctx.app.store;
    let named = |names: &[String]| names.iter().filter_map(|it| ResourceId::parse(it)).collect::<Vec<_>>();
    let asked = job.request.patients.as_deref().map(named);
    let Level::Group(id) = &job.request.level else {
        return match asked {
            Some(asked) => Ok(Some(store.members(ctx.tenant(), &asked).await?)),
            None => Ok(None),
        };
    };
    let id = ResourceId::parse(id).ok_or_else(Outcome::not_found)?;
    let mut members = members_of(ctx, job, id).await?;
    if let Some(asked) = asked {
        // Only those of the members who were asked for.
        let asked: HashSet<ResourceId> = asked.into_iter().collect();
        members.retain(|it| asked.contains(it));
    }
    let members: Vec<ResourceId> = members.into_iter().collect();
    Ok(Some(store.members(ctx.tenant(), &members).await?))
}

/// Who was a member of the group, and of the groups in it, at the time of the export.
async fn members_of(ctx: &Context, job: &ExportJob, id: ResourceId) -> Result<BTreeSet<ResourceId>, Outcome> {
    let of = ResourceType::parse("Group").ok_or_else(Outcome::not_found)?;
    let permit = permission::ask(ctx, Permission::Read, &[of])?;
    let asked = Asked::for_kind(Kind::Read, None, None);
    let mut trail = Trail::under(&permit);
    let (mut members, mut seen) = (BTreeSet::new(), HashSet::from([id.clone()]));
    let mut waiting = vec![(id, 0)];
    while let Some((id, depth)) = waiting.pop() {
        let filter = HistoryFilter { at: Some((job.at, job.at)), count: 1, ..HistoryFilter::default() };
        let narrowing = permit.narrowing().of(of);
        let store = &ctx.app.store;
        let page = store.instance_history(ctx.tenant(), (of, &id), narrowing, &filter, permit.classes());
        let page = page.await?;
        let stood = page.and_then(|it| it.versions.into_iter().next()).filter(|it| !it.is_deleted());
        let Some(stored) = stood else {
            if depth == 0 {
                return Err(Outcome::not_found());
            }
            continue;
        };
        trail.entities.push(record::entity(of, &stored.id, Some(stored.version)));
        let group = Resource::parse(stored.text, &Limits::ACCEPTED)?;
        let filters = cohort::filters(&group)?;
        if !filters.is_empty() {
            // Whoever is written in it: who belongs to it is what its filters say.
            members.extend(cohort::patients(ctx, &filters, job.at, &mut trail).await?);
            continue;
        }
        for reference in active_members(&group) {
            match Reference::parse(&reference) {
                Some(Reference::Resource { resource_type, id, .. }) => match resource_type.name() {
                    "Patient" => drop(members.insert(id)),
                    "Group" if depth < DEEPEST && seen.len() < MOST_GROUPS && seen.insert(id.clone()) => {
                        waiting.push((id, depth + 1));
                    }
                    _ => {}
                },
                _ => continue,
            }
        }
    }
    record::settle_as(ctx, &asked, Ok((members, trail))).await
}

/// The members that are not marked inactive.
fn active_members(group: &Resource) -> Vec<String> {
    let members = group.root().get("member").into_iter().flat_map(|it| it.items());
    let active = members.filter(|it| it.get("inactive").and_then(|it| it.as_bool()) != Some(true));
    let references = active.filter_map(|it| it.get("entity")?.string("reference").map(Into::into));
    references.collect()
}

/// Whose resources of a type are read, one after the other: all at once, or some patients' in chunks.
#[must_use]
pub fn populations(
    ctx: &Context,
    job: &ExportJob,
    of: ResourceType,
    members: Option<&Members>,
) -> Vec<Population> {
    let whole = whole(ctx, job, of, members);
    let chunks = match &whole {
        Population::Members(members, _) if is_in_compartments(ctx, of) => members.chunks(),
        _ => None,
    };
    match (&whole, chunks) {
        (Population::Members(members, _), Some(chunks)) => {
            (0..chunks).map(|it| Population::Members(members.clone(), Some(it))).collect()
        }
        _ => vec![whole],
    }
}

/// Whose resources of a type are exported.
#[must_use]
pub fn whole(ctx: &Context, job: &ExportJob, of: ResourceType, members: Option<&Members>) -> Population {
    if job.request.level == Level::System || !is_personal(ctx, of) {
        return Population::Everything;
    }
    match members {
        Some(members) => Population::Members(members.clone(), None),
        None => Population::Patients,
    }
}

/// What the resources of a type must satisfy: one of its filters.
///
/// # Errors
/// A filter is not understood, or asks for more than a condition on the resource.
pub fn filter(ctx: &Context, request: &ExportRequest, of: ResourceType) -> Result<Predicate, Outcome> {
    let mut any = Vec::new();
    for (name, query) in &request.filters {
        if name == of.name() {
            any.push(condition(ctx, of, query, !request.is_lenient)?);
        }
    }
    Ok(if any.is_empty() { Predicate::True } else { Predicate::any(any) })
}

/// That the parameter `patient` names one of these: for types outside of the compartments.
///
/// # Errors
/// The type has no such parameter.
pub fn of_patients(ctx: &Context, of: ResourceType, ids: &[ResourceId]) -> Result<Predicate, Outcome> {
    let mut any = Vec::new();
    for id in ids {
        any.push(condition(ctx, of, &format!("patient=Patient/{id}"), true)?);
    }
    Ok(Predicate::any(any))
}

/// A query as a condition on resources of a type.
///
/// # Errors
/// It is not understood, or asks for more than that.
pub(in crate::interaction) fn condition(
    ctx: &Context,
    of: ResourceType,
    query: &str,
    is_strict: bool,
) -> Result<Predicate, Outcome> {
    let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let base = ctx.app.fhir_base();
    let setting =
        Setting { handling: handling(is_strict), default_count: 1, max_count: 1, ..ctx.setting(&base) };
    let (query, _) = plan(&setting, &[of], &parameters).map_err(|it| it.at("_typeFilter"))?;
    let is_more = !query.includes.is_empty()
        || parameters
            .iter()
            .any(|(name, _)| matches!(name.as_str(), "_count" | "_sort" | "_elements" | "_summary"));
    if is_more && is_strict {
        let outcome = Outcome::not_supported("a filter says which resources, not how they are sent");
        return Err(outcome.at("_typeFilter"));
    }
    Ok(query.filter)
}

/// Whether resources of that type are some patient's.
#[must_use]
pub fn is_personal(ctx: &Context, of: ResourceType) -> bool {
    is_in_compartments(ctx, of) || {
        let patient = ctx.definitions().search_parameter(of, "patient");
        patient.is_some_and(|it| it.kind == SearchParameterKind::Reference)
    }
}

/// Whether resources of that type are in compartments of patients, so that the index tells whose they are.
#[must_use]
pub fn is_in_compartments(ctx: &Context, of: ResourceType) -> bool {
    of.name() == "Patient" || !ctx.definitions().patient_compartment(of).is_empty()
}

fn spanned<'a>(job: &ExportJob, next: &Next<'a>) -> Span<'a> {
    Span {
        resource_type: next.of,
        at: job.at,
        since: job.request.since,
        until: job.request.until,
        population: next.population,
        after: next.after,
        rows: next.rows,
        bytes: next.bytes,
    }
}
