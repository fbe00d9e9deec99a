//! The steps of an export: which type, whose, one after the other. The same each time it is taken up.

use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::export::is_supporting;
use crate::interaction::export::progress::ExportJob;
use crate::interaction::export::read;
use crate::interaction::export::request::Level;
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
}

/// The steps of that export.
pub(super) async fn steps(ctx: &Context, job: &ExportJob) -> Result<Vec<Step>, Outcome> {
    let types: Option<Vec<ResourceType>> =
        job.request.types.iter().map(|it| ResourceType::parse(it)).collect();
    let types = types.ok_or_else(|| Outcome::exception("a job names a type that R4 does not have"))?;
    let members = read::members(ctx, job).await?;
    let mut steps = Vec::new();
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
            let population = whole(ctx, job, *of, members.as_ref());
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
        StepKind::Records => Predicate::True,
        _ => read::filter(ctx, &job.request, of)?,
    };
    let whole = whole(ctx, job, of, members);
    let chunks = match &whole {
        Population::Members(members, _) if read::is_in_compartments(ctx, of) => members.chunks(),
        _ => None,
    };
    let (Population::Members(members, _), Some(chunks)) = (&whole, chunks) else {
        return Ok(vec![Step { of, population: whole, filter, kind }]);
    };
    let chunk = |number| Population::Members(members.clone(), Some(number));
    let steps = (0..chunks).map(|it| Step { of, population: chunk(it), filter: filter.clone(), kind });
    Ok(steps.collect())
}

/// Whose resources of a type are exported.
fn whole(ctx: &Context, job: &ExportJob, of: ResourceType, members: Option<&Members>) -> Population {
    if job.request.level == Level::System || !read::is_personal(ctx, of) {
        return Population::Everything;
    }
    match members {
        Some(members) => Population::Members(members.clone(), None),
        None => Population::Patients,
    }
}
