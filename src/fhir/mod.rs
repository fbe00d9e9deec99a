//! The words everyone speaks: resources, references, dates, outcomes.
//!
//! This room imports nothing of ours and every other room imports it. A resource is a JSON object
//! ([`json`]) that knows its type and id ([`resource`]), never a generated struct: FHIR's 146
//! resource types cost no line of code here, and what they look like is data ([`types`]).

pub mod bundle;
pub mod date_time;
pub mod id;
pub mod issue_type;
pub mod json;
pub mod json_patch;
pub mod narrative;
pub mod outcome;
pub mod reference;
pub mod resource;
pub mod seal_class;
pub mod tree;
pub mod types;
pub mod xml;
