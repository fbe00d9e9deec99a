//! What validation likes to have beside the definitions: questionnaires, value sets and code systems that the
//! tenant keeps. Looked up for the server itself: what is legal does not depend on who sends it.
//!
//! A write asks for it only where a response names its questionnaire; `$validate` asks for every code too.

use super::context::Context;
use super::terminology::Shelf;
use crate::conformance::validate::beside::{Beside, Needed, needed};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use std::collections::BTreeSet;

/// What the answers in these resources are compared with. Questionnaires that are among the resources count, so
/// that a transaction may bring both.
pub(super) async fn for_write<'r>(
    ctx: &Context,
    resources: impl IntoIterator<Item = &'r Resource>,
) -> Result<Beside, Outcome> {
    let (mut wanted, mut own) = (Needed::default(), Vec::new());
    for resource in resources {
        match resource.resource_type().name() {
            "QuestionnaireResponse" => wanted.extend(needed(resource)),
            "Questionnaire" => own.push(resource),
            _ => {}
        }
    }
    if wanted.questionnaires.is_empty() {
        return Ok(Beside::default());
    }
    gather(ctx, wanted, own.into_iter().cloned().collect()).await
}

/// What a resource is compared with by whoever wants to know everything.
pub(super) async fn for_judgement(ctx: &Context, resource: &Resource) -> Result<Beside, Outcome> {
    let wanted = needed(resource);
    let systems: BTreeSet<String> = wanted.codes.iter().map(|(system, _)| system.clone()).collect();
    let mut shelf = Shelf::of_server(ctx);
    shelf.asked = wanted.codes.iter().map(|(_, code)| code.clone()).collect();
    for system in &systems {
        shelf.code_system(system).await?;
    }
    let codes = std::mem::take(&mut shelf.library);
    let mut beside = gather(ctx, wanted, Vec::new()).await?;
    beside.library.merge(codes);
    Ok(beside)
}

async fn gather(ctx: &Context, mut wanted: Needed, own: Vec<Resource>) -> Result<Beside, Outcome> {
    let mut shelf = Shelf::of_server(ctx);
    shelf.asked = wanted.codes.iter().map(|(_, code)| code.clone()).collect();
    let mut beside = Beside { questionnaires: own, ..Beside::default() };
    for canonical in std::mem::take(&mut wanted.questionnaires) {
        if beside.questionnaire(&canonical).is_none() {
            beside.questionnaires.extend(shelf.questionnaires(&canonical).await?);
        }
        if let Some(questionnaire) = beside.questionnaire(&canonical) {
            wanted.extend(needed(questionnaire));
        }
    }
    for canonical in &wanted.value_sets {
        // One that is not known, or needs too much, refuses nothing.
        match shelf.value_set(canonical).await {
            Err(outcome) if outcome.cause().is_some() => return Err(outcome),
            _ => {}
        }
    }
    beside.library = std::mem::take(&mut shelf.library);
    Ok(beside)
}
