//! Seals and signatures: everything that touches a key, and nothing that knows FHIR or SQL.
//!
//! The way of the keys, from the outside in: a *root key* from its provider wraps the *tenant's keys*
//! ([`key_ring`]), the tenant's wrapping key wraps one *subject key* per patient, and from that comes
//! one *section key* per class of elements ([`seal`]). What an index may hold of a sealed value is a
//! keyed hash ([`blind`]). Wrapped keys are rows of the store; unwrapped ones live here, in memory
//! that is wiped, for a bounded time.
//!
//! # Decision 2026-11-23
//! The RustCrypto crates behind this small interface, not `ring` or aws-lc directly: a section is a
//! few hundred bytes, so the set-up of a key counts for more than the speed per byte, and that is
//! cheap here. The interface leaves the door open.

pub mod blind;
pub mod dpop;
pub mod hardware;
pub mod jwks;
pub mod jws;
pub mod key_file;
pub mod key_ring;
pub mod password;
pub mod pseudonym;
pub mod random;
pub mod root_key;
pub mod seal;
pub mod secret_key;
pub mod sign;
pub mod token_hash;
pub mod totp;
pub mod transit;
pub mod webauthn;
