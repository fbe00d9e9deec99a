//! What happened: the events of the trail, their chain, and how they are shown.
//!
//! <https://profiles.ihe.net/ITI/BALP/>
//!
//! Reading order: the kinds of events (`event`), how they are shown (`balp`) and found (`find`), how they are
//! chained and signed (`chain`) and checked (`verify`, `live`, `export`), how they leave (`archive`, `forward`), what they come to (`report`, `detect`), and whether the trail is well (`health`).

pub mod balp;
pub mod event;
pub mod find;

pub mod chain;
pub mod checkpoint;
pub mod export;
pub mod live;
pub mod verify;

pub mod archive;
pub mod forward;

pub mod detect;
pub mod report;

pub mod health;
