//! Checkpoints: so many events, and this is the hash of the last, signed.
//!
//! Each is also a line of the log (`audit.checkpoint`): kept on another machine, it proves what a copy in the
//! same database cannot.

use crate::crypto::sign::{CheckpointKey, CheckpointPublicKey};
use crate::fhir::id::TenantId;
use crate::store::audit_archive::Archive;
use crate::store::audit_chain::{Checkpoint, Head};

/// Signs the state of a chain.
#[must_use]
pub fn sign(key: &CheckpointKey, tenant: TenantId, head: Head, now: i64) -> Checkpoint {
    Checkpoint {
        head,
        signed: now,
        key_id: key.public().id().to_owned(),
        signature: key.sign(&message(tenant, head, now)).to_vec(),
    }
}

/// Whether one of the keys signed that checkpoint of that tenant.
#[must_use]
pub fn is_genuine(keys: &[CheckpointPublicKey], tenant: TenantId, checkpoint: &Checkpoint) -> bool {
    let message = message(tenant, checkpoint.head, checkpoint.signed);
    let mut named = keys.iter().filter(|key| key.id() == checkpoint.key_id);
    named.any(|key| key.verify(&message, &checkpoint.signature).is_ok())
}

/// Signs what was archived.
#[must_use]
pub fn sign_archive(key: &CheckpointKey, tenant: TenantId, archive: &Archive) -> Archive {
    let signature = key.sign(&archive_message(tenant, archive)).to_vec();
    Archive { key_id: key.public().id().to_owned(), signature, ..archive.clone() }
}

/// Whether one of the keys signed that this was archived.
#[must_use]
pub fn is_genuine_archive(keys: &[CheckpointPublicKey], tenant: TenantId, archive: &Archive) -> bool {
    let message = archive_message(tenant, archive);
    let mut named = keys.iter().filter(|key| key.id() == archive.key_id);
    named.any(|key| key.verify(&message, &archive.signature).is_ok())
}

fn archive_message(tenant: TenantId, archive: &Archive) -> Vec<u8> {
    let Archive { month, low, high, first, last, before, head, archived, .. } = archive;
    let mut message = b"vesta audit archive 1\0".to_vec();
    message.extend_from_slice(&tenant.0.to_be_bytes());
    for number in [low, high, first, last, archived] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    message.extend_from_slice(before);
    message.extend_from_slice(head);
    message.extend_from_slice(month.as_bytes());
    message
}

/// What is signed. The first words keep a signature from meaning anything else.
fn message(tenant: TenantId, head: Head, signed: i64) -> Vec<u8> {
    let mut message = b"vesta audit checkpoint 1\0".to_vec();
    message.extend_from_slice(&tenant.0.to_be_bytes());
    message.extend_from_slice(&head.count.to_be_bytes());
    message.extend_from_slice(&signed.to_be_bytes());
    message.extend_from_slice(&head.hash);
    message
}

/// A hash in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
