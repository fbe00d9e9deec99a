//! What is legal: definitions as compact facts, and the rules made of them.

pub mod capability;
pub mod compile;
pub mod definitions;
pub mod guide;
pub mod package;
pub mod sealing;
pub mod search_parameter;
pub mod validate;
