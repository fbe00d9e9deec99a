//! The records of patients, one after the other: `organizeOutputBy=Patient`.
//!
//! <https://hl7.org/fhir/uv/bulkdata/export.html#organizing-output>
//!
//! Some patients at a time: everything that is theirs is read, and each gets a header and their resources in one
//! file. What belongs to several of them stands in the record of each.

use super::export::{self, BYTES, ROWS};
use super::transform::Transform;
use crate::deidentify::Deidentifier;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::{Limits, quote};
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::export::is_supporting;
use crate::interaction::export::progress::{ExportJob, Tally};
use crate::interaction::export::read::{self, Next};
use crate::store::jobs::JobFailure;
use crate::store::resources::Stored;
use crate::store::search::range::Population;
use std::sync::Arc;

/// So many patients are read at a time.
pub(super) const PATIENTS: u32 = 16;

/// One patient's lines.
struct Record {
    patient: ResourceId,
    lines: Vec<u8>,
    count: u64,
}

/// The records of these patients as lines, and how many.
pub(super) async fn lines(
    ctx: &Context,
    job: &ExportJob,
    patients: Vec<Stored>,
    deidentifier: Option<&Arc<Deidentifier>>,
    tally: &mut Tally,
) -> Result<(Vec<u8>, u64), JobFailure> {
    let header = |it: &Stored| {
        let id = match deidentifier {
            Some(names) => names.pseudonym("Patient", it.id.as_str()),
            None => it.id.to_string(),
        };
        let reference = quote(&format!("Patient/{id}"));
        let lines = format!(
            "{{\"resourceType\":\"Parameters\",\"parameter\":[{{\"name\":\"header\",\
             \"valueReference\":{{\"reference\":{reference}}}}}]}}\n"
        );
        Record { patient: it.id.clone(), lines: lines.into_bytes(), count: 1 }
    };
    let mut records: Vec<Record> = patients.iter().map(header).collect();
    let ids: Vec<ResourceId> = patients.into_iter().map(|it| it.id).collect();
    let members = ctx.app.store.members(ctx.tenant(), &ids).await?;
    let types = job.request.types.iter().filter_map(|it| ResourceType::parse(it));
    // The patient comes first.
    let (first, rest): (Vec<_>, Vec<_>) =
        types.filter(|it| !is_supporting(*it)).partition(|it| it.name() == "Patient");
    for of in first.into_iter().chain(rest) {
        let filter = read::filter(ctx, &job.request, of).map_err(export::failure)?;
        let is_found = read::is_in_compartments(ctx, of);
        let filter = match is_found {
            true => filter,
            false => filter.and(read::of_patients(ctx, of, &ids).map_err(export::failure)?),
        };
        let population = Population::Members(members.clone(), is_found.then_some(0));
        let transform = Transform::of(&ctx.rules, &job.request, of, deidentifier);
        let mut after = Some(0);
        while let Some(from) = after {
            let next =
                Next { of, population: &population, filter: &filter, after: from, rows: ROWS, bytes: BYTES };
            let page = read::span(ctx, job, &next).await.map_err(export::failure)?;
            for stored in page.resources {
                add(ctx, &mut records, (&transform, &mut *tally), stored)?;
            }
            after = page.next;
        }
    }
    let count = records.iter().map(|it| it.count).sum();
    Ok((records.into_iter().flat_map(|it| it.lines).collect(), count))
}

fn add(
    ctx: &Context,
    records: &mut [Record],
    (transform, tally): (&Transform, &mut Tally),
    stored: Stored,
) -> Result<(), JobFailure> {
    let resource = Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED).map_err(export::failure)?;
    let patients = ctx.verifier().patients(&resource);
    drop(resource);
    for record in records.iter_mut().filter(|it| patients.contains(&it.patient)) {
        let pushed = transform.push(stored.text.clone(), &mut record.lines, tally);
        record.count += u64::from(pushed.map_err(export::failure)?);
    }
    Ok(())
}
