//! Resources that the server itself publishes: read and searched like any other, written by nobody else.

use super::context::Context;
use crate::access::permit::Permit;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::predicate::Predicate;

/// The subject of the server where it acts itself: the id of no client, since those hold no colon.
pub const SERVER: &str = "vesta:server";

/// What is published: types and ids.
pub const PUBLISHED: [(&str, &str); 5] = [
    ("CodeSystem", "hipaa-controls"),
    ("PlanDefinition", "hipaa-technical"),
    ("PlanDefinition", "hipaa-administrative"),
    ("PlanDefinition", "hipaa-privacy"),
    ("Library", "sealing-rules"),
];

/// The permit to write, without what is the server's alone.
pub(super) fn without(ctx: &Context, permit: Permit, resource_types: &[ResourceType]) -> Permit {
    if ctx.principal.subject == SERVER {
        return permit;
    }
    resource_types.iter().fold(permit, |permit, resource_type| {
        let of_type = PUBLISHED.iter().filter(|(name, _)| *name == resource_type.name());
        let ids: Vec<ResourceId> = of_type.filter_map(|(_, id)| ResourceId::parse(id)).collect();
        match ids.is_empty() {
            true => permit,
            false => permit.narrowed(*resource_type, Predicate::Id(ids).negated()),
        }
    })
}
