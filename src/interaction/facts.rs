//! What decisions are made from: learned before the first, told to be stale after a change.

use super::context::Context;
use super::request::Interaction;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::store::policy_news::POLICY_TYPES;

/// Learns what a decision about the principal needs to know.
pub(super) async fn learn(ctx: &Context) -> Result<(), Outcome> {
    ctx.facts.learn(ctx.app.facts(&ctx.principal).await?);
    Ok(())
}

/// Whether an interaction may change what decisions are made from.
pub(super) fn may_change(interaction: &Interaction) -> bool {
    let is_policy = |it: ResourceType| POLICY_TYPES.contains(&it.name());
    match interaction {
        Interaction::Bundle { .. } => true,
        Interaction::Operation(operation) => {
            operation.name == BREAK_GLASS || operation.resource_type.is_some_and(is_policy)
        }
        other => written_type(other).is_some_and(is_policy),
    }
}

/// The type of the one resource that an interaction may write.
pub(super) fn written_type(interaction: &Interaction) -> Option<ResourceType> {
    match interaction {
        Interaction::Create { resource, .. } => Some(resource.resource_type()),
        Interaction::Update { target, .. }
        | Interaction::Patch { target, .. }
        | Interaction::Delete { target, .. } => Some(target.resource_type()),
        _ => None,
    }
}

/// The operation that opens and closes emergency access.
pub(super) const BREAK_GLASS: &str = "break-glass";
