//! The manifest of an export that is done.
//!
//! <https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status>

use super::progress::{ExportJob, List, Part, Progress};
use crate::deidentify::Method;
use crate::fhir::date_time::instant;
use serde_json::{Value, json};
use uuid::Uuid;

/// The name of the extension that tells what de-identifying came to.
const DEIDENTIFICATION: &str = "https://vesta.example/fhir/bulk/deidentification";

/// The manifest, as JSON.
pub(super) fn manifest(base: &str, id: Uuid, job: &ExportJob, progress: &Progress) -> String {
    let url = |name: &str| format!("{base}/$export/{id}/{name}");
    let list = |list: List| -> Vec<Value> {
        let entry = |part: &Part| {
            let of = match list {
                List::Output => part.of.as_deref(),
                List::Deleted => Some("Bundle"),
                List::Error => Some("OperationOutcome"),
            };
            let of = of.map(|it| ("type".to_owned(), json!(it)));
            let place = [("url".to_owned(), json!(url(&part.name))), ("count".to_owned(), json!(part.count))];
            let view = part.view.as_ref().map(|it| ("name".to_owned(), json!(it)));
            Value::Object(of.into_iter().chain(view).chain(place).collect())
        };
        progress.parts.iter().filter(|it| it.list == list).map(entry).collect()
    };
    let organized = job.request.by_patient.then(|| ("outputOrganizedBy".to_owned(), json!("Patient")));
    let members = [
        ("transactionTime", json!(instant(job.at))),
        ("request", json!(job.request.url)),
        ("requiresAccessToken", json!(true)),
        ("output", json!(list(List::Output))),
        ("deleted", json!(list(List::Deleted))),
        ("error", json!(list(List::Error))),
    ];
    let members = members.map(|(name, value)| (name.to_owned(), value));
    let extension = job.request.deidentify.map(|method| {
        let said = json!({ DEIDENTIFICATION: {
            "method": method.name(),
            "shiftsDates": method == Method::Limited { shifts_dates: true },
            "recipient": job.recipient(),
            "removed": progress.tally.removed,
            "patients": progress.tally.patients(),
            "smallCells": progress.tally.small_cells(),
        }});
        ("extension".to_owned(), said)
    });
    Value::Object(members.into_iter().chain(organized).chain(extension).collect()).to_string()
}
