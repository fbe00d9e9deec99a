//! Backups: everything that is stored, as it stood at one time, sealed and signed; put back, and proved by putting
//! it back elsewhere. 45 CFR 164.308(a)(7).
//!
//! A backup is two *parcels* in the folder it is made in, each with a signed manifest:
//!
//! * `data/{name}`: every table of every tenant, trail included, but no key;
//! * `keys/{name}`: the wrapped keys.
//!
//! Both are sealed under keys of their own, which the root key wraps: without the root key they are noise. The root
//! key, the checkpoint key and the settings are in neither: whoever keeps those with the backup keeps no secret.
//!
//! # Keys have a shorter horizon
//! A patient is destroyed by destroying a key, so a copy of that key brings them back. Each backup therefore removes
//! the key parcels of its folder that are older than the horizon (30 days by default), and takes the keys of who was
//! destroyed meanwhile out of the others, at once. A data parcel outlives its own key parcel: it is then restored
//! with the oldest later one, which has every key but those that were destroyed or exchanged. Copies of `keys` that
//! somebody made elsewhere are theirs to remove: keep `keys` and `data` on media of their own. Whoever was destroyed
//! after a backup was made, and is known to be by a later key parcel, does not come back with it: neither key nor rows.
//!
//! # What is not in it
//! Who is signed in, codes and refresh tokens: after a restore everybody signs in again, so that nothing that was
//! revoked since is good again. Files of exports: those jobs are given up.
//!
//! # Decision 2026-11-25
//! A backup is logical: COPY in one repeatable-read transaction. It needs no program and no right that the server
//! does not have, and is read by any later PostgreSQL. The road not taken, the cluster's files with its write-ahead
//! log, restores to any instant, but needs the operator's hands on the database server, and carries wrapped keys
//! that no horizon reaches. Whoever cannot lose what came since the last backup has a standby, or archives the log
//! beside it: what Vesta writes there is sealed all the same. `vesta backup drill` measures what the backups alone give.

pub mod drill;
pub mod make;
pub mod prove;
pub mod restore;

mod folder;
mod key_line;
mod manifest;
mod rows;
mod sealed_file;

/// What is told while it goes on.
pub type Tell<'a> = &'a (dyn Fn(&str) + Sync);
