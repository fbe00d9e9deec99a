//! `$docref`: the documents of a patient, in a period, of a type.
//!
//! <http://hl7.org/fhir/us/core/STU7/OperationDefinition-docref.html>
//!
//! Documents are found, not made: `on-demand=true` is answered with what there is.

use super::inputs;
use crate::access::scope::Permission;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::{Context, MAX_COUNT};
use crate::interaction::record::Done;
use crate::interaction::request::{Operation, Parameters};
use crate::interaction::{permission, redact, search};
use crate::search::plan::plan;

/// A summary of the episode of care: what is meant where no type is named.
const SUMMARY: &str = "http://loinc.org|34133-9";

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$docref is asked on DocumentReference"));
    };
    let permit = permission::ask(ctx, Permission::Search, &[resource_type])?;
    let (parameters, has_period) = criteria(inputs(operation))?;
    let base = ctx.app.fhir_base();
    let (mut query, issues) = plan(&ctx.setting(&base), &[resource_type], &parameters)?;
    // Without a period only the most recent document is meant.
    query.count = if has_period { MAX_COUNT } else { 1 };
    let mut page =
        ctx.app.store.search(ctx.tenant(), &redact::asked(ctx, &permit, &query)?, ctx.verifier()).await?;
    if !has_period {
        page.next = None;
    }
    search::answer(ctx, &permit, "DocumentReference", &query, page, &issues).await
}

/// The search that the operation comes to, and whether it names a period.
fn criteria(given: Parameters) -> Result<(Parameters, bool), Outcome> {
    let mut criteria = vec![("_sort".to_owned(), "-date".to_owned())];
    let (mut has_patient, mut has_period, mut has_type) = (false, false, false);
    for (name, value) in given {
        match name.as_str() {
            "patient" => {
                has_patient = true;
                criteria.push((name, value));
            }
            "start" => {
                has_period = true;
                criteria.push(("period".to_owned(), format!("ge{value}")));
            }
            "end" => {
                has_period = true;
                criteria.push(("period".to_owned(), format!("le{value}")));
            }
            "type" => {
                has_type = true;
                criteria.push((name, value));
            }
            "on-demand" | "profile" => {}
            _ => return Err(Outcome::not_supported("$docref has no such parameter").at(name)),
        }
    }
    if !has_patient {
        return Err(Outcome::required("the parameter patient is required").at("patient"));
    }
    if !has_type && !has_period {
        criteria.push(("type".to_owned(), SUMMARY.to_owned()));
    }
    Ok((criteria, has_period))
}
