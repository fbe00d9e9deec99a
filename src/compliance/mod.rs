//! The HIPAA control map, held against the running system.
//!
//! <https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-C/part-164>
//!
//! The map is data (`controls`). What there is to know of the system is gathered once (`facts`), each check is a
//! pure judgement over it (`check`), and a row is enforced, failing, unproved, or a matter of the organisation's own
//! procedures (`report`, shown as text and JSON, or by `html`). The map is also served as resources (`published`).
//!
//! The review of the trail is here too (`review`): what its detectors find becomes a DetectedIssue and a Task, and
//! somebody is told (`notice`).
//!
//! It does not certify anything: there is no such thing. A row says what was looked at and what was found.

pub mod controls;
pub mod facts;

pub mod check;
pub mod report;

pub mod html;
pub mod published;

pub mod notice;
pub mod review;

mod certificate;
mod people;
pub mod probe;
