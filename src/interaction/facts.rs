//! What decisions are made from: learned before the first, told to be stale after a change.

use super::context::Context;
use super::request::Interaction;
use crate::fhir::outcome::Outcome;
use crate::store::policy_news::POLICY_TYPES;

/// Learns what a decision about the principal needs to know.
pub(super) async fn learn(ctx: &Context) -> Result<(), Outcome> {
    ctx.facts.learn(ctx.app.facts(&ctx.principal).await?);
    Ok(())
}

/// Whether an interaction may change what decisions are made from.
pub(super) fn may_change(interaction: &Interaction) -> bool {
    let is_policy = |name: &str| POLICY_TYPES.contains(&name);
    match interaction {
        Interaction::Create { resource, .. } => is_policy(resource.resource_type().name()),
        Interaction::Update { target, .. }
        | Interaction::Patch { target, .. }
        | Interaction::Delete { target, .. } => is_policy(target.resource_type().name()),
        Interaction::Bundle { .. } => true,
        Interaction::Operation(operation) => {
            operation.name == BREAK_GLASS || operation.resource_type.is_some_and(|it| is_policy(it.name()))
        }
        _ => false,
    }
}

/// The operation that opens and closes emergency access.
pub(super) const BREAK_GLASS: &str = "break-glass";
