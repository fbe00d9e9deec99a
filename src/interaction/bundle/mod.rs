//! Batch and transaction: many interactions in one request.
//!
//! <https://hl7.org/fhir/R4/http.html#transaction>

mod batch;
mod entry;
mod resolve;
mod rewrite;
mod transaction;

use super::context::Context;
use super::record::Done;
use super::response::{Response, Status};
use crate::fhir::bundle::{Bundle, Entry, EntryResponse};
use crate::fhir::date_time::instant;
use crate::fhir::outcome::{self, Outcome};
use crate::fhir::resource::Resource;

/// The most entries of one bundle.
const MOST_ENTRIES: usize = 20_000;

pub(super) async fn run(ctx: &Context, bundle: &Resource) -> Result<Done, Outcome> {
    if bundle.resource_type().name() != "Bundle" {
        return Err(Outcome::invalid("a Bundle is expected").at("resourceType"));
    }
    let count = bundle.root().get("entry").map_or(0, |it| it.items().count());
    if count > MOST_ENTRIES {
        return Err(
            Outcome::too_costly(format!("at most {MOST_ENTRIES} entries in one bundle")).at("Bundle.entry")
        );
    }
    match bundle.root().string("type").as_deref() {
        Some("batch") => batch::run(ctx, bundle).await,
        Some("transaction") => transaction::run(ctx, bundle).await,
        _ => Err(Outcome::value("a batch or a transaction is expected").at("Bundle.type")),
    }
}

/// The answer to a bundle.
fn response(ctx: &Context, kind: &'static str, entries: Vec<Entry>) -> Response {
    let bundle = Bundle { kind, timestamp: Some(instant(ctx.now)), entries, ..Bundle::default() };
    Response::ok(bundle.to_json())
}

/// The entry that answers a successful interaction.
fn entry_of(ctx: &Context, response: Response, wants_body: bool) -> Entry {
    let base = ctx.app.fhir_base();
    let status = match response.status {
        Status::Ok => "200 OK",
        Status::Created => "201 Created",
        Status::Accepted => "202 Accepted",
        Status::NoContent => "204 No Content",
    };
    let about = response.about.as_ref();
    Entry {
        full_url: about.map(|it| format!("{base}/{}/{}", it.resource_type, it.id)),
        resource: response.body.filter(|_| wants_body),
        response: Some(EntryResponse {
            status: status.to_owned(),
            location: about.map(|it| format!("{base}/{}", it.versioned())),
            etag: about.map(|it| format!("W/\"{}\"", it.version)),
            last_modified: about.map(|it| instant(it.last_updated)),
            outcome: (!response.issues.is_empty()).then(|| outcome::to_json(&response.issues)),
        }),
        ..Entry::default()
    }
}
