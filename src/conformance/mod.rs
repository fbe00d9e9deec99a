//! What is legal: definitions as compact facts, and the rules made of them.

pub mod archive;
pub mod capability;
pub mod compile;
mod constraint;
pub mod definitions;
pub mod guide;
mod invariant;
pub mod package;
mod rulebook;
pub mod sealing;
pub mod search_parameter;
pub mod terminology_capabilities;
pub mod validate;
mod value_set;
