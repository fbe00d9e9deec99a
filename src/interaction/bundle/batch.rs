//! Batch: every entry on its own; one that fails leaves the others alone.

use super::entry::{self, Asked};
use super::{entry_of, response};
use crate::fhir::bundle::{Entry, EntryResponse, Method};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::perform_inside;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Interaction;
use futures_util::{StreamExt as _, stream};

/// How many entries are performed at once.
const AT_ONCE: usize = 8;

pub(super) async fn run(ctx: &Context, bundle: &Resource) -> Result<Done, Outcome> {
    let base = ctx.app.fhir_base();
    let entries = bundle.root().get("entry");
    let asked: Vec<Result<Asked, Outcome>> = entries
        .into_iter()
        .flat_map(|it| it.items())
        .enumerate()
        .map(|(place, node)| entry::read(&base, place, node))
        .collect();
    // R4: the entries of a batch do not depend on each other, and no order is promised.
    let answers = stream::iter(asked).map(|asked| one(ctx, asked)).buffered(AT_ONCE);
    let entries: Vec<Entry> = answers.collect().await;
    // Every entry left its own row.
    Ok(Done { response: response(ctx, "batch-response", entries), trail: Some(Trail::default()) })
}

async fn one(ctx: &Context, asked: Result<Asked, Outcome>) -> Entry {
    let performed = async {
        let asked = asked?;
        let is_question = asked.method == Method::Get || asked.is_operation() || asked.is_post_search();
        let interaction = asked.into_interaction()?;
        if matches!(interaction, Interaction::Bundle { .. }) {
            return Err(Outcome::not_supported("a bundle within a bundle"));
        }
        let response = perform_inside(ctx, interaction).await?;
        Ok(entry_of(ctx, response, is_question || ctx.wants_representation))
    };
    match performed.await {
        Ok(entry) => entry,
        Err(outcome) => Entry {
            response: Some(EntryResponse {
                status: outcome.status().to_string(),
                outcome: Some(outcome.to_json()),
                ..EntryResponse::default()
            }),
            ..Entry::default()
        },
    }
}
