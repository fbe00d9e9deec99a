//! The resources of an event, packed: type, id and version of each in some twenty bytes.
//!
//! Each is two bytes of type, four of version (0: none), one of length, and the id; the length 255
//! stands for a UUID in sixteen bytes.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::store::audit_log::Entity;
use crate::store::logical_id::as_uuid;
use uuid::Uuid;

const IS_UUID: u8 = 255;

/// Packs them.
pub(super) fn pack(entities: &[Entity]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(entities.len() * 23);
    for entity in entities {
        packed.extend_from_slice(&entity.resource_type.code().to_be_bytes());
        packed.extend_from_slice(&entity.version.unwrap_or(0).to_be_bytes());
        match as_uuid(&entity.id) {
            Some(uuid) => {
                packed.push(IS_UUID);
                packed.extend_from_slice(uuid.as_bytes());
            }
            None => {
                let id = entity.id.as_str().as_bytes();
                // An id has at most 64 bytes.
                packed.push(u8::try_from(id.len()).unwrap_or(0));
                packed.extend_from_slice(id);
            }
        }
    }
    packed
}

/// Unpacks them; none if the bytes are not what [`pack`] made.
pub(super) fn unpack(mut packed: &[u8]) -> Option<Vec<Entity>> {
    let mut entities = Vec::new();
    while !packed.is_empty() {
        let resource_type = ResourceType::from_code(i16::from_be_bytes(take(&mut packed)?))?;
        let version = i32::from_be_bytes(take(&mut packed)?);
        let [length] = take(&mut packed)?;
        let id = if length == IS_UUID {
            ResourceId::from(Uuid::from_bytes(take(&mut packed)?))
        } else {
            let (id, rest) = packed.split_at_checked(usize::from(length))?;
            packed = rest;
            ResourceId::parse(std::str::from_utf8(id).ok()?)?
        };
        entities.push(Entity { resource_type, id, version: (version != 0).then_some(version) });
    }
    Some(entities)
}

fn take<const N: usize>(packed: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = packed.split_first_chunk::<N>()?;
    *packed = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_come_back() {
        let entity = |id: &str, version| Entity {
            resource_type: ResourceType::parse("Patient").unwrap(),
            id: ResourceId::parse(id).unwrap(),
            version,
        };
        let entities = vec![
            entity("alice", None),
            entity("0190f4a8-7d3c-7cc2-8f0a-0123456789ab", Some(3)),
            entity("0190F4A8-7D3C-7CC2-8F0A-0123456789AB", Some(i32::MAX)),
            entity(&"x".repeat(64), Some(1)),
        ];
        let packed = pack(&entities);
        assert_eq!(unpack(&packed), Some(entities));
        assert_eq!(unpack(packed.get(..30).unwrap()), None);
        assert_eq!(unpack(&[]), Some(vec![]));
    }
}
