//! Codes and what they mean.
//!
//! Pure: a [`library::Library`] is made of the CodeSystems, ValueSets and ConceptMaps that somebody else
//! found, says which ones it still lacks, and answers from those it has. Code systems that are grammars, not
//! lists (media types, languages, UCUM, time zones), are decided by [`is_code_of`].

pub mod code_system;
pub mod concept_map;
pub mod expand;
pub mod library;
pub mod release;
pub mod tabular;
pub mod validate_code;
pub mod value_set;

mod filter;
mod grammar;

/// Whether a code belongs to a code system that is a grammar; nothing for any other system.
#[must_use]
pub fn is_code_of(system: &str, code: &str) -> Option<bool> {
    match system {
        "urn:ietf:bcp:13" => Some(grammar::is_media_type(code)),
        "urn:ietf:bcp:47" => Some(grammar::is_language(code)),
        "http://unitsofmeasure.org" => Some(octofhir_ucum::validate(code).is_ok()),
        "https://www.iana.org/time-zones" => Some(grammar::is_time_zone(code)),
        _ => None,
    }
}
