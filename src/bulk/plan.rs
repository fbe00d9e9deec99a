//! The steps of an export: which type, whose, one after the other. The same each time it is taken up.

use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::export::is_supporting;
use crate::interaction::export::progress::ExportJob;
use crate::interaction::export::read;
use crate::search::predicate::Predicate;
use crate::store::search::range::{Members, Population};

/// A part of the work.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The type that is read.
    pub(super) of: ResourceType,
    /// Whose.
    pub(super) population: Population,
    /// The filters of the type.
    pub(super) filter: Predicate,
    /// What is made of it.
    pub(super) kind: StepKind,
}

/// What is made of what a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    /// Files of the type.
    Resources,
    /// Files of what refers to a type that is exported.
    Provenance,
    /// Files with the records of one patient after the other.
    Records,
    /// Files of what was deleted.
    Deletions,
    /// Files with the rows of a view: its place in the request.
    View(usize),
}

/// The steps of that export.
pub(super) async fn steps(ctx: &Context, job: &ExportJob) -> Result<Vec<Step>, Outcome> {
    let types: Option<Vec<ResourceType>> =
        job.request.types.iter().map(|it| ResourceType::parse(it)).collect();
    let types = types.ok_or_else(|| Outcome::exception("a job names a type that R4 does not have"))?;
    let members = read::members(ctx, job).await?;
    let mut steps = Vec::new();
    for (place, view) in job.request.views.iter().enumerate() {
        let of = ResourceType::parse(&view.of).ok_or_else(Outcome::not_found)?;
        steps.extend(live(ctx, job, of, members.as_ref(), StepKind::View(place))?);
    }
    if !job.request.views.is_empty() {
        return Ok(steps);
    }
    if job.request.by_patient {
        let patient = ResourceType::parse("Patient").ok_or_else(Outcome::not_found)?;
        steps.extend(live(ctx, job, patient, members.as_ref(), StepKind::Records)?);
    }
    for of in &types {
        if job.request.by_patient && !is_supporting(*of) {
            continue;
        }
        steps.extend(live(ctx, job, *of, members.as_ref(), StepKind::Resources)?);
    }
    let provenance = ResourceType::parse("Provenance").filter(|it| !types.contains(it));
    if let Some(of) = provenance.filter(|_| job.request.with_provenance) {
        steps.extend(live(ctx, job, of, members.as_ref(), StepKind::Provenance)?);
    }
    if job.request.since.is_some() {
        for of in &types {
            let population = read::whole(ctx, job, *of, members.as_ref());
            let (of, filter) = (*of, Predicate::True);
            steps.push(Step { of, population, filter, kind: StepKind::Deletions });
        }
    }
    Ok(steps)
}

/// The steps for what stands of a type: one, or one for each chunk of patients.
fn live(
    ctx: &Context,
    job: &ExportJob,
    of: ResourceType,
    members: Option<&Members>,
    kind: StepKind,
) -> Result<Vec<Step>, Outcome> {
    let filter = match kind {
        StepKind::Records | StepKind::View(_) => Predicate::True,
        _ => read::filter(ctx, &job.request, of)?,
    };
    let populations = read::populations(ctx, job, of, members).into_iter();
    Ok(populations.map(|population| Step { of, population, filter: filter.clone(), kind }).collect())
}
